"""Results → transcript: store each result, and when the last one is in, settle the language, merge and write."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from longscribe.core import topics, voting
from longscribe.core.assembly import assemble
from longscribe.core.rendering import render
from longscribe.documents import Job, JobState
from longscribe.errors import Gone
from longscribe.messages import ChunkResult, ChunkTask, decode, decode_result, encode
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
    DROPPED = "dropped"  #: of another run, of other settings, or of a job that is not there
    REQUEUED = "requeued"  #: the vote on the language sent chunks back
    WRITTEN = "written"  #: the transcript is final


def take_result(data: bytes, ports: AssemblerPorts) -> Assembled:
    """Store a chunk's result, or look at a job that was just sealed. Raises `DecodeError`."""
    message = decode_result(data)
    try:
        if isinstance(message, ChunkResult) and not _store(message, ports):
            return Assembled.DROPPED
        return settle(message.job_id, ports) or Assembled.STORED
    except Gone:
        return Assembled.DROPPED


def _store(result: ChunkResult, ports: AssemblerPorts) -> bool:
    # A job that was begun afresh with other settings counts its runs from one again.
    same = ports.jobs.job(result.job_id).settings.hash() == result.settings_hash
    return same and ports.jobs.store_result(result)


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
    """Vote, merge, render and write a *settling* job's transcript. May be done twice: the bytes are the same."""
    chunks = list(ports.jobs.chunks(job.job_id))
    language = job.settings.language or voting.vote(chunks)
    again = voting.outvoted(chunks, language) if language is not None else []
    if again:
        _requeue(job, again, ports)
        return Assembled.REQUEUED
    transcript = assemble(job, chunks, language)
    written = tuple(
        ports.blobs.replace(ports.transcripts_bucket, f"{job.job_id}/transcript.{name}", render(transcript, name))
        for name in job.settings.formats
    )
    ports.jobs.move(
        job.job_id,
        JobState.SETTLING,
        JobState(transcript.status),
        language=language,
        transcripts=written,
    )
    return Assembled.WRITTEN


def _requeue(job: Job, tasks: Sequence[ChunkTask], ports: AssemblerPorts) -> None:
    """Send chunks back under a new run: first documents, then the job, then messages."""
    for task in tasks:
        ports.jobs.requeue(task)
    ports.jobs.move(job.job_id, JobState.SETTLING, JobState.TRANSCRIBING)
    for task in tasks:
        ports.queue.publish(topics.topic(task.priority), encode(task))
