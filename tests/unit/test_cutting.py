"""Where the planner cuts, case by case. That every plan is exact is in ``test_cutting_properties.py``."""

from itertools import pairwise

import numpy as np
import pytest

from longscribe.core import speech
from longscribe.core.cutting import CONTEXT, OVERLAP, PlannedChunk, Planner
from longscribe.core.limits import FRAME, GRID, MAX_CHUNK_EXTENT, SAMPLE_RATE, WINDOW
from longscribe.core.speech import Frames
from longscribe.messages import Missing, Silence, Span

SECOND = SAMPLE_RATE // FRAME


def track(*parts: tuple[float, float | None]) -> Frames:
    """Frames from (seconds, dBFS of speech) or (seconds, None) for a silence of -60 dBFS."""
    heard = [np.full(round(seconds * SECOND), level is not None) for seconds, level in parts]
    levels = [np.full(round(seconds * SECOND), -60 if level is None else level) for seconds, level in parts]
    return Frames(0, np.concatenate(heard), np.concatenate(levels).astype(np.float32))


def plan(
    frames: Frames, seconds: float = 56.0, missing: tuple[Missing, ...] = ()
) -> tuple[list[PlannedChunk], tuple[Silence, ...], tuple[Missing, ...]]:
    planner = Planner(seconds)
    chunks = planner.feed(frames, missing)
    more, silences, gaps, _ = planner.finish(len(frames.speech) * FRAME)
    return chunks + more, silences, gaps


def at(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)


def reading(minutes: float, seed: int = 1) -> Frames:
    """Someone who reads: phrases of 1 to 5 s, pauses of 0.15 to 1 s."""
    rng = np.random.default_rng(seed)
    parts: list[tuple[float, float | None]] = []
    while sum(seconds for seconds, _ in parts) < 60 * minutes:
        parts += [(float(rng.uniform(1, 5)), -20.0), (float(rng.uniform(0.15, 1.0)), None)]
    return track(*parts)


class TestFilling:
    @pytest.mark.parametrize(("seconds", "per_chunk", "fill"), [(28, 1, 26), (45, 2, 21), (56, 2, 27), (60, 2, 28)])
    def test_reading_fills_its_windows(self, seconds: float, per_chunk: int, fill: float) -> None:
        chunks, _, _ = plan(reading(60), seconds)
        assert {len(chunk.windows) for chunk in chunks[:-1]} == {per_chunk}
        windows = [window for chunk in chunks[:-1] for window in chunk.windows]
        assert np.mean([window.samples for window in windows]) > fill * SAMPLE_RATE
        through = sum(window.spans[-1].end > window.end for window in windows)
        assert through <= 0.02 * len(windows)

    def test_the_two_windows_of_45_s_are_balanced(self) -> None:
        chunks, _, _ = plan(reading(30), 45)
        for chunk in chunks[:-1]:
            left, right = (window.samples / SAMPLE_RATE for window in chunk.windows)
            assert abs(left - right) < 9

    def test_what_fits_one_window_is_one_window(self) -> None:
        for seconds in (45, 56):
            chunks, _, _ = plan(track((20, -20), (1, None), (9, -20)), seconds)
            assert [len(chunk.windows) for chunk in chunks] == [1]
            assert chunks[0].windows[0].spans == (Span(0, at(20.2)), Span(at(20.8), at(30)))

    def test_a_rest_that_fits_two_windows_is_balanced(self) -> None:
        chunks, _, _ = plan(track(*[(1.6, -20.0), (0.4, None)] * 20))
        assert [len(chunk.windows) for chunk in chunks] == [2]
        left, right = (window.samples / SAMPLE_RATE for window in chunks[0].windows)
        assert left == pytest.approx(right, abs=1.0)


