"""What a seek would run again."""

import pytest
from msgspec.structs import replace

from longscribe.documents import ChunkState, JobState
from longscribe.stages.replaying import Replay, replay
from tests.contract.jobs import SEAL, make_chunk, make_job, make_result
from tests.standins import Bench


@pytest.fixture
def done(bench: Bench) -> Bench:
    """Two chunks, done, of a complete job; the second was queued ten seconds after the first."""
    bench.jobs.create_job(replace(make_job(), created=bench.clock.now(), updated=bench.clock.now()))
    for index in range(2):
        bench.clock.sleep(10)
        bench.jobs.create_chunk(make_chunk(index))
        bench.jobs.store_result(make_result(index))
    bench.jobs.seal("job-1", SEAL)
    bench.jobs.move("job-1", JobState.TRANSCRIBING, JobState.SETTLING)
    bench.jobs.move("job-1", JobState.SETTLING, JobState.COMPLETE)
    return bench


def test_chunks_of_a_finished_job_run_again(done: Bench) -> None:
    speech = make_chunk(0).task.speech
    assert replay(done.jobs, done.clock.now() - 15) == Replay(2, 1, 2 * speech)
    assert replay(done.jobs, done.clock.now()) == Replay(1, 1, speech)
    assert replay(done.jobs, done.clock.now() + 1) == Replay(0, 0, 0)


def test_of_an_unfinished_job_those_that_are_pending_run(done: Bench) -> None:
    done.jobs.move("job-1", JobState.COMPLETE, JobState.TRANSCRIBING)
    assert replay(done.jobs, 0).chunks == 0
    done.jobs.requeue(replace(done.jobs.chunk("job-1", 1).task, run=2))
    assert done.jobs.chunk("job-1", 1).state is ChunkState.PENDING
    assert replay(done.jobs, 0).chunks == 1


def test_of_a_cancelled_job_none_runs(done: Bench) -> None:
    done.jobs.move("job-1", JobState.COMPLETE, JobState.TRANSCRIBING)
    done.jobs.requeue(replace(done.jobs.chunk("job-1", 1).task, run=2))
    done.jobs.move("job-1", JobState.TRANSCRIBING, JobState.CANCELLED)
    assert replay(done.jobs, 0) == Replay(0, 0, 0)
