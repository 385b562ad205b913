"""Results → transcript: store each result, and when the last one is in, settle the language, merge and write."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from msgspec.structs import replace

from longscribe.core import topics, voting
from longscribe.core.assembly import assemble
from longscribe.core.costing import Prices
from longscribe.core.rendering import render
from longscribe.documents import ChunkState, Job, JobState
from longscribe.errors import Gone
from longscribe.messages import ChunkRefused, ChunkResult, ChunkTask, Sealed, decode, decode_result, encode
from longscribe.ports import Blobs, Jobs, Queue

GIVEN_UP = "every attempt to transcribe it failed"
"""Why a dead-lettered chunk's speech is missing."""

SKEW_SECONDS = 120.0
"""How far a document's time may lie before the moment others could read it: the store's client tries a write for up
to a minute, and two machines' clocks differ."""


@dataclass(frozen=True)
class AssemblerPorts:
    """What the assembler needs."""

    blobs: Blobs
    queue: Queue
    jobs: Jobs
    transcripts_bucket: str
    prices: Prices | None = None  #: None: nothing is paid for


class Assembled(StrEnum):
    """What became of a message; every one of them is acknowledged."""

    STORED = "stored"
    DROPPED = "dropped"  #: of another run, of other settings, or of a job that is cancelled or not there
    REQUEUED = "requeued"  #: the vote on the language, or a rerun, sent chunks back
    WRITTEN = "written"  #: the transcript is final
    LATE = "late"  #: stored, and the transcript does not say it yet: it is written again once no more such come


@dataclass(frozen=True)
class Taken:
    """A message that was dealt with. Holds nothing that was said: all of it may be logged."""

    what: Assembled
    job_id: str
    index: int | None = None  #: the chunk's; None: the message was about the whole job
    run: int | None = None


def take_result(data: bytes, ports: AssemblerPorts) -> Taken:
    """Store a chunk's result or refusal, or look at a job that was just sealed. Raises `DecodeError`."""
    message = decode_result(data)
    try:
        what = _take(message, ports)
    except Gone:
        what = Assembled.DROPPED
    if isinstance(message, Sealed):
        return Taken(what, message.job_id)
    return Taken(what, message.job_id, message.index, message.run)


def _take(message: ChunkResult | ChunkRefused | Sealed, ports: AssemblerPorts) -> Assembled:
    if isinstance(message, ChunkResult):
        chunk = ports.jobs.store_result(message)
        if chunk is None:
            return Assembled.DROPPED
        # Decided from what is stored, not from what this message changed: it may come again after a crash.
        if chunk.overwritten and _mark(chunk.task.job_id, ports, chunk.overwritten + SKEW_SECONDS):
            return Assembled.LATE
    elif isinstance(message, ChunkRefused):
        # A job that was begun afresh with other settings counts its runs from one again.
        task = ports.jobs.chunk(message.job_id, message.index).task
        if task.settings_hash != message.settings_hash:
            return Assembled.DROPPED
        if not ports.jobs.give_up(message.job_id, message.index, message.run, message.reason):
            return Assembled.DROPPED
    return settle(message.job_id, ports) or Assembled.STORED


def _mark(job_id: str, ports: AssemblerPorts, before: float = math.inf) -> bool:
    """Have a transcript written again later if its chunks were, or are being, read ``before`` that; say whether."""
    while True:
        job = ports.jobs.job(job_id)
        read = job.state in (JobState.SETTLING, JobState.COMPLETE, JobState.PARTIAL)
        if not read or job.settled >= before:
            return False
        # Only the first result of a replay writes the job's document.
        if job.replayed or ports.jobs.amend(job, replayed=True) is not None:
            return True


def take_dead_letter(data: bytes, ports: AssemblerPorts) -> Taken:
    """Give a dead-lettered chunk up: its stretch of the recording becomes missing. Raises `DecodeError`."""
    task = replace(decode(data, ChunkTask), resent=False)
    what = Assembled.DROPPED
    try:
        # A job that was begun afresh has other tasks under the same numbers.
        known = ports.jobs.chunk(task.job_id, task.index).task == task
        if known and ports.jobs.give_up(task.job_id, task.index, task.run, GIVEN_UP):
            what = settle(task.job_id, ports) or Assembled.STORED
    except Gone:
        what = Assembled.DROPPED
    return Taken(what, task.job_id, task.index, task.run)


def settle(job_id: str, ports: AssemblerPorts) -> Assembled | None:
    """Finish a sealed job if no chunk of it is pending any more; None if it is not that far. Raises `Gone`."""
    if ports.jobs.job(job_id).state is not JobState.TRANSCRIBING or ports.jobs.any_pending(job_id):
        return None
    return _settle(job_id, JobState.TRANSCRIBING, ports)


def settle_again(job: Job, ports: AssemblerPorts) -> Assembled | None:
    """Finish a finished job anew from what its chunks say now; None if another is at it. Raises `Gone`."""
    return _settle(job.job_id, job.state, ports)


def _settle(job_id: str, source: JobState, ports: AssemblerPorts) -> Assembled | None:
    # The mark goes before the chunks are read: whatever is stored afterwards sets it again.
    job = ports.jobs.move(job_id, source, JobState.SETTLING, replayed=False)
    # None: another assembler saw the same and is at it.
    return finish(job, ports) if job is not None else None


def finish(job: Job, ports: AssemblerPorts) -> Assembled:
    """Vote, merge, render and write a *settling* job's transcript. May be done twice: the bytes are the same.

    Raises `Gone` for a job that was deleted.
    """
    chunks = list(ports.jobs.chunks(job.job_id))
    if job.seal is not None and len(chunks) < job.seal.chunks:
        raise Gone(f"The chunks of job {job.job_id} were deleted; transcribe the recording again.")
    if any(chunk.state is ChunkState.PENDING for chunk in chunks):  # a rerun queued them meanwhile
        ports.jobs.move(job.job_id, JobState.SETTLING, JobState.TRANSCRIBING)
        return Assembled.REQUEUED
    language = job.settings.language or voting.vote(chunks)
    again = voting.outvoted(chunks, language) if language is not None else []
    if again:
        _requeue(job, again, ports)
        return Assembled.REQUEUED
    transcript = assemble(job, chunks, language, ports.prices)
    written = tuple(
        ports.blobs.replace(ports.transcripts_bucket, f"{job.job_id}/transcript.{name}", render(transcript, name))
        for name in job.settings.formats
    )
    try:
        ended = ports.jobs.move(
            job.job_id,
            JobState.SETTLING,
            JobState(transcript.status),
            language=language,
            transcripts=written,
            receipt=transcript.receipt,
            settled=job.updated,
        )
        wanted = ended is not None or ports.jobs.job(job.job_id).state is not JobState.CANCELLED
    except Gone:
        wanted = False
    if not wanted:
        for ref in written:  # behind the back of whoever cancelled or deleted the job
            ports.blobs.delete(ref.bucket, ref.name)
        return Assembled.DROPPED
    # Another was faster: what we wrote over it may be older, and is not what the job's document names.
    if ended is None and _mark(job.job_id, ports):
        return Assembled.LATE
    return Assembled.WRITTEN


def _requeue(job: Job, tasks: Sequence[ChunkTask], ports: AssemblerPorts) -> None:
    """Send chunks back under a new run: first documents, then the job, then messages."""
    for task in tasks:
        ports.jobs.requeue(task)
    ports.jobs.move(job.job_id, JobState.SETTLING, JobState.TRANSCRIBING)
    for task in tasks:
        ports.queue.publish(topics.topic(task.priority), encode(task), job.job_id)