class TestPlaces:
    def test_a_boundary_lies_where_the_silence_begins(self) -> None:
        chunks, silences, _ = plan(track((2, None), (27, -20), (3, None), (27, -20), (4, None)), 28)
        assert [(chunk.start, chunk.end) for chunk in chunks] == [(0, at(29.2)), (at(29.2), at(59.2))]
        assert chunks[0].windows[0].spans == (Span(at(1.8), at(29.2)),)
        assert chunks[0].silences == (Silence(0, at(1.8), -60.0),)
        assert chunks[1].silences == (Silence(at(29.2), at(31.8), -60.0),)
        assert chunks[1].speech == at(27.4)
        assert silences == (Silence(at(59.2), at(63), -60.0),)

    def test_a_long_pause_is_worth_some_room(self) -> None:
        parts: list[tuple[float, float | None]] = [(26.6, -20), (0.5, None), (0.2, -20), (0.16, None), (20, -20)]
        chunks, _, _ = plan(track(*parts), 28)
        assert chunks[0].end == at(26.85)
        parts[1] = (0.2, None)
        chunks, _, _ = plan(track(*parts), 28)
        assert chunks[0].end == at(27.08)

    def test_a_short_pause_far_away_beats_a_cut_through_speech(self) -> None:
        chunks, _, _ = plan(track((23, -20), (0.2, None), (40, -20)), 28)
        assert chunks[0].windows[0].spans == (Span(0, at(23.1)),)

    def test_a_pause_too_far_away_is_not_worth_an_empty_window(self) -> None:
        chunks, _, _ = plan(track((10, -20), (0.3, None), (60, -20)), 28)
        assert chunks[0].windows[0].samples == at(28)

    def test_speech_without_a_pause_is_cut_where_it_is_quietest_and_overlaps(self) -> None:
        chunks, _, _ = plan(track((25.5, -20), (0.1, -40), (40, -20)), 28)
        first, second = chunks[0].windows[0], chunks[1].windows[0]
        assert at(25.5) <= first.end <= at(25.6)
        assert first.end == second.start == chunks[0].end
        assert first.spans == (Span(0, first.end + OVERLAP),)
        assert second.spans[0].start == second.start - OVERLAP
        assert chunks[0].speech == first.end

    def test_noise_without_end_fills_its_windows(self) -> None:
        chunks, _, _ = plan(track((600, -20)), 56)
        windows = [window for chunk in chunks for window in chunk.windows]
        assert np.mean([window.samples for window in windows[:-1]]) > 27 * SAMPLE_RATE
        assert max(window.samples for window in windows) <= WINDOW
        assert all(left.end == right.start for left, right in pairwise(windows))

    def test_a_gap_is_no_silence_and_no_speech(self) -> None:
        gap = Missing(at(5) + 7, at(5.03), "damaged")
        chunks, _, _ = plan(track((10, -20)), missing=(gap,))
        assert chunks[0].windows[0].spans == (Span(0, gap.start), Span(gap.end, at(10)))
        assert chunks[0].missing == (gap,)
        assert chunks[0].silences == ()


