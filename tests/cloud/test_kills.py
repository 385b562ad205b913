"""Workers and functions killed at random moments, on the emulators: nothing is lost, and work goes on in time."""

import random
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from local_cloud.deployment import LocalCloud, Service
from longscribe.documents import ChunkState, JobState
from tests.cloud.conftest import HASHING, LEASE, Quiet
from tests.cloud.people import Person, Upload, until
from tests.cloud.supervising import supervised
from tests.tiers import units

KILLS = 4
"""On the way through one recording."""

SLOW = "0.3"
"""Seconds a window: long enough to die in the middle of a batch."""


@pytest.mark.expiring
def test_killed_at_random_moments(
    local: LocalCloud, person: Person, quiet: Quiet, record_property: Callable[[str, object], None]
) -> None:
    for seed in units(1):
        kills, slowest = killed_at_random_moments(local, person, quiet, random.Random(seed))
        record_property("kills", kills)
        record_property("most seconds from a worker's death to the next chunk done", slowest)


def killed_at_random_moments(
    local: LocalCloud, person: Person, quiet: Quiet, moments: random.Random
) -> tuple[int, float]:
    """Kill services while a recording passes; return how often, and the longest time to a next chunk."""
    worker = local.add_worker(HASHING, SECONDS=SLOW)
    slowest, kills = 0.0, 0
    with ExitStack() as stack:
        for service in (worker, local.functions["chunker"], local.functions["assembler"]):
            stack.enter_context(supervised(service))
        upload = person.upload("canaryname.flac", quiet.data, **quiet.metadata)
        while kills < KILLS:
            time.sleep(moments.uniform(0.2, 2.0))
            service = moments.choice([worker, worker, local.functions["chunker"], local.functions["assembler"]])
            job = person.job(upload)
            if job is not None and job.state.ended:
                break
            slowest = max(slowest, _kill(service, service is worker, person, upload))
            kills += 1
        job = person.ended(upload, 120)
    worker.kill()
    local.workers.remove(worker)
    assert kills, "it was over before anything died"
    assert job.state is JobState.COMPLETE
    assert person.transcript(job) == quiet.transcript
    chunks = person.chunks(upload)
    assert [chunk.task.index for chunk in chunks] == [chunk.task.index for chunk in quiet.chunks]
    assert all(chunk.state is ChunkState.DONE for chunk in chunks)
    assert slowest <= LEASE + 5
    return kills, slowest


def _kill(service: Service, wait: bool, person: Person, upload: Upload) -> float:
    """Kill a service; of a worker, return after how long the first chunk was done thereafter."""
    done = _done(person, upload)
    service.kill()
    if not wait:
        return 0.0
    began = time.monotonic()
    until(lambda: len(_done(person, upload)) > len(done) or _over(person, upload), 60)
    return time.monotonic() - began


def _done(person: Person, upload: Upload) -> set[int]:
    return {chunk.task.index for chunk in person.chunks(upload) if chunk.state is ChunkState.DONE}


def _over(person: Person, upload: Upload) -> bool:
    job = person.job(upload)
    return job is not None and job.state.ended
