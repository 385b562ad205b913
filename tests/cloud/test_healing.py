"""What is lost on the way is found by the reconciler, called by a timer as in a project."""

import json
import threading

import pytest
import requests

from local_cloud.deployment import LocalCloud
from longscribe.core import topics
from longscribe.documents import JobState
from longscribe.messages import ChunkResult, decode_result
from longscribe.ports import Delivery
from tests.cloud.conftest import HASHING, Quiet, logged
from tests.cloud.people import Person, Upload, until
from tests.cloud.proxies import HttpServer
from tests.cloud.pushing import JSON, message, pushed_through


def healed(local: LocalCloud, upload: Upload) -> set[str]:
    """What the reconciler did to a job."""
    lines = [json.loads(line) for line in logged(local).splitlines() if upload.job_id.encode() in line]
    return {line["outcome"] for line in lines if line["component"] == "reconciler"}


def sealed(person: Person, upload: Upload) -> None:
    until(lambda: (job := person.job(upload)) is not None and job.seal is not None)


def test_a_lost_chunk_message_is_sent_again(local: LocalCloud, person: Person, quiet: Quiet) -> None:
    upload = person.upload("canaryname.flac", quiet.data, **quiet.metadata)
    sealed(person, upload)
    queue = local.queue()
    lost: list[Delivery] = []
    until(lambda: lost.extend(queue.pull(topics.CHUNKS_HIGH, 1)) or lost)
    queue.acknowledge(topics.CHUNKS_HIGH, [lost[0].lease])
    local.add_worker(HASHING)
    job = person.ended(upload, 90)
    assert person.transcript(job) == quiet.transcript
    assert healed(local, upload) == {"resent"}


@pytest.mark.parametrize("which", ["a result", "the last result"])
def test_a_lost_result_is_made_again(local: LocalCloud, person: Person, quiet: Quiet, which: str) -> None:
    lock = threading.Lock()
    seen: list[object] = []
    lost: list[object] = []

    def due(found: object) -> bool:
        number = sum(isinstance(one, ChunkResult) for one in seen)
        return isinstance(found, ChunkResult) and number == (3 if which == "a result" else len(quiet.chunks))

    def deliver(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        found = decode_result(message(body))
        with lock:
            if found not in seen:
                seen.append(found)
            if not lost and due(found):
                lost.append(found)
                return 204, {}, b""
        answer = requests.post(local.endpoint(topics.RESULTS), body, headers=JSON, timeout=60)
        return answer.status_code, {}, b""

    with pushed_through(local, topics.RESULTS, HttpServer(deliver)):
        upload = person.upload("canaryname.flac", quiet.data, **quiet.metadata)
        sealed(person, upload)
        local.add_worker(HASHING)
        job = person.ended(upload, 120)
    assert lost
    assert job.state is JobState.COMPLETE
    assert person.transcript(job) == quiet.transcript


def test_a_lost_upload_event_is_made_good(local: LocalCloud, person: Person, quiet: Quiet) -> None:
    assert local.bridge is not None
    local.bridge.losing = True
    upload = person.upload("canaryname.flac", quiet.data, **quiet.metadata)
    queue = local.queue()
    until(lambda: not queue.pull("longscribe-uploads", 1), 5)
    assert person.job(upload) is None
    local.bridge.losing = False
    local.add_worker(HASHING)
    job = person.ended(upload, 90)
    assert job.settings.chunk_seconds == 28
    assert person.transcript(job) == quiet.transcript
