"""Where to cut a recording: a fold over its frames, from left to right.

What a caller needs to know::

    planner = Planner(settings.chunk_seconds)  # or, to go on: Planner(…, index=k + 1, start=chunks[k].end)
    for each decoded stretch:
        heard = detector.detect(samples with a lead, lead)
        for chunk in planner.feed(speech.frames(start, samples, heard), missing): …
        audio before planner.needed is in no later chunk
    chunks, silences, missing, judged = planner.finish(length of the recording)

**The tiling.** Chunks tile the recording from 0 to the end of the last chunk, windows tile their chunk. A boundary
lies where a silence begins, in the middle of a pause too short to be left out, or, where there is neither, at the
quietest place: there both windows' spans reach `OVERLAP` beyond it. Silence before a chunk's first word belongs to
the chunk, however long it is: `MAX_CHUNK_EXTENT` counts from the first span's start to the chunk's end.

**Missing audio.** A missing stretch of any length is in no span. What the spans, clipped to what their window owns,
leave of the chunk is tiled exactly by its ``missing`` and its ``silences``. Its ``judged`` says which detector was
heeded; where another took over, a silence ends and the next begins.

**Independence.** The chunks depend on the frames alone, not on how they were fed. What follows a chunk depends only
on where it ended and on the frames from `CONTEXT` before that on: a resumed planner is fed from there or earlier.
The verdicts must be the same too: those from there on need the detector's lead, as they had it the first time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
from msgspec.structs import replace

from longscribe.core import speech
from longscribe.core.limits import FRAME, GRID, MAX_CHUNK_EXTENT, SAMPLE_RATE, WINDOW
from longscribe.core.speech import Analysis, Frames
from longscribe.messages import Judged, Missing, Silence, Span, Window

OVERLAP = SAMPLE_RATE
"""How far spans reach beyond a cut through speech: one second holds a whole word on either side."""

CONTEXT = 3 * SAMPLE_RATE
"""What a resumed planner must have heard before its start. As much is awaited after a frame before it is settled:
over `OVERLAP` + `speech.REACH`, and over `speech.LONG` + `speech.AROUND`."""

_CONTEXT = CONTEXT // FRAME
_OVERLAP = OVERLAP // FRAME
_WINDOW = WINDOW // FRAME
_EXTENT = (MAX_CHUNK_EXTENT - OVERLAP) // FRAME
_BLOCK = GRID // FRAME

_ZONE = 6 * SAMPLE_RATE // FRAME
"""How much audio before the aim is searched for a pause."""

_SLACK = 3 * SAMPLE_RATE // FRAME
"""How much a window may exceed its share of the chunk; and the zone of a cut through speech."""

_WORTH = 2
"""Frames of audio that a window may stay away from its aim for each frame by which the pause is longer."""

_HUSH = 5
"""Frames to either side over which a place's level is measured before a cut through speech."""

_Note = TypeVar("_Note", Missing, Judged)


@dataclass(frozen=True)
class PlannedChunk:
    """A chunk as planned; what its windows leave of it is tiled by ``silences`` and ``missing``."""

    index: int
    start: int
    end: int
    windows: tuple[Window, ...]
    silences: tuple[Silence, ...]
    speech: int  #: samples of the spans that the chunk owns
    missing: tuple[Missing, ...]
    judged: tuple[Judged, ...]  #: tiles the chunk if it tiled the frames


@dataclass(frozen=True)
class _Cut:
    """A window in frames: owns up to ``end``, hears ``first`` to ``last``."""

    end: int
    first: int
    last: int


@dataclass(frozen=True)
class _Quiet:
    """A silence with its power still summed up, so that two that touch can be joined."""

    start: int
    end: int
    energy: int
    frames: int


