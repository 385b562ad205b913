"""The contract suites on Google Cloud's emulators."""

import uuid
from collections.abc import Iterator

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore, storage

from local_cloud.emulators import Emulators
from longscribe.adapters.gcp.firestore import FirestoreJobs
from longscribe.adapters.gcp.pubsub import PubSubQueue, connect
from longscribe.adapters.gcp.storage import GcsBlobs
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


class TestPubSubQueue(QueueContract):
    @pytest.fixture
    def clock(self) -> SystemClock:
        return SystemClock()

    @pytest.fixture
    def queue(self, cloud: Emulators, project: str) -> Iterator[PubSubQueue]:
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
