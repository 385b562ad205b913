"""Ends jobs before their time: cancels, deletes."""

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from longscribe.core.receipts import receipt
from longscribe.documents import Chunk, ChunkState, Job, JobState
from longscribe.errors import BadInput
from longscribe.operating.ports import Operations, readable
from longscribe.operating.rerunning import under_way
from longscribe.ports import Blobs
from longscribe.stages.assembler import settle

CANCELLED = "It was cancelled; transcribe the recording again to begin afresh."
"""The reason of a cancelled job."""

RERUN_CANCELLED = "its rerun was cancelled"
"""The reason of a chunk that was not run again."""


class Cancelled(msgspec.Struct, frozen=True, kw_only=True):
    """What a cancelled job has become."""

    job_id: str
    name: str  #: of the recording
    state: JobState  #: *cancelled*; after a cancelled rerun what it was before
    dropped: int  #: chunks that will not be run


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """What was deleted of a job."""

    job_id: str
    name: str  #: of the recording
    upload: bool  #: whether the recording was deleted too; not if it is a person's own file, or changed since
    chunks: int
    transcripts: tuple[str, ...]  #: objects in the bucket of transcripts
    files: tuple[str, ...] = ()  #: transcripts put beside, for people


def cancel(job: Job, ops: Operations) -> Cancelled:
    """End an unfinished job: its chunks are dropped unrun, their audio is deleted.

    A rerun that is cancelled leaves the transcript that was there before. Raises `BadInput` for an ended job.
    """
    if under_way(job):
        return _cancel_rerun(job, ops)
    while not job.state.ended:
        chunks = list(ops.jobs.chunks(job.job_id))
        used = receipt(job, chunks, ops.prices)
        moved = ops.jobs.move(job.job_id, job.state, JobState.CANCELLED, reason=CANCELLED, receipt=used)
        if moved is not None:
            dropped = sum(chunk.state is ChunkState.PENDING for chunk in chunks)
            drop(job.job_id, ops.blobs, ops.chunks_bucket)
            return Cancelled(
                job_id=job.job_id, name=readable(job.recording.name), state=moved.state, dropped=dropped
            )
        job = ops.jobs.job(job.job_id)
    raise BadInput(f"Job {job.job_id} has ended already, as {job.state}; there is nothing to cancel.")


def _cancel_rerun(job: Job, ops: Operations) -> Cancelled:
    dropped = 0
    for chunk in _pending(job.job_id, ops):
        # Under yet another run: queued messages and late results of this one then count for nothing.
        task = replace(chunk.task, run=chunk.task.run + 1)
        if ops.jobs.requeue(task):
            dropped += ops.jobs.give_up(job.job_id, task.index, task.run, RERUN_CANCELLED)
    settle(job.job_id, ops.assembler)
    drop(job.job_id, ops.blobs, ops.chunks_bucket)
    return Cancelled(
        job_id=job.job_id,
        name=readable(job.recording.name),
        state=ops.jobs.job(job.job_id).state,
        dropped=dropped,
    )


def _pending(job_id: str, ops: Operations) -> Iterator[Chunk]:
    return (chunk for chunk in ops.jobs.chunks(job_id) if chunk.state is ChunkState.PENDING)


def delete(job: Job, ops: Operations) -> Deleted:
    """Delete a job: upload, chunk audio, transcripts, and its documents last, so that it can be done again.

    An unfinished job is cancelled first. Whoever still works on it finds it gone and removes what it writes late.
    """
    while not job.state.ended:
        ops.jobs.move(job.job_id, job.state, JobState.CANCELLED, reason=CANCELLED)
        job = ops.jobs.job(job.job_id)
    upload = ops.delete_upload(job.recording)
    drop(job.job_id, ops.blobs, ops.chunks_bucket)
    transcripts = drop(job.job_id, ops.blobs, ops.transcripts_bucket)
    chunks = sum(1 for _ in ops.jobs.chunks(job.job_id))
    ops.jobs.delete_job(job.job_id)
    return Deleted(
        job_id=job.job_id,
        name=readable(job.recording.name),
        upload=upload,
        chunks=chunks,
        transcripts=tuple(transcripts),
    )


def drop(job_id: str, blobs: Blobs, bucket: str) -> list[str]:
    """Delete what a bucket holds of a job; return the names."""
    names = list(blobs.names(bucket, f"{job_id}/"))
    for name in names:
        blobs.delete(bucket, name)
    return names
