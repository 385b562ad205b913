"""Every call of every store, through Google's own clients, breaks in four ways: the transcript is the same.

The stages run in this process, one after the other, so that calls can be numbered; each is tried again as the
platform does.
"""

import json
import random
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore, storage

from local_cloud.emulators import Emulators
from longscribe.adapters.gcp.firestore import FirestoreJobs
from longscribe.adapters.gcp.pubsub import PubSubQueue, connect
from longscribe.adapters.gcp.storage import GcsBlobs
from longscribe.adapters.local.queue import Subscription
from longscribe.core import topics
from longscribe.core.settings import Settings
from longscribe.documents import JobState
from longscribe.errors import Transient
from longscribe.messages import UploadEvent
from longscribe.ports import DeadLetterPolicy
from longscribe.stages import chunker
from tests.cloud.clients import make_topology
from tests.cloud.conftest import ATTEMPTS, LEASE
from tests.cloud.people import comparable
from tests.cloud.proxies import GrpcProxy, Harm, HttpProxy
from tests.standins import Bench, Inline, PcmMedia, Pool, SystemClock, ToneRecogniser, spoken
from tests.tiers import proving

SOME = 12
"""Broken calls that are tried where not all of them are."""

PATIENCE = 60.0
"""Seconds for a stage: a lease that was lost with its answer takes ten to run out, and may be lost in turn."""


class Breaking:
    """Breaks one call, by its number."""

    def __init__(self) -> None:
        self.calls = 0
        self.at: tuple[int, Harm] | None = None
        self.fired = False

    def begin(self, at: tuple[int, Harm] | None) -> None:
        self.calls, self.at, self.fired = 0, at, False

    def __call__(self) -> Harm | None:
        number = self.calls
        self.calls += 1
        if self.at is None or self.at[0] != number:
            return None
        self.fired = True
        return self.at[1]


class CloudBench(Bench):
    """The stages on the emulators."""

    def __init__(self, blobs: GcsBlobs, queue: PubSubQueue, jobs: FirestoreJobs) -> None:
        self.clock = SystemClock()
        self.settings = Settings(language="en", chunk_seconds=10.0)
        self.blobs, self.queue, self.jobs = blobs, queue, jobs  # type: ignore[assignment]
        self.media, self.recogniser, self.pool = PcmMedia(), ToneRecogniser(), Pool()
        self.executor = Inline()
        self.buckets = dict.fromkeys(("uploads", "chunks", "transcripts"), "")

    def chunker(self, **other: object) -> chunker.ChunkerPorts:
        return super().chunker(chunks_bucket=self.buckets["chunks"], **other)

    def assembler(self, **other: object) -> object:  # type: ignore[override]
        return super().assembler(transcripts_bucket=self.buckets["transcripts"], **other)

    def put(self, data: bytes) -> UploadEvent:
        ref = self.blobs.create(self.buckets["uploads"], uuid.uuid4().hex, data)
        return UploadEvent(ref, len(data), {})


@pytest.fixture(scope="module")
def breaking() -> Breaking:
    return Breaking()


@pytest.fixture(scope="module")
def cloud_bench(cloud: Emulators, breaking: Breaking) -> Iterator[CloudBench]:
    project = f"test-{uuid.uuid4().hex[:20]}"
    dead = DeadLetterPolicy(topics.DEAD_CHUNKS, ATTEMPTS)
    topology = [
        *(Subscription(name, name, LEASE, dead) for name in (topics.CHUNKS_HIGH, topics.CHUNKS_LOW)),
        *(Subscription(name, name, LEASE) for name in (topics.RESULTS, topics.DEAD_CHUNKS)),
    ]
    with ExitStack() as stack:
        documents, messages = (
            stack.enter_context(GrpcProxy(host, keep=False)) for host in (cloud.firestore, cloud.pubsub)
        )
        objects = stack.enter_context(HttpProxy(cloud.storage))
        publisher, subscriber = map(stack.enter_context, connect(messages.address))
        make_topology(publisher, subscriber, project, topology)
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("FIRESTORE_EMULATOR_HOST", documents.address)
        client = firestore.Client(project)
        stack.callback(client.close)
        store = storage.Client("test", AnonymousCredentials(), client_options={"api_endpoint": objects.url})
        stack.callback(store.close)
        bench = CloudBench(
            GcsBlobs(store),
            PubSubQueue(publisher, subscriber, project, wait=0.3),
            FirestoreJobs(client, SystemClock()),
        )
        for name in bench.buckets:
            bench.buckets[name] = store.create_bucket(f"test-{uuid.uuid4().hex}").name
        for proxy in (documents, messages, objects):
            proxy.harm = breaking
        yield bench


def transcribed(bench: CloudBench, breaking: Breaking, at: tuple[int, Harm] | None) -> dict[str, str]:
    """Transcribe a recording while a call breaks; return the transcript."""
    event = bench.put(spoken(36).tobytes())
    breaking.begin(at)
    again(lambda: chunker.chunk(event, bench.chunker()) is not chunker.Chunked.UNFINISHED, at)

    def ended() -> bool:
        bench.work()
        bench.assemble()
        return bench.job(event).state.ended

    again(ended, at)
    assert breaking.fired or at is None, "the call was never made"
    breaking.at = None
    calls = breaking.calls
    job = bench.job(event)
    assert job.state is JobState.COMPLETE
    assert job.seal is not None
    assert [chunk.task.index for chunk in bench.chunks(event)] == list(range(job.seal.chunks))
    read = {ref.name.rpartition(".")[2]: bench.blobs.read(ref).decode() for ref in job.transcripts}
    breaking.calls = calls  # what this function itself reads is not counted
    return {kind: comparable(text) if kind == "json" else text for kind, text in read.items()}


def again(step: Callable[[], bool], at: tuple[int, Harm] | None) -> None:
    """Take a step until it succeeds, while the call ``at`` breaks."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with suppress(Transient):
            if step():
                return
    raise AssertionError(f"it never succeeded: {at}")


@pytest.mark.expiring
def test_any_call_may_break(
    cloud_bench: CloudBench, breaking: Breaking, record_property: Callable[[str, object], None]
) -> None:
    expected = transcribed(cloud_bench, breaking, None)
    assert json.loads(expected["json"])["status"] == "complete"
    cases = [(number, harm) for number in range(breaking.calls) for harm in Harm]
    assert len(cases) > 4 * 40, "hardly anything was called"
    tried = cases if proving() else random.Random(5).sample(cases, SOME)
    for case in tried:
        assert transcribed(cloud_bench, breaking, case) == expected, f"call {case[0]} {case[1]}"
    record_property("broken calls", len(tried))
