"""The chunker as a service: an upload's event in, chunks out, well before the platform's time is up."""

import requests
from cloudevents.http import CloudEvent
from google.auth.transport.requests import Request
from google.oauth2.id_token import fetch_id_token

from longscribe.adapters.gcp.run import ChunkerJob
from longscribe.errors import DecodeError, Gone, LongscribeError
from longscribe.messages import UploadEvent
from longscribe.observe import Log, Severity
from longscribe.services import Retry
from longscribe.services.events import upload
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
        """``job`` goes on where the time is too short; without one the event is delivered again, and goes on too."""
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
        job = chunker.job_id(event)
        outcome = chunker.chunk(event, self._ports)
        self._log("A recording was taken", job=job, outcome=outcome)
        if outcome is not Chunked.UNFINISHED:
            return None
        if self._job is None:
            raise Retry
        self._job.start(event)
        return self._log("A long recording was handed to the job", job=job)


class Waker:
    """Calls the reconciler, so that the GPU pool starts with a recording's first chunk and not with the next tick."""

    def __init__(self, url: str, log: Log) -> None:
        self._url = url
        self._log = log

    def __call__(self) -> None:
        """Call it; a failure is logged and no more, for a timer calls it too."""
        try:
            headers = {}
            if self._url.startswith("https://"):
                headers["Authorization"] = f"Bearer {fetch_id_token(Request(), self._url)}"
            requests.post(self._url, headers=headers, timeout=WAKE_SECONDS).raise_for_status()
        except Exception as error:
            self._log.failure("The reconciler could not be called", error)
