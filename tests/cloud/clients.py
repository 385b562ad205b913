"""What the tests need of the local cloud: clients, topics, subscriptions and buckets of their own."""

from collections.abc import Iterable

from google.pubsub_v1 import DeadLetterPolicy, PublisherClient, SubscriberClient, Subscription

from longscribe.adapters.local import queue as local


def make_topology(
    publisher: PublisherClient, subscriber: SubscriberClient, project: str, topology: Iterable[local.Subscription]
) -> None:
    """Make the topics and subscriptions that `SqliteQueue` would have, acknowledged messages retained."""
    topics = {s.topic for s in topology} | {s.dead_letter.topic for s in topology if s.dead_letter}
    for topic in topics:
        publisher.create_topic(name=f"projects/{project}/topics/{topic}")
    for subscription in topology:
        wanted = Subscription(
            name=f"projects/{project}/subscriptions/{subscription.name}",
            topic=f"projects/{project}/topics/{subscription.topic}",
            ack_deadline_seconds=int(subscription.lease_seconds),
            retain_acked_messages=True,
        )
        if subscription.dead_letter is not None:
            wanted.dead_letter_policy = DeadLetterPolicy(
                dead_letter_topic=f"projects/{project}/topics/{subscription.dead_letter.topic}",
                max_delivery_attempts=subscription.dead_letter.attempts,
            )
        subscriber.create_subscription(wanted)
