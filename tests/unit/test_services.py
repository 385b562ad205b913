"""The services: which events are taken, which come again, and that nothing of their content is logged."""

import base64
import io
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from cloudevents.http import CloudEvent

from longscribe.adapters.local.files import Files
from longscribe.core import topics
from longscribe.core.uploads import COMPLAINT
from longscribe.documents import JobState
from longscribe.errors import NoSpace
from longscribe.messages import Sealed, UploadEvent, encode
from longscribe.observe import Log
from longscribe.services.assembling import Assembling
from longscribe.services.chunking import SPARE_SECONDS, TIME_SECONDS, Chunking, Waker
from longscribe.services.events import FINALIZED, PUBLISHED, Retry
from longscribe.stages import chunker
from longscribe.stages.chunker import job_id
from tests.contract.clocks import ManualClock
from tests.standins import Bench, Faulty, spoken

CANARY = "canary-7f3a"
TALK = spoken(40)


@dataclass
class Started:
    """The job's starter, as far as the service calls it; the real one has tests of its own."""

    events: list[UploadEvent] = field(default_factory=list)

    def start(self, event: UploadEvent) -> str:
        self.events.append(event)
        return "execution"


@pytest.fixture
def lines() -> io.StringIO:
    """What is logged; checked for content after each test."""
    stream = io.StringIO()
    yield stream
    assert CANARY not in stream.getvalue()
    for line in stream.getvalue().splitlines():
        assert json.loads(line)["component"] == "test"


@pytest.fixture
def log(lines: io.StringIO, bench: Bench) -> Log:
    return Log("test", bench.clock.now, lines)


