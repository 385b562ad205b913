"""The chunker as a service: an upload's event in, chunks out, well before the platform's time is up."""

from contextlib import suppress

import requests
from cloudevents.http import CloudEvent
from google.auth.transport.requests import Request
from google.oauth2.id_token import fetch_id_token

from longscribe.adapters.gcp.run import ChunkerJob
from longscribe.core.uploads import COMPLAINT
from longscribe.errors import DecodeError, LongscribeError, OverLimit
from longscribe.messages import UploadEvent
from longscribe.observe import Log, Severity
from longscribe.services.events import Retry, upload
from longscribe.stages import chunker
from longscribe.stages.chunker import Chunked, ChunkerPorts

TIME_SECONDS = 540.0
"""After which an event-driven function is stopped (Cloud Run functions, documented)."""

SPARE_SECONDS = 60.0
"""Kept of it for the last stretch, the writes under way and the job's start."""

WAKE_SECONDS = 5.0
"""How long the reconciler may take to answer: a timer calls it anyway, so it is not waited for longer."""


class Chunking:
    """Takes the events of the uploads bucket."""

    def __init__(self, ports: ChunkerPorts, uploads_bucket: str, job: ChunkerJob | None, log: Log) -> None:
        """``job`` goes on where the time was up; without one the event, delivered again, does."""
        self._ports = ports
        self._uploads_bucket = uploads_bucket
        self._job = job
        self._log = log

    def take(self, event: CloudEvent) -> None:
        """Take one event; to return is to acknowledge. Raises `Retry`."""
        try:
            return self._take(upload(event))
        except DecodeError as error:
            # No later delivery of the same event could be read.
            return self._log.failure("An event that is no upload was dropped", error, Severity.ERROR)
        except LongscribeError as error:
            self._log.failure("A recording could not be cut", error)
        except Exception as error:  # its words must not reach the platform's log
            self._log.failure("A recording could not be cut", error, Severity.ERROR)
        raise Retry

    def _take(self, event: UploadEvent) -> None:
        if event.recording.bucket != self._uploads_bucket:
            return self._log("An event of another bucket was dropped", Severity.WARNING)
        if event.recording.name.endswith(COMPLAINT):
            return None
        outcome = self._chunk(event, self._ports.clock.now() + TIME_SECONDS - SPARE_SECONDS)
        if outcome is Chunked.UNFINISHED:
            if self._job is None:
                raise Retry
            self._job.start(event)
            self._log("A long recording was handed to the job", job=chunker.job_id(event))
        return None

    def run(self, event: UploadEvent) -> None:
        """Cut a recording without a limit of time: what the job does."""
        self._chunk(event, None)

    def _chunk(self, event: UploadEvent, until: float | None) -> Chunked:
        outcome = chunker.chunk(event, self._ports, until)
        self._log("A recording was taken", job=chunker.job_id(event), outcome=outcome)
        note = event.recording.name + COMPLAINT
        if outcome is Chunked.REFUSED:
            reason = self._ports.jobs.job(chunker.job_id(event)).reason or ""
            with suppress(OverLimit):  # the name has no room for a longer one
                self._ports.blobs.replace(self._uploads_bucket, note, f"{reason}\n".encode())
        elif outcome is Chunked.SEALED:
            with suppress(OverLimit):
                self._ports.blobs.delete(self._uploads_bucket, note)
        return outcome


class Waker:
    """Calls the reconciler: the GPU pool starts with a recording's first chunk and not with the next tick."""

    def __init__(self, url: str, log: Log) -> None:
        self._url = url
        self._log = log

    def __call__(self) -> None:
        """Call it; a failure is logged and no more, for a timer calls it too."""
        try:
            headers = {}
            if self._url.startswith("https://"):
                headers["Authorization"] = f"Bearer {fetch_id_token(Request(), self._url)}"  # type: ignore[no-untyped-call]
            requests.post(f"{self._url}/wake", headers=headers, timeout=WAKE_SECONDS).raise_for_status()
        except Exception as error:
            self._log.failure("The reconciler could not be called", error)
