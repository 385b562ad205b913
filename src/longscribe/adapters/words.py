"""Whisper's tokens joined to words, as its tokenizer spells them, and pauses taken off the words' times."""

import re
from collections.abc import Iterator, Sequence

import numpy as np
import tokenizers

from longscribe.core.languages import UNSPACED
from longscribe.core.limits import SAMPLE_RATE
from longscribe.ports import Samples

CLOSING = re.compile(r"[\"'.。,，!！?？:：;”)\]}、…-]+")
"""Punctuation that stays with the word before it (openai/whisper: ``append_punctuations``, and a few more)."""

OPENING = re.compile(r" [\"'“¿¡(\[{-]+")
"""Punctuation that goes to the word after it (the same: ``prepend_punctuations``)."""

QUIET = 0.5
"""Below this part of the way, in decibels, from a window's quietest to its loudest there is no voice."""

CLEAR_DECIBELS = 20.0
"""Where quiet and loud are closer together than this, in noise, pauses cannot be told from voice."""

PAUSE = SAMPLE_RATE // 10
"""Shorter quiet at a word's edge may be a consonant."""

BREAK = SAMPLE_RATE // 5
"""Longer quiet within a word is a pause before or after it, which the alignment took in. From 160 to 300 ms all are
equally good (``benchmarks/word_times.py``)."""

_ENDING = re.compile(r"[.,;:!?。,！？：；…][\"'”)\]}]*$")
_FRAME = SAMPLE_RATE // 50
_FLOOR = 1e-10


class Speller:
    """Splits tokens into words."""

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        self._tokenizer = tokenizer

    def words(self, tokens: Sequence[int], language: str) -> Iterator[tuple[str, int, int]]:
        """Yield each word with its leading space, its first token's index and one past its last token's.

        The words joined are the whole text. A language written without spaces is split at every character that
        is whole: its tokens' own boundaries.
        """
        text, first = "", 0
        for piece, start, _ in self._characters(tokens):
            if text and self._begins(text, piece, language):
                yield text, first, start
                text, first = "", start
            text += piece
        if text:
            yield text, first, len(tokens)

    def _begins(self, text: str, piece: str, language: str) -> bool:
        """Return whether ``piece`` begins a new word after ``text``."""
        if CLOSING.fullmatch(piece) or OPENING.fullmatch(text):
            return False
        return piece.startswith(" ") or language in UNSPACED

    def _characters(self, tokens: Sequence[int]) -> Iterator[tuple[str, int, int]]:
        """Yield the shortest runs of tokens that are whole characters: a character may take several tokens."""
        first = 0
        for last in range(1, len(tokens) + 1):
            piece = self._tokenizer.decode(list(tokens[first:last]))
            if "\ufffd" not in piece or last == len(tokens):
                yield piece, first, last
                first = last


class Voice:
    """Where in a window there is voice, by its level: an aligned word begins or ends with the pause beside it."""

    def __init__(self, samples: Samples) -> None:
        whole = len(samples) // _FRAME * _FRAME
        frames = samples[:whole].reshape(-1, _FRAME) / 32768.0
        level = 10 * np.log10(np.mean(frames**2, axis=1) + _FLOOR)
        quiet, loud = np.quantile(level, (0.05, 0.95)) if len(level) else (0.0, 0.0)
        clear = loud - quiet >= CLEAR_DECIBELS
        self._voiced = level >= quiet + QUIET * (loud - quiet) if clear else np.ones(len(level), np.bool_)

    def trim(self, text: str, start: int, end: int) -> tuple[int, int]:
        """Return a word's bounds, in samples, without the pauses at its edges, unless there is no voice in it.

        What is voiced beyond a pause belongs to the neighbour: behind the pause after a word that ends a phrase, if
        it is short, and before the pause of any other word.
        """
        first = start // _FRAME
        voiced = first + np.flatnonzero(self._voiced[first : -(-end // _FRAME)])
        if not len(voiced):
            return start, end
        begins, ends = int(voiced[0]) * _FRAME, (int(voiced[-1]) + 1) * _FRAME
        begins, ends = begins if begins - start >= PAUSE else start, ends if end - ends >= PAUSE else end
        breaks = np.flatnonzero(np.diff(voiced) > BREAK // _FRAME)
        if not len(breaks):
            return begins, ends
        before, after = voiced[breaks[-1]], voiced[breaks[-1] + 1]
        if not _ENDING.search(text):
            return int(after) * _FRAME, ends
        return begins, (int(before) + 1) * _FRAME if ends - int(after) * _FRAME <= BREAK else ends
