"""Whatever comes twice, out of order, or dies on the way: one transcript, the same as when nothing goes wrong.

Each test fails if its fault did not happen.
"""

import itertools
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from local_cloud.deployment import LocalCloud, Service
from longscribe.core import topics
from longscribe.core.transcript import seconds
from longscribe.documents import ChunkState, Job, JobState
from tests.cloud.conftest import ATTEMPTS, HASHING, Quiet, Watched
from tests.cloud.people import Person, Upload, until
from tests.cloud.proxies import HttpServer
from tests.cloud.pushing import JSON, pushed_through
from tests.cloud.supervising import supervised

SLOW = "0.3"
"""Seconds a window: long enough to die in the middle of a batch."""


def uploaded(person: Person, quiet: Quiet) -> Upload:
    return person.upload("canaryname.flac", quiet.data, **quiet.metadata)


def same(person: Person, upload: Upload, quiet: Quiet, seconds: float = 60.0) -> bool:
    job = person.ended(upload, seconds)
    assert job.state is JobState.COMPLETE
    return person.transcript(job) == quiet.transcript


class Killing:
    """Kills a service, once, and starts it again: at the first call it is hung on at which it is ``due``."""

    def __init__(self, service: Service, due: Callable[[], bool]) -> None:
        self._service = service
        self._due = due
        self._lock = threading.Lock()
        self._done = False
        self.fired = threading.Event()

    def __call__(self, _: bytes) -> None:
        with self._lock:
            if self._done or not self._due():
                return
            self._done = True
            self._service.kill()
        self._service.start()
        self.fired.set()


def test_one_event_thrice_at_once_is_one_job(
    local: LocalCloud, person: Person, watched: dict[str, Watched], quiet: Quiet
) -> None:
    local.add_worker(HASHING)
    upload = uploaded(person, quiet)
    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(lambda _: person.announce(upload), range(2)))
    published = watched["chunker"].pubsub.calls["Publish"]
    assert same(person, upload, quiet)
    assert published > len(quiet.chunks) + 3, "they worked side by side"
    assert person.announce(upload), "and once more when all is done"
    assert person.transcript(person.ended(upload)) == quiet.transcript


def test_results_delivered_twice_and_shuffled(local: LocalCloud, person: Person, quiet: Quiet) -> None:
    order: list[int] = []
    waiting: list[tuple[int, bytes]] = []
    numbers = itertools.count()
    lock = threading.Lock()
    shuffled = random.Random(4)

    def deliver(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Acknowledge, and hold the message back; every fifth time deliver all held, twice, in any order."""
        with lock:
            waiting.append((next(numbers), body))
            batch = [*waiting, *waiting] if len(waiting) == 5 else []
            if batch:
                waiting.clear()
        push(batch)
        return 204, {}, b""

    def push(batch: list[tuple[int, bytes]]) -> None:
        shuffled.shuffle(batch)
        for number, body in batch:
            order.append(number)
            requests.post(local.endpoint(topics.RESULTS), body, headers=JSON, timeout=60).raise_for_status()

    with pushed_through(local, topics.RESULTS, HttpServer(deliver)):
        local.add_worker(HASHING)
        upload = uploaded(person, quiet)
        until(lambda: len(waiting) + len(set(order)) > len(quiet.chunks), 60)  # and the seal
        with lock:
            push([*waiting, *waiting])
            waiting.clear()
        assert same(person, upload, quiet)
    assert order != sorted(order)
    assert all(order.count(number) >= 2 for number in order)


@pytest.mark.expiring
def test_a_worker_killed_in_the_middle_of_a_batch(local: LocalCloud, person: Person, quiet: Quiet) -> None:
    worker = local.add_worker(HASHING, SECONDS=SLOW)
    upload = uploaded(person, quiet)
    until(lambda: any(chunk.state is ChunkState.DONE for chunk in person.chunks(upload)))
    worker.kill()
    left = [chunk.task.index for chunk in person.chunks(upload) if chunk.state is ChunkState.PENDING]
    assert left, "it was not done yet"
    worker.start()
    assert same(person, upload, quiet, 90)
    attempts = {
        chunk.task.index: chunk.result.provenance.attempt for chunk in person.chunks(upload) if chunk.result
    }
    assert any(attempts[index] > 1 for index in left), "it held chunks"


@pytest.mark.parametrize("method", ["Commit", "Publish"])
def test_a_chunker_killed_half_way(
    local: LocalCloud, person: Person, watched: dict[str, Watched], quiet: Quiet, method: str
) -> None:
    calls = itertools.count(1)
    killing = Killing(local.functions["chunker"], lambda: next(calls) == len(quiet.chunks) // 2)
    proxy = watched["chunker"].firestore if method == "Commit" else watched["chunker"].pubsub
    proxy.on_answer[method] = killing
    local.add_worker(HASHING)
    upload = uploaded(person, quiet)
    assert same(person, upload, quiet)
    assert killing.fired.wait(10)


WRITES: dict[str, Callable[[Job, list[ChunkState]], bool]] = {
    "the last result": lambda job, chunks: job.seal is not None and ChunkState.PENDING not in chunks,
    "that it finishes": lambda job, chunks: job.state is JobState.SETTLING,
    "that it is done": lambda job, chunks: job.state is JobState.COMPLETE,
}


@pytest.mark.parametrize("write", WRITES)
def test_an_assembler_killed_between_its_write_and_its_acknowledgement(
    local: LocalCloud, person: Person, watched: dict[str, Watched], quiet: Quiet, write: str
) -> None:
    uploads: list[Upload] = []

    def due() -> bool:
        job = person.job(uploads[0]) if uploads else None
        return job is not None and WRITES[write](job, [chunk.state for chunk in person.chunks(uploads[0])])

    killing = Killing(local.functions["assembler"], due)
    watched["assembler"].firestore.on_answer["Commit"] = killing
    uploads.append(uploaded(person, quiet))
    local.add_worker(HASHING)
    assert same(person, uploads[0], quiet)
    assert killing.fired.wait(10)


@pytest.mark.expiring
def test_a_poison_chunk_harms_only_itself(local: LocalCloud, person: Person, quiet: Quiet) -> None:
    poisoned = quiet.chunks[3]
    assert poisoned.result is not None
    digest = poisoned.result.windows[0].text.strip()
    worker = local.add_worker(HASHING, POISON=digest)
    with supervised(worker) as starts:
        upload = uploaded(person, quiet)
        job = person.ended(upload, 180)
    assert job.state is JobState.PARTIAL
    assert len(starts) >= ATTEMPTS
    chunks = person.chunks(upload)
    assert [chunk.task.index for chunk in chunks if chunk.state is not ChunkState.DONE] == [3]
    assert {chunk.result.provenance.attempt for chunk in chunks if chunk.result} <= set(range(1, ATTEMPTS))
    spans = [span for window in poisoned.task.windows for span in window.spans]
    missing = [(one["start"], one["end"]) for one in person.coverage(job) if one["kind"] == "missing"]
    assert missing == [(seconds(span.start), seconds(span.end)) for span in spans]
    lost = {word for word in quiet.transcript["txt"].split() if word not in person.transcript(job)["txt"].split()}
    assert digest in lost
    assert len(lost) == 1
