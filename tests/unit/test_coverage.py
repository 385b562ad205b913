from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from longscribe.core.coverage import Interval, check, coverage, in_seconds
from longscribe.core.transcript import Coverage, Kind
from longscribe.documents import Chunk, ChunkState, Seal
from longscribe.errors import Permanent, Transient
from longscribe.messages import Guard, Judged, Missing, Silence, Span, Window
from tests.unit.builders import Plan, detector, done, heard, one_window, patient, plans, task

KINDS = {"speech": Kind.TRANSCRIBED, "silence": Kind.SILENT, "missing": Kind.MISSING}


@patient
@given(plans(), st.randoms(use_true_random=False))
def test_tiles_the_recording_and_tells_what_became_of_each_stretch(plan: Plan, order):
    shuffled = list(plan.chunks)
    order.shuffle(shuffled)
    tiles = coverage(shuffled, plan.seal)
    assert tiles[0].start == 0
    assert tiles[-1].end == plan.seal.samples
    assert all(before.end == after.start for before, after in pairwise(tiles))
    for start, end, kind in plan.truth:
        (tile,) = [tile for tile in tiles if tile.start <= start < tile.end]
        assert tile.end >= end
        assert tile.kind is KINDS[kind]
        assert (tile.level is not None) == (kind == "silence")
        assert (tile.reason is not None) == (kind == "missing")
        assert tile.detector == (None if kind == "missing" else detector(start))
    assert tiles == coverage(plan.chunks, plan.seal)


@patient
@given(plans(), st.data())
def test_a_stretch_left_out_is_never_hidden(plan: Plan, data):
    holes = [chunk for chunk in plan.chunks if chunk.silences or chunk.missing]
    if not holes:
        return
    chunk = data.draw(st.sampled_from(holes))
    holed = replace(chunk, silences=(), missing=())
    with pytest.raises(Permanent, match="afresh"):
        coverage([holed if other is chunk else other for other in plan.chunks], plan.seal)


def test_joins_windows_cut_through_speech_and_chunks_given_up_alike():
    windows = [Window(0, 100, (Span(0, 120),)), Window(100, 200, (Span(80, 200),))]
    more = [
        task(
            index,
            200 * index,
            200 * index + 200,
            [Window(200 * index, 200 * index + 200, (Span(200 * index, 200 * index + 200),))],
        )
        for index in (1, 2, 3)
    ]
    lost = [
        Chunk(task=of, state=ChunkState.MISSING, reason=reason)
        for of, reason in zip(more, ["poison", "poison", None], strict=True)
    ]
    tiles = coverage([done(task(0, 0, 200, windows), [heard(())] * 2), *lost], Seal(800, 4))
    assert tiles == (
        Interval(0, 200, Kind.TRANSCRIBED),
        Interval(200, 600, Kind.MISSING, reason="poison"),
        Interval(600, 800, Kind.MISSING, reason="the chunk was given up"),
    )


def test_a_window_whose_text_was_dropped_is_still_transcribed():
    chunk = one_window([], 100, guards=(Guard.NO_SPEECH,))
    assert coverage([chunk], Seal(100, 1)) == (Interval(0, 100, Kind.TRANSCRIBED),)


def test_a_span_wholly_beyond_what_the_window_owns_is_its_neighbours():
    window = Window(0, 100, (Span(0, 100), Span(150, 200)))
    other = Window(150, 300, (Span(150, 300),))
    chunk = done(task(0, 0, 300, [window, other]), [heard(())] * 2, silences=(Silence(100, 150, -50.0),))
    assert [tile.kind for tile in coverage([chunk], Seal(300, 1))] == [
        Kind.TRANSCRIBED,
        Kind.SILENT,
        Kind.TRANSCRIBED,
    ]


def test_each_stretch_but_a_missing_one_says_which_detector_judged_it():
    window = Window(0, 300, (Span(0, 120), Span(180, 300)))
    judged = (Judged(0, 150, "one"), Judged(150, 300, "other"))
    silences = (Silence(120, 150, -50.0), Silence(150, 180, -50.0))
    chunk = done(task(0, 0, 300, [window]), [heard(())], silences=silences, judged=judged)
    seal = Seal(400, 1, (Silence(300, 350, -50.0),), (Missing(350, 400, "damaged"),), (Judged(300, 400, "other"),))
    assert coverage([chunk], seal) == (
        Interval(0, 120, Kind.TRANSCRIBED, detector="one"),
        Interval(120, 150, Kind.SILENT, level=-50.0, detector="one"),
        Interval(150, 180, Kind.SILENT, level=-50.0, detector="other"),
        Interval(180, 300, Kind.TRANSCRIBED, detector="other"),
        Interval(300, 350, Kind.SILENT, level=-50.0, detector="other"),
        Interval(350, 400, Kind.MISSING, reason="damaged"),
    )


def test_speech_is_told_apart_where_another_detector_took_over():
    chunk = done(
        task(0, 0, 300, [Window(0, 300, (Span(0, 300),))]),
        [heard(())],
        judged=(Judged(0, 100, "one"), Judged(100, 300, "other")),
    )
    assert coverage([chunk], Seal(300, 1)) == (
        Interval(0, 100, Kind.TRANSCRIBED, detector="one"),
        Interval(100, 300, Kind.TRANSCRIBED, detector="other"),
    )


def test_what_nobody_judged_is_not_hidden():
    chunk = done(task(0, 0, 300, [Window(0, 300, (Span(0, 300),))]), [heard(())], judged=(Judged(0, 299, "one"),))
    with pytest.raises(Permanent, match="afresh"):
        coverage([chunk], Seal(300, 1))


def test_a_recording_without_chunks_is_what_the_seal_says():
    seal = Seal(30, 0, (Silence(0, 10, -100.0),), (Missing(10, 30, "damaged"),))
    assert coverage([], seal) == (
        Interval(0, 10, Kind.SILENT, level=-100.0),
        Interval(10, 30, Kind.MISSING, reason="damaged"),
    )
    assert coverage([], Seal(0, 0)) == ()


def test_a_pending_chunk_has_no_coverage_yet():
    with pytest.raises(Transient, match="Chunk 4 is still pending"):
        coverage([Chunk(task=task(4, 0, 10, []))], Seal(10, 5))


@pytest.mark.parametrize(
    "bounds",
    [[(0, 5), (6, 10)], [(0, 5), (4, 10)], [(1, 10)], [(0, 9)], [(0, 11)], [(0, 5), (5, 5), (5, 10)], []],
    ids=["gap", "overlap", "late", "short", "long", "empty", "none"],
)
def test_check_refuses_what_does_not_tile(bounds):
    with pytest.raises(Permanent, match="afresh"):
        check([Interval(start, end, Kind.TRANSCRIBED) for start, end in bounds], 10)


def test_seconds_are_to_the_millisecond_and_levels_to_a_tenth():
    tiles = [
        Interval(0, 16_008, Kind.SILENT, level=-61.27, detector="ear"),
        Interval(16_008, 32_000, Kind.MISSING, reason="why"),
    ]
    assert in_seconds(tiles) == (
        Coverage(start=0.0, end=1.0, kind=Kind.SILENT, level=-61.3, detector="ear"),
        Coverage(start=1.0, end=2.0, kind=Kind.MISSING, reason="why"),
    )
