"""The model of a queue on the adapters that are on this machine; ``tests/cloud`` has it on Pub/Sub."""

import tempfile
from pathlib import Path

from hypothesis import settings

from longscribe.adapters.local.queue import SqliteQueue
from longscribe.ports import Clock, Queue
from tests.contract.clocks import ManualClock
from tests.contract.queue_model import MODEL_TOPOLOGY, QueueMachine
from tests.simulation.memory import MemoryQueue
from tests.tiers import proving

EXAMPLES = settings(max_examples=2_000 if proving() else 50, stateful_step_count=40, deadline=None)


class SqliteMachine(QueueMachine):
    def open(self) -> tuple[Queue, Clock]:
        self.directory = tempfile.TemporaryDirectory()
        clock = ManualClock()
        self.sqlite = SqliteQueue(Path(self.directory.name) / "queue.sqlite", MODEL_TOPOLOGY, clock)
        return self.sqlite, clock

    def close(self) -> None:
        self.sqlite.close()
        self.directory.cleanup()


class MemoryMachine(QueueMachine):
    def open(self) -> tuple[Queue, Clock]:
        clock = ManualClock()
        return MemoryQueue(MODEL_TOPOLOGY, clock), clock


TestSqliteModel = SqliteMachine.TestCase
TestSqliteModel.settings = EXAMPLES
TestMemoryModel = MemoryMachine.TestCase
TestMemoryModel.settings = EXAMPLES
