"""The contract suites on the simulation's own adapters."""

import pytest

from tests.contract.blobs import BlobsContract
from tests.contract.clocks import ManualClock
from tests.contract.jobs import JobsContract
from tests.contract.queue import TOPOLOGY, QueueContract
from tests.simulation.memory import Documents, MemoryBlobs, MemoryJobs, MemoryQueue


class TestMemoryBlobs(BlobsContract):
    @pytest.fixture
    def blobs(self) -> MemoryBlobs:
        return MemoryBlobs(["bucket"])

    @pytest.fixture
    def bucket(self) -> str:
        return "bucket"


class TestMemoryQueue(QueueContract):
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def queue(self, clock: ManualClock) -> MemoryQueue:
        return MemoryQueue(TOPOLOGY, clock)


class TestMemoryJobs(JobsContract):
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def jobs(self, clock: ManualClock) -> MemoryJobs:
        return MemoryJobs(Documents(), clock)
