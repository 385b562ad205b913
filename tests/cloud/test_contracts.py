"""The contract suites on Google Cloud's emulators."""

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore, storage

from local_cloud.emulators import Emulators
from longscribe.adapters.gcp.firestore import FirestoreJobs
from longscribe.adapters.gcp.pubsub import PubSubQueue, connect
from longscribe.adapters.gcp.storage import GcsBlobs
from longscribe.ports import Queue
from longscribe.wiring import SystemClock
from tests.cloud.clients import make_topology
from tests.contract.blobs import BlobsContract
from tests.contract.jobs import JobsContract
from tests.contract.queue import TOPOLOGY, QueueContract


class TestGcsBlobs(BlobsContract):
    @pytest.fixture
    def client(self, cloud: Emulators) -> Iterator[storage.Client]:
        options = {"api_endpoint": cloud.storage}
        client = storage.Client("test", AnonymousCredentials(), client_options=options)
        yield client
        client.close()

    @pytest.fixture
    def blobs(self, client: storage.Client) -> GcsBlobs:
        return GcsBlobs(client)

    @pytest.fixture
    def bucket(self, client: storage.Client) -> str:
        return client.create_bucket(f"test-{uuid.uuid4().hex}").name


EXPIRING = [
    name
    for name, test in vars(QueueContract).items()
    if any(mark.name == "expiring" for mark in getattr(test, "pytestmark", ()))
]


class TestPubSubQueue(QueueContract):
    """Time is real here: the tests that let leases run out all wait side by side, in the first one's time."""

    @pytest.fixture
    def clock(self) -> SystemClock:
        return SystemClock()

    @pytest.fixture
    def queue(self, cloud: Emulators, project: str) -> Iterator[PubSubQueue]:
        with open_queue(cloud, project) as queue:
            yield queue

    def settle(self, queue: Queue, subscription: str) -> None:
        assert queue.pull(subscription, 1) == []  # the emulator moves a spent message when it is asked for it


@pytest.fixture(scope="module")
def waiting(request: pytest.FixtureRequest, cloud: Emulators) -> Iterator[dict[str, Future[None]]]:
    """The selected tests of the queue that let leases run out, under way."""
    names = [item.name for item in request.session.items if getattr(item, "cls", None) is TestPubSubQueue]
    names = [name for name in names if name in EXPIRING]

    def run(name: str) -> None:
        with open_queue(cloud, f"test-{uuid.uuid4().hex[:20]}") as queue:
            getattr(QueueContract, name)(TestPubSubQueue(), queue, SystemClock())

    with ThreadPoolExecutor(max(1, len(names))) as pool:
        yield {name: pool.submit(run, name) for name in names}


def _await(name: str) -> Callable[..., None]:
    def test(self: TestPubSubQueue, waiting: dict[str, Future[None]]) -> None:
        waiting[name].result()

    return test


for _name in EXPIRING:
    setattr(TestPubSubQueue, _name, _await(_name))


@contextmanager
def open_queue(cloud: Emulators, project: str) -> Iterator[PubSubQueue]:
    publisher, subscriber = connect(cloud.pubsub)
    with publisher, subscriber:
        make_topology(publisher, subscriber, project, TOPOLOGY)
        yield PubSubQueue(publisher, subscriber, project, wait=1.0)


class TestFirestoreJobs(JobsContract):
    @pytest.fixture
    def clock(self) -> SystemClock:
        return SystemClock()

    @pytest.fixture
    def jobs(
        self, cloud: Emulators, project: str, clock: SystemClock, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[FirestoreJobs]:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", cloud.firestore)
        client = firestore.Client(project)
        yield FirestoreJobs(client, clock)
        client.close()
