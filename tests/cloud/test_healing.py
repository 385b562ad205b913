"""What is lost on the way is found by the reconciler, called by a timer as in a project."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import requests

from local_cloud.deployment import LocalCloud
from longscribe.core import topics
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


@contextmanager
def losing_a_result(local: LocalCloud, number: int) -> Iterator[list[ChunkResult]]:
    """Have the ``number``-th chunk result acknowledged and never taken, however often it comes; yields it."""
    lock = threading.Lock()
    seen: set[int] = set()
    lost: list[ChunkResult] = []

    def deliver(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        found = decode_result(message(body))
        with lock:
            if isinstance(found, ChunkResult):
                seen.add(found.index)
                if len(seen) == number and not lost:
                    lost.append(found)
                if found in lost:
                    return 204, {}, b""
        answer = requests.post(local.endpoint(topics.RESULTS), body, headers=JSON, timeout=60)
        return answer.status_code, {}, b""

    with pushed_through(local, topics.RESULTS, HttpServer(deliver)):
        yield lost


def test_a_lost_chunk_message_and_a_lost_result_are_made_good(
    local: LocalCloud, person: Person, quiet: Quiet
) -> None:
    with losing_a_result(local, 3) as lost:
        upload = person.upload("canaryname.flac", quiet.data, **quiet.metadata)
        sealed(person, upload)
        queue = local.queue()
        taken: list[Delivery] = []
        until(lambda: taken.extend(queue.pull(topics.CHUNKS_HIGH, 1)) or taken)
        queue.acknowledge(topics.CHUNKS_HIGH, [taken[0].lease])
        local.add_worker(HASHING)
        job = person.ended(upload, 120)
    assert person.transcript(job) == quiet.transcript
    # Of the lost message a second one may have been under way, for a publisher that was not answered tries again.
    # And where a lease ran out on a busy machine, the second result came without the reconciler.
    chunks = [each for each in person.chunks(upload) if each.result is not None]
    again = {each.task.index for each in chunks if each.sendings > 1 or each.result.provenance.attempt > 1}
    assert lost[0].index in again
    assert healed(local, upload) == {"resent"}


def test_a_lost_last_result_is_made_again(local: LocalCloud, person: Person, quiet: Quiet) -> None:
    with losing_a_result(local, len(quiet.chunks)) as lost:
        upload = person.upload("canaryname.flac", quiet.data, **quiet.metadata)
        sealed(person, upload)
        local.add_worker(HASHING)
        job = person.ended(upload, 120)
    assert person.transcript(job) == quiet.transcript
    again = {each.task.index for each in person.chunks(upload) if each.sendings > 1}
    assert again >= {lost[0].index}


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
