"""Workers share a backlog: none holds more than its leases, and one more makes a job faster."""

import threading
import time

from google.pubsub_v1 import AcknowledgeRequest, ModifyAckDeadlineRequest, PullResponse

from local_cloud import emulators
from local_cloud.deployment import LocalCloud
from longscribe.core.limits import LEASES
from longscribe.documents import JobState
from tests.cloud.conftest import HASHING, LEASE
from tests.cloud.people import Person, speech, until
from tests.cloud.proxies import GrpcProxy

CHUNKS = 211
"""As many as 6.8 hours of speech give at the default length; here each holds 10 s of it."""

SLOW = "1"
"""Seconds a window."""

MEASURED_SECONDS = 12.0


class Leases(GrpcProxy):
    """Counts what one worker holds: a lease that was not renewed in time is held no more."""

    def __init__(self, target: str) -> None:
        super().__init__(target, keep=False)
        self._lock = threading.Lock()
        self._held: dict[str, float] = {}  #: by lease: when it ends
        self.most = 0  #: at any moment
        self.done = 0
        self.on_answer["Pull"] = self._pulled
        self.on_request["Acknowledge"] = self._acknowledged
        self.on_request["ModifyAckDeadline"] = self._modified

    def _pulled(self, answer: bytes) -> None:
        pulled = [one.ack_id for one in PullResponse.deserialize(answer).received_messages]
        with self._lock:
            now = time.monotonic()
            self._held = {lease: end for lease, end in self._held.items() if end > now}
            self._held |= dict.fromkeys(pulled, now + LEASE)
            self.most = max(self.most, len(self._held))

    def _acknowledged(self, request: bytes) -> None:
        with self._lock:
            for lease in AcknowledgeRequest.deserialize(request).ack_ids:
                self.done += self._held.pop(lease, None) is not None

    def _modified(self, request: bytes) -> None:
        modified = ModifyAckDeadlineRequest.deserialize(request)
        with self._lock:
            end = time.monotonic() + modified.ack_deadline_seconds
            self._held |= {lease: end for lease in modified.ack_ids if lease in self._held}


def done_in(workers: list[Leases], seconds: float) -> int:
    """How many chunks they finish in a while."""
    before = sum(each.done for each in workers)
    time.sleep(seconds)
    return sum(each.done for each in workers) - before


def test_a_worker_more_shares_a_long_backlog(cloud: emulators.Emulators, local: LocalCloud, person: Person) -> None:
    with Leases(cloud.pubsub) as first, Leases(cloud.pubsub) as second:
        upload = person.upload("canaryname.flac", speech(CHUNKS * 12.5), chunk_seconds="10", language="en")
        until(lambda: (job := person.job(upload)) is not None and job.seal is not None)
        assert len(person.chunks(upload)) >= CHUNKS
        one = local.add_worker(HASHING, SECONDS=SLOW, PUBSUB_EMULATOR_HOST=first.address)
        until(lambda: first.done >= LEASES)
        alone = done_in([first], MEASURED_SECONDS)
        two = local.add_worker(HASHING, SECONDS=SLOW, PUBSUB_EMULATOR_HOST=second.address)
        until(lambda: second.done >= LEASES)
        together = done_in([first, second], MEASURED_SECONDS)
        for worker in (one, two):
            worker.stop()  # their leases are given back, and a fast one does the rest
        shares = (first.done, second.done)
    assert together >= 1.5 * alone > 0
    assert first.most <= LEASES
    assert second.most <= LEASES
    local.add_worker(HASHING)
    assert person.ended(upload, 120).state is JobState.COMPLETE
    workers = [chunk.result.provenance.worker for chunk in person.chunks(upload) if chunk.result]
    assert len(set(workers)) == 3
    assert sum(shares) < CHUNKS, "both worked while there was a backlog"
