"""Speed, time left and what is missing, from documents alone."""

import pytest
from msgspec.structs import replace

from longscribe.core import standing
from longscribe.core.limits import SAMPLE_RATE
from longscribe.core.progress import Progress, progress
from longscribe.documents import Chunk, ChunkState
from longscribe.messages import Guard, Missing, Span, Window
from tests.unit.builders import done, heard, job, task

TEN = 10 * SAMPLE_RATE


def chunk(index: int, updated: float, state: ChunkState = ChunkState.DONE, run: int = 1) -> Chunk:
    window = Window(index * TEN, (index + 1) * TEN, (Span(index * TEN, (index + 1) * TEN),))
    of = task(index, index * TEN, (index + 1) * TEN, [window], run)
    if state is ChunkState.DONE:
        return replace(done(of, [heard(())]), updated=updated)
    return Chunk(task=of, state=state, updated=updated)


def test_the_speed_is_what_was_done_since_the_work_began() -> None:
    of = replace(job(100 * SAMPLE_RATE, 10), created=1_000.0, updated=1_002.0)
    chunks = [chunk(0, 1_005.0), chunk(1, 1_010.0), chunk(2, 1_003.0, ChunkState.PENDING)]
    assert standing.speed(of, chunks, 1_010.0) == 2.0


def test_the_speed_is_that_of_the_last_five_minutes() -> None:
    of = replace(job(100 * SAMPLE_RATE, 10), created=0.0, updated=10.0)
    chunks = [chunk(0, 100.0), chunk(1, 900.0), chunk(2, 1_000.0), chunk(3, 10.0, ChunkState.PENDING)]
    assert standing.speed(of, chunks, 1_100.0) == 20 / 300


def test_the_speed_of_a_rerun_counts_from_the_rerun() -> None:
    of = replace(job(100 * SAMPLE_RATE, 10), created=0.0, updated=1_090.0)
    chunks = [chunk(0, 1_000.0), chunk(1, 1_095.0, run=2), chunk(2, 1_090.0, ChunkState.PENDING, run=2)]
    assert standing.speed(of, chunks, 1_100.0) == 1.0


@pytest.mark.parametrize("now", [1_000.0, 2_000.0])
def test_no_speed_without_a_result_in_the_recent_past(now: float) -> None:
    of = replace(job(100 * SAMPLE_RATE, 10), created=1_000.0)
    assert standing.speed(of, [chunk(0, 1_000.0)], now) is None
    assert standing.speed(of, [chunk(0, 1_000.0, ChunkState.PENDING)], now) is None


def test_the_time_left_is_the_rest_at_that_speed() -> None:
    of = job(100 * SAMPLE_RATE, 10)
    chunks = [chunk(0, 0.0), chunk(1, 0.0, ChunkState.PENDING)]
    assert standing.seconds_left(of, progress(chunks, of.seal), 2.0) == 45.0
    assert standing.seconds_left(of, progress(chunks, of.seal), None) is None
    unsealed = replace(of, seal=None)
    assert standing.seconds_left(unsealed, progress(chunks, None), 2.0) is None
    assert standing.seconds_left(of, Progress(10, 10, 100, 100), 2.0) == 0.0


def test_what_is_missing_are_given_up_chunks_and_undecodable_stretches() -> None:
    of = job(100 * SAMPLE_RATE, 3, missing=(Missing(50, 60, "damaged"),))
    given_up = replace(chunk(1, 0.0, ChunkState.MISSING), reason="five attempts failed")
    nameless = chunk(2, 0.0, ChunkState.MISSING)
    outside = replace(given_up.task.windows[0], end=given_up.task.windows[0].start)
    odd = replace(given_up, task=replace(given_up.task, windows=(*given_up.task.windows, outside)))
    damaged = replace(chunk(0, 0.0), missing=(Missing(5, 6, "damaged"),))
    assert standing.missing(of, [damaged, odd, nameless]) == (
        Missing(5, 6, "damaged"),
        Missing(50, 60, "damaged"),
        Missing(TEN, 2 * TEN, "five attempts failed"),
        Missing(2 * TEN, 3 * TEN, "it was given up"),
    )
    assert standing.missing(replace(of, seal=None), [chunk(0, 0.0), chunk(1, 0.0, ChunkState.PENDING)]) == ()


def test_results_by_model_and_guards_raised() -> None:
    of = task(0, 0, TEN, [Window(0, TEN, (Span(0, TEN),))])
    guarded = done(of, [heard((), guards=(Guard.REPETITION, Guard.COMPRESSION))])
    chunks = [guarded, guarded, chunk(1, 5.0, ChunkState.PENDING), chunk(2, 3.0)]
    assert standing.results(chunks) == {"tiny.en": 3}
    assert standing.guards(chunks) == {Guard.REPETITION: 2, Guard.COMPRESSION: 2}
    assert standing.last_result(chunks) == 3.0
    assert standing.last_result([]) is None
