"""Many recordings at once, and what a chunk costs. LONGSCRIBE_TEST_SIZE=full takes the sizes the promises name."""

from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.cloud.firestore_v1.types import RunQueryResponse

from local_cloud.deployment import LocalCloud
from longscribe.documents import JobState
from tests.cloud.conftest import FULL, HASHING, Watched
from tests.cloud.people import Person, speech, until

PER_CHUNK = {"written": 2, "read": 6, "published": 2}
"""Documents: made and answered; read by the worker (job, chunk), by the assembler (chunk, job, a pending one), and
once more for the transcript. Messages: the task and the result."""


@pytest.mark.timeout(3_600 if FULL else 300)
@pytest.mark.parametrize(
    ("recordings", "seconds"), [(100, 60), (1_000, 12)] if FULL else [(12, 60), (30, 12)], ids=["long", "short"]
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


COUNTED = {"written": "Commit", "read": "BatchGetDocuments", "published": "Publish"}


class Costs:
    """What passes between the services and the emulators, to be counted for one job."""

    def __init__(self, watched: dict[str, Watched]) -> None:
        self._passed: dict[str, deque[bytes]] = {name: deque() for name in COUNTED}
        for each in watched.values():
            for what, method in COUNTED.items():
                for proxy in (each.firestore, each.pubsub):
                    proxy.on_request[method] = self._passed[what].append
            each.firestore.on_answer["RunQuery"] = self._found

    def _found(self, answer: bytes) -> None:
        document = RunQueryResponse.deserialize(answer).document
        self._passed["read"].append(document.name.encode())

    def of(self, job_id: str) -> dict[str, int]:
        return {what: sum(job_id.encode() in one for one in passed) for what, passed in self._passed.items()}


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
        job = person.ended(upload, 3_000 if FULL else 200)
        assert job.state is JobState.COMPLETE, [one for one in person.coverage(job) if one["kind"] == "missing"]
        worker.stop()
        local.workers.remove(worker)
        return len(person.chunks(upload)), costs.of(upload.job_id)

    costs = Costs(watched)
    few, first = cost(10)
    many, second = cost(10_000 if FULL else 150)
    assert few <= 12 < many
    for what, each in PER_CHUNK.items():
        marginal = (second[what] - first[what]) / (many - few)
        assert marginal == pytest.approx(each, rel=0.05), what
