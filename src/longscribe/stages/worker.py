"""Chunks → results: what a worker does with one leased chunk before, and after, the model has heard its windows."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from msgspec.structs import replace

from longscribe.audio import slice_spans
from longscribe.core import ids, topics
from longscribe.core.merging import place
from longscribe.documents import Chunk, ChunkState, Job, JobState
from longscribe.errors import Gone
from longscribe.messages import ChunkRefused, ChunkResult, ChunkTask, Provenance, WindowResult, decode, encode
from longscribe.ports import Blobs, Jobs, Media, Queue, Recogniser, WindowAudio


@dataclass(frozen=True)
class WorkerPorts:
    """What a worker needs."""

    blobs: Blobs
    queue: Queue
    jobs: Jobs
    media: Media
    recogniser: Recogniser
    worker: str  #: this worker's name, for provenance
    version: str  #: of longscribe
    machine: str = ""  #: what it runs on, by its name in ``prices.toml``


class Unrun(StrEnum):
    """Why a delivered chunk is acknowledged without being run."""

    GONE = "gone"  #: the job was deleted, or has ended and its audio was cleaned up
    OTHER_RUN = "other-run"  #: the chunk was queued again since, or its job begun afresh
    ENDED = "ended"  #: the job failed or was cancelled
    DUPLICATE = "duplicate"  #: this model and these settings have answered already, or it was resent for nothing
    REFUSED = "refused"  #: this worker cannot do it, and has said so on the results topic


@dataclass(frozen=True)
class Prepared:
    """A chunk whose windows are ready for the model."""

    task: ChunkTask
    windows: tuple[WindowAudio, ...]


def prepare(data: bytes, ports: WorkerPorts) -> Prepared | Unrun:
    """Read a delivered task, decide whether it is to be run, and fetch and slice its audio.

    A task that this worker's model cannot do is refused: the assembler is told, and gives the chunk up.

    Raises `DecodeError` for a message that is no task, `Gone` for audio that is not there, `Poison` for audio that
    cannot be read: the message is nacked, and dead-lettered once its attempts are spent.
    """
    task = decode(data, ChunkTask)
    try:
        job, chunk = ports.jobs.job(task.job_id), ports.jobs.chunk(task.job_id, task.index)
    except Gone:
        return Unrun.GONE
    unrun = _unrun(task, job, chunk)
    if unrun is not None:
        return unrun
    task = chunk.task
    reason = _refusal(task, ports.recogniser)
    if reason is not None:
        refused = ChunkRefused(task.job_id, task.index, task.run, task.settings_hash, reason)
        ports.queue.publish(topics.RESULTS, encode(refused), task.job_id)
        return Unrun.REFUSED
    try:
        audio = ports.blobs.read(task.audio)
    except Gone:
        if job.state.ended:
            return Unrun.GONE
        raise
    samples = ports.media.decode_chunk(audio)
    return Prepared(
        task,
        tuple(
            WindowAudio(
                samples=slice_spans(samples, window.spans, task.audio_start),
                language=window.language or task.language,
                vocabulary=job.settings.vocabulary,
                seed=ids.seed(task.job_id, task.index, number),
            )
            for number, window in enumerate(task.windows)
        ),
    )


def _unrun(task: ChunkTask, job: Job, chunk: Chunk) -> Unrun | None:
    if replace(task, resent=False) != chunk.task:
        return Unrun.OTHER_RUN
    if job.state in (JobState.FAILED, JobState.CANCELLED):
        return Unrun.ENDED
    if task.resent and chunk.state is not ChunkState.PENDING:
        return Unrun.DUPLICATE  # the message was not lost; that of a replay is the first one, not this
    answered = chunk.result.provenance.model if chunk.result is not None else None
    if chunk.state is ChunkState.DONE and answered == task.model and not job.state.ended:
        return Unrun.DUPLICATE
    return None  # a chunk of a finished job is a replay: it runs again


def _refusal(task: ChunkTask, recogniser: Recogniser) -> str | None:
    """Return why this worker's model cannot do a task, in one sentence; None if it can."""
    if task.model != recogniser.model:
        return (
            f"it asks for the model {task.model!r} and the worker holds {recogniser.model!r};"
            f" choose {recogniser.model!r}, or start workers with {task.model!r}"
        )
    if task.language is not None and not recogniser.knows(task.language):
        return f"the model {recogniser.model!r} does not know the language {task.language!r}; choose another"
    return None


def conclude(
    prepared: Prepared,
    heard: Sequence[WindowResult],
    device_seconds: float,
    attempt: int,
    ports: WorkerPorts,
    idle_seconds: float = 0.0,
) -> ChunkResult:
    """Publish what was heard in a chunk's windows, in recording time; the message may then be acknowledged."""
    task = prepared.task
    result = ChunkResult(
        job_id=task.job_id,
        index=task.index,
        run=task.run,
        settings_hash=task.settings_hash,
        windows=tuple(
            replace(result, words=tuple(place(window, result.words)))
            for window, result in zip(task.windows, heard, strict=True)
        ),
        provenance=Provenance(
            model=ports.recogniser.model,
            compute_type=ports.recogniser.compute_type,
            device=ports.recogniser.device,
            version=ports.version,
            worker=ports.worker,
            device_seconds=round(device_seconds, 3),
            attempt=attempt,
            idle_seconds=round(idle_seconds, 3),
            machine=ports.machine,
        ),
    )
    ports.queue.publish(topics.RESULTS, encode(result), task.job_id)
    return result
