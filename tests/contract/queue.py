"""What every `Queue` adapter keeps to.

Written for Pub/Sub's promises: a message comes at least once, in any order, and an empty pull proves nothing. So
the suite pulls patiently, and lets time pass by its clock's ``sleep``, which a test clock does at once.
"""

from collections import Counter

import pytest

from longscribe.adapters.local.queue import Subscription
from longscribe.ports import Clock, DeadLetterPolicy, Delivery, Queue
from tests.contract.threads import together

LEASE = 10.0
"""Seconds: the shortest lease Pub/Sub grants."""

ATTEMPTS = 5
"""The fewest attempts Pub/Sub's dead-letter policy allows."""

TOPOLOGY = (
    Subscription("tasks", "tasks", LEASE),
    Subscription("letters-a", "letters", LEASE),
    Subscription("letters-b", "letters", LEASE),
    Subscription("fragile", "fragile", LEASE, DeadLetterPolicy("graves", ATTEMPTS)),
    Subscription("graves", "graves", LEASE),
)
"""What an adapter's fixture has to set up, with acknowledged messages retained."""


expiring = pytest.mark.expiring
"""On a test that lets leases run out: in real time it takes a while."""


class QueueContract:
    """Subclass, and supply the fixtures ``clock`` and ``queue``: new topics and subscriptions as in `TOPOLOGY`."""

    patience = 3
    """Empty pulls in a row that count as an empty queue."""

    pause = 0.1
    """Seconds between two such pulls, and twice the precision of a publication's time."""

    @pytest.fixture
    def clock(self) -> Clock:
        raise NotImplementedError

    @pytest.fixture
    def queue(self, clock: Clock) -> Queue:
        raise NotImplementedError

    def pull(self, queue: Queue, clock: Clock, subscription: str, count: int = 1_000) -> list[Delivery]:
        """Pull until ``count`` messages came or the queue seems empty."""
        taken: list[Delivery] = []
        empty = 0
        while len(taken) < count and empty < self.patience:
            new = queue.pull(subscription, count - len(taken))
            taken += new
            if not new:
                empty += 1
                clock.sleep(self.pause)
        return taken

    def settle(self, queue: Queue, subscription: str) -> None:
        """Let a message whose attempts are spent be moved: by nothing, unless an adapter waits for a pull."""

    def expire(self, clock: Clock, seconds: float = LEASE) -> None:
        clock.sleep(seconds + 1)

    def test_a_message_comes_as_it_was_published(self, queue: Queue, clock: Clock) -> None:
        before = clock.now()
        queue.publish("tasks", b"\x00 any \xff bytes")
        (delivery,) = self.pull(queue, clock, "tasks", 1)
        assert delivery.data == b"\x00 any \xff bytes"
        assert before - 1 <= delivery.published <= clock.now() + 1

    def test_an_empty_queue_gives_nothing(self, queue: Queue) -> None:
        assert queue.pull("tasks", 4) == []

    def test_a_large_message_passes(self, queue: Queue, clock: Clock) -> None:
        data = b"x" * 3_000_000
        queue.publish("tasks", data)
        (delivery,) = self.pull(queue, clock, "tasks", 1)
        assert delivery.data == data

    def test_every_subscription_gets_its_own_copy(self, queue: Queue, clock: Clock) -> None:
        queue.publish("letters", b"1")
        (first,) = self.pull(queue, clock, "letters-a", 1)
        queue.acknowledge("letters-a", [first.lease])
        assert [d.data for d in self.pull(queue, clock, "letters-b", 1)] == [b"1"]
        assert queue.pull("tasks", 1) == []

    def test_no_more_than_the_limit_is_leased(self, queue: Queue, clock: Clock) -> None:
        for number in range(7):
            queue.publish("tasks", b"%d" % number)
        taken: list[Delivery] = []
        while len(taken) < 7:
            new = queue.pull("tasks", 2)
            assert len(new) <= 2
            taken += new
        assert sorted(d.data for d in taken) == [b"%d" % number for number in range(7)]
        assert len({d.lease for d in taken}) == 7

    def test_a_leased_message_is_not_given_to_another(self, queue: Queue, clock: Clock) -> None:
        queue.publish("tasks", b"1")
        assert self.pull(queue, clock, "tasks", 1)
        assert self.pull(queue, clock, "tasks", 1) == []

    @expiring
    def test_acknowledged_never_comes_again(self, queue: Queue, clock: Clock) -> None:
        queue.publish("tasks", b"1")
        (delivery,) = self.pull(queue, clock, "tasks", 1)
        queue.acknowledge("tasks", [delivery.lease])
        queue.acknowledge("tasks", [delivery.lease])
        self.expire(clock)
        assert self.pull(queue, clock, "tasks") == []

    @expiring
    def test_an_expired_lease_means_redelivery(self, queue: Queue, clock: Clock) -> None:
        queue.publish("tasks", b"1")
        (first,) = self.pull(queue, clock, "tasks", 1)
        self.expire(clock)
        (second,) = self.pull(queue, clock, "tasks", 1)
        assert second.data == b"1"
        assert second.lease != first.lease
        assert second.published == first.published

    def test_a_nacked_message_comes_again_at_once(self, queue: Queue, clock: Clock) -> None:
        queue.publish("tasks", b"1")
        (first,) = self.pull(queue, clock, "tasks", 1)
        queue.nack("tasks", [first.lease])
        (second,) = self.pull(queue, clock, "tasks", 1)
        assert (second.data, second.lease != first.lease) == (b"1", True)

    @expiring
    def test_an_extended_lease_runs_from_the_extension_on(self, queue: Queue, clock: Clock) -> None:
        queue.publish("tasks", b"1")
        (first,) = self.pull(queue, clock, "tasks", 1)
        clock.sleep(LEASE * 0.6)
        queue.extend("tasks", [first.lease], LEASE)
        clock.sleep(LEASE * 0.6)
        assert queue.pull("tasks", 1) == []
        queue.acknowledge("tasks", [first.lease])
        self.expire(clock)
        assert self.pull(queue, clock, "tasks") == []

    @expiring
    def test_an_extension_ends_too(self, queue: Queue, clock: Clock) -> None:
        queue.publish("tasks", b"1")
        (first,) = self.pull(queue, clock, "tasks", 1)
        queue.extend("tasks", [first.lease], LEASE)
        self.expire(clock)
        assert [d.data for d in self.pull(queue, clock, "tasks", 1)] == [b"1"]

    @expiring
    def test_only_the_leases_named_are_changed(self, queue: Queue, clock: Clock) -> None:
        for data in (b"ack", b"nack", b"keep", b"extend"):
            queue.publish("tasks", data)
        leases = {d.data: d.lease for d in self.pull(queue, clock, "tasks", 4)}
        queue.acknowledge("tasks", [leases[b"ack"]])
        queue.nack("tasks", [leases[b"nack"]])
        queue.extend("tasks", [leases[b"extend"]], 3 * LEASE)
        assert [d.data for d in self.pull(queue, clock, "tasks", 1)] == [b"nack"]
        self.expire(clock)
        assert sorted(d.data for d in self.pull(queue, clock, "tasks", 2)) == [b"keep", b"nack"]

    def test_naming_no_lease_is_no_error(self, queue: Queue) -> None:
        queue.acknowledge("tasks", [])
        queue.nack("tasks", [])
        queue.extend("tasks", [], 10)

    @expiring
    def test_attempts_count_nacks_and_expired_leases(self, queue: Queue, clock: Clock) -> None:
        queue.publish("fragile", b"1")
        (first,) = self.pull(queue, clock, "fragile", 1)
        queue.nack("fragile", [first.lease])
        (second,) = self.pull(queue, clock, "fragile", 1)
        self.expire(clock)
        (third,) = self.pull(queue, clock, "fragile", 1)
        assert [first.attempt, second.attempt, third.attempt] == [1, 2, 3]

    def test_after_its_last_attempt_a_message_is_dead_lettered(self, queue: Queue, clock: Clock) -> None:
        queue.publish("fragile", b"poison")
        for _ in range(ATTEMPTS):
            (delivery,) = self.pull(queue, clock, "fragile", 1)
            assert queue.pull("graves", 1) == []
            queue.nack("fragile", [delivery.lease])
        self.settle(queue, "fragile")
        (grave,) = self.pull(queue, clock, "graves", 1)
        assert grave.data == b"poison"
        assert self.pull(queue, clock, "fragile") == []

    @expiring
    def test_a_message_that_kills_its_workers_is_dead_lettered_too(self, queue: Queue, clock: Clock) -> None:
        queue.publish("fragile", b"poison")
        for _ in range(ATTEMPTS):
            assert len(self.pull(queue, clock, "fragile", 1)) == 1
            self.expire(clock)
        self.settle(queue, "fragile")
        assert [d.data for d in self.pull(queue, clock, "graves", 1)] == [b"poison"]
        assert self.pull(queue, clock, "fragile") == []

    @expiring
    def test_the_last_attempt_may_still_succeed(self, queue: Queue, clock: Clock) -> None:
        queue.publish("fragile", b"1")
        for _ in range(ATTEMPTS - 1):
            (delivery,) = self.pull(queue, clock, "fragile", 1)
            queue.nack("fragile", [delivery.lease])
        (delivery,) = self.pull(queue, clock, "fragile", 1)
        queue.acknowledge("fragile", [delivery.lease])
        self.expire(clock)
        assert self.pull(queue, clock, "fragile") == []
        assert self.pull(queue, clock, "graves") == []

    def test_seek_delivers_again_what_was_acknowledged_since(self, queue: Queue, clock: Clock) -> None:
        queue.publish("tasks", b"old")
        clock.sleep(2 * self.pause)
        time = clock.now()
        clock.sleep(2 * self.pause)
        for data in (b"new 1", b"new 2"):
            queue.publish("tasks", data)
        deliveries = self.pull(queue, clock, "tasks", 3)
        queue.acknowledge("tasks", [d.lease for d in deliveries])
        queue.seek("tasks", time)
        assert sorted(d.data for d in self.pull(queue, clock, "tasks", 2)) == [b"new 1", b"new 2"]
        assert self.pull(queue, clock, "tasks") == []

    def test_seek_passes_over_what_is_older(self, queue: Queue, clock: Clock) -> None:
        queue.publish("tasks", b"old")
        clock.sleep(2 * self.pause)
        queue.seek("tasks", clock.now())
        clock.sleep(2 * self.pause)
        queue.publish("tasks", b"new")
        assert [d.data for d in self.pull(queue, clock, "tasks")] == [b"new"]

    def test_seek_leaves_other_subscriptions_alone(self, queue: Queue, clock: Clock) -> None:
        before = clock.now() - 1
        queue.publish("letters", b"1")
        for name in ("letters-a", "letters-b"):
            (delivery,) = self.pull(queue, clock, name, 1)
            queue.acknowledge(name, [delivery.lease])
        queue.seek("letters-a", before)
        assert len(self.pull(queue, clock, "letters-a")) == 1
        assert self.pull(queue, clock, "letters-b") == []

    def test_seek_can_be_repeated(self, queue: Queue, clock: Clock) -> None:
        before = clock.now() - 1
        queue.publish("tasks", b"1")
        for _ in range(3):
            (delivery,) = self.pull(queue, clock, "tasks", 1)
            queue.acknowledge("tasks", [delivery.lease])
            queue.seek("tasks", before)
        assert len(self.pull(queue, clock, "tasks", 1)) == 1

    def test_many_pullers_never_share_a_lease(self, queue: Queue, clock: Clock) -> None:
        for number in range(60):
            queue.publish("tasks", b"%d" % number)

        def work(_: int) -> list[bytes]:
            taken = []
            while deliveries := queue.pull("tasks", 3):
                taken += [d.data for d in deliveries]
                queue.acknowledge("tasks", [d.lease for d in deliveries])
            return taken

        taken = [data for part in together(6, work) for data in part]
        taken += [d.data for d in self.pull(queue, clock, "tasks")]
        assert Counter(taken) == {b"%d" % number: 1 for number in range(60)}

    def test_many_publishers_lose_nothing(self, queue: Queue, clock: Clock) -> None:
        together(6, lambda number: [queue.publish("tasks", b"%d.%d" % (number, turn)) for turn in range(10)])
        taken = self.pull(queue, clock, "tasks", 60)
        assert len({d.data for d in taken}) == 60
