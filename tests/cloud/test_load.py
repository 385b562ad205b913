"""Many recordings at once, and what a chunk costs. LONGSCRIBE_TEST_SIZE=full takes the sizes the promises name."""

import os
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.cloud.firestore_v1.types import RunQueryResponse

from local_cloud.deployment import LocalCloud
from longscribe.documents import JobState
from tests.cloud.conftest import HASHING, Watched
from tests.cloud.people import Person, speech, until

FULL = os.environ.get("LONGSCRIBE_TEST_SIZE") == "full"

PER_CHUNK = {"written": 2, "read": 6, "published": 2, "acknowledged": 1}
"""Documents: made and answered; read by the worker (job, chunk), by the assembler (chunk, job, a pending one), and
once more for the transcript. Messages: the task and the result."""


@pytest.mark.timeout(3_600 if FULL else 300)
@pytest.mark.parametrize(
    ("recordings", "seconds"), [(100, 60), (1_000, 12)] if FULL else [(20, 60), (50, 12)], ids=["long", "short"]
)
def test_many_recordings_at_once_all_complete(
    local: LocalCloud, person: Person, recordings: int, seconds: float
) -> None:
    for _ in range(2):
        local.add_worker(HASHING)
    data = speech(seconds)
    with ThreadPoolExecutor(16) as pool:
        uploads = list(pool.map(lambda n: person.upload(f"canaryname-{seconds}-{n}.flac", data), range(recordings)))
    jobs = [person.ended(upload, 3_000 if FULL else 200) for upload in uploads]
    assert Counter((job.state, job.reason) for job in jobs) == {(JobState.COMPLETE, None): recordings}
    assert len({person.transcript(person.ended(upload))["txt"] for upload in uploads[:: recordings // 10]}) == 1


class Costs:
    """Counts what the services read, write and send."""

    def __init__(self, watched: dict[str, Watched]) -> None:
        self._watched = watched.values()
        self._lock = threading.Lock()
        self._queried = 0
        for each in self._watched:
            each.quiet()
            each.firestore.on_answer["RunQuery"] = self._found

    def _found(self, answer: bytes) -> None:
        with self._lock:
            self._queried += bool(RunQueryResponse.deserialize(answer).document.name)

    def __call__(self) -> dict[str, int]:
        def calls(method: str) -> int:
            return sum(each.firestore.calls[method] + each.pubsub.calls[method] for each in self._watched)

        return {
            "written": calls("Commit"),
            "read": calls("BatchGetDocuments") + self._queried,
            "published": calls("Publish"),
            "acknowledged": calls("Acknowledge"),
        }


@pytest.mark.timeout(3_600 if FULL else 300)
def test_a_chunk_costs_the_same_in_a_long_job_as_in_a_short_one(
    local: LocalCloud, person: Person, watched: dict[str, Watched]
) -> None:
    def cost(chunks: int) -> tuple[int, dict[str, int]]:
        upload = person.upload(
            f"canaryname-{chunks}.flac", speech(chunks * 12.5), chunk_seconds="10", language="en"
        )
        until(lambda: (job := person.job(upload)) is not None and job.seal is not None, 1_800 if FULL else 60)
        worker = local.add_worker(HASHING)
        assert person.ended(upload, 3_000 if FULL else 200).state is JobState.COMPLETE
        worker.stop()
        local.workers.remove(worker)
        return len(person.chunks(upload)), costs()

    costs: Callable[[], dict[str, int]] = Costs(watched)
    few, first = cost(10)
    costs = Costs(watched)
    many, second = cost(10_000 if FULL else 150)
    assert few <= 12 < many
    for what, each in PER_CHUNK.items():
        marginal = (second[what] - first[what]) / (many - few)
        assert marginal == pytest.approx(each, rel=0.03), what
