"""What only Pub/Sub does: large messages, waits, batches of leases, refused and lost calls."""

import time
from collections.abc import Callable, Iterator

import grpc
import pytest
from google.pubsub_v1 import SubscriberClient

from local_cloud.emulators import Emulators
from longscribe.adapters.gcp import pubsub as adapter
from longscribe.adapters.gcp.pubsub import PubSubQueue, connect
from longscribe.adapters.local.queue import Subscription
from longscribe.core.limits import MAX_MESSAGE_BYTES
from longscribe.errors import LongscribeError, Misconfigured, Permanent, Transient
from tests.cloud.clients import make_topology
from tests.cloud.proxies import GrpcProxy

WAIT = 1.0


@pytest.fixture
def proxy(cloud: Emulators) -> Iterator[GrpcProxy]:
    with GrpcProxy(cloud.pubsub) as proxy:
        yield proxy


@pytest.fixture
def subscriber(proxy: GrpcProxy) -> Iterator[SubscriberClient]:
    _, subscriber = connect(proxy.address)
    with subscriber:
        yield subscriber


@pytest.fixture
def queue(proxy: GrpcProxy, project: str) -> Iterator[PubSubQueue]:
    publisher, subscriber = connect(proxy.address)
    with publisher, subscriber:
        make_topology(publisher, subscriber, project, [Subscription("tasks", "tasks", 10.0)])
        proxy.forget()
        yield PubSubQueue(publisher, subscriber, project, WAIT)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "RETRY", adapter.RETRY.with_timeout(0.3))


def test_the_job_travels_as_an_attribute(queue: PubSubQueue, subscriber: SubscriberClient, project: str) -> None:
    queue.publish("tasks", b"1", "job-1")
    queue.publish("tasks", b"2")
    received = subscriber.pull(subscription=f"projects/{project}/subscriptions/tasks", max_messages=2)
    attributes = {r.message.data: dict(r.message.attributes) for r in received.received_messages}
    assert attributes == {b"1": {"job": "job-1"}, b"2": {}}


def test_without_a_dead_letter_policy_every_attempt_is_the_first(queue: PubSubQueue) -> None:
    queue.publish("tasks", b"1")
    for _ in range(2):
        (delivery,) = queue.pull("tasks", 1)
        assert delivery.attempt == 1
        queue.nack("tasks", [delivery.lease])


def test_the_largest_messages_pass_many_at_once(queue: PubSubQueue) -> None:
    data = b"x" * MAX_MESSAGE_BYTES
    for _ in range(3):
        queue.publish("tasks", data)
    taken = [delivery for _ in range(3) for delivery in queue.pull("tasks", 3)]
    assert [delivery.data == data for delivery in taken] == [True] * 3


def test_nobody_is_asked_for_nothing(queue: PubSubQueue, proxy: GrpcProxy) -> None:
    assert queue.pull("tasks", 0) == queue.pull("tasks", -1) == []
    queue.acknowledge("tasks", [])
    queue.nack("tasks", [])
    queue.extend("tasks", [], 10)
    assert not proxy.calls


def test_each_call_costs_one_call(queue: PubSubQueue, proxy: GrpcProxy) -> None:
    for number in range(3):
        queue.publish("tasks", b"%d" % number)
    leases = [delivery.lease for delivery in queue.pull("tasks", 3)]
    queue.extend("tasks", leases, 60)
    queue.acknowledge("tasks", leases)
    queue.seek("tasks", time.time())
    assert proxy.calls == {"Publish": 3, "Pull": 1, "ModifyAckDeadline": 1, "Acknowledge": 1, "Seek": 1}


def test_many_leases_go_in_parts(queue: PubSubQueue, proxy: GrpcProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "MAX_LEASES", 2)
    for number in range(5):
        queue.publish("tasks", b"%d" % number)
    leases = [delivery.lease for delivery in queue.pull("tasks", 5)]
    queue.extend("tasks", leases, 60)
    queue.acknowledge("tasks", leases)
    assert (proxy.calls["ModifyAckDeadline"], proxy.calls["Acknowledge"]) == (3, 3)
    queue.nack("tasks", leases)  # of leases that are over
    assert queue.pull("tasks", 5) == []


