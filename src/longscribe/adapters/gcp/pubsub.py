"""`Queue` on Google Cloud Pub/Sub, by unary calls of the two low-level clients.

A streaming pull leases far ahead of its reader (1,000 messages by default): a whole recording would wait in one
worker. A unary pull leases what was asked for and no more.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import grpc
from google.api_core.exceptions import DeadlineExceeded
from google.pubsub_v1 import PublisherClient, PubsubMessage, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from longscribe.adapters.gcp.calls import RETRY, told
from longscribe.core import topics
from longscribe.ports import Delivery

WAIT_SECONDS = 1.0
PROBE_SECONDS = 0.5
"""How long a pull waits for a first message, the shorter where another subscription is pulled after it. A message
that arrives just when a wait ends may be leased to nobody: it comes again after its lease, as a second attempt. The
longer the waits, the rarer that is, and the longer each topic waits for the other."""

CALL_SECONDS = 20.0
"""How long one try of any other call may take."""

MAX_LEASES = 1_000
"""Leases in one call: Pub/Sub takes 512 KiB a request, and their names are of some 200 bytes."""

MIN_LEASE_SECONDS = 10
MAX_LEASE_SECONDS = 600
"""What Pub/Sub grants; 0 gives a message back."""

JOB_ATTRIBUTE = "job"


def connect(emulator: str | None = None) -> tuple[PublisherClient, SubscriberClient]:
    """Return clients of Pub/Sub with the machine's own credentials, or of an emulator at ``host:port``."""
    if not emulator:
        return PublisherClient(), SubscriberClient()
    # Google's clients lift the bound of 4 MiB on a message from their own channels, not from an emulator's.
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    channel = grpc.insecure_channel(emulator, options)
    return (
        PublisherClient(transport=PublisherGrpcTransport(channel=channel)),
        SubscriberClient(transport=SubscriberGrpcTransport(channel=channel)),
    )


class PubSubQueue:
    """Topics and subscriptions of one project.

    Unlike the embedded queue, Pub/Sub may honour a late acknowledgement, may deliver a message twice, and counts
    attempts only on a subscription with a dead-letter policy, and only roughly.

    Raises `Misconfigured` for a topic or subscription that is not there or may not be used, and
    `Transient` when a call failed for a minute.
    """

    def __init__(
        self,
        publisher: PublisherClient,
        subscriber: SubscriberClient,
        project: str,
        wait: float = WAIT_SECONDS,
        probed: Collection[str] = (topics.CHUNKS_HIGH,),
    ) -> None:
        """Wait ``wait`` seconds for a first message, on subscriptions in ``probed`` at most `PROBE_SECONDS`."""
        self._publisher = publisher
        self._subscriber = subscriber
        self._project = project
        self._wait = wait
        self._probed = frozenset(probed)

    def publish(self, topic: str, data: bytes, group: str = "") -> None:
        """Queue a message durably on every subscription of ``topic``; ``group`` travels as an attribute."""
        message = PubsubMessage(data=data, attributes={JOB_ATTRIBUTE: group} if group else {})
        with told(f"topic {topic!r}", "pubsub.topics.publish"):
            self._publisher.publish(
                topic=f"projects/{self._project}/topics/{topic}",
                messages=[message],
                retry=RETRY,
                timeout=CALL_SECONDS,
            )

    def pull(self, subscription: str, limit: int) -> list[Delivery]:
        """Lease up to ``limit`` messages; wait a moment for the first."""
        if limit <= 0:
            return []
        with self._told(subscription):
            try:
                response = self._subscriber.pull(
                    subscription=self._path(subscription),
                    max_messages=limit,
                    retry=None,  # the caller comes again
                    timeout=min(self._wait, PROBE_SECONDS) if subscription in self._probed else self._wait,
                )
            except DeadlineExceeded:
                return []
        return [
            Delivery(
                lease=received.ack_id,
                data=received.message.data,
                attempt=max(received.delivery_attempt, 1),  # 0 without a dead-letter policy
                published=received.message.publish_time.timestamp(),
            )
            for received in response.received_messages
        ]

    def extend(self, subscription: str, leases: Sequence[str], seconds: float) -> None:
        """Let the leases run for ``seconds`` from now, in whole seconds. Expired ones are ignored."""
        granted = min(max(math.ceil(seconds), MIN_LEASE_SECONDS), MAX_LEASE_SECONDS)
        self._modify(subscription, leases, granted)

    def acknowledge(self, subscription: str, leases: Sequence[str]) -> None:
        """Never deliver these again, unless they are sought. Of an expired lease the message may come again."""
        for some in _parts(leases):
            with self._told(subscription):
                self._subscriber.acknowledge(
                    subscription=self._path(subscription), ack_ids=some, retry=RETRY, timeout=CALL_SECONDS
                )

    def nack(self, subscription: str, leases: Sequence[str]) -> None:
        """Give the messages back, to be pulled again or dead-lettered."""
        self._modify(subscription, leases, 0)

    def seek(self, subscription: str, time: float) -> None:
        """Deliver again all retained messages published at or after ``time``, and none older."""
        request = {"subscription": self._path(subscription), "time": datetime.fromtimestamp(time, UTC)}
        with self._told(subscription):
            self._subscriber.seek(request=request, retry=RETRY, timeout=CALL_SECONDS)

    def _modify(self, subscription: str, leases: Sequence[str], seconds: int) -> None:
        for some in _parts(leases):
            with self._told(subscription):
                self._subscriber.modify_ack_deadline(
                    subscription=self._path(subscription),
                    ack_ids=some,
                    ack_deadline_seconds=seconds,
                    retry=RETRY,
                    timeout=CALL_SECONDS,
                )

    def _path(self, subscription: str) -> str:
        return f"projects/{self._project}/subscriptions/{subscription}"

    def _told(self, subscription: str) -> AbstractContextManager[None]:
        return told(f"subscription {subscription!r}", "pubsub.subscriptions.consume")


def _parts(leases: Sequence[str]) -> Iterator[list[str]]:
    for first in range(0, len(leases), MAX_LEASES):
        yield list(leases[first : first + MAX_LEASES])
