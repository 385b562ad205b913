"""The contract suites on the embedded adapters."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from longscribe.adapters.local.files import Files
from longscribe.adapters.local.jobs import SqliteJobs
from longscribe.adapters.local.queue import SqliteQueue
from tests.contract.blobs import BlobsContract
from tests.contract.clocks import ManualClock
from tests.contract.jobs import JobsContract
from tests.contract.queue import TOPOLOGY, QueueContract


class TestFiles(BlobsContract):
    @pytest.fixture
    def blobs(self, tmp_path: Path) -> Files:
        return Files({"bucket": tmp_path / "bucket"})

    @pytest.fixture
    def bucket(self) -> str:
        return "bucket"


class TestSqliteQueue(QueueContract):
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def queue(self, tmp_path: Path, clock: ManualClock) -> Iterator[SqliteQueue]:
        queue = SqliteQueue(tmp_path / "queue.sqlite", TOPOLOGY, clock)
        yield queue
        queue.close()


class TestSqliteJobs(JobsContract):
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def jobs(self, tmp_path: Path, clock: ManualClock) -> Iterator[SqliteJobs]:
        jobs = SqliteJobs(tmp_path / "jobs.sqlite", clock)
        yield jobs
        jobs.close()
