"""The embedded queue against a model of a few lines, under random commands."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from longscribe.adapters.local.queue import PARDONED, SqliteQueue, Subscription
from longscribe.ports import DeadLetterPolicy
from tests.contract.clocks import ManualClock

LEASE = 10.0
ATTEMPTS = 3
RETENTION = 50.0
WORK = Subscription("work", "work", LEASE, DeadLetterPolicy("graves", ATTEMPTS), RETENTION)
GRAVES = Subscription("graves", "graves", LEASE, None, RETENTION)


@dataclass
class Message:
    data: bytes
    published: float
    attempts: int = 0
    voided: int = 0
    lease: str | None = None
    until: float = 0.0
    acknowledged: bool = False


class QueueMachine(RuleBasedStateMachine):
    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.clock = ManualClock(1_000.0)
        self.open()
        self.model: dict[str, list[Message]] = {"work": [], "graves": []}
        self.count = 0

    def open(self) -> None:
        self.queue = SqliteQueue(Path(self.directory.name) / "queue.sqlite", (WORK, GRAVES), self.clock)

    def teardown(self) -> None:
        self.queue.close()
        self.directory.cleanup()

    def bury(self) -> None:
        now = self.clock.now()
        for message in self.model["work"]:
            counted = message.attempts - min(message.voided, PARDONED)
            if not message.acknowledged and counted >= ATTEMPTS and message.until <= now:
                message.acknowledged = True
                self.model["graves"].append(Message(message.data, now))

    def leased(self, lease: tuple[str, str]) -> list[Message]:
        name, text = lease
        now = self.clock.now()
        return [m for m in self.model[name] if m.lease == text and m.until > now and not m.acknowledged]

    @rule()
    def publish(self) -> None:
        self.count += 1
        self.queue.publish("work", b"%d" % self.count)
        self.model["work"].append(Message(b"%d" % self.count, self.clock.now()))

    @rule(target=leases, name=st.sampled_from(["work", "graves"]), limit=st.integers(0, 4))
    def pull(self, name: str, limit: int) -> object:
        self.bury()
        now = self.clock.now()
        ready = [m for m in self.model[name] if not m.acknowledged and m.until <= now][:limit]
        deliveries = self.queue.pull(name, limit)
        for message in ready:
            message.attempts += 1
            message.until = now + LEASE
        assert [(d.data, d.attempt, d.published) for d in deliveries] == [
            (m.data, m.attempts, m.published) for m in ready
        ]
        for message, delivery in zip(ready, deliveries, strict=True):
            message.lease = delivery.lease
        return multiple(*((name, d.lease) for d in deliveries))

    @rule(lease=leases)
    def acknowledge(self, lease: tuple[str, str]) -> None:
        for message in self.leased(lease):
            message.acknowledged = True
        self.queue.acknowledge(lease[0], [lease[1]])

    @rule(lease=consumes(leases))
    def nack(self, lease: tuple[str, str]) -> None:
        for message in self.leased(lease):
            message.until = 0.0
        self.queue.nack(lease[0], [lease[1]])
        self.bury()

    @rule(lease=leases, seconds=st.sampled_from([0.0, 5.0, 25.0]))
    def extend(self, lease: tuple[str, str], seconds: float) -> None:
        for message in self.leased(lease):
            message.until = self.clock.now() + seconds
        self.queue.extend(lease[0], [lease[1]], seconds)

    @rule(lease=leases)
    def mistake_the_subscription(self, lease: tuple[str, str]) -> None:
        other = "graves" if lease[0] == "work" else "work"
        self.queue.acknowledge(other, [lease[1]])

    @rule(seconds=st.sampled_from([0.5, 4.0, LEASE, 30.0]))
    def wait(self, seconds: float) -> None:
        self.clock.sleep(seconds)

    @rule(name=st.sampled_from(["work", "graves"]), ago=st.sampled_from([0.0, 4.5, 12.0, 45.0, 500.0]))
    def seek(self, name: str, ago: float) -> None:
        time = self.clock.now() - ago
        oldest = self.clock.now() - RETENTION
        self.model[name] = [m for m in self.model[name] if m.published >= oldest or not m.acknowledged]
        for message in self.model[name]:
            message.acknowledged = message.published < time
            message.until, message.attempts, message.voided = 0.0, 0, 0
        self.queue.seek(name, time)

    @rule()
    def die_and_start_again(self) -> None:
        self.queue.close()
        self.open()
        self.queue.void_leases()
        for message in self.model["work"] + self.model["graves"]:
            message.voided += message.until > 0 and not message.acknowledged
            message.until = 0.0

    @invariant()
    def nothing_is_lost(self) -> None:
        for name, messages in self.model.items():
            assert self.queue.backlog(name) == sum(not m.acknowledged for m in messages)


QueueMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestQueueModel = QueueMachine.TestCase
