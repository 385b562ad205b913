"""Results → transcript: store each result, and when the last one is in, settle the language, merge and write."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from longscribe.core import topics, voting
from longscribe.core.assembly import assemble
from longscribe.core.rendering import render
from longscribe.documents import Chunk, Job, JobState
from longscribe.errors import Gone
from longscribe.messages import ChunkRefused, ChunkResult, ChunkTask, decode, decode_result, encode
from longscribe.ports import Blobs, Jobs, Queue

GIVEN_UP = "every attempt to transcribe it failed"
"""Why a dead-lettered chunk's speech is missing."""


@dataclass(frozen=True)
class AssemblerPorts:
    """What the assembler needs."""

    blobs: Blobs
    queue: Queue
    jobs: Jobs
    transcripts_bucket: str


class Assembled(StrEnum):
    """What became of a message; every one of them is acknowledged."""

    STORED = "stored"
    DROPPED = "dropped"  #: of another run, of other settings, or of a job that is cancelled or not there
    REQUEUED = "requeued"  #: the vote on the language sent chunks back
    WRITTEN = "written"  #: the transcript is final


def take_result(data: bytes, ports: AssemblerPorts) -> Assembled:
    """Store a chunk's result or refusal, or look at a job that was just sealed. Raises `DecodeError`."""
    message = decode_result(data)
    try:
        if isinstance(message, ChunkResult | ChunkRefused) and not _store(message, ports):
            return Assembled.DROPPED
        return settle(message.job_id, ports) or Assembled.STORED
    except Gone:
        return Assembled.DROPPED


def _store(answer: ChunkResult | ChunkRefused, ports: AssemblerPorts) -> bool:
    # A job that was begun afresh with other settings counts its runs from one again.
    if ports.jobs.job(answer.job_id).settings.hash() != answer.settings_hash:
        return False
    if isinstance(answer, ChunkRefused):
        return ports.jobs.give_up(answer.job_id, answer.index, answer.run, answer.reason)
    return ports.jobs.store_result(answer)


def take_dead_letter(data: bytes, ports: AssemblerPorts) -> Assembled:
    """Give a dead-lettered chunk up: its stretch of the recording becomes missing. Raises `DecodeError`."""
    task = decode(data, ChunkTask)
    try:
        # A job that was begun afresh has other tasks under the same numbers.
        if ports.jobs.chunk(task.job_id, task.index).task != task:
            return Assembled.DROPPED
        if not ports.jobs.give_up(task.job_id, task.index, task.run, GIVEN_UP):
            return Assembled.DROPPED
        return settle(task.job_id, ports) or Assembled.STORED
    except Gone:
        return Assembled.DROPPED


def settle(job_id: str, ports: AssemblerPorts) -> Assembled | None:
    """Finish a sealed job if no chunk of it is pending any more; None if it is not that far. Raises `Gone`."""
    if ports.jobs.job(job_id).state is not JobState.TRANSCRIBING or ports.jobs.any_pending(job_id):
        return None
    job = ports.jobs.move(job_id, JobState.TRANSCRIBING, JobState.SETTLING)
    # None: another assembler saw the same and is at it.
    return finish(job, ports) if job is not None else None


def finish(job: Job, ports: AssemblerPorts) -> Assembled:
    """Vote, merge, render and write a *settling* job's transcript. May be done twice: the bytes are the same.

    Raises `Gone` for a job that was deleted.
    """
    chunks = list(ports.jobs.chunks(job.job_id))
    if job.seal is not None and len(chunks) < job.seal.chunks:
        raise Gone(f"The chunks of job {job.job_id} were deleted; transcribe the recording again.")
    language = job.settings.language or voting.vote(chunks)
    again = [chunk for chunk in chunks if language is not None and voting.outvoted(chunk, language)]
    if again and language is not None:
        _requeue(job, again, language, ports)
        return Assembled.REQUEUED
    transcript = assemble(job, chunks, language)
    written = tuple(
        ports.blobs.replace(ports.transcripts_bucket, f"{job.job_id}/transcript.{name}", render(transcript, name))
        for name in job.settings.formats
    )
    status = JobState(transcript.status)
    try:
        ended = ports.jobs.move(job.job_id, JobState.SETTLING, status, language=language, transcripts=written)
        wanted = ended is not None or ports.jobs.job(job.job_id).state is not JobState.CANCELLED
    except Gone:
        wanted = False
    if wanted:
        return Assembled.WRITTEN
    for ref in written:  # behind the back of whoever cancelled or deleted the job
        ports.blobs.delete(ref.bucket, ref.name)
    return Assembled.DROPPED


def _requeue(job: Job, chunks: Sequence[Chunk], language: str, ports: AssemblerPorts) -> None:
    """Send chunks back under a new run, the language pinned: first documents, then the job, then messages."""
    tasks = [msgspec.structs.replace(chunk.task, run=chunk.task.run + 1, language=language) for chunk in chunks]
    for task in tasks:
        ports.jobs.requeue(task)
    ports.jobs.move(job.job_id, JobState.SETTLING, JobState.TRANSCRIBING)
    for task in tasks:
        ports.queue.publish(topics.topic(task.priority), encode(task), job.job_id)