class Uploads:
    """A bucket of our own for uploads, so that notes can be written beside them."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.blobs = Files({name: bench.home / name for name in ("uploads", "chunks", "transcripts")})

    def put(self, data: bytes, name: str = f"{CANARY}.pcm", **metadata: str) -> CloudEvent:
        ref = self.blobs.replace("uploads", name, data)
        return finalized(
            bucket="uploads", name=name, generation=str(ref.generation), size=str(len(data)), metadata=metadata
        )

    def notes(self) -> dict[str, str]:
        found = [name for name in self.blobs.names("uploads") if name.endswith(COMPLAINT)]
        return {name: self.blobs.read(self.blobs.stat("uploads", name).ref).decode() for name in found}


def finalized(**stored: object) -> CloudEvent:
    return CloudEvent({"type": FINALIZED, "source": "//storage.googleapis.com/projects/_/buckets/b"}, stored)


def published(topic: str, data: bytes) -> CloudEvent:
    message = {"message": {"data": base64.b64encode(data).decode(), "messageId": "1"}}
    return CloudEvent({"type": PUBLISHED, "source": f"//pubsub.googleapis.com/projects/p/topics/{topic}"}, message)


@pytest.fixture
def uploads(bench: Bench) -> Uploads:
    return Uploads(bench)


@pytest.fixture
def chunking(bench: Bench, uploads: Uploads, log: Log) -> Callable[..., Chunking]:
    def make(job: Started | None = None, **ports: Any) -> Chunking:
        return Chunking(bench.chunker(**{"blobs": uploads.blobs, **ports}), "uploads", job, log)

    return make


def only_job(bench: Bench) -> Any:
    (job,) = bench.jobs.jobs()
    return job


def test_an_upload_is_cut(bench: Bench, uploads: Uploads, chunking: Callable[..., Chunking]) -> None:
    chunking().take(uploads.put(TALK.tobytes(), language="de", vocabulary=CANARY))
    job = only_job(bench)
    assert job.state is JobState.TRANSCRIBING
    assert (job.settings.language, job.settings.vocabulary) == ("de", (CANARY,))
    assert uploads.notes() == {}


def test_the_same_event_again_changes_nothing(
    bench: Bench, uploads: Uploads, chunking: Callable[..., Chunking]
) -> None:
    event = uploads.put(TALK.tobytes())
    for _ in range(3):
        chunking().take(event)
    waiting = bench.queue.backlog(topics.CHUNKS_HIGH) + bench.queue.backlog(topics.CHUNKS_LOW)
    assert waiting == len(list(bench.jobs.chunks(only_job(bench).job_id)))


@pytest.mark.parametrize(
    ("data", "metadata", "says"),
    [
        (TALK.tobytes(), {"language": "xx"}, "Unknown language 'xx'"),
        (TALK.tobytes(), {"colour": "blue"}, "colour"),
        (b"BAD", {}, "It is no audio"),
    ],
)
def test_a_refused_upload_fails_its_job_and_gets_a_note_beside_it(
    bench: Bench,
    uploads: Uploads,
    chunking: Callable[..., Chunking],
    data: bytes,
    metadata: dict[str, str],
    says: str,
) -> None:
    chunking().take(uploads.put(data, **metadata))
    job = only_job(bench)
    assert job.state is JobState.FAILED
    assert says in job.reason
    assert uploads.notes() == {f"{CANARY}.pcm{COMPLAINT}": f"{job.reason}\n"}


def test_the_note_goes_when_a_later_upload_succeeds(uploads: Uploads, chunking: Callable[..., Chunking]) -> None:
    chunking().take(uploads.put(b"BAD"))
    assert uploads.notes()
    chunking().take(uploads.put(TALK.tobytes()))
    assert uploads.notes() == {}


def test_a_name_with_no_room_for_a_note_is_refused_without_one(
    bench: Bench, uploads: Uploads, chunking: Callable[..., Chunking]
) -> None:
    chunking().take(uploads.put(b"BAD", name="n" * 1_020))
    assert only_job(bench).state is JobState.FAILED
    assert uploads.notes() == {}
    chunking().take(uploads.put(TALK.tobytes(), name="m" * 1_020))
    assert {job.state for job in bench.jobs.jobs()} == {JobState.FAILED, JobState.TRANSCRIBING}


def test_a_note_is_no_upload(bench: Bench, uploads: Uploads, chunking: Callable[..., Chunking]) -> None:
    chunking().take(uploads.put(b"a reason", name=f"talk.pcm{COMPLAINT}"))
    assert list(bench.jobs.jobs()) == []


@pytest.mark.parametrize("bucket", ["transcripts", "chunks", "another"])
def test_an_event_of_another_bucket_is_dropped(
    bench: Bench, chunking: Callable[..., Chunking], bucket: str
) -> None:
    chunking().take(finalized(bucket=bucket, name="x", generation="1", size="5"))
    assert list(bench.jobs.jobs()) == []


@pytest.mark.parametrize(
    "event",
    [
        finalized(),
        finalized(bucket="uploads", name=CANARY, generation="soon", size="5"),
        finalized(bucket="uploads", name=CANARY, generation="1", size="5", metadata={"language": 3}),
        CloudEvent({"type": FINALIZED, "source": "//storage"}, b"\xff"),
        CloudEvent(
            {"type": "google.cloud.storage.object.v1.deleted", "source": "//storage"}, {"bucket": "uploads"}
        ),
        published(topics.RESULTS, b"{}"),
    ],
)
def test_a_malformed_event_is_dropped_and_logged(
    bench: Bench, chunking: Callable[..., Chunking], lines: io.StringIO, event: CloudEvent
) -> None:
    chunking().take(event)
    assert list(bench.jobs.jobs()) == []
    assert "DecodeError" in lines.getvalue()


def test_an_object_deleted_since_fails_its_job(
    bench: Bench, uploads: Uploads, chunking: Callable[..., Chunking]
) -> None:
    event = uploads.put(TALK.tobytes())
    uploads.blobs.delete("uploads", f"{CANARY}.pcm")
    chunking().take(event)
    assert "deleted or overwritten" in only_job(bench).reason


@pytest.mark.parametrize("error", [NoSpace(CANARY), RuntimeError(CANARY)])
def test_what_may_pass_comes_again(
    uploads: Uploads, chunking: Callable[..., Chunking], lines: io.StringIO, error: Exception
) -> None:
    def fail(call: str, _: object) -> None:
        if call == "create":
            raise error

    event = uploads.put(TALK.tobytes())
    with pytest.raises(Retry) as retried:
        chunking(blobs=Faulty(uploads.blobs, fail)).take(event)
    assert CANARY not in str(retried.value)
    assert retried.value.code == 503
    assert type(error).__name__ in lines.getvalue()


class Hurried(ManualClock):
    """So fast that a function's time is up after the first stretch."""

    def now(self) -> float:
        self.sleep(TIME_SECONDS - SPARE_SECONDS)
        return super().now()


