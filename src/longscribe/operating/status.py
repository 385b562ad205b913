"""How jobs stand: far along, how fast, what is waited for, what is missing."""

from collections.abc import Sequence

import msgspec

from longscribe.core import standing
from longscribe.core.passages import passages
from longscribe.core.progress import Progress, frontier, progress
from longscribe.core.settings import Settings
from longscribe.core.transcript import Passage, seconds
from longscribe.documents import Chunk, ChunkState, Job, JobState
from longscribe.errors import Gone
from longscribe.operating.ports import Operations, Worker, readable

QUIET_SECONDS = 600.0
"""After ten minutes without a result, chunks that wait are called stuck."""


class Stretch(msgspec.Struct, frozen=True):
    """A stretch of the recording that has no text though it may hold speech."""

    start: float  #: seconds from the start of the recording
    end: float  #: seconds
    reason: str


class JobSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A job in one line."""

    job_id: str
    name: str  #: of the recording
    state: JobState
    created: float  #: seconds since 1970
    updated: float  #: seconds since 1970
    done_seconds: float  #: of the recording
    known_seconds: float  #: cut so far; the recording's length once that is known
    cut: bool  #: whether the recording's length is known
    speed: float | None  #: seconds of recording in each second of the last five minutes
    seconds_left: float | None  #: at that speed; null while it, or the recording's length, is not known
    missing_seconds: float  #: given up, or not decodable, so far
    chunks_waiting: int  #: pending
    notice: str | None  #: one sentence when nobody works, or nothing comes


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """All jobs, the newest first."""

    jobs: tuple[JobSummary, ...]
    worker: Worker | None  #: who works here now


class Blocker(msgspec.Struct, frozen=True, kw_only=True):
    """The chunk that the ordered text waits for."""

    index: int
    cut: bool  #: whether the chunker has got to it; the rest is null if not
    start: float | None = None  #: seconds from the start of the recording
    end: float | None = None  #: seconds
    run: int | None = None
    waits_seconds: float | None = None  #: since it was queued


class JobStatus(JobSummary, frozen=True, kw_only=True):
    """Everything known of a job."""

    bucket: str
    size: int  #: of the recording, bytes
    settings: Settings
    language: str | None  #: settled
    reason: str | None  #: why it failed or was cancelled
    chunks: int  #: cut so far
    frontier: float  #: seconds; the ordered text is final up to here
    blocked_by: Blocker | None
    last_result: float | None  #: when a chunk last ended, in seconds since 1970
    results: dict[str, int]  #: chunks that have their text from each model
    guards: dict[str, int]  #: windows that each guard still doubts
    missing: tuple[Stretch, ...]
    passages: tuple[Passage, ...]  #: up to ten most worth a listen, the worst first
    transcripts: tuple[str, ...]  #: objects in the bucket of transcripts; on Google Cloud their ``gs://`` URLs
    worker: Worker | None


def overview(ops: Operations) -> Overview:
    """Return all jobs in short, and who works on them."""
    worker = ops.worker()
    found = []
    for job in ops.jobs.jobs():
        try:
            found.append(_summary(job, _chunks(job, ops), worker, ops))
        except Gone:  # deleted since
            continue
    return Overview(jobs=tuple(found), worker=worker)


def _chunks(job: Job, ops: Operations) -> list[Chunk]:
    """Return the chunks that tell something: of a complete job everything is known without them."""
    return [] if job.state is JobState.COMPLETE else list(ops.jobs.chunks(job.job_id))


def status(job: Job, ops: Operations) -> JobStatus:
    """Return everything known of a job."""
    worker = ops.worker()
    chunks = list(ops.jobs.chunks(job.job_id))
    reached = frontier(chunks, job.seal)
    over = job.state.ended
    return JobStatus(
        **msgspec.structs.asdict(_summary(job, chunks, worker, ops)),
        bucket=readable(job.recording.bucket),
        size=job.size,
        settings=job.settings,
        language=job.language or job.settings.language,
        reason=job.reason,
        chunks=len(chunks),
        frontier=seconds(reached.time),
        blocked_by=None if over else _blocker(reached.blocked_by, chunks, ops.clock.now()),
        last_result=standing.last_result(chunks),
        results=standing.results(chunks),
        guards={str(guard): count for guard, count in standing.guards(chunks).items()},
        missing=tuple(
            Stretch(seconds(part.start), seconds(part.end), part.reason) for part in standing.missing(job, chunks)
        ),
        passages=passages(chunks, job.seal),
        transcripts=tuple(map(ops.address, job.transcripts)),
        worker=worker,
    )


def _summary(job: Job, chunks: Sequence[Chunk], worker: Worker | None, ops: Operations) -> JobSummary:
    now = ops.clock.now()
    done = _progress(job, chunks)
    rate = None if job.state.ended else standing.speed(job, chunks, now)
    left = standing.seconds_left(job, done, rate)
    return JobSummary(
        job_id=job.job_id,
        name=readable(job.recording.name),
        state=job.state,
        created=job.created,
        updated=job.updated,
        done_seconds=seconds(done.done_samples),
        known_seconds=seconds(done.known_samples),
        cut=job.seal is not None,
        speed=None if rate is None else round(rate, 2),
        seconds_left=None if left is None else round(left, 1),
        missing_seconds=seconds(sum(part.end - part.start for part in standing.missing(job, chunks))),
        chunks_waiting=sum(chunk.state is ChunkState.PENDING for chunk in chunks),
        notice=None if job.state.ended else notice(job, chunks, worker, ops),
    )


def _progress(job: Job, chunks: Sequence[Chunk]) -> Progress:
    if job.state is JobState.COMPLETE and job.seal is not None:
        return Progress(job.seal.chunks, job.seal.chunks, job.seal.samples, job.seal.samples)
    return progress(chunks, job.seal)


def _blocker(index: int | None, chunks: Sequence[Chunk], now: float) -> Blocker | None:
    if index is None:
        return None
    for chunk in chunks:
        if chunk.task.index == index:
            return Blocker(
                index=index,
                cut=True,
                start=seconds(chunk.task.start),
                end=seconds(chunk.task.end),
                run=chunk.task.run,
                waits_seconds=round(now - chunk.updated, 1),
            )
    return Blocker(index=index, cut=False)


def notice(job: Job, chunks: Sequence[Chunk], worker: Worker | None, ops: Operations) -> str | None:
    """Return one sentence on an unfinished job that nobody brings on, and what to do; None while all is well."""
    now = ops.clock.now()
    pending = [chunk for chunk in chunks if chunk.state is ChunkState.PENDING]
    what = (
        f"{len(pending)} {'chunk waits' if len(pending) == 1 else 'chunks wait'}"
        if pending
        else "The recording is not cut to its end"
        if job.state is JobState.CHUNKING
        else "The transcript is not written"
    )
    if worker is None and (pending or not ops.patience):  # on the cloud workers neither cut nor write
        waited = now - min((chunk.updated for chunk in pending), default=job.updated)
        return None if ops.patience > max(waited, 0) else f"{what} and {ops.nobody}: {ops.start_worker}."
    since = 0.0 if worker is None else worker.since
    quiet = now - max(job.updated, since, *(chunk.updated for chunk in chunks))
    if quiet < QUIET_SECONDS:
        return None
    though = "" if worker is None else f", though {worker.here}"
    return f"{what} and nothing has come for {quiet / 60:.0f} minutes{though}: {ops.restart_worker}."
