"""Transcribes chunks of a finished job afresh, under a new run; the older text stays until the new one is there."""

from collections.abc import Collection

import msgspec
from msgspec.structs import replace

from longscribe.core import topics
from longscribe.core.assembly import assemble
from longscribe.core.rendering import render
from longscribe.documents import Chunk, ChunkState, Job, JobState
from longscribe.errors import BadInput
from longscribe.messages import ChunkTask, encode
from longscribe.operating.ports import Operations, readable
from longscribe.ports import Media
from longscribe.stages.recutting import recut


class Rerun(msgspec.Struct, frozen=True, kw_only=True):
    """Chunks that were queued again."""

    job_id: str
    name: str  #: of the recording
    model: str  #: that is to transcribe them
    chunks: tuple[int, ...]  #: their indices; none were queued where an earlier rerun goes on


def before_name(job_id: str) -> str:
    """Return the name of the transcript that is kept while, and after, a job is rerun."""
    return f"{job_id}/before.json"


def under_way(job: Job) -> bool:
    """Return whether a job that has had a transcript is transcribed again."""
    return bool(job.transcripts) and job.state in (JobState.TRANSCRIBING, JobState.SETTLING)


def model_of(job: Job, model: str | None, ops: Operations) -> str:
    """Return the model that a rerun takes: ``model``, else the job's own; that of a rerun under way.

    Raises `BadInput` where a rerun with another model is under way.
    """
    if not under_way(job):
        return model or job.settings.model
    pending = (chunk for chunk in ops.jobs.chunks(job.job_id) if chunk.state is ChunkState.PENDING)
    going = next((chunk.task.model for chunk in pending), model or job.settings.model)
    if model not in (None, going):
        raise BadInput(f"A rerun with the model {going!r} is under way; let it end, or cancel it first.")
    return going


def refused(job: Job, model: str, ops: Operations) -> Job | None:
    """Return another unfinished job whose chunks would be refused by a worker that holds ``model``, if there is."""
    for other in ops.jobs.jobs():
        if other.job_id != job.job_id and not other.state.ended:
            for chunk in ops.jobs.chunks(other.job_id):
                if chunk.state is ChunkState.PENDING and chunk.task.model != model:
                    return other
    return None


def rerun(job: Job, indices: Collection[int], model: str, ops: Operations, media: Media) -> Rerun:
    """Queue chunks of a finished job again, all of them if ``indices`` is empty, for ``model``.

    First the transcript as it is, then the audio, the documents, the job, and last the messages; what a crash
    leaves of it, the next rerun or the reconciler makes whole. A rerun under way is left to go on.

    Raises `BadInput` for a job without a transcript, a chunk that is not there, or a recording that is gone or was
    changed.
    """
    if under_way(job):
        return Rerun(job_id=job.job_id, name=readable(job.recording.name), model=model, chunks=())
    _check(job)
    chunks = list(ops.jobs.chunks(job.job_id))
    again = _chosen(chunks, indices)
    if all(chunk.state is not ChunkState.PENDING for chunk in chunks):  # else a rerun died, and has kept it
        kept = render(assemble(job, chunks, job.language), "json")
        ops.blobs.replace(ops.transcripts_bucket, before_name(job.job_id), kept)
    audio = recut(job, [chunk.task for chunk in again], ops.blobs, media, ops.chunks_bucket)
    tasks = [
        replace(chunk.task, run=chunk.task.run + 1, model=model, audio=audio[chunk.task.index]) for chunk in again
    ]
    _queue(job, tasks, ops)
    return Rerun(
        job_id=job.job_id,
        name=readable(job.recording.name),
        model=model,
        chunks=tuple(task.index for task in tasks),
    )


def _check(job: Job) -> None:
    if job.state in (JobState.COMPLETE, JobState.PARTIAL):
        return
    what = "transcribe the recording again" if job.state.ended else "wait until it has ended, or cancel it"
    raise BadInput(f"Job {job.job_id} is {job.state} and has no transcript to rerun; {what}.")


def _chosen(chunks: list[Chunk], indices: Collection[int]) -> list[Chunk]:
    """Return the chunks asked for, and those that a rerun which died left pending."""
    unknown = sorted(set(indices) - {chunk.task.index for chunk in chunks})
    if unknown or not chunks:
        there = f"it has chunks 0 to {len(chunks) - 1}" if chunks else "it has none, for nobody spoke"
        raise BadInput(f"The job has no chunk {', '.join(map(str, unknown)) or 'to rerun'}; {there}.")
    return [
        chunk for chunk in chunks if not indices or chunk.task.index in indices or chunk.state is ChunkState.PENDING
    ]


def _queue(job: Job, tasks: list[ChunkTask], ops: Operations) -> None:
    for task in tasks:
        ops.jobs.requeue(task)
    if ops.jobs.move(job.job_id, job.state, JobState.TRANSCRIBING) is None:
        raise BadInput(f"Job {job.job_id} was changed by somebody else meanwhile; look at it and decide anew.")
    for task in tasks:
        ops.queue.publish(topics.topic(task.priority), encode(task), job.job_id)