class TestLongSilence:
    def test_silence_alone_is_no_chunk(self) -> None:
        assert plan(track((4_000, None))) == ([], (Silence(0, at(4_000), -60.0),), ())

    def test_nothing_at_all(self) -> None:
        assert plan(track((0, None))) == ([], (), ())
        assert Planner(28).finish(0) == ([], (), (), ())

    def test_one_sample(self) -> None:
        planner = Planner(28)
        assert planner.feed(Frames(0, np.array([False]), np.array([-30], np.float32))) == []
        assert planner.finish(1) == ([], (Silence(0, 1, -30.0),), (), ())

    def test_a_chunk_waits_for_speech_through_hours_of_silence(self) -> None:
        planner = Planner(28)
        hour = track((3_600, None))
        for number in range(5):
            assert planner.feed(Frames(number * at(3_600), hour.speech, hour.level)) == []
            assert planner.needed >= (number + 1) * at(3_600) - 2 * CONTEXT
        last = track((10, -20))
        assert planner.feed(Frames(5 * at(3_600), last.speech, last.level)) == []
        (chunk,), silences, *_ = planner.finish(5 * at(3_600) + at(10))
        assert (chunk.start, chunk.end) == (0, at(18_010))
        assert chunk.silences == (Silence(0, at(18_000 - 0.2), -60.0),)
        assert silences == ()

    def test_gaps_within_the_silence_are_named(self) -> None:
        gaps = (Missing(at(30), at(60), "damaged"), Missing(at(700), at(900), "damaged"))
        chunks, silences, missing = plan(track((1_000, None), (10, -20), (300, None)), missing=gaps)
        assert [silence.end - silence.start for silence in chunks[0].silences] == [at(30), at(640), at(99.8)]
        assert chunks[0].missing == gaps
        assert (len(silences), missing) == (1, ())

    def test_a_gap_that_two_ranges_tell_of_is_one(self) -> None:
        planner = Planner(28)
        whole = track((200, None))
        planner.feed(Frames(0, whole.speech, whole.level), [Missing(at(100), at(200), "damaged")])
        planner.feed(
            Frames(at(200), whole.speech, whole.level),
            [Missing(at(200), at(210), "damaged"), Missing(at(210), at(220), "lost")],
        )
        _, _, missing, _ = planner.finish(at(400))
        assert missing == (Missing(at(100), at(210), "damaged"), Missing(at(210), at(220), "lost"))

    def test_a_chunk_does_not_span_more_than_its_extent(self) -> None:
        chunks, _, _ = plan(track(*[(2.0, -20.0), (58.0, None)] * 40), 300)
        assert len(chunks) > 3
        for chunk in chunks[:-1]:
            extent = chunk.end - chunk.windows[0].spans[0].start
            assert MAX_CHUNK_EXTENT - at(60) <= extent <= MAX_CHUNK_EXTENT

    def test_speech_at_the_end_of_the_extent_is_cut(self) -> None:
        frames = track((20, -20), (568, None), (60, -20), (3, None))
        chunks, silences, _ = plan(frames, 300)
        assert chunks[0].windows[-1].spans[-1].end == MAX_CHUNK_EXTENT == chunks[0].end + OVERLAP
        assert sum(chunk.speech for chunk in chunks) == at(20.2 + 60.4)
        assert silences == (Silence(at(648.2), at(651), -60.0),)

    def test_a_cut_at_the_extent_needs_no_more_than_its_context(self) -> None:
        frames = track((20, -20), (568, None), (10, -20), (0.1, -30), (50, -20))
        chunks, _, _ = plan(frames, 300)
        assert at(598) <= chunks[0].end <= at(598.1)
        planner = Planner(300)
        heard = (MAX_CHUNK_EXTENT - OVERLAP + CONTEXT) // FRAME + 1
        begun = planner.feed(Frames(0, frames.speech[:heard], frames.level[:heard]))
        assert begun == chunks[:1]


class TestFeeding:
    def test_frames_must_follow_on(self) -> None:
        planner = Planner(28)
        part = track((1, None))
        planner.feed(part)
        with pytest.raises(ValueError, match="must follow on: these begin at sample 32000"):
            planner.feed(Frames(at(2), part.speech, part.level))

    def test_frames_must_not_begin_after_the_planner(self) -> None:
        with pytest.raises(ValueError, match="must follow on"):
            Planner(28, 1, at(1)).feed(Frames(at(2), np.zeros(1, np.bool_), np.zeros(1, np.float32)))

    @pytest.mark.parametrize("end", [at(1) - FRAME, at(1) + 1])
    def test_the_frames_must_cover_the_recording(self, end: int) -> None:
        planner = Planner(28)
        planner.feed(track((1, None)))
        with pytest.raises(ValueError, match="do not end where the recording does"):
            planner.finish(end)

    def test_a_planner_resumed_at_the_end_has_nothing_left(self) -> None:
        assert Planner(28, 5, at(7) + 3).finish(at(7) + 3) == ([], (), (), ())

    def test_what_is_kept_is_bounded(self) -> None:
        whole = track(*[(3.0, -20.0), (200.0, None)] * 30, (1_000, -20.0), (3_000, None))
        planner = Planner(300)
        step = GRID // FRAME
        chunks = []
        for first in range(0, len(whole.speech), step):
            part = slice(first, first + step)
            chunks += planner.feed(Frames(first * FRAME, whole.speech[part], whole.level[part]))
            fed = min(first + step, len(whole.speech)) * FRAME
            assert fed - planner.needed <= MAX_CHUNK_EXTENT + GRID + 2 * CONTEXT
        assert len(chunks) > 10

    def test_seven_hours_take_little_time(self) -> None:
        whole = reading(5)
        count = 84  # times five minutes
        frames = Frames(0, np.tile(whole.speech, count), np.tile(whole.level, count))
        chunks, _, _ = plan(frames)
        assert len(chunks) > 400

    def test_context_is_enough_for_all_that_looks_around(self) -> None:
        around = speech.AROUND + max(speech.PAUSE, speech.LONG)
        assert around * FRAME <= CONTEXT
        assert OVERLAP + speech.REACH * FRAME <= CONTEXT
