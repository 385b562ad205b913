"""What only Firestore does: what each call costs, confirmations that are lost, documents that do not fit."""

import time
from collections import Counter
from collections.abc import Callable, Iterator

import grpc
import pytest
from google.cloud import firestore
from google.cloud.firestore_v1.types import BatchGetDocumentsResponse, RunQueryResponse
from msgspec.structs import replace

from local_cloud.emulators import Emulators
from longscribe.adapters.gcp import firestore as adapter
from longscribe.adapters.gcp.firestore import FirestoreJobs
from longscribe.documents import ChunkState, JobState, Worker
from longscribe.errors import (
    Busy,
    Gone,
    IllegalMove,
    LongscribeError,
    Misconfigured,
    OverLimit,
    Permanent,
    Transient,
)
from longscribe.wiring import SystemClock
from tests.cloud.proxies import GrpcProxy, Harm
from tests.contract.jobs import SEAL, make_chunk, make_job, make_result, make_task
from tests.contract.threads import together


@pytest.fixture
def proxy(cloud: Emulators) -> Iterator[GrpcProxy]:
    with GrpcProxy(cloud.firestore) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: GrpcProxy, project: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[firestore.Client]:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", proxy.address)
    client = firestore.Client(project)
    yield client
    client.close()


@pytest.fixture
def jobs(client: firestore.Client) -> FirestoreJobs:
    return FirestoreJobs(client, SystemClock())


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "RETRY", adapter.RETRY.with_timeout(0.3))


def documents_read(proxy: GrpcProxy) -> int:
    """Return for how many documents Google would bill, but for the one it takes for a query without any."""
    found = [BatchGetDocumentsResponse.deserialize(data).found for data in proxy.answers["BatchGetDocuments"]]
    found += [RunQueryResponse.deserialize(data).document for data in proxy.answers["RunQuery"]]
    return sum(bool(document.name) for document in found)


READ, WRITE, QUERY, COUNT = "BatchGetDocuments", "Commit", "RunQuery", "RunAggregationQuery"
CHUNKING, TRANSCRIBING = JobState.CHUNKING, JobState.TRANSCRIBING


@pytest.mark.parametrize(
    ("call", "calls", "reads"),
    [
        (lambda jobs: jobs.create_job(make_job("job-2")), {WRITE: 1}, 0),
        (lambda jobs: jobs.create_job(make_job()), {WRITE: 1, READ: 1}, 1),
        (lambda jobs: jobs.job("job-1"), {READ: 1}, 1),
        (lambda jobs: list(jobs.jobs()), {QUERY: 1}, 1),
        (lambda jobs: jobs.seal("job-1", SEAL), {READ: 1, WRITE: 1}, 1),
        (lambda jobs: jobs.move("job-1", CHUNKING, JobState.FAILED), {READ: 1, WRITE: 1}, 1),
        (lambda jobs: jobs.move("job-1", TRANSCRIBING, JobState.SETTLING), {READ: 1}, 1),
        (lambda jobs: jobs.create_chunk(make_chunk(9)), {WRITE: 1}, 0),
        (lambda jobs: jobs.create_chunk(make_chunk(0)), {WRITE: 1}, 0),
        (lambda jobs: jobs.chunk("job-1", 1), {READ: 1}, 1),
        (lambda jobs: list(jobs.chunks("job-1")), {QUERY: 1}, 3),
        (lambda jobs: list(jobs.chunks("job-1", 2)), {QUERY: 1}, 1),
        (lambda jobs: jobs.store_result(make_result(0)), {READ: 1, WRITE: 1}, 1),
        (lambda jobs: jobs.store_result(make_result(0, run=7)), {READ: 1}, 1),
        (lambda jobs: jobs.give_up("job-1", 0, 1, "no"), {READ: 1, WRITE: 1}, 1),
        (lambda jobs: jobs.requeue(make_task(0, run=2)), {READ: 1, WRITE: 1}, 1),
        (lambda jobs: jobs.any_pending("job-1"), {QUERY: 1}, 1),
        (lambda jobs: list(jobs.unfinished()), {QUERY: 1}, 1),
        (lambda jobs: jobs.last_moved(), {QUERY: 1}, 1),
        (lambda jobs: jobs.amend(make_job(), replayed=True), {READ: 1, WRITE: 1}, 1),
        (lambda jobs: jobs.resend(make_chunk(0)), {READ: 1, WRITE: 1}, 1),
        (lambda jobs: jobs.count_pending("job-1"), {COUNT: 1}, 0),
        (lambda jobs: list(jobs.pending("job-1")), {QUERY: 1}, 3),
        (lambda jobs: jobs.last_queued("job-1"), {QUERY: 1}, 1),
        (lambda jobs: jobs.last_changed("job-1"), {QUERY: 1}, 1),
        (lambda jobs: jobs.report(Worker("w", "base", "cpu", 1.0)), {WRITE: 1}, 0),
        (lambda jobs: list(jobs.workers()), {QUERY: 1}, 0),
        (lambda jobs: jobs.delete_job("job-1"), {QUERY: 1, WRITE: 2}, 3),
    ],
)
def test_each_call_costs_what_it_must(
    jobs: FirestoreJobs,
    proxy: GrpcProxy,
    call: Callable[[FirestoreJobs], object],
    calls: dict[str, int],
    reads: int,
) -> None:
    jobs.create_job(make_job())
    for index in range(3):
        jobs.create_chunk(make_chunk(index))
    proxy.forget()
    call(jobs)
    assert proxy.calls == calls
    assert documents_read(proxy) == reads