class Planner:
    """Cuts a recording into chunks, keeping no more than the frames of the chunk at hand."""

    def __init__(self, chunk_seconds: float, index: int = 0, start: int = 0) -> None:
        """Begin with chunk ``index`` at sample ``start``: 0, or the end of the chunk before."""
        self._limit = int(chunk_seconds * SAMPLE_RATE) // FRAME
        self._index = index
        self._start = start  # of the chunk at hand, in samples
        self._cursor = -(-start // FRAME)  # the same in frames
        self._lead: list[_Quiet] = []  # silence at the chunk's start whose frames are gone
        self._led = start  # where it ends, in samples
        self._missing: list[Missing] = []
        self._judged: list[Judged] = []
        self._base = -1  # first frame in the buffers; -1: none was fed yet
        self._speech = np.zeros(0, np.bool_)
        self._power = np.zeros(0, np.int64)

    @property
    def needed(self) -> int:
        """The sample before which no later chunk has audio."""
        return max(self._base, 0) * FRAME

    def feed(self, frames: Frames, missing: Sequence[Missing] = ()) -> list[PlannedChunk]:
        """Take the next frames, with what is missing in them; return the chunks that are settled by now.

        Raises `ValueError` for frames that do not follow those fed before, or that begin after the planner's start.
        """
        begin = frames.start // FRAME
        if self._base < 0 and begin <= self._cursor:
            self._base = begin
        if begin != self._base + len(self._speech):
            raise ValueError(f"Frames must follow on: these begin at sample {frames.start}.")
        _note(self._missing, missing)
        _note(self._judged, frames.judged)
        chunks: list[PlannedChunk] = []
        power = speech.power(frames.level)
        for first in range(0, len(power), _BLOCK):
            self._speech = np.concatenate((self._speech, frames.speech[first : first + _BLOCK]))
            self._power = np.concatenate((self._power, power[first : first + _BLOCK]))
            chunks += self._plan(None)
        return chunks

    def finish(
        self, end: int
    ) -> tuple[list[PlannedChunk], tuple[Silence, ...], tuple[Missing, ...], tuple[Judged, ...]]:
        """Take the recording's length; return the last chunks, and what is silent, missing and judged after them.

        Raises `ValueError` unless the frames fed cover the recording.
        """
        if max(self._cursor, self._base + len(self._speech)) != -(-end // FRAME):
            raise ValueError(f"The frames fed do not end where the recording does, at sample {end}.")
        chunks = list(self._plan(end))
        rest = self._start, end
        return chunks, _told(self._quiet((), end)), _clipped(self._missing, *rest), _clipped(self._judged, *rest)

    def _plan(self, end: int | None) -> Iterator[PlannedChunk]:
        """Yield the chunks that can be cut; ``end`` is the recording's length once it is known."""
        count = len(self._speech)
        whole = Span(self._base * FRAME, (self._base + count) * FRAME if end is None else end)
        found = speech.analyse(self._speech, self._power, whole, self._missing)
        settled = count - _CONTEXT if end is None else count
        while cuts := _cut_chunk(found, self._cursor - self._base, settled, self._limit, end is not None):
            yield self._make(found, cuts, end)
        if end is None:
            self._forget(found, settled)

    def _make(self, found: Analysis, cuts: list[_Cut], end: int | None) -> PlannedChunk:
        """Turn cuts in frames into the chunk, and go on behind it."""
        windows: list[Window] = []
        start = self._start
        for cut in cuts:
            stop = (self._base + cut.end) * FRAME
            stop = stop if end is None else min(stop, end)
            windows.append(Window(start, stop, self._spans(found, cut, end)))
            start = stop
        owned = [
            Span(max(span.start, window.start), min(span.end, window.end))
            for window in windows
            for span in window.spans
            if span.start < window.end and span.end > window.start
        ]
        chunk = PlannedChunk(
            self._index,
            self._start,
            start,
            tuple(windows),
            _told(self._quiet(owned, start)),
            sum(span.samples for span in owned),
            _clipped(self._missing, self._start, start),
            _clipped(self._judged, self._start, start),
        )
        self._index += 1
        self._start = self._led = start
        self._cursor = self._base + cuts[-1].end
        self._lead = []
        return chunk

    def _spans(self, found: Analysis, cut: _Cut, end: int | None) -> tuple[Span, ...]:
        first, last = speech.runs(found.region[cut.first : cut.last])
        offset = self._base + cut.first
        spans = [Span(int(offset + a) * FRAME, int(offset + b) * FRAME) for a, b in zip(first, last, strict=True)]
        if end is not None and spans:
            spans[-1] = Span(spans[-1].start, min(spans[-1].end, end))
        return tuple(_without(spans, self._missing))

    def _quiet(self, owned: Sequence[Span], end: int) -> list[_Quiet]:
        """Return what neither ``owned`` nor missing stretches take of the chunk's start to ``end``."""
        quiet = list(self._lead)
        changes = [one.start for one in self._judged]
        energy = np.concatenate(([0], np.cumsum(self._power)))
        left = _without(_without([Span(self._led, end)], owned), self._missing)
        for span in (part for whole in left for part in _parted(whole, changes)):
            first, last = span.start // FRAME - self._base, -(-span.end // FRAME) - self._base
            piece = _Quiet(span.start, span.end, int(energy[last] - energy[first]), last - first)
            if quiet and quiet[-1].end == piece.start and piece.start not in changes:
                before = quiet.pop()
                piece = _Quiet(before.start, piece.end, before.energy + piece.energy, before.frames + piece.frames)
            quiet.append(piece)
        return quiet

    def _forget(self, found: Analysis, settled: int) -> None:
        """Drop frames that no later decision looks at; sum up the silence among them."""
        cursor = self._cursor - self._base
        quiet = min(settled, found.first_kept(cursor)) if settled > cursor else cursor
        if quiet > cursor:
            led = (self._base + quiet) * FRAME
            self._lead = self._quiet((), led)
            self._led = led
            # The chunk still begins at ``_start``; only the place to look from moves on.
            self._cursor = self._base + quiet
            cursor = quiet
        drop = min(max(0, cursor - _CONTEXT), len(self._speech))
        self._base += drop
        self._speech = self._speech[drop:]
        self._power = self._power[drop:]
        oldest = min(self._start, self.needed)
        self._missing = [gap for gap in self._missing if gap.end > oldest]
        self._judged = [one for one in self._judged if one.end > oldest]


def _cut_chunk(found: Analysis, cursor: int, settled: int, limit: int, final: bool) -> list[_Cut]:
    """Return the windows of the chunk that begins at frame ``cursor``; none while it cannot be settled."""
    audio = found.audio
    if settled <= cursor or audio[settled] == audio[cursor]:
        return []
    back = _back(found, cursor)
    stop = min(settled, found.first_kept(back) + _EXTENT)
    if not final and stop == settled and audio[settled] - audio[back] <= limit:
        return []
    total = min(limit, int(audio[stop] - audio[back]))
    count = -(-total // _WINDOW)
    cuts: list[_Cut] = []
    used = 0
    while len(cuts) < count and audio[stop] > audio[cursor]:
        back = _back(found, cursor)
        share = min(limit - used, int(audio[stop] - audio[back])) // (count - len(cuts))
        room = min(_WINDOW, limit - used) if len(cuts) == count - 1 else min(_WINDOW, share + _SLACK)
        if final and stop == settled and audio[stop] - audio[back] <= room:
            end = int(np.searchsorted(audio, audio[stop]))
        else:
            end = _cut_window(found, cursor, back, stop, share, room)
        cut = _Cut(end, back, end + _OVERLAP if found.through_speech(end) else end)
        used += int(audio[min(cut.last, len(audio) - 1)] - audio[back])
        cuts.append(cut)
        cursor = end
    return cuts


def _back(found: Analysis, cursor: int) -> int:
    """Return the frame from which on a window that begins at ``cursor`` hears."""
    return max(0, cursor - _OVERLAP) if found.through_speech(cursor) else cursor


def _cut_window(found: Analysis, cursor: int, back: int, stop: int, share: int, room: int) -> int:
    """Return the frame to cut at: a pause near ``share`` frames of audio, not over ``room``, not after ``stop``."""
    heard = found.audio - found.audio[back]
    last = min(stop, int(np.searchsorted(heard, room, side="right")) - 1)
    aim = min(share, int(heard[last]))
    first, end = found.pauses
    cuts = found.cuts
    near = (cuts <= last) & (heard[cuts] > heard[cursor]) & (heard[cuts] >= aim - _ZONE)
    if near.any():
        worth = _WORTH * np.minimum(end - first, speech.LONG) - np.abs(heard[cuts] - aim)
        best = np.where(near, worth, np.iinfo(np.int64).min)
        return int(cuts[len(cuts) - 1 - np.argmax(best[::-1])])
    aim = min(aim, room - _OVERLAP)
    high = min(stop, int(np.searchsorted(heard, aim, side="right")) - 1)
    low = max(cursor + 1, int(np.searchsorted(heard, heard[high] - _SLACK)))
    return _quietest(found, low, high)


def _quietest(found: Analysis, low: int, high: int) -> int:
    """Return the last of the quietest places from frame ``low`` to ``high``."""
    places = np.arange(low, high + 1)
    left, right = np.maximum(places - _HUSH, 0), np.minimum(places + _HUSH, len(found.power))
    mean = (found.energy[right] - found.energy[left]) / (right - left)
    return int(high - np.argmin(mean[::-1]))


def _without(spans: Sequence[Span], taken: Sequence[Span] | Sequence[Missing]) -> list[Span]:
    """Return what ``taken`` leaves of ``spans``; both in order."""
    left: list[Span] = []
    for span in spans:
        start = span.start
        for other in taken:
            if other.start < span.end and other.end > start:
                if other.start > start:
                    left.append(Span(start, other.start))
                start = other.end
        if start < span.end:
            left.append(Span(start, span.end))
    return left


def _parted(span: Span, places: Sequence[int]) -> Iterator[Span]:
    """Yield the parts of ``span`` between ``places``, which are in order."""
    within = [place for place in places if span.start < place < span.end]
    return (Span(start, end) for start, end in pairwise([span.start, *within, span.end]))


def _told(quiet: Sequence[_Quiet]) -> tuple[Silence, ...]:
    return tuple(Silence(q.start, q.end, speech.mean_level(q.energy, q.frames)) for q in quiet)


def _note(notes: list[_Note], more: Sequence[_Note]) -> None:
    """Add ``more`` to ``notes``, neighbours that say the same joined."""
    for note in more:
        last = notes[-1] if notes else None
        if last and last.end == note.start and replace(last, start=note.start, end=note.end) == note:
            notes[-1] = replace(last, end=note.end)
        else:
            notes.append(note)


def _clipped(notes: Sequence[_Note], start: int, end: int) -> tuple[_Note, ...]:
    return tuple(
        replace(note, start=max(note.start, start), end=min(note.end, end))
        for note in notes
        if max(note.start, start) < min(note.end, end)
    )
