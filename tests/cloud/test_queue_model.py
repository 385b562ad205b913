"""The model of a queue on Pub/Sub's emulator. Time is real, so no lease runs out: that is the contract suite's."""

import uuid
from contextlib import ExitStack
from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from local_cloud.emulators import Emulators
from longscribe.adapters.gcp.pubsub import PubSubQueue, connect
from longscribe.ports import Clock, Queue
from longscribe.wiring import SystemClock
from tests.cloud.clients import make_topology
from tests.contract.queue_model import MODEL_TOPOLOGY, QueueMachine
from tests.tiers import proving

LEASE_SECONDS = 300.0
"""Far longer than an example takes."""

TOPOLOGY = [replace(subscription, lease_seconds=LEASE_SECONDS) for subscription in MODEL_TOPOLOGY]


def test_pubsub_keeps_to_the_model(cloud: Emulators) -> None:
    with ExitStack() as stack:
        publisher, subscriber = connect(cloud.pubsub)
        stack.enter_context(publisher)
        stack.enter_context(subscriber)

        class PubSubMachine(QueueMachine):
            lease = LEASE_SECONDS
            waits = ()
            patience = 3

            def open(self) -> tuple[Queue, Clock]:
                project = f"test-{uuid.uuid4().hex[:20]}"
                make_topology(publisher, subscriber, project, TOPOLOGY)
                return PubSubQueue(publisher, subscriber, project, wait=0.2), SystemClock()

        run_state_machine_as_test(
            PubSubMachine,
            settings=settings(
                max_examples=100 if proving() else 8,
                stateful_step_count=20,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
