"""Chunks that kill whoever hears them, among healthy ones, while workers are preempted as well."""

import random
from collections import Counter
from dataclasses import dataclass
from functools import partial

from longscribe.core import ids, topics
from longscribe.documents import Chunk, ChunkState, Job, JobState
from longscribe.messages import ChunkTask, decode
from longscribe.stages.assembler import GIVEN_UP
from tests.simulation.deployment import Deployment
from tests.simulation.oracle import Recording, Watch, check, quiet, rest

RECORDINGS = tuple(Recording(f"talk-{number}.pcm", 1_350) for number in range(10))
"""Of a hundred chunks each, and one or two more."""

PREEMPTED_EVERY = 20.0
"""Mean seconds, of virtual time, between two preemptions of one of the workers."""

BOUND_SECONDS = 12 * 3_600.0


@dataclass(frozen=True)
class Poisoned:
    """What came of a campaign."""

    chunks: int
    poison: int
    deaths: int  #: of workers that heard poison
    preempted: int
    finished: int  #: healthy chunks
    buried: int  #: dead-letter records
    most_attempts: int  #: that a healthy chunk took


def campaign(seed: int, chunks: int, poison: int, workers: int = 4) -> Poisoned:
    """Run ``poison`` poison chunks among ``chunks``. Raises `AssertionError` if one harms more than itself.

    The recordings' last chunks beyond ``chunks`` are healthy, and not counted.
    """
    lots = random.Random(seed)
    recordings = RECORDINGS[: -(-chunks // 100)]
    places = [
        (quiet(recording).job.job_id, chunk.task.index)
        for recording in recordings
        for chunk in quiet(recording).chunks[: chunks // len(recordings)]
    ]
    assert len(places) == chunks
    chosen = set(lots.sample(places, poison))
    deployment = Deployment(workers=workers, deadly={ids.seed(job_id, index, 0) for job_id, index in chosen})
    deployment.documents.watch = watch = Watch()
    preempted: list[str] = []
    deployment.run(partial(_scenario, deployment, recordings, lots, preempted), BOUND_SECONDS)
    jobs = [check(deployment, recording) for recording in recordings]
    assert not watch.wrong, "; ".join(watch.wrong)
    assert all(job.state is (JobState.PARTIAL if _any(job, chosen) else JobState.COMPLETE) for job in jobs)
    stored = {(job.job_id, chunk.task.index): chunk for job in jobs for chunk in deployment.jobs.chunks(job.job_id)}
    _harmed_themselves(stored, chosen, deployment)
    healthy = [stored[place] for place in places if place not in chosen]
    return Poisoned(
        chunks=chunks,
        poison=poison,
        deaths=deployment.deaths.total(),
        preempted=len(preempted),
        finished=sum(chunk.state is ChunkState.DONE for chunk in healthy),
        buried=len(deployment.queue.contents(topics.DEAD_CHUNKS)),
        most_attempts=max(chunk.result.provenance.attempt for chunk in healthy if chunk.result is not None),
    )


def _scenario(
    deployment: Deployment, recordings: tuple[Recording, ...], lots: random.Random, preempted: list[str]
) -> None:
    for recording in recordings:
        recording.upload(deployment)
    deployment.scheduler.spawn(deployment.platform, partial(_preempt, deployment, lots, preempted))
    rest(deployment)


def _preempt(deployment: Deployment, lots: random.Random, preempted: list[str]) -> None:
    while True:
        deployment.scheduler.sleep(lots.expovariate(1 / PREEMPTED_EVERY))
        workers = [each for each in deployment.living if each.name.startswith("worker") and not each.dead]
        if workers:
            deployment.scheduler.kill(lots.choice(workers))
            preempted.append(workers[0].name)


def _any(job: Job, chosen: set[tuple[str, int]]) -> bool:
    return any(job_id == job.job_id for job_id, _ in chosen)


def _harmed_themselves(
    stored: dict[tuple[str, int], Chunk], chosen: set[tuple[str, int]], deployment: Deployment
) -> None:
    """Check that poison, and nothing else, was given up, once each, within its attempts."""
    given_up = {place for place, chunk in stored.items() if chunk.state is ChunkState.MISSING}
    assert given_up == chosen, "healthy chunks were given up, or poison ones were not"
    assert {stored[place].reason for place in chosen} == {GIVEN_UP}
    dead = [decode(data, ChunkTask) for data in deployment.queue.contents(topics.DEAD_CHUNKS)]
    records = Counter((task.job_id, task.index) for task in dead)
    assert records == dict.fromkeys(chosen, 1), "a poison chunk has more or fewer than one dead-letter record"
    attempts = deployment.deaths
    assert set(attempts) == {ids.seed(job_id, index, 0) for job_id, index in chosen}
    assert max(attempts.values()) <= deployment.attempts
