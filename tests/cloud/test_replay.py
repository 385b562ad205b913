"""Replays with the real ``gcloud pubsub subscriptions seek``, by time and by snapshot."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local_cloud.deployment import LocalCloud
from longscribe.core import topics
from longscribe.documents import Chunk, JobState
from longscribe.stages.replaying import replay
from tests.cloud.conftest import HASHING, Quiet, logged
from tests.cloud.people import Person, Upload, speech, until

BOTH = (topics.CHUNKS_HIGH, topics.CHUNKS_LOW)

Gcloud = Callable[..., None]


@pytest.fixture
def gcloud(local: LocalCloud, tmp_path: Path) -> Gcloud:
    """The real command, on the emulator."""
    command = shutil.which("gcloud")
    assert command is not None, "the emulators come with it"
    variables = {
        **os.environ,
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB": f"http://{local.hosts.pubsub}/",
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"),
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_PROJECT": local.project,
    }

    def run(*arguments: str) -> None:
        subprocess.run([command, "pubsub", *arguments], env=variables, check=True)

    return run


def worked(chunks: list[Chunk]) -> set[str]:
    return {chunk.result.provenance.worker for chunk in chunks if chunk.result is not None}


def rewritten(local: LocalCloud, upload: Upload) -> int:
    """How often the reconciler has written a job's transcript again."""
    lines = [json.loads(line) for line in logged(local).splitlines() if upload.job_id.encode() in line]
    return sum(line.get("outcome") == "replayed" for line in lines)


@pytest.fixture
def three(local: LocalCloud, person: Person, quiet: Quiet) -> tuple[Upload, float, Upload, Upload]:
    """A job, a moment, and two jobs after it, done by a worker that is then gone."""
    worker = local.add_worker(HASHING)
    before = person.upload("canaryname-before.flac", speech(60))
    person.ended(before)
    time.sleep(1.5)
    moment = time.time()
    time.sleep(1.5)
    first = person.upload("canaryname-first.flac", quiet.data, **quiet.metadata)
    second = person.upload("canaryname-second.flac", speech(60, seed=2))
    for upload in (first, second):
        assert person.ended(upload).state is JobState.COMPLETE
    worker.stop()
    local.workers.remove(worker)
    return before, moment, first, second


def test_a_seek_to_a_time_runs_again_what_was_told_and_finalises_once(
    local: LocalCloud, person: Person, gcloud: Gcloud, three: tuple[Upload, float, Upload, Upload]
) -> None:
    before, moment, first, second = three
    told = replay(person.jobs, moment)
    chunks = person.chunks(first) + person.chunks(second)
    assert (told.chunks, told.jobs) == (len(chunks), 2)
    texts = {upload.job_id: person.transcript(person.ended(upload)) for upload in three[2:]}
    untouched, old = worked(person.chunks(before)), worked(chunks)
    since = datetime.fromtimestamp(moment, UTC).isoformat()
    for subscription in BOTH:
        gcloud("subscriptions", "seek", subscription, f"--time={since}")
    local.add_worker(HASHING)

    def again() -> int:
        done = person.chunks(first) + person.chunks(second)
        return sum(bool(chunk.result) and chunk.result.provenance.worker not in old for chunk in done)

    until(lambda: again() == told.chunks)
    assert worked(person.chunks(before)) == untouched
    for upload in (first, second):
        until(lambda upload=upload: rewritten(local, upload), 90)
    time.sleep(11)  # longer than a replay must be quiet, and two ticks
    assert [rewritten(local, upload) for upload in (before, first, second)] == [0, 1, 1]
    for upload in (first, second):
        job = person.jobs.job(upload.job_id)
        assert job.state is JobState.COMPLETE
        assert person.transcript(job) == texts[upload.job_id]


def test_a_replay_from_a_snapshot_that_says_something_else_is_finalised_once(
    local: LocalCloud, person: Person, gcloud: Gcloud, quiet: Quiet
) -> None:
    for subscription in BOTH:
        gcloud("snapshots", "create", f"{subscription}-before", f"--subscription={subscription}")
    worker = local.add_worker(HASHING)
    upload = person.upload("canaryname.flac", quiet.data, **quiet.metadata)
    assert person.transcript(person.ended(upload)) == quiet.transcript
    worker.stop()
    local.workers.remove(worker)
    for subscription in BOTH:
        gcloud("subscriptions", "seek", subscription, f"--snapshot={subscription}-before")
    local.add_worker(HASHING, SALT="newer")
    until(lambda: rewritten(local, upload), 90)
    texts = person.transcript(person.ended(upload))
    new = set(texts["txt"].split())
    assert len(new) == len(quiet.transcript["txt"].split())
    assert not new & set(quiet.transcript["txt"].split()), "all of it was heard again"
    time.sleep(11)  # longer than a replay must be quiet, and two ticks
    assert rewritten(local, upload) == 1
    assert person.transcript(person.ended(upload)) == texts
