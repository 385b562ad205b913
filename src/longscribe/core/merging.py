"""Chunks into one stream of words, each said once: places the words in time and removes doubled ones at seams."""

from collections.abc import Iterable, Sequence
from itertools import accumulate

import msgspec

from longscribe.core.seams import seam
from longscribe.core.text import UNSPACED, clean
from longscribe.documents import Chunk, ChunkState
from longscribe.messages import Guard, Span, Window, WindowResult, Word


class MergedWord(msgspec.Struct, frozen=True):
    """A word of the whole recording. Times are samples from its start."""

    start: int
    end: int
    text: str  #: its leading space included
    probability: float
    guards: tuple[Guard, ...] = ()  #: of the window it comes from
    language: str | None = None  #: of the same
    after_missing: bool = False  #: something is missing between the word before and this one


def merge(chunks: Iterable[Chunk]) -> list[MergedWord]:
    """Return the words of all chunks that are done, in order.

    The order of ``chunks`` and repeats of one change nothing: of several documents for one index the latest run's
    counts, and in it the one with a result.
    """
    latest: dict[int, Chunk] = {}
    for chunk in chunks:
        other = latest.setdefault(chunk.task.index, chunk)
        if _rank(chunk) > _rank(other):
            latest[chunk.task.index] = chunk
    merger = Merger()
    words = [word for index in sorted(latest) for word in merger.feed(latest[index])]
    return words + merger.finish()


def _rank(chunk: Chunk) -> tuple[int, bool, float]:
    return chunk.task.run, chunk.result is not None, chunk.updated


class Merger:
    """Merges chunks fed in order, and returns words as soon as no later chunk can change them."""

    def __init__(self) -> None:
        self._window: Window | None = None  # the last one, while its end may be heard by the next one too
        self._words: list[MergedWord] = []  # its words
        self._missing: list[int] = []  # where missing stretches start that no word has come after

    def feed(self, chunk: Chunk) -> list[MergedWord]:
        """Return the words that the next chunk makes final. One that is not done counts as missing."""
        ready: list[MergedWord] = []
        if chunk.state is ChunkState.DONE and chunk.result is not None:
            self._missing += sorted(missing.start for missing in chunk.missing)
            for window, result in zip(chunk.task.windows, chunk.result.windows, strict=True):
                ready += self._next(window, _heard(result))
        else:
            ready += self._release()
            self._missing.append(chunk.task.start)
        return self._marked(ready)

    def finish(self) -> list[MergedWord]:
        """Return the words held back."""
        return self._marked(self._release())

    def _release(self) -> list[MergedWord]:
        """Return the words held back, without those that no window owns."""
        ready = [word for word in self._words if self._window and word.start < self._window.end]
        self._window, self._words = None, []
        return ready

    def _next(self, window: Window, words: list[MergedWord]) -> list[MergedWord]:
        """Join ``words`` to what is held; return what is final."""
        before, held = self._window, self._words
        if before is None or before.spans[-1].end <= window.spans[0].start:
            ready = self._release()
            words = [word for word in words if word.end >= window.start]
        else:
            kept, dropped = seam(held, words, window.spans[0].start, window.start, before.spans[-1].end)
            joined = _ordered(held[:kept] + words[dropped:])
            ready, words = joined[:kept], joined[kept:]
        if window.spans[-1].end > window.end:
            self._window, self._words = window, words
            return ready
        self._window, self._words = None, []
        return ready + words

    def _marked(self, words: list[MergedWord]) -> list[MergedWord]:
        """Return ``words``, the first after each missing stretch marked."""
        marked = []
        for word in words:
            passed = sum(start <= word.start for start in self._missing)
            del self._missing[:passed]
            marked.append(msgspec.structs.replace(word, after_missing=True) if passed else word)
        return marked


def place(window: Window, words: Sequence[Word]) -> list[Word]:
    """Return ``words``, timed from the start of the packed window, in the time of the recording.

    A word that straddles a dropped silence stays within the span that holds most of it. Starts never decrease and
    no word runs into the next.
    """
    length = window.samples
    times = _in_order([(min(max(word.start, 0), length), min(word.end, length)) for word in words])
    return [
        Word(*_into_span(start, end, window.spans), word.text, word.probability)
        for word, (start, end) in zip(words, times, strict=True)
    ]


def _into_span(start: int, end: int, spans: Sequence[Span]) -> tuple[int, int]:
    """Return the part of a packed stretch that lies in the span it overlaps most, in the recording's time."""
    packed = 0
    best = (-1, 0, 0)
    for span in spans:
        first, last = max(start, packed), min(end, packed + span.samples)
        if last - first >= max(0, best[0]):
            best = (last - first, span.start + first - packed, span.start + last - packed)
        packed += span.samples
    return best[1:]


def _in_order(times: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ``times`` with starts that never decrease and ends that never pass the next start."""
    starts = list(accumulate((start for start, _ in times), max))
    limits = [*starts[1:], *(end for _, end in times[-1:])]
    return [
        (start, max(start, min(end, limit))) for start, (_, end), limit in zip(starts, times, limits, strict=True)
    ]


def _ordered(words: Sequence[MergedWord]) -> list[MergedWord]:
    times = _in_order([(word.start, word.end) for word in words])
    return [
        msgspec.structs.replace(word, start=start, end=end) for word, (start, end) in zip(words, times, strict=True)
    ]


def _heard(result: WindowResult) -> list[MergedWord]:
    """Return the words of one window, cleaned, the first one parted from whatever comes before."""
    words = [
        MergedWord(word.start, word.end, clean(word.text), word.probability, result.guards, result.language)
        for word in result.words
    ]
    if words and result.language not in UNSPACED and not words[0].text.startswith(" "):
        words[0] = msgspec.structs.replace(words[0], text=" " + words[0].text)
    return words
