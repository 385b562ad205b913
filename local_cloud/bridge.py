"""Does what Eventarc does, which has no emulator: a bucket's notifications become CloudEvents for a function."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import requests
from cloudevents.conversion import to_binary
from cloudevents.http import CloudEvent

from longscribe.adapters.gcp.pubsub import PubSubQueue
from longscribe.ports import Delivery
from longscribe.services.events import FINALIZED

ANSWER_SECONDS = 540
"""What a function is given for one event."""

AGAIN_SECONDS = 1.0
"""Before an event that was not taken is delivered again; Eventarc waits longer each time."""

LEASE_SECONDS = 600.0


class Bridge:
    """Delivers the finalized objects of one bucket, each at least once. Use as a context manager."""

    def __init__(self, queue: PubSubQueue, subscription: str, bucket: str, function: str) -> None:
        """Post what ``subscription`` tells of ``bucket`` to the URL ``function``."""
        self._queue = queue
        self._subscription = subscription
        self._bucket = bucket
        self._function = function
        self.losing = False  #: events are taken and not delivered: for tests of lost ones
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bridge", daemon=True)
        self._pool = ThreadPoolExecutor(32, thread_name_prefix="bridge")

    def __enter__(self) -> "Bridge":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        while not self._stopping.is_set():
            for delivery in self._queue.pull(self._subscription, 100):
                self._queue.extend(self._subscription, [delivery.lease], LEASE_SECONDS)
                # A mistake of the bridge's own must be seen: what a callback raises is printed.
                self._pool.submit(self._deliver, delivery).add_done_callback(lambda done: done.result())

    def _deliver(self, delivery: Delivery) -> None:
        stored = json.loads(delivery.data)
        taken = stored["bucket"] != self._bucket or self.losing or send(self._function, finalized(stored))
        if not taken:
            self._stopping.wait(AGAIN_SECONDS)
        settle = self._queue.acknowledge if taken else self._queue.nack
        settle(self._subscription, [delivery.lease])


def finalized(stored: dict[str, object]) -> CloudEvent:
    """Return the event for an object's resource."""
    attributes = {
        "type": FINALIZED,
        "source": f"//storage.googleapis.com/projects/_/buckets/{stored['bucket']}",
        "subject": f"objects/{stored['name']}",
    }
    return CloudEvent(attributes, stored)


def send(function: str, event: CloudEvent) -> bool:
    """Post an event to a function; return whether it was taken."""
    headers, body = to_binary(event)
    headers = {name: quote(value, safe=" /:+") for name, value in headers.items()}  # as CloudEvents over HTTP asks
    try:
        return requests.post(function, headers=headers, data=body, timeout=ANSWER_SECONDS).ok
    except requests.RequestException:
        return False
