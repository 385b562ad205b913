"""The doctor's checks of a deployment: each fault is found, on the emulators.

Functions and permissions have no emulators: there the real clients talk to servers that speak their protocols.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import run_v2, storage
from google.cloud.run_v2.services.services.transports import ServicesGrpcTransport
from google.iam.v1 import iam_policy_pb2
from google.pubsub_v1 import DeadLetterPolicy, ExpirationPolicy, PushConfig, Subscription

from local_cloud.emulators import HOST, Emulators
from longscribe.adapters.gcp import checks, pubsub
from longscribe.adapters.gcp.checks import Deployment
from longscribe.core import topics
from longscribe.operating.doctor import Finding, Verdict, diagnose
from tests.cloud.proxies import HttpServer

REGION = "europe-west4"


@pytest.fixture
def there(cloud: Emulators, project: str) -> Deployment:
    """A project with all that a deployment has."""
    publisher, subscriber = pubsub.connect(cloud.pubsub)
    credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
    client = storage.Client(
        project=project, credentials=credentials, client_options={"api_endpoint": cloud.storage}
    )
    made = Deployment(
        project=project,
        uploads_bucket=f"{project}-uploads",
        chunks_bucket=f"{project}-chunks",
        transcripts_bucket=f"{project}-transcripts",
        region="",
        storage=client,
        publisher=publisher,
        subscriber=subscriber,
        services=None,
        guarded=False,
    )
    for bucket in made.buckets:
        client.create_bucket(bucket)
    for name in checks.ALL:
        publisher.create_topic(name=made.topic(name))
    for name in checks.ALL:
        subscribe(made, name)
    return made


def subscribe(there: Deployment, name: str, **options: Any) -> None:
    usual: dict[str, Any] = {"retain_acked_messages": True, "expiration_policy": ExpirationPolicy()}
    if name in checks.DEAD:
        usual["dead_letter_policy"] = dead_letters(there, checks.DEAD[name])
    if name in checks.PUSHED:
        usual["push_config"] = PushConfig(push_endpoint=f"http://{HOST}:1/")
    there.subscriber.create_subscription(
        Subscription(name=there.subscription(name), topic=there.topic(name), **{**usual, **options})
    )


def dead_letters(there: Deployment, topic: str) -> DeadLetterPolicy:
    return DeadLetterPolicy(dead_letter_topic=there.topic(topic), max_delivery_attempts=10)


def again(name: str, **options: Any) -> Callable[[Deployment], None]:
    """Make a subscription anew, with other options."""

    def change(there: Deployment) -> None:
        there.subscriber.delete_subscription(subscription=there.subscription(name))
        subscribe(there, name, **options)

    return change


def without(name: str) -> Callable[[Deployment], None]:
    return lambda there: there.subscriber.delete_subscription(subscription=there.subscription(name))


def without_topic(name: str) -> Callable[[Deployment], None]:
    return lambda there: there.publisher.delete_topic(topic=there.topic(name))


def found(there: Deployment) -> dict[str, Finding]:
    return {finding.check: finding for finding in diagnose(checks.cloud_checks(there)).findings}


def test_a_deployment_that_is_whole_is_well(there: Deployment) -> None:
    report = found(there)
    assert {finding.verdict for finding in report.values()} == {Verdict.OK}, report


FAULTS: list[tuple[str, Callable[[Deployment], None], Verdict, str]] = [
    ("topics", without_topic(topics.RESULTS), Verdict.FAIL, topics.RESULTS),
    ("subscriptions", without_topic(topics.CHUNKS_LOW), Verdict.FAIL, topics.CHUNKS_LOW),
    ("subscriptions", without(topics.CHUNKS_HIGH), Verdict.FAIL, topics.CHUNKS_HIGH),
    ("subscriptions", again(topics.RESULTS, expiration_policy=None), Verdict.WARN, topics.RESULTS),
    ("retention", again(topics.CHUNKS_LOW, retain_acked_messages=False), Verdict.WARN, topics.CHUNKS_LOW),
    (
        "retention",
        again(topics.CHUNKS_HIGH, message_retention_duration={"seconds": 86_399}),
        Verdict.WARN,
        topics.CHUNKS_HIGH,
    ),
    ("dead letters", again(topics.CHUNKS_HIGH, dead_letter_policy=None), Verdict.FAIL, topics.CHUNKS_HIGH),
    ("dead letters", without(topics.DEAD_RESULTS), Verdict.FAIL, topics.DEAD_RESULTS),
    ("push", again(topics.DEAD_CHUNKS, push_config=None), Verdict.FAIL, topics.DEAD_CHUNKS),
]


@pytest.mark.parametrize(("check", "harm", "verdict", "named"), FAULTS)
def test_a_fault_is_found_and_told_with_what_to_mend(
    there: Deployment, check: str, harm: Callable[[Deployment], None], verdict: Verdict, named: str
) -> None:
    harm(there)
    finding = found(there)[check]
    assert (finding.verdict, named in finding.found, bool(finding.mend)) == (verdict, True, True), finding


def test_a_bucket_that_is_not_there_is_told(there: Deployment) -> None:
    finding = found(replace(there, chunks_bucket="nobodys-bucket"))["buckets"]
    assert (finding.verdict, finding.found) == (Verdict.FAIL, "missing: nobodys-bucket")


class Google:
    """Answers for Cloud Run's services, and for the permissions on topics, subscriptions and buckets."""

    def __init__(self) -> None:
        self.withheld: set[str] = set()
        self.services = dict.fromkeys(checks.FUNCTIONS, run_v2.Condition.State.CONDITION_SUCCEEDED)
        self.bucket: dict[str, object] = {"location": REGION.upper(), "locationType": "region"}
        self.asked: set[str] = set()

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        iam = grpc.unary_unary_rpc_method_handler(
            self.test, iam_policy_pb2.TestIamPermissionsRequest.FromString, _serialized
        )
        get = grpc.unary_unary_rpc_method_handler(
            self.service, run_v2.GetServiceRequest.deserialize, run_v2.Service.serialize
        )
        return [
            grpc.method_handlers_generic_handler("google.iam.v1.IAMPolicy", {"TestIamPermissions": iam}),
            grpc.method_handlers_generic_handler("google.cloud.run.v2.Services", {"GetService": get}),
        ]

    def test(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.asked.add(request.resource)
        granted = [right for right in request.permissions if right not in self.withheld]
        return iam_policy_pb2.TestIamPermissionsResponse(permissions=granted)

    def service(self, request: run_v2.GetServiceRequest, context: grpc.ServicerContext) -> run_v2.Service:
        place, _, name = request.name.rpartition("/services/")
        if place != f"projects/p-1/locations/{REGION}" or name not in self.services:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return run_v2.Service(terminal_condition=run_v2.Condition(state=self.services[name]))

    def answer(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        place, _, query = path.partition("?")
        if not place.endswith("/iam/testPermissions"):
            return 200, {"Content-Type": "application/json"}, json.dumps(self.bucket).encode()
        self.asked.add(place.split("/")[-3])
        asked = [part.partition("=")[2] for part in query.split("&") if part.startswith("permissions=")]
        granted = {"permissions": [right for right in asked if right not in self.withheld]}
        return 200, {"Content-Type": "application/json"}, json.dumps(granted).encode()


def _serialized(message: Any) -> bytes:
    return bytes(message.SerializeToString())


@pytest.fixture
def google() -> Google:
    return Google()


@pytest.fixture
def guarded(google: Google) -> Iterator[Deployment]:
    """A deployment of which only functions and permissions can be looked at."""
    server = grpc.server(ThreadPoolExecutor(2), handlers=google.handlers())
    address = f"{HOST}:{server.add_insecure_port(f'{HOST}:0')}"
    server.start()
    publisher, subscriber = pubsub.connect(address)
    transport = ServicesGrpcTransport(channel=grpc.insecure_channel(address))
    credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
    with HttpServer(google.answer) as web, run_v2.ServicesClient(transport=transport) as services:
        yield Deployment(
            project="p-1",
            uploads_bucket="uploads",
            chunks_bucket="chunks",
            transcripts_bucket="transcripts",
            region="",
            storage=storage.Client(
                project="p-1", credentials=credentials, client_options={"api_endpoint": web.url}
            ),
            publisher=publisher,
            subscriber=subscriber,
            services=services,
            guarded=True,
        )
    server.stop(None).wait()


def test_permissions_that_are_granted_are_well(google: Google, guarded: Deployment) -> None:
    assert checks.permissions(guarded)[0] is Verdict.OK
    assert google.asked == {
        *guarded.buckets,
        *(guarded.topic(name) for name in checks.CHUNKS),
        *(guarded.subscription(name) for name in checks.CHUNKS),
    }


@pytest.mark.parametrize(
    ("right", "resource"),
    [
        ("pubsub.topics.publish", topics.CHUNKS_HIGH),
        ("pubsub.subscriptions.consume", topics.CHUNKS_LOW),
        ("storage.objects.list", "transcripts"),
        ("storage.objects.delete", "uploads"),
    ],
)
def test_a_permission_that_is_lacking_is_named(
    google: Google, guarded: Deployment, right: str, resource: str
) -> None:
    google.withheld = {right}
    verdict, sentence, mend = checks.permissions(guarded)
    assert (verdict, f"{right} on {resource}" in sentence, mend) == (Verdict.FAIL, True, "grant them")


def test_functions_are_looked_for_where_the_uploads_lie(guarded: Deployment) -> None:
    assert checks.functions(guarded) == (Verdict.OK, f"all 3 are ready in {REGION}", None)
    assert checks.functions(replace(guarded, region="us-east1"))[0] is Verdict.FAIL


def test_a_function_that_is_missing_or_not_ready_is_told(google: Google, guarded: Deployment) -> None:
    google.services["longscribe-assembler"] = run_v2.Condition.State.CONDITION_FAILED
    verdict, sentence, _ = checks.functions(guarded)
    assert (verdict, sentence) == (Verdict.FAIL, f"not ready in {REGION}: longscribe-assembler")
    del google.services["longscribe-chunker"]
    verdict, sentence, _ = checks.functions(guarded)
    assert (verdict, sentence) == (Verdict.FAIL, f"missing in {REGION}: longscribe-chunker")


def test_functions_of_uploads_in_no_single_region_ask_for_it(google: Google, guarded: Deployment) -> None:
    google.bucket = {"location": "EU", "locationType": "multi-region"}
    verdict, _, mend = checks.functions(guarded)
    assert (verdict, mend) == (Verdict.WARN, "set LONGSCRIBE_REGION to the functions' region")