@pytest.mark.parametrize("chunks", [0, 3])
def test_a_listing_that_breaks_off_is_made_again(jobs: FirestoreJobs, proxy: GrpcProxy, chunks: int) -> None:
    """With no chunk, the stream's first answer holds no document, and the client knows of none to go on from."""
    for index in range(chunks):
        jobs.create_chunk(make_chunk(index))
    proxy.forget()
    harms = [Harm.ANSWERING]
    proxy.harm = lambda: harms.pop() if harms else None
    try:
        assert [chunk.task.index for chunk in jobs.chunks("job-1")] == list(range(chunks))
    finally:
        proxy.harm = lambda: None
    assert proxy.calls == {QUERY: 2}


def test_an_illegal_move_costs_nothing(jobs: FirestoreJobs, proxy: GrpcProxy) -> None:
    with pytest.raises(IllegalMove):
        jobs.move("job-1", CHUNKING, JobState.COMPLETE)
    assert not proxy.calls


def test_a_long_job_is_read_and_deleted_by_pages(jobs: FirestoreJobs, proxy: GrpcProxy) -> None:
    for index in range(adapter.PAGE + 5):
        jobs.create_chunk(make_chunk(index))
    proxy.forget()
    assert jobs.any_pending("job-1")
    assert (proxy.calls, documents_read(proxy)) == (Counter({QUERY: 1}), 1), "whatever the number of chunks"
    proxy.forget()
    assert [chunk.task.index for chunk in jobs.chunks("job-1", 3)] == list(range(3, adapter.PAGE + 5))
    assert proxy.calls == {QUERY: 2}
    proxy.forget()
    jobs.delete_job("job-1")
    assert proxy.calls == {QUERY: 2, WRITE: 3}
    assert list(jobs.chunks("job-1")) == []


def test_jobs_of_one_moment_all_come_once(jobs: FirestoreJobs) -> None:
    names = [f"job-{number:03d}" for number in range(adapter.PAGE + 20)]
    together(4, lambda part: [jobs.create_job(make_job(name)) for name in names[part::4]])
    assert sorted(job.job_id for job in jobs.jobs()) == names


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.INTERNAL]
)
def test_a_writer_whose_confirmation_was_lost_finds_its_own_write(
    jobs: FirestoreJobs, proxy: GrpcProxy, code: grpc.StatusCode
) -> None:
    proxy.lose(WRITE, code)
    job = jobs.create_job(make_job())
    assert job == make_job()
    for index in range(3):
        jobs.create_chunk(make_chunk(index))
    proxy.lose(WRITE, code)
    assert jobs.seal("job-1", SEAL).state is TRANSCRIBING
    proxy.lose(WRITE, code)
    moved = jobs.move("job-1", TRANSCRIBING, JobState.SETTLING)
    assert moved == jobs.job("job-1"), "else nobody would finish the job"
    for call in (
        lambda: jobs.store_result(make_result(0)),
        lambda: jobs.give_up("job-1", 1, 1, "no"),
        lambda: jobs.requeue(make_task(2, run=2)),
    ):
        proxy.lose(WRITE, code)
        assert call()
    assert proxy.faults_left == 0
    assert [chunk.state for chunk in jobs.chunks("job-1")] == [
        ChunkState.DONE,
        ChunkState.MISSING,
        ChunkState.PENDING,
    ]


