"""Chooses the adapters, and is the only reader of the environment."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from longscribe.adapters.local import lock
from longscribe.adapters.local.files import Files
from longscribe.adapters.local.jobs import SqliteJobs
from longscribe.adapters.local.queue import SqliteQueue, Subscription
from longscribe.adapters.media.av_media import AvMedia
from longscribe.adapters.speech import Cascade, WebRtcDetector
from longscribe.core import limits, topics, uploads
from longscribe.core.settings import Settings
from longscribe.errors import BadInput, Gone
from longscribe.messages import BlobRef
from longscribe.operating.ports import Operations, Worker
from longscribe.ports import Clock, DeadLetterPolicy, Media, Recogniser, SpeechDetector

Kind = TypeVar("Kind", bound=msgspec.Struct)

CHUNKS_BUCKET = "chunks"
TRANSCRIPTS_BUCKET = "transcripts"
UPLOADS_BUCKET = "uploads"
"""In the embedded default a folder beside the home, so that a job's id does not depend on where it lies."""


class SystemClock:
    """The machine's own time."""

    def now(self) -> float:
        """Return seconds since 1970."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """What the environment may set; each name is written ``LONGSCRIBE_NAME``, in capitals."""

    models: str  #: the directory in which models are kept
    decode_workers: int = min(len(os.sched_getaffinity(0)), 4)  #: processes that decode one recording at once


def environment(variables: Mapping[str, str]) -> Environment:
    """Read ``variables``, which are the process's own in production. Raises `BadInput`."""
    cache = Path(variables.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    read = from_variables(variables, Environment, models=str(cache / "longscribe"))
    low, high = limits.MIN_DECODE_WORKERS, limits.MAX_DECODE_WORKERS
    if not low <= read.decode_workers <= high:
        raise BadInput(f"LONGSCRIBE_DECODE_WORKERS is {read.decode_workers}; give {low} to {high}.")
    return read


def from_variables(variables: Mapping[str, str], kind: type[Kind], **defaults: str) -> Kind:
    """Return a struct whose field ``name`` is read from ``LONGSCRIBE_NAME``. Raises `BadInput`."""
    given = {
        field.name: variables[f"LONGSCRIBE_{field.name.upper()}"]
        for field in msgspec.structs.fields(kind)
        if variables.get(f"LONGSCRIBE_{field.name.upper()}")
    }
    try:
        return msgspec.convert({**defaults, **given}, kind, strict=False)
    except msgspec.ValidationError as error:
        raise BadInput(f"The environment variables LONGSCRIBE_… cannot be read: {error}.") from None


@dataclass(frozen=True)
class LocalStores:
    """The embedded default's stores, all under one directory."""

    blobs: Files
    queue: SqliteQueue
    jobs: SqliteJobs
    clock: Clock

    def close(self) -> None:
        """Close the databases."""
        self.queue.close()
        self.jobs.close()


def local_stores(home: Path) -> LocalStores:
    """Open the stores under ``home``, made if need be. Raises `NoSpace`, `BadInput` and `Busy`."""
    clock = SystemClock()
    dead = DeadLetterPolicy(topics.DEAD_CHUNKS, limits.MAX_ATTEMPTS_EMBEDDED)
    subscriptions = [
        Subscription(topics.CHUNKS_HIGH, topics.CHUNKS_HIGH, dead_letter=dead),
        Subscription(topics.CHUNKS_LOW, topics.CHUNKS_LOW, dead_letter=dead),
        Subscription(topics.RESULTS, topics.RESULTS),
        Subscription(topics.DEAD_CHUNKS, topics.DEAD_CHUNKS),
    ]
    return LocalStores(
        blobs=Files(
            {name: home / name for name in (CHUNKS_BUCKET, TRANSCRIPTS_BUCKET)},
            folders={UPLOADS_BUCKET: home.parent / UPLOADS_BUCKET},
        ),
        queue=SqliteQueue(home / "queue.sqlite", subscriptions, clock),
        jobs=SqliteJobs(home / "jobs.sqlite", clock),
        clock=clock,
    )


def local_operations(home: Path, stores: LocalStores) -> Operations:
    """Return what the operator's commands need of the stores under ``home``."""

    def worker() -> Worker | None:
        held = lock.holder(home)
        if held is None:
            return None
        return Worker(name=f"process {held.pid}", since=held.since, model=held.model or None)

    def delete_upload(recording: BlobRef) -> bool:
        if recording.bucket != UPLOADS_BUCKET:  # given by its path: a person's own file
            return False
        try:
            if stores.blobs.stat(recording.bucket, recording.name).ref != recording:
                return False
        except Gone:
            return False
        for beside in ("", uploads.SIDECAR, uploads.COMPLAINT):
            stores.blobs.delete(recording.bucket, recording.name + beside)
        return True

    return Operations(
        blobs=stores.blobs,
        queue=stores.queue,
        jobs=stores.jobs,
        clock=stores.clock,
        chunks_bucket=CHUNKS_BUCKET,
        transcripts_bucket=TRANSCRIPTS_BUCKET,
        attempts=limits.MAX_ATTEMPTS_EMBEDDED,
        worker=worker,
        delete_upload=delete_upload,
        start_worker="give the command that began it again",
        restart_worker="stop it, and give the command that began it again",
        address=lambda ref: ref.name,
        backlog=stores.queue.backlog,
    )


def cloud_project(project: str | None, variables: Mapping[str, str] = os.environ) -> str | None:
    """Return the Google Cloud project that is meant: ``project``, or that of the deployment in ``variables``.

    None if they name no bucket of uploads, or no project: Google's own variable alone is no choice of ours.
    """
    if project is not None or not variables.get("LONGSCRIBE_UPLOADS_BUCKET"):
        return project
    return variables.get("LONGSCRIBE_PROJECT") or variables.get("GOOGLE_CLOUD_PROJECT") or None


def media(variables: Mapping[str, str] = os.environ) -> Media:
    """Return what decodes recordings on this machine. Raises `BadInput`."""
    return AvMedia(environment(variables).decode_workers)


def models(variables: Mapping[str, str] = os.environ) -> Path:
    """Return the directory in which models are kept. Raises `BadInput`."""
    return Path(environment(variables).models)


@dataclass(frozen=True)
class Machine:
    """What a machine works with beside its stores."""

    media: Media
    detector: SpeechDetector
    load_recogniser: Callable[[], Recogniser]  #: takes a second or more


def detector(silero: Path | None = None) -> SpeechDetector:
    """Return the speech detectors; ``silero`` is the second one's model, by default that in faster-whisper's wheel.

    Raises `BadInput` if the model is not there.
    """
    # Takes a quarter of a second to import.
    from longscribe.adapters.silero import Silero, locate

    return Cascade(WebRtcDetector(), Silero(silero or locate()))


def machine(settings: Settings, variables: Mapping[str, str] = os.environ) -> Machine:
    """Return this machine's adapters for ``settings``. Raises `BadInput` if a model cannot be had."""
    # Heavy, and no part of the light installation.
    from longscribe.adapters.memory import keep_memory
    from longscribe.adapters.models import locate
    from longscribe.adapters.whisper import Whisper

    path = locate(settings.model, models(variables))
    keep_memory()
    return Machine(
        media=media(variables),
        detector=detector(),
        load_recogniser=lambda: Whisper(path, settings.model, settings.compute_type),
    )
