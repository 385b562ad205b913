"""A server of the test's own between a push subscription and the assembler."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager

from google.pubsub_v1 import PushConfig

from local_cloud.deployment import LocalCloud
from tests.cloud.proxies import HttpServer

JSON = {"Content-Type": "application/json"}


@contextmanager
def pushed_through(local: LocalCloud, topic: str, server: HttpServer) -> Iterator[None]:
    """Have a topic's messages pushed to ``server`` instead of the assembler."""
    subscription = local.subscriber.subscription_path(local.project, topic)

    def push_to(endpoint: str) -> None:
        local.subscriber.modify_push_config(
            subscription=subscription, push_config=PushConfig(push_endpoint=endpoint)
        )

    with server:
        push_to(f"{server.url}/projects/{local.project}/topics/{topic}")
        try:
            yield
        finally:
            push_to(local.endpoint(topic))


def message(body: bytes) -> bytes:
    """What a push carries."""
    return base64.b64decode(json.loads(body)["message"]["data"])