def test_a_silent_service_ends_a_pull_after_its_wait(queue: PubSubQueue, proxy: GrpcProxy) -> None:
    queue.publish("tasks", b"1")
    proxy.before["Pull"] = lambda: time.sleep(3 * WAIT)
    started = time.monotonic()
    assert queue.pull("tasks", 1) == []
    assert WAIT * 0.9 < time.monotonic() - started < 2 * WAIT
    assert proxy.calls["Pull"] == 1


def test_a_subscription_that_is_only_probed_waits_less(queue: PubSubQueue, proxy: GrpcProxy, project: str) -> None:
    publisher, subscriber = connect(proxy.address)
    with publisher, subscriber:
        probing = PubSubQueue(publisher, subscriber, project, wait=30.0, probed=["tasks"])
        queue.publish("tasks", b"1")
        assert [delivery.data for delivery in probing.pull("tasks", 1)] == [b"1"]
        proxy.before["Pull"] = lambda: time.sleep(3)
        started = time.monotonic()
        assert probing.pull("tasks", 1) == []
        assert adapter.PROBE_SECONDS * 0.9 < time.monotonic() - started < 2


def test_a_publication_whose_confirmation_was_lost_is_made_again(queue: PubSubQueue, proxy: GrpcProxy) -> None:
    proxy.lose("Publish")
    queue.publish("tasks", b"1")
    assert proxy.calls["Publish"] == 2
    taken = queue.pull("tasks", 4) + queue.pull("tasks", 4)
    assert {delivery.data for delivery in taken} == {b"1"}, "at least once"


def test_what_is_not_there_is_gone(queue: PubSubQueue) -> None:
    for call in (
        lambda: queue.publish("none", b""),
        lambda: queue.pull("none", 1),
        lambda: queue.acknowledge("none", ["x"]),
        lambda: queue.nack("none", ["x"]),
        lambda: queue.extend("none", ["x"], 60),
        lambda: queue.seek("none", 0),
    ):
        with pytest.raises(Misconfigured, match="'none' is not there"):
            call()


CALLS: list[Callable[[PubSubQueue], object]] = [
    lambda queue: queue.publish("tasks", b"1"),
    lambda queue: queue.pull("tasks", 1),
    lambda queue: queue.acknowledge("tasks", ["x"]),
    lambda queue: queue.nack("tasks", ["x"]),
    lambda queue: queue.seek("tasks", 0),
]


@pytest.mark.parametrize(
    ("code", "kind", "text"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, Misconfigured, "grant it pubsub"),
        (grpc.StatusCode.UNAUTHENTICATED, Misconfigured, "log in"),
        (grpc.StatusCode.UNAVAILABLE, Transient, "try again"),
        (grpc.StatusCode.INTERNAL, Transient, "try again"),
        (grpc.StatusCode.INVALID_ARGUMENT, Permanent, "InvalidArgument"),
    ],
)
@pytest.mark.usefixtures("impatient")
def test_a_refused_call_is_told(
    queue: PubSubQueue, proxy: GrpcProxy, code: grpc.StatusCode, kind: type[LongscribeError], text: str
) -> None:
    proxy.refuse("*", code)
    for call in CALLS:
        with pytest.raises(kind, match=text):
            call(queue)


@pytest.mark.usefixtures("impatient")
def test_a_service_that_is_not_there_is_told() -> None:
    publisher, subscriber = connect("127.0.0.1:1")
    with publisher, subscriber:
        queue = PubSubQueue(publisher, subscriber, "test", WAIT)
        for call in (CALLS[0], CALLS[2]):
            with pytest.raises(Transient, match="try again"):
                call(queue)