@pytest.mark.parametrize(
    ("code", "kind", "text"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, Misconfigured, "grant it roles/datastore.user"),
        (grpc.StatusCode.UNAUTHENTICATED, Misconfigured, "log in"),
        (grpc.StatusCode.UNAVAILABLE, Transient, "try again"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Transient, "try again"),
        (grpc.StatusCode.ABORTED, Transient, "try again"),
        (grpc.StatusCode.INVALID_ARGUMENT, Permanent, "InvalidArgument"),
    ],
)
@pytest.mark.usefixtures("impatient")
def test_a_refused_call_is_told(
    jobs: FirestoreJobs, proxy: GrpcProxy, code: grpc.StatusCode, kind: type[LongscribeError], text: str
) -> None:
    jobs.create_job(make_job())
    jobs.create_chunk(make_chunk())
    proxy.refuse("*", code)
    for call in (
        lambda: jobs.create_job(make_job()),
        lambda: jobs.move("job-1", CHUNKING, JobState.FAILED),
        lambda: jobs.store_result(make_result()),
        lambda: jobs.any_pending("job-1"),
        lambda: list(jobs.chunks("job-1")),
        lambda: jobs.delete_job("job-1"),
    ):
        with pytest.raises(kind, match=text):
            call()


def test_one_who_always_loses_gives_up(
    jobs: FirestoreJobs, proxy: GrpcProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.create_job(make_job())
    proxy.refuse(WRITE, grpc.StatusCode.FAILED_PRECONDITION)
    monkeypatch.setattr(adapter, "ROUNDS", 3)
    with pytest.raises(Busy):
        jobs.seal("job-1", SEAL)
    assert proxy.calls[READ] == 3


def test_who_loses_a_race_decides_anew(jobs: FirestoreJobs, proxy: GrpcProxy) -> None:
    jobs.create_job(make_job())
    proxy.before[WRITE] = lambda: jobs.move("job-1", CHUNKING, JobState.CANCELLED, reason="stop")
    stopped = jobs.seal("job-1", SEAL)
    assert (stopped.state, stopped.seal, stopped.reason) == (JobState.CANCELLED, None, "stop")
    assert jobs.job("job-1") == stopped


def test_a_document_that_is_deleted_while_it_is_changed_is_gone(jobs: FirestoreJobs, proxy: GrpcProxy) -> None:
    jobs.create_chunk(make_chunk())
    proxy.before[WRITE] = lambda: jobs.delete_job("job-1")
    assert not jobs.store_result(make_result())
    with pytest.raises(Gone):
        jobs.chunk("job-1", 0)


def test_a_large_document_is_stored_and_a_larger_one_refused(jobs: FirestoreJobs) -> None:
    jobs.create_chunk(make_chunk())
    large = make_result(text="é" * 490_000)
    assert jobs.store_result(large)
    assert jobs.chunk("job-1", 0).result == large
    with pytest.raises(OverLimit, match="shorter chunk length"):
        jobs.store_result(make_result(text="é" * 510_000))
    assert jobs.chunk("job-1", 0).result == large


@pytest.mark.parametrize("fields", [{"document": "{}"}, {"document": b"\xff"}, {"document": 7}, {"x": 1}])
def test_a_damaged_document_is_told(
    jobs: FirestoreJobs, client: firestore.Client, fields: dict[str, object]
) -> None:
    client.document("jobs/job-1").set(fields)
    for call in (lambda: jobs.job("job-1"), lambda: jobs.seal("job-1", SEAL)):
        with pytest.raises(Permanent, match="delete the job"):
            call()


def test_every_document_says_when_it_may_be_deleted(client: firestore.Client) -> None:
    jobs = FirestoreJobs(client, SystemClock(), keep=1_000)
    before = time.time()
    jobs.create_job(make_job())
    jobs.create_chunk(make_chunk())
    for path in ("jobs/job-1", "jobs/job-1/chunks/000000"):
        expires = client.document(path).get().get("expires").timestamp()
        assert before + 999 < expires < time.time() + 1_001
    client.document("jobs/job-1/chunks/000000").update({"expires": None})
    jobs.store_result(make_result())
    assert client.document("jobs/job-1/chunks/000000").get().get("expires").timestamp() > before + 999


def test_what_is_searched_lies_beside_the_document(jobs: FirestoreJobs, client: firestore.Client) -> None:
    jobs.create_job(replace(make_job(), created=12.5))
    jobs.create_chunk(make_chunk())
    job = client.document("jobs/job-1").get().to_dict()
    chunk = client.document("jobs/job-1/chunks/000000").get().to_dict()
    assert sorted(job) == ["at_rest", "created", "document", "expires", "state", "updated", "write"]
    assert sorted(chunk) == ["document", "expires", "queued", "state", "updated", "write"]
    assert (job["created"], job["state"], chunk["state"]) == (12.5, "chunking", "pending")
