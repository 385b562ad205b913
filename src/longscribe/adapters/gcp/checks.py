"""The doctor's checks of a deployment on Google Cloud: what Terraform makes, and what the operator may do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from google.api_core.exceptions import NotFound
from google.cloud.run_v2 import Condition, ServicesClient
from google.cloud.storage import Client
from google.pubsub_v1 import PublisherClient, SubscriberClient, Subscription

from longscribe.adapters.gcp.calls import RETRY, told
from longscribe.core import topics
from longscribe.operating.doctor import Check, Verdict

Answer = tuple[Verdict, str, str | None]

APPLY = "apply the deployment again"

LEAST_RETENTION = 86_400
"""Seconds: a replay of what went wrong yesterday must still find its messages. Pub/Sub's bounds are 10 minutes and
31 days, its default a week."""

CALL_SECONDS = 20.0

CHUNKS = (topics.CHUNKS_HIGH, topics.CHUNKS_LOW)
PUSHED = (topics.RESULTS, topics.DEAD_CHUNKS)
"""What goes to the assembler."""

ALL = (*CHUNKS, *PUSHED, topics.DEAD_RESULTS)
DEAD = {
    **dict.fromkeys(CHUNKS, topics.DEAD_CHUNKS),
    **dict.fromkeys(PUSHED, topics.DEAD_RESULTS),
}
"""Where what cannot be delivered goes, by subscription."""

FUNCTIONS = ("longscribe-chunker", "longscribe-assembler", "longscribe-reconciler")
"""The names of the functions, which are services of Cloud Run."""

CLEAR = ["storage.objects.get", "storage.objects.list", "storage.objects.delete"]


@dataclass(frozen=True)
class Deployment:
    """What is looked at, and through what."""

    project: str
    uploads_bucket: str
    chunks_bucket: str
    transcripts_bucket: str
    region: str  #: of the functions; else that of the bucket of uploads
    storage: Client
    publisher: PublisherClient
    subscriber: SubscriberClient
    services: ServicesClient | None  #: none on the emulators
    guarded: bool  #: whether there are permissions: the emulators have none

    @property
    def buckets(self) -> tuple[str, ...]:
        """The three buckets."""
        return self.uploads_bucket, self.chunks_bucket, self.transcripts_bucket

    def topic(self, name: str) -> str:
        """Return a topic's full name."""
        return f"projects/{self.project}/topics/{name}"

    def subscription(self, name: str) -> str:
        """Return a subscription's full name."""
        return f"projects/{self.project}/subscriptions/{name}"


def cloud_checks(there: Deployment) -> list[Check]:
    """Return the checks of what the deployment is made of."""
    return [
        ("buckets", lambda: buckets(there)),
        ("topics", lambda: all_topics(there)),
        ("subscriptions", lambda: subscriptions(there)),
        ("retention", lambda: retention(there)),
        ("dead letters", lambda: dead_letters(there)),
        ("push", lambda: push(there)),
        ("functions", lambda: functions(there)),
        ("permissions", lambda: permissions(there)),
    ]


def buckets(there: Deployment) -> Answer:
    """Check that the three buckets are there. That they are three, the environment's reader has checked."""
    missing = []
    for name in there.buckets:
        with told(f"bucket {name!r}", "storage.objects.list"):
            try:
                # Not the bucket itself: to read its description takes a right that nothing else needs.
                list(there.storage.list_blobs(name, max_results=1, timeout=CALL_SECONDS))
            except NotFound:
                missing.append(name)
    if missing:
        return Verdict.FAIL, f"missing: {', '.join(missing)}", f"{APPLY}, or set LONGSCRIBE_…_BUCKET"
    return Verdict.OK, ", ".join(there.buckets), None


def all_topics(there: Deployment) -> Answer:
    """Check that the topics are there."""
    missing = []
    for name in ALL:
        with told(f"topic {name!r}", "pubsub.topics.get"):
            try:
                there.publisher.get_topic(topic=there.topic(name), retry=RETRY, timeout=CALL_SECONDS)
            except NotFound:
                missing.append(name)
    if missing:
        return Verdict.FAIL, f"missing: {', '.join(missing)}", APPLY
    return Verdict.OK, f"all {len(ALL)} are there", None


def subscriptions(there: Deployment) -> Answer:
    """Check that each topic's subscription is there, is of that topic, and never expires."""
    found = _subscriptions(there)
    missing = [name for name in ALL if name not in found]
    if missing:
        return Verdict.FAIL, f"missing: {', '.join(missing)}", APPLY
    astray = [name for name, each in found.items() if each.topic != there.topic(name)]
    if astray:
        return Verdict.FAIL, f"of another topic, or of a deleted one: {', '.join(astray)}", f"delete it and {APPLY}"
    expiring = [
        name for name, each in found.items() if "expiration_policy" not in each or each.expiration_policy.ttl
    ]
    if expiring:
        mend = f"{APPLY}, or gcloud pubsub subscriptions update {expiring[0]} --expiration-period=never"
        return Verdict.WARN, f"deleted when nobody uses them for a month: {', '.join(expiring)}", mend
    return Verdict.OK, f"all {len(ALL)} are there and never expire", None


