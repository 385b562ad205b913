"""What a queue may do, as a model, under random commands: for every adapter.

Pub/Sub promises little of when and in which order, so the model checks what always holds: what comes was published;
a leased message comes to nobody else; an acknowledged one never again unless it is sought; attempts count
deliveries; a spent message is in its grave, once; and in the end, when all leases have run out, exactly what was
not acknowledged comes.
"""

from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, multiple, precondition, rule

from longscribe.adapters.local.queue import Subscription
from longscribe.ports import Clock, DeadLetterPolicy, Delivery, Queue

LEASE = 10.0
ATTEMPTS = 5
MODEL_TOPOLOGY = (
    Subscription("work", "work", LEASE, DeadLetterPolicy("graves", ATTEMPTS)),
    Subscription("graves", "graves", LEASE),
)


@dataclass
class Sent:
    """A message as the model knows it."""

    attempts: int = 0
    lease: str | None = None  #: the one that runs
    until: float = 0.0
    acknowledged: bool = False
    buried: bool = False


class QueueMachine(RuleBasedStateMachine):
    """Subclass, and open a fresh queue of `MODEL_TOPOLOGY` in ``open``; ``close`` it in the end."""

    leases = Bundle("leases")
    lease = LEASE
    waits: tuple[float, ...] = (LEASE + 1, 4.0)  #: seconds that may pass at once; none where time is real
    patience = 1  #: pulls in a row that find nothing where there is nothing

    def __init__(self) -> None:
        super().__init__()
        self.queue, self.clock = self.open()
        self.sent: dict[bytes, Sent] = {}

    def open(self) -> tuple[Queue, Clock]:
        raise NotImplementedError

    def close(self) -> None:
        """End what ``open`` began."""

    def running(self, sent: Sent) -> bool:
        return sent.lease is not None and self.clock.now() < sent.until

    def free(self) -> dict[bytes, Sent]:
        """What may be delivered."""
        return {
            data: sent
            for data, sent in self.sent.items()
            if not sent.acknowledged and not sent.buried and not self.running(sent)
        }

    def spent(self, sent: Sent) -> bool:
        return sent.attempts >= ATTEMPTS

    @rule()
    def publish(self) -> None:
        data = b"%d" % len(self.sent)
        self.sent[data] = Sent()
        self.queue.publish("work", data)

    @rule(target=leases, limit=st.integers(1, 4))
    def pull(self, limit: int) -> object:
        got = self._pull(limit)
        return multiple(*((delivery.data, delivery.lease) for delivery in got))

    def _pull(self, limit: int) -> list[Delivery]:
        before = self.free()
        got = self.queue.pull("work", limit)
        assert len(got) <= limit
        for delivery in got:
            sent = before.pop(delivery.data, None)
            assert sent is not None, f"{delivery.data!r} came though it is held, acknowledged or buried"
            assert not self.spent(sent), f"{delivery.data!r} came once more than its attempts"
            sent.attempts += 1
            assert delivery.attempt == sent.attempts
            sent.lease, sent.until = delivery.lease, self.clock.now() + self.lease
        return got

    def held(self, lease: tuple[bytes, str]) -> Sent | None:
        sent = self.sent[lease[0]]
        return sent if sent.lease == lease[1] and self.running(sent) else None

    @rule(lease=consumes(leases))
    def acknowledge(self, lease: tuple[bytes, str]) -> None:
        held = self.held(lease)
        if held is not None:  # Pub/Sub may or may not honour a late one
            self.queue.acknowledge("work", [lease[1]])
            held.acknowledged = True

    @rule(lease=leases)
    def acknowledge_one_already_acknowledged(self, lease: tuple[bytes, str]) -> None:
        if self.sent[lease[0]].acknowledged:
            self.queue.acknowledge("work", [lease[1]])

    @rule(lease=consumes(leases))
    def nack(self, lease: tuple[bytes, str]) -> None:
        held = self.held(lease)
        if held is not None:
            self.queue.nack("work", [lease[1]])
            held.lease = None

    @rule(lease=leases, share=st.sampled_from([0.5, 1.0]))
    def extend(self, lease: tuple[bytes, str], share: float) -> None:
        held, seconds = self.held(lease), 2 * share * self.lease
        if held is not None:
            self.queue.extend("work", [lease[1]], seconds)
            held.until = self.clock.now() + seconds

    @precondition(lambda self: self.waits)
    @rule(number=st.integers(0, 1))
    def wait(self, number: int) -> None:
        self.clock.sleep(self.waits[number])

    def teardown(self) -> None:
        try:
            self._drain()
        finally:
            self.close()

    def _drain(self) -> None:
        """Give everything back, and take what there is: all that was not acknowledged, and nothing else."""
        for sent in self.sent.values():
            if sent.lease is not None and not sent.acknowledged and self.running(sent):
                self.queue.nack("work", [sent.lease])
            sent.lease = None
        left = {data for data, sent in self.sent.items() if not sent.acknowledged}
        buried = {data for data in left if self.spent(self.sent[data])}
        came: set[bytes] = set()
        empty = 0
        while empty < self.patience or (came < left - buried and empty < 20):
            got = self._pull(100)
            empty = 0 if got else empty + 1
            came |= {delivery.data for delivery in got}
            self.queue.acknowledge("work", [delivery.lease for delivery in got])
            for delivery in got:
                self.sent[delivery.data].acknowledged = True
        assert came == left - buried
        assert self._graves(len(buried)) == sorted(buried)

    def _graves(self, count: int) -> list[bytes]:
        found: list[bytes] = []
        empty = 0
        while empty < self.patience or (len(found) < count and empty < 20):
            got = self.queue.pull("graves", 100)
            empty = 0 if got else empty + 1
            found += [delivery.data for delivery in got]
            self.queue.acknowledge("graves", [delivery.lease for delivery in got])
        return sorted(found)
