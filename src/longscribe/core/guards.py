"""What says that a window's text cannot be trusted, and what is done about it.

A window is decoded with a beam first. What fails is decoded again alone: with all the room there is and without the
vocabulary if that came back, then with rising temperatures and never with it. The first attempt that passes is
kept; if none does, the best one is kept and carries what it failed, but never one that echoes the vocabulary.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from longscribe.core.limits import SAMPLE_RATE
from longscribe.messages import Guard
from longscribe.ports import Samples

LOG_PROBABILITY = -1.0
"""A lower mean log probability is no decoding to keep (openai/whisper, ``transcribe``: ``logprob_threshold``)."""

COMPRESSION_RATIO = 2.4
"""A text that compresses better than this repeats itself (the same: ``compression_ratio_threshold``)."""

NO_SPEECH = 0.6
"""Above this the model doubts that anyone spoke (the same: ``no_speech_threshold``).

Never enough by itself: Whisper asks for a low log probability too. Measured with base and tiny.en: 0.65 to 0.99 for
silence, tones and noise, at most 0.66 for the first 0.3 s of a sentence and 0.57 for 0.6 s or more.
"""

STEADY_DECIBELS = 2.0
"""Sound whose loudest 50 ms are less than this above its median holds no syllable.

Measured: at most 0.8 for silence, tones and white noise; at least 3.0 for speech, be it 0.3 s or in noise as loud.
"""

SPARSE_SECONDS = 5.0
"""Fewer words than one in this time are too few for speech, of which a window is full: 'Thank you.' in 30 s."""

LOOP_TOKENS = 16
LOOP_REPEATS = 4
"""Four times the same in a row, over 16 tokens or more, is a loop: longer than a stammer or a chorus of *no*."""

LONGEST_PERIOD = 32
"""Longer phrases that repeat are left to the compression ratio."""

ECHO_TERMS = 3
"""So many terms of the vocabulary, one after the other as they were given, are the prompt and not the speaker."""

BEAM = 5
"""Whisper's own beam (openai/whisper, ``--beam_size``)."""

TEMPERATURES = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Tried in this order after the beam (openai/whisper: ``temperature_increment_on_fallback``)."""

_FRAME = SAMPLE_RATE // 20
_FLOOR = 1e-10


@dataclass(frozen=True)
class Attempt:
    """One decoding of one window."""

    text: str
    tokens: tuple[int, ...]
    log_probability: float  #: mean natural logarithm of the tokens' probabilities
    no_speech: float  #: what the model gives "nobody speaks", 0 to 1
    temperature: float = 0.0
    cut: bool = False  #: ended by the length limit, so text may be missing


def verdict(attempt: Attempt, vocabulary: Sequence[str]) -> tuple[Guard, ...]:
    """Return what is wrong with an attempt made with ``vocabulary`` as its prompt; nothing if it passes."""
    found = []
    if attempt.log_probability < LOG_PROBABILITY:
        found.append(Guard.LOW_PROBABILITY)
    if compression_ratio(attempt.text) > COMPRESSION_RATIO:
        found.append(Guard.COMPRESSION)
    # Nobody says as many tokens in 30 s as the limit allows: what runs into it is a loop too.
    if attempt.cut or loops(attempt.tokens):
        found.append(Guard.REPETITION)
    if echoes(attempt.text, vocabulary):
        found.append(Guard.PROMPT_ECHO)
    return tuple(found)


def speechless(attempt: Attempt, samples: Samples) -> bool:
    """Return whether nobody speaks in ``samples``, so that the text was invented and is to be dropped.

    The model's doubt must have a second witness: its doubt of the words (Whisper's own rule), sound without a
    syllable, or hardly a word in all the time.
    """
    words = re.findall(r"\w+", attempt.text)
    if not words or not len(samples):
        return True
    if attempt.no_speech <= NO_SPEECH:
        return False
    sparse = len(words) * SPARSE_SECONDS < len(samples) / SAMPLE_RATE
    return sparse or attempt.log_probability < LOG_PROBABILITY or steady(samples)


def best(attempts: Sequence[tuple[Attempt, tuple[Guard, ...]]]) -> tuple[Attempt, tuple[Guard, ...]]:
    """Return the attempt with the fewest faults, of those the most probable, then the first; an echo comes last."""
    return max(attempts, key=lambda it: (Guard.PROMPT_ECHO not in it[1], -len(it[1]), it[0].log_probability))


def compression_ratio(text: str) -> float:
    """Return how many times smaller zlib makes ``text``, as Whisper counts it; about 1.5 for prose of 30 s."""
    data = text.strip().encode()
    return len(data) / len(zlib.compress(data))


def loops(tokens: Sequence[int]) -> bool:
    """Return whether some phrase comes `LOOP_REPEATS` times in a row, over at least `LOOP_TOKENS` tokens."""
    for period in range(1, min(LONGEST_PERIOD, len(tokens) // LOOP_REPEATS) + 1):
        needed = max(LOOP_TOKENS, LOOP_REPEATS * period) - period
        run = 0
        for earlier, later in zip(tokens, tokens[period:], strict=False):
            run = run + 1 if earlier == later else 0
            if run == needed:
                return True
    return False


def echoes(text: str, vocabulary: Sequence[str]) -> bool:
    """Return whether ``text`` is nothing but terms of the vocabulary, or lists some in the order they have there.

    A speaker may do either. The consequence is only that the window is decoded again without them.
    """
    spoken = _words(text)
    terms = [words for term in vocabulary if (words := _words(term))]
    left = spoken
    for words in sorted(terms, key=len, reverse=True):
        left = left.replace(words, "")
    if spoken and not left:
        return True
    return any("".join(terms[i : i + ECHO_TERMS]) in spoken for i in range(len(terms) - ECHO_TERMS + 1))


def steady(samples: Samples) -> bool:
    """Return whether nothing in ``samples`` is louder than the rest: silence, a tone, a hiss."""
    whole = len(samples) // _FRAME * _FRAME
    frames = samples[:whole].reshape(-1, _FRAME) if whole else samples.reshape(1, -1)
    level = 10 * np.log10(np.mean((frames / 32768.0) ** 2, axis=1) + _FLOOR)
    return bool(level.max() - np.median(level) < STEADY_DECIBELS)


def _words(text: str) -> str:
    return "".join(f" {word} " for word in re.findall(r"\w+", text.lower()))
