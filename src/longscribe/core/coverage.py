"""What became of every sample: intervals that tile the recording, each transcribed, silent or missing."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from longscribe.core.transcript import Coverage, Kind, seconds
from longscribe.documents import Chunk, ChunkState, Seal
from longscribe.errors import Permanent, Transient
from longscribe.messages import Judged, Missing, Silence


class Interval(msgspec.Struct, frozen=True):
    """A half-open stretch of the recording, in samples, and what became of it."""

    start: int
    end: int
    kind: Kind
    level: float | None = None  #: dBFS, of a silent one
    reason: str | None = None  #: of a missing one
    detector: str | None = None  #: that heard speech or none in it; of all but a missing one


def coverage(chunks: Iterable[Chunk], seal: Seal) -> tuple[Interval, ...]:
    """Return the intervals that tile [0, ``seal.samples``), neighbours that say the same joined.

    ``chunks`` are all of a sealed job's, in any order. A chunk given up has its speech missing and its silences
    silent. Raises `Transient` while one is pending, `Permanent` if the intervals do not tile.
    """
    found = [part for chunk in chunks for part in _told_apart(parts(chunk), chunk.judged)]
    found += _told_apart(_silent(seal.silences), seal.judged)
    found += _missing(seal.missing)
    tiles = _joined(sorted(found, key=lambda part: (part.start, part.end)))
    check(tiles, seal.samples)
    return tiles


def check(intervals: Sequence[Interval], duration: int) -> None:
    """Raise `Permanent` unless ``intervals`` tile [0, ``duration``) exactly, in order, none of them empty."""
    reached = 0
    for interval in intervals:
        if interval.start != reached or interval.end <= interval.start:
            raise Permanent(
                f"The coverage breaks at sample {reached}: the next interval runs from {interval.start} to"
                f" {interval.end}; transcribe the recording afresh."
            )
        reached = interval.end
    if reached != duration:
        raise Permanent(f"The coverage ends at sample {reached} of {duration}; transcribe the recording afresh.")


def in_seconds(intervals: Iterable[Interval]) -> tuple[Coverage, ...]:
    """Return ``intervals`` as they are written in a transcript."""
    return tuple(
        Coverage(
            start=seconds(interval.start),
            end=seconds(interval.end),
            kind=interval.kind,
            level=None if interval.level is None else round(interval.level, 1),
            reason=interval.reason,
            detector=interval.detector,
        )
        for interval in intervals
    )


def parts(chunk: Chunk) -> Iterator[Interval]:
    """Yield what became of each part of a chunk, in no order. Raises `Transient` while it is pending."""
    if chunk.state is ChunkState.PENDING:
        raise Transient(f"Chunk {chunk.task.index} is still pending; ask again when it has ended.")
    done = chunk.state is ChunkState.DONE
    reason = None if done else chunk.reason or "the chunk was given up"
    for window in chunk.task.windows:
        for span in window.spans:
            start, end = max(span.start, window.start), min(span.end, window.end)
            if start < end:
                yield Interval(start, end, Kind.TRANSCRIBED if done else Kind.MISSING, reason=reason)
    yield from _silent(chunk.silences)
    yield from _missing(chunk.missing)


def _silent(silences: Iterable[Silence]) -> Iterator[Interval]:
    return (Interval(silence.start, silence.end, Kind.SILENT, level=silence.level) for silence in silences)


def _missing(stretches: Iterable[Missing]) -> Iterator[Interval]:
    return (Interval(missing.start, missing.end, Kind.MISSING, reason=missing.reason) for missing in stretches)


def _told_apart(intervals: Iterable[Interval], judged: Sequence[Judged]) -> Iterator[Interval]:
    """Yield ``intervals``, those that are not missing cut where another detector took over, its name in each."""
    for part in intervals:
        if part.kind is Kind.MISSING or not judged:
            yield part
            continue
        for one in judged:
            start, end = max(part.start, one.start), min(part.end, one.end)
            if start < end:
                yield msgspec.structs.replace(part, start=start, end=end, detector=one.detector)


def _joined(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    tiles: list[Interval] = []
    for part in intervals:
        if tiles and tiles[-1].end == part.start and _says(tiles[-1]) == _says(part):
            tiles[-1] = msgspec.structs.replace(tiles[-1], end=part.end)
        else:
            tiles.append(part)
    return tuple(tiles)


def _says(interval: Interval) -> Interval:
    return msgspec.structs.replace(interval, start=0, end=0)