def retention(there: Deployment) -> Answer:
    """Check that acknowledged chunk messages are kept for a replay, a day at least."""
    short = [
        name
        for name, each in _subscriptions(there, CHUNKS).items()
        if not each.retain_acked_messages or each.message_retention_duration.total_seconds() < LEAST_RETENTION
    ]
    if short:
        mend = (
            f"{APPLY}, or gcloud pubsub subscriptions update {short[0]} --retain-acked-messages"
            " --message-retention-duration=7d"
        )
        return Verdict.WARN, f"a replay finds less than a day of messages in {', '.join(short)}", mend
    return Verdict.OK, "acknowledged messages are kept for a day at least", None


def dead_letters(there: Deployment) -> Answer:
    """Check that what cannot be delivered goes where the assembler, or a person, finds it."""
    found = _subscriptions(there)
    wrong = [
        name
        for name, target in DEAD.items()
        if name in found and found[name].dead_letter_policy.dead_letter_topic != there.topic(target)
    ]
    if wrong:
        return Verdict.FAIL, f"without their dead-letter topic: {', '.join(wrong)}", APPLY
    lost = sorted({target for target in DEAD.values() if target not in found})
    if lost:
        return Verdict.FAIL, f"dead letters are lost, for nobody subscribes to {', '.join(lost)}", APPLY
    return Verdict.OK, "each subscription has its dead-letter topic, each such topic a subscription", None


def push(there: Deployment) -> Answer:
    """Check that results and dead chunks are pushed to the assembler."""
    idle = [name for name, each in _subscriptions(there, PUSHED).items() if not each.push_config.push_endpoint]
    if idle:
        return Verdict.FAIL, f"pushed nowhere, so that nothing is assembled: {', '.join(idle)}", APPLY
    return Verdict.OK, "results and dead chunks go to the assembler", None


def functions(there: Deployment) -> Answer:
    """Check that the functions are deployed and ready."""
    if there.services is None:
        return Verdict.OK, "not looked at: on the emulators they are processes beside", None
    region = there.region or _region(there)
    if not region:
        mend = "set LONGSCRIBE_REGION to the functions' region"
        return Verdict.WARN, f"not looked at: {there.uploads_bucket} lies in no single region", mend
    missing, failed = [], []
    for name in FUNCTIONS:
        full = f"projects/{there.project}/locations/{region}/services/{name}"
        with told(f"service {name!r} in {region}", "run.services.get"):
            try:
                service = there.services.get_service(name=full, retry=RETRY, timeout=CALL_SECONDS)
            except NotFound:
                missing.append(name)
                continue
        if service.terminal_condition.state != Condition.State.CONDITION_SUCCEEDED:
            failed.append(name)
    if missing:
        return Verdict.FAIL, f"missing in {region}: {', '.join(missing)}", f"{APPLY}, or set LONGSCRIBE_REGION"
    if failed:
        mend = f"gcloud run services describe {failed[0]} --region={region} tells why"
        return Verdict.FAIL, f"not ready in {region}: {', '.join(failed)}", mend
    return Verdict.OK, f"all {len(FUNCTIONS)} are ready in {region}", None


def _region(there: Deployment) -> str:
    with told(f"bucket {there.uploads_bucket!r}", "storage.buckets.get"):
        bucket = there.storage.get_bucket(there.uploads_bucket, timeout=CALL_SECONDS)
    return str(bucket.location).lower() if bucket.location_type == "region" else ""


def permissions(there: Deployment) -> Answer:
    """Check that whoever runs this may do what the operator's commands do."""
    if not there.guarded:
        return Verdict.OK, "not looked at: the emulators have none", None
    lacking = [*_on_buckets(there), *_on_queues(there)]
    if lacking:
        wanted = "; ".join(f"{right} on {resource}" for right, resource in lacking)
        return Verdict.FAIL, f"this identity lacks {wanted}", "grant them"
    return Verdict.OK, "this identity may do all that the commands need", None


def _on_buckets(there: Deployment) -> Iterable[tuple[str, str]]:
    needed = {
        there.uploads_bucket: CLEAR,
        there.chunks_bucket: [*CLEAR, "storage.objects.create"],
        there.transcripts_bucket: [*CLEAR, "storage.objects.create"],
    }
    for name, rights in needed.items():
        with told(f"bucket {name!r}", "storage.objects.get"):
            granted = there.storage.bucket(name).test_iam_permissions(rights, timeout=CALL_SECONDS)
        yield from _lacking(rights, granted, name)


def _on_queues(there: Deployment) -> Iterable[tuple[str, str]]:
    asked: list[tuple[Any, str, str, list[str]]] = [
        *((there.publisher, name, there.topic(name), ["pubsub.topics.publish"]) for name in CHUNKS),
        *(
            (there.subscriber, name, there.subscription(name), ["pubsub.subscriptions.consume"])
            for name in CHUNKS  # a replay seeks them
        ),
    ]
    for client, name, resource, rights in asked:
        request = {"resource": resource, "permissions": rights}
        with told(name, rights[0]):
            answer = client.test_iam_permissions(request=request, retry=RETRY, timeout=CALL_SECONDS)
        yield from _lacking(rights, answer.permissions, name)


def _lacking(rights: Sequence[str], granted: Iterable[str], resource: str) -> Iterable[tuple[str, str]]:
    return ((right, resource) for right in rights if right not in set(granted))


def _subscriptions(there: Deployment, names: Sequence[str] = ALL) -> dict[str, Subscription]:
    """Return those that are there, by name."""
    found = {}
    for name in names:
        with told(f"subscription {name!r}", "pubsub.subscriptions.get"):
            try:
                found[name] = there.subscriber.get_subscription(
                    subscription=there.subscription(name), retry=RETRY, timeout=CALL_SECONDS
                )
            except NotFound:
                continue
    return found
