"""Where two windows heard the same speech: which words to take from the first and which from the second."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple, Protocol

from longscribe.core.limits import SAMPLE_RATE
from longscribe.core.text import normalised, unspaced

REACH = SAMPLE_RATE * 8 // 10
"""How far apart two windows may time one word: alignment is good to 0.4 s in each (measured)."""

NEAR = SAMPLE_RATE // 4
"""A match this far apart in time counts half: about the pace of repeated short words."""


class Timed(Protocol):
    """A word with its times in samples."""

    @property
    def start(self) -> int:
        """The first sample."""

    @property
    def end(self) -> int:
        """One past the last sample."""

    @property
    def text(self) -> str:
        """The word as it is spelt."""


class _Token(NamedTuple):
    text: str
    start: int
    word: int  # index of the word it is part of
    first: bool  # of its word
    last: bool


class _Pair(NamedTuple):
    a: int
    b: int
    weight: float


def seam(tail: Sequence[Timed], head: Sequence[Timed], start: int, cut: int, end: int) -> tuple[int, int]:
    """Return (kept, dropped): take so many first words of ``tail``, and all but so many first words of ``head``.

    Both windows heard the recording from ``start`` to ``end``, and own it up to and from ``cut``. The words they
    agree on are found by the best alignment, weighted by nearness in time; the seam goes into the longest run
    of them, at its word nearest the cut. So words that either window heard in part at its edge are left out. Where
    they agree on none, each word goes to the side of the cut its middle is on.
    """
    a = [token for token in _tokens(tail) if token.start >= start - REACH]
    b = [token for token in _tokens(head) if token.start <= end + REACH]
    run = max(_runs(_alignment(a, b)), key=lambda run: sum(1 + pair.weight for pair in run), default=[])
    seams = [found for pair in run for found in _around(a[pair.a], b[pair.b])]
    if not seams:
        return (
            sum(word.start + word.end < 2 * cut for word in tail),
            sum(word.start + word.end < 2 * cut for word in head),
        )
    return min(seams, key=lambda found: abs(_time(tail, found[0]) - cut))


def _tokens(words: Sequence[Timed]) -> Iterator[_Token]:
    """Yield each word's letters: as one token, or one by one where words are not parted by spaces."""
    for index, word in enumerate(words):
        text = normalised(word.text)
        parts = list(text) if text and all(map(unspaced, text)) else [text] if text else []
        step = (word.end - word.start) / max(1, len(parts))
        for number, part in enumerate(parts):
            start = word.start + int(number * step)
            yield _Token(part, start, index, number == 0, number == len(parts) - 1)


def _alignment(a: Sequence[_Token], b: Sequence[_Token]) -> list[_Pair]:
    """Return the pairs of equal tokens, in order in both, that weigh most together."""
    best = [[0.0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, j in product(range(len(a)), range(len(b))):
        best[i + 1][j + 1] = max(best[i][j + 1], best[i + 1][j], best[i][j] + _weight(a[i], b[j]))
    pairs: list[_Pair] = []
    i, j = len(a), len(b)
    while i and j:
        if best[i][j] == best[i - 1][j]:
            i -= 1
        elif best[i][j] == best[i][j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append(_Pair(i, j, _weight(a[i], b[j])))
    return pairs[::-1]


def _weight(a: _Token, b: _Token) -> float:
    apart = abs(a.start - b.start)
    if a.text != b.text or apart > REACH:
        return 0.0
    return 1 / (1 + (apart / NEAR) ** 2)


def _runs(pairs: Sequence[_Pair]) -> list[list[_Pair]]:
    runs: list[list[_Pair]] = []
    for pair in pairs:
        if runs and (pair.a, pair.b) == (runs[-1][-1].a + 1, runs[-1][-1].b + 1):
            runs[-1].append(pair)
        else:
            runs.append([pair])
    return runs


def _around(a: _Token, b: _Token) -> Iterator[tuple[int, int]]:
    """Yield the seams before and after a matched token, where both have a word's boundary."""
    if a.first and b.first:
        yield a.word, b.word
    if a.last and b.last:
        yield a.word + 1, b.word + 1


def _time(words: Sequence[Timed], boundary: int) -> int:
    return words[boundary].start if boundary < len(words) else words[-1].end
