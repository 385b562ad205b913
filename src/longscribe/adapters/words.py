"""Whisper's tokens joined to words, as its tokenizer spells them."""

import re
from collections.abc import Iterator, Sequence

import tokenizers

from longscribe.core.languages import UNSPACED

CLOSING = re.compile(r"[\"'.。,，!！?？:：;”)\]}、…-]+")
"""Punctuation that stays with the word before it (openai/whisper: ``append_punctuations``, and a few more)."""

OPENING = re.compile(r" [\"'“¿¡(\[{-]+")
"""Punctuation that goes to the word after it (the same: ``prepend_punctuations``)."""


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
