"""What people do with a deployment: upload, wait, read; and recordings to do it with."""

import io
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import av
import numpy as np
from google.cloud.firestore import Client

from local_cloud.bridge import finalized, send
from local_cloud.deployment import LocalCloud
from longscribe.adapters.gcp.firestore import FirestoreJobs
from longscribe.core import ids
from longscribe.core.limits import SAMPLE_RATE
from longscribe.documents import Chunk, Job
from longscribe.errors import Gone
from longscribe.ports import Samples
from longscribe.wiring import SystemClock
from tests.voices import SENTENCES, english

PAUSE_SECONDS = 0.1
"""Between two looks."""


@cache
def speech(seconds: float, seed: int = 0) -> bytes:
    """A recording (FLAC) of at least ``seconds``: the sentences, over and over; ``seed`` makes its pauses."""
    blob = io.BytesIO()
    with av.open(blob, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        for part in _sentences_and_pauses(seconds, seed):
            frame = av.AudioFrame.from_ndarray(part.reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate = SAMPLE_RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return blob.getvalue()


def _sentences_and_pauses(seconds: float, seed: int) -> Iterator[Samples]:
    random = np.random.default_rng(seed)
    total = 0
    while total < seconds * SAMPLE_RATE:
        for sentence in map(english, SENTENCES):
            pause = np.zeros(int(random.uniform(0.5, 1.5) * SAMPLE_RATE), np.int16)
            yield from (sentence, pause)
            total += len(sentence) + len(pause)


@dataclass(frozen=True)
class Upload:
    """An object that was uploaded, and its job."""

    stored: dict[str, object]  #: its resource, as an event has it
    job_id: str


class Person:
    """Uses a deployment through Google's own clients, and reads the documents.

    ``secrets`` are words of names, settings and texts, which no log may hold.
    """

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.storage = cloud.storage()
        self.jobs = FirestoreJobs(Client(project=cloud.project), SystemClock())
        self.secrets: set[str] = set()

    def upload(self, name: str, data: bytes, bucket: str | None = None, **metadata: str) -> Upload:
        bucket = bucket or self.cloud.uploads
        blob = self.storage.bucket(bucket).blob(name)
        blob.metadata = metadata
        blob.upload_from_string(data)
        self._keep_secret(name, *metadata.values())
        stored: dict[str, object] = {
            "bucket": bucket,
            "name": name,
            "generation": str(blob.generation),
            "size": str(len(data)),
            "metadata": metadata,
        }
        return Upload(stored, ids.job_id(bucket, name, blob.generation))

    def announce(self, upload: Upload, **changes: object) -> bool:
        """Deliver an upload's event once more; return whether it was taken."""
        return send(self.cloud.functions["chunker"].url, finalized({**upload.stored, **changes}))

    def _keep_secret(self, *texts: str) -> None:
        self.secrets |= {word for text in texts for word in re.findall(r"\w{8,}", text)}

    def job(self, upload: Upload) -> Job | None:
        try:
            return self.jobs.job(upload.job_id)
        except Gone:
            return None

    def chunks(self, upload: Upload) -> list[Chunk]:
        return list(self.jobs.chunks(upload.job_id))

    def ended(self, upload: Upload, seconds: float = 40.0, pause: float = PAUSE_SECONDS) -> Job:
        """Wait until the job has ended."""
        until(lambda: (job := self.job(upload)) is not None and job.state.ended, seconds, pause)
        return self.jobs.job(upload.job_id)

    def coverage(self, job: Job) -> list[dict[str, Any]]:
        """What a transcript says of every stretch of its recording."""
        return list(json.loads(self.transcript(job)["json"])["coverage"])

    def transcript(self, job: Job) -> dict[str, str]:
        """What makes two transcripts the same, whatever the deployment and the name of the upload."""
        texts = {}
        for ref in job.transcripts:
            text = self.storage.bucket(ref.bucket).blob(ref.name).download_as_text()
            kind = ref.name.rpartition(".")[2]
            if kind == "json":
                text = comparable(text)
            texts[kind] = text
        self._keep_secret(texts.get("txt", ""))
        return texts


def comparable(document: str) -> str:
    """A transcript's JSON without what may differ between two that are the same."""
    members = json.loads(document)
    for name in ("job_id", "recording", "provenance", "receipt"):
        del members[name]
    return json.dumps(members)


def until(look: Callable[[], object], seconds: float = 60.0, pause: float = PAUSE_SECONDS) -> None:
    """Wait until ``look`` finds something, with a pause after each look that found nothing."""
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(pause)
