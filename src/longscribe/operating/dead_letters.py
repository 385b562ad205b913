"""The chunks that were given up, over all jobs."""

from collections.abc import Iterator

import msgspec

from longscribe.core.transcript import seconds
from longscribe.documents import Chunk, ChunkState, Job
from longscribe.operating.ending import RERUN_CANCELLED
from longscribe.operating.ports import Operations, readable
from longscribe.stages.assembler import GIVEN_UP


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk whose last run was given up."""

    job_id: str
    name: str  #: of the recording
    chunk: int
    start: float  #: seconds from the start of the recording
    end: float  #: seconds
    run: int
    attempts: int | None  #: deliveries that were spent; null for a chunk that was refused or given up untried
    reason: str
    when: float  #: seconds since 1970
    older_text: bool  #: whether the text of an earlier run stands in its place, so that nothing is missing


def dead_letters(ops: Operations, job_id: str | None = None) -> Iterator[DeadLetter]:
    """Yield the chunks given up, of one job or of all, the newest job first."""
    for job in ops.jobs.jobs():
        if job_id in (None, job.job_id):
            for chunk in ops.jobs.chunks(job.job_id):
                if given_up(chunk):
                    yield _letter(job, chunk, ops.attempts)


def given_up(chunk: Chunk) -> bool:
    """Return whether a chunk's last run ended without a result, and not because somebody wished so."""
    if chunk.state is ChunkState.MISSING:
        return True
    return chunk.state is ChunkState.DONE and chunk.reason not in (None, RERUN_CANCELLED)


def _letter(job: Job, chunk: Chunk, attempts: int) -> DeadLetter:
    return DeadLetter(
        job_id=job.job_id,
        name=readable(job.recording.name),
        chunk=chunk.task.index,
        start=seconds(chunk.task.start),
        end=seconds(chunk.task.end),
        run=chunk.task.run,
        attempts=attempts if chunk.reason == GIVEN_UP else None,
        reason=chunk.reason or "it was given up",
        when=chunk.updated,
        older_text=chunk.result is not None,
    )