def test_what_takes_too_long_goes_to_the_job_which_goes_on(
    bench: Bench, uploads: Uploads, chunking: Callable[..., Chunking]
) -> None:
    job = Started()
    data = np.concatenate([spoken(360)] * 2).tobytes()
    chunking(job, clock=Hurried()).take(uploads.put(data))
    (event,) = job.events
    assert bench.jobs.job(job_id(event)).state is JobState.CHUNKING
    before = len(list(bench.jobs.chunks(job_id(event))))
    chunking().run(event)
    assert bench.jobs.job(job_id(event)).state is JobState.TRANSCRIBING
    assert len(list(bench.jobs.chunks(job_id(event)))) > before > 0


def test_without_a_job_the_event_comes_again(uploads: Uploads, chunking: Callable[..., Chunking]) -> None:
    data = np.concatenate([spoken(360)] * 2).tobytes()
    event = uploads.put(data)
    with pytest.raises(Retry):
        chunking(clock=Hurried()).take(event)
    chunking().take(event)


@pytest.fixture
def assembling(bench: Bench, log: Log) -> Assembling:
    return Assembling(bench.assembler(), log)


def test_results_and_dead_letters_end_as_a_transcript(bench: Bench, assembling: Assembling) -> None:
    event = bench.upload(TALK)
    chunker.chunk(event, bench.chunker())
    first, *others = bench.chunks(event)
    assembling.take(published(topics.DEAD_CHUNKS, encode(first.task)))
    bench.work()
    for data in bench.drop(topics.RESULTS):
        assembling.take(published(topics.RESULTS, data))
    assert bench.job(event).state in (JobState.PARTIAL, JobState.COMPLETE)
    assert others


@pytest.mark.parametrize("topic", [topics.RESULTS, topics.DEAD_CHUNKS])
@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"\xff", CANARY.encode(), encode(Sealed("x", version=2)), encode(UploadEvent(None, 1, {}))],  # type: ignore[arg-type]
)
def test_what_cannot_be_read_comes_again_until_it_is_dead(
    assembling: Assembling, topic: str, data: bytes, lines: io.StringIO
) -> None:
    with pytest.raises(Retry):
        assembling.take(published(topic, data))
    assert "DecodeError" in lines.getvalue()


def test_a_push_to_an_unknown_path_comes_again(assembling: Assembling) -> None:
    with pytest.raises(Retry):
        assembling.take(published("other", encode(Sealed("x"))))


def test_data_that_is_not_base64_comes_again(assembling: Assembling) -> None:
    event = CloudEvent({"type": PUBLISHED, "source": "//pubsub/topics/x"}, {"message": {"data": "!"}})
    with pytest.raises(Retry):
        assembling.take(event)


def test_results_of_unknown_jobs_are_dropped(bench: Bench, assembling: Assembling, lines: io.StringIO) -> None:
    event = bench.upload(TALK)
    chunker.chunk(event, bench.chunker())
    bench.work()
    left = bench.drop(topics.RESULTS)
    bench.jobs.delete_job(job_id(event))
    for data in left:
        assembling.take(published(topics.RESULTS, data))
    assert {json.loads(line)["outcome"] for line in lines.getvalue().splitlines()} == {"dropped"}
    assert list(bench.jobs.jobs()) == []


@pytest.fixture
def server() -> Any:
    """Something that answers over HTTP, and what it was asked."""
    asked: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append((self.path, self.headers.get("Authorization")))
            self.send_response(500 if self.path.startswith("/ill") else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_address[1]}", asked
    made.shutdown()
    made.server_close()


def test_the_first_chunk_wakes_the_reconciler(
    uploads: Uploads, chunking: Callable[..., Chunking], server: Any, log: Log
) -> None:
    url, asked = server
    chunking(started=Waker(url, log)).take(uploads.put(TALK.tobytes()))
    assert asked == [("/wake", None)]


@pytest.mark.parametrize("ill", ["answers 500", "nobody there"])
def test_a_reconciler_that_does_not_answer_does_not_hold_up_the_cutting(
    bench: Bench,
    uploads: Uploads,
    chunking: Callable[..., Chunking],
    server: Any,
    log: Log,
    lines: io.StringIO,
    ill: str,
) -> None:
    url = f"{server[0]}/ill" if ill == "answers 500" else "http://127.0.0.1:9"
    chunking(started=Waker(url, log)).take(uploads.put(TALK.tobytes()))
    assert only_job(bench).state is JobState.TRANSCRIBING
    assert "The reconciler could not be called" in lines.getvalue()
