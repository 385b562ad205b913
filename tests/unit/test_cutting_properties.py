"""Promise 7, the planner's half: plans tile exactly, lose nothing, and depend on the frames alone.

Ten thousand examples: ``make properties ARGS=tests/unit/test_cutting_properties.py``.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from longscribe.core import limits, speech
from longscribe.core.cutting import CONTEXT, OVERLAP, PlannedChunk, Planner
from longscribe.core.limits import FRAME, SAMPLE_RATE
from longscribe.core.speech import Frames
from longscribe.messages import Judged, Missing, Silence, Span

often = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


Plan = tuple[list[PlannedChunk], tuple[Silence, ...], tuple[Missing, ...], tuple[Judged, ...]]
Note = TypeVar("Note", Missing, Judged)


@dataclass(frozen=True)
class Recording:
    """What a planner is fed, and how long the recording is."""

    frames: Frames
    missing: tuple[Missing, ...]
    end: int

    def plan(self, seconds: float) -> Plan:
        return self.resume(Planner(seconds), 0)

    def resume(self, planner: Planner, start: int) -> Plan:
        chunks = planner.feed(*self.part(start, len(self.frames.speech)))
        more, *rest = planner.finish(self.end)
        return chunks + more, *rest

    def part(self, first: int, last: int) -> tuple[Frames, tuple[Missing, ...]]:
        """The frames from ``first`` to ``last`` with what is missing in them."""
        start, end = first * FRAME, last * FRAME
        frames = Frames(
            start,
            self.frames.speech[first:last],
            self.frames.level[first:last],
            _within(self.frames.judged, start, end),
        )
        return frames, _within(self.missing, start, end)


def _within(notes: tuple[Note, ...], start: int, end: int) -> tuple[Note, ...]:
    return tuple(
        replace(note, start=max(note.start, start), end=min(note.end, end))
        for note in notes
        if note.start < end and note.end > start
    )


stretches = st.lists(
    st.tuples(
        st.sampled_from(["speech", "speech", "speech", "pause", "hush", "noise"]),
        st.one_of(st.integers(1, 40), st.integers(1, 700), st.integers(1, 7_000), st.integers(1, 40_000)),
    ),
    max_size=40,
)

LONGEST = 2 * limits.MAX_CHUNK_EXTENT // FRAME
"""Frames: longer recordings would only take memory."""


@st.composite
def recordings(draw: st.DrawFn) -> Recording:
    """Speech, pauses, hushed speech and steady noise of 10 ms to 400 s each, gaps and changes of ears anywhere."""
    parts = draw(stretches)
    loudness = {"speech": -20.0, "pause": -65.0, "hush": -60.0, "noise": -40.0}
    counts = np.diff(np.minimum(np.cumsum([0, *(count for _, count in parts)]), LONGEST))
    heard = np.repeat(np.array([kind != "pause" for kind, _ in parts], np.bool_), counts)
    rough = np.repeat(np.array([kind == "speech" for kind, _ in parts], np.bool_), counts)
    level = np.repeat(np.array([loudness[kind] for kind, _ in parts], np.float32), counts)
    level += rough * np.random.default_rng(draw(st.integers(0, 9))).normal(0, 3, len(level)).astype(np.float32)
    whole = len(level) * FRAME
    end = max(0, whole - draw(st.integers(0, FRAME - 1)))
    places = draw(st.lists(st.integers(0, end), max_size=12, unique=True)) if end else []
    places = sorted(places)
    missing = []
    for start, limit in zip(places, [*places[1:], end], strict=False):
        length = draw(st.sampled_from([1, 80, 160, 161, 700, 3_000, 20_000, 10**9]))
        if limit > start:
            missing.append(Missing(start, min(limit, start + length), draw(st.sampled_from(["damaged", "lost"]))))
    changes = sorted(draw(st.lists(st.integers(0, len(level)), max_size=12, unique=True)))
    bounds = [0, *(place for place in changes if 0 < place < len(level)), len(level)]
    judged = tuple(
        Judged(first * FRAME, last * FRAME, draw(st.sampled_from(["one", "other"])))
        for first, last in pairwise(bounds)
        if first < last
    )
    return Recording(Frames(0, heard, level, judged), tuple(missing), end)


lengths = st.sampled_from([10.0, 28.0, 30.0, 31.0, 45.0, 56.0, 60.0, 71.0, 160.0, 300.0])


def regions(recording: Recording) -> np.ndarray:
    """Which samples must be heard, worked out slowly from the words of the definition."""
    gone = np.zeros(len(recording.frames.speech) * FRAME, np.bool_)
    for gap in recording.missing:
        gone[gap.start : gap.end] = True
    gone[recording.end :] = True
    heard = recording.frames.speech & ~gone.reshape(-1, FRAME).all(axis=1)
    spoken: list[tuple[int, int]] = []
    begin = 0
    flips = [*(np.flatnonzero(heard[1:] != heard[:-1]) + 1).tolist(), len(heard)] if len(heard) else []
    for index in flips:
        if heard[begin] and index - begin >= speech.OPEN:
            first, last = begin - speech.PAD, index + speech.PAD
            if spoken and first - spoken[-1][1] <= speech.FILL:
                first = spoken.pop()[0]
            spoken.append((first, last))
        begin = index
    wanted = np.zeros(len(gone), np.bool_)
    for first, last in spoken:
        wanted[max(first, 0) * FRAME : last * FRAME] = True
    return (wanted & ~gone)[: recording.end]


def painted(spans: list[tuple[int, int]], end: int) -> np.ndarray:
    """How often each sample is covered."""
    times = np.zeros(end, np.int16)
    for start, stop in spans:
        assert 0 <= start < stop <= end
        times[start:stop] += 1
    return times


@often
@given(recordings(), lengths)
@example(Recording(Frames(0, np.zeros(0, np.bool_), np.zeros(0, np.float32)), (), 0), 28.0)
def test_the_plan_tiles_the_recording_and_hears_all_speech(recording: Recording, seconds: float) -> None:
    chunks, silences, missing, judged = recording.plan(seconds)
    position = 0
    owned: list[tuple[int, int]] = []
    for index, chunk in enumerate(chunks):
        assert (chunk.index, chunk.start) == (index, position)
        assert chunk.windows
        speech_samples = 0
        for window in chunk.windows:
            assert window.start == position < window.end
            position = window.end
            own = [Span(max(s.start, window.start), min(s.end, window.end)) for s in window.spans]
            own = [span for span in own if span.samples > 0]
            assert own, "a window owns some speech"
            speech_samples += sum(span.samples for span in own)
            owned += [(span.start, span.end) for span in own]
        assert chunk.end == position
        assert chunk.speech == speech_samples
    quiet = [(s.start, s.end) for chunk in chunks for s in chunk.silences] + [(s.start, s.end) for s in silences]
    gaps = [(m.start, m.end) for chunk in chunks for m in chunk.missing] + [(m.start, m.end) for m in missing]
    assert (painted(owned + quiet + gaps, recording.end) == 1).all()
    lost = painted([(m.start, m.end) for m in recording.missing], recording.end)
    assert (painted(gaps, recording.end) == lost).all()
    assert ((painted(owned, recording.end) == 1) == regions(recording)).all()
    for chunk in chunks:
        within = [(s.start, s.end) for s in chunk.silences] + [(m.start, m.end) for m in chunk.missing]
        assert all(chunk.start <= start < end <= chunk.end for start, end in within)
        heard_by = {one.start for one in chunk.judged}
        assert all(
            left.end < right.start or (left.end == right.start and left.end in heard_by)
            for left, right in pairwise(chunk.silences)
        ), "a silence ends where sound begins, or where another detector took over"
    _check_judged(recording, chunks, silences, judged)


def _check_judged(
    recording: Recording, chunks: list[PlannedChunk], silences: tuple[Silence, ...], rest: tuple[Judged, ...]
) -> None:
    position = 0
    for end, judged, quiet in [
        *((chunk.end, chunk.judged, chunk.silences) for chunk in chunks),
        (recording.end, rest, silences),
    ]:
        for one in judged:
            assert (one.start, one.start < one.end) == (position, True)
            position = one.end
            told = _within(recording.frames.judged, one.start, one.end)
            assert {each.detector for each in told} == {one.detector}
        assert position == end
        assert all(left.detector != right.detector for left, right in pairwise(judged))
        for silence in quiet:
            assert any(one.start <= silence.start and silence.end <= one.end for one in judged)


@often
@given(recordings(), lengths)
def test_windows_keep_their_bounds(recording: Recording, seconds: float) -> None:
    chunks, *_ = recording.plan(seconds)
    windows = [window for chunk in chunks for window in chunk.windows]
    for chunk in chunks:
        assert len(chunk.windows) <= math.ceil(seconds / 30)
        assert sum(window.samples for window in chunk.windows) <= seconds * SAMPLE_RATE
        first, last = chunk.windows[0].spans[0], chunk.windows[-1].spans[-1]
        assert max(chunk.end, last.end) - first.start <= limits.MAX_CHUNK_EXTENT
    for window in windows:
        assert window.spans[0].start >= 0
        assert window.spans[-1].end <= recording.end
        assert 0 < window.samples <= limits.WINDOW
        assert window.start - window.spans[0].start <= OVERLAP
        assert window.spans[-1].end - window.end <= OVERLAP
        assert all(left.end < right.start for left, right in pairwise(window.spans))
    spoken = regions(recording)
    for window in windows:
        audio = painted([(span.start, span.end) for span in window.spans], recording.end) == 1
        for before, after in ((window.start - OVERLAP, window.start), (window.end, window.end + OVERLAP)):
            beyond = slice(max(0, before), after)
            assert not audio[beyond].any() or (audio[beyond] == spoken[beyond]).all(), "a second, or nothing"
    for left, right in pairwise(windows):
        assert (left.spans[-1].end > left.end) == (right.spans[0].start < right.start), "both hear beyond, or none"


@often
@given(
    recordings(),
    lengths,
    st.lists(st.integers(0, 20_000), max_size=9),
    st.integers(5, 200) | st.integers(150, 9_000),
)
def test_the_plan_does_not_depend_on_how_it_is_fed(
    recording: Recording, seconds: float, places: list[int], step: int
) -> None:
    count = len(recording.frames.speech)
    steps = range(0, min(count, 200 * step), step)
    bounds = sorted({0, count, *(min(place, count) for place in places), *steps})
    planner = Planner(seconds)
    chunks: list[PlannedChunk] = []
    for first, last in pairwise(bounds):
        before = planner.needed
        new = planner.feed(*recording.part(first, last))
        assert all(before <= window.spans[0].start for chunk in new for window in chunk.windows)
        assert before <= planner.needed
        chunks += new
    before = planner.needed
    more, *rest = planner.finish(recording.end)
    assert all(before <= window.spans[0].start for chunk in more for window in chunk.windows)
    assert (chunks + more, *rest) == recording.plan(seconds)


@often
@given(recordings(), lengths, st.data())
def test_a_planner_that_resumes_goes_on_with_the_same_chunks(
    recording: Recording, seconds: float, data: st.DataObject
) -> None:
    chunks, *rest = recording.plan(seconds)
    if not chunks:
        return
    last = data.draw(st.sampled_from(chunks))
    latest = max(0, (last.end - CONTEXT) // FRAME)
    start = data.draw(st.one_of(st.just(latest), st.integers(0, latest)))
    resumed = recording.resume(Planner(seconds, last.index + 1, last.end), start)
    assert resumed == (chunks[last.index + 1 :], *rest)


@often
@given(st.integers(16, 30 * SAMPLE_RATE), st.booleans(), st.booleans(), lengths)
def test_a_tail_of_1_ms_to_30_s_is_exact(tail: int, spoken: bool, gone: bool, seconds: float) -> None:
    body = 4_000
    count = body + -(-tail // FRAME)
    heard = np.arange(count) % 300 < 240
    heard[body:] = spoken
    end = body * FRAME + tail
    missing = (Missing(body * FRAME, end, "cut off"),) if gone else ()
    recording = Recording(Frames(0, heard, np.where(heard, -20, -65).astype(np.float32)), missing, end)
    chunks, silences, gaps, _ = recording.plan(seconds)
    owned = [
        (max(span.start, window.start), min(span.end, window.end))
        for chunk in chunks
        for window in chunk.windows
        for span in window.spans
        if span.start < window.end and span.end > window.start
    ]
    quiet = [(s.start, s.end) for s in [*(s for c in chunks for s in c.silences), *silences]]
    lost = [(m.start, m.end) for m in [*(m for c in chunks for m in c.missing), *gaps]]
    assert (painted(owned + quiet + lost, end) == 1).all()
    assert sum(stop - start for start, stop in lost) == (tail if gone else 0)
    if spoken and not gone and tail >= speech.OPEN * FRAME:
        assert chunks[-1].end == end
