"""What a replay would do, told before it is begun: how many chunks a seek runs again."""

from dataclasses import dataclass

from longscribe.documents import Chunk, ChunkState, Job, JobState
from longscribe.ports import Jobs


@dataclass(frozen=True)
class Replay:
    """What a seek to a time would run again."""

    chunks: int
    jobs: int  #: whose chunks they are
    speech: int  #: samples of speech in them


def replay(jobs: Jobs, since: float) -> Replay:
    """Return what workers would run after a seek of both chunk subscriptions to ``since``, going by the documents.

    ``since`` is in seconds since 1970. Reads every job, and the chunks of those that were written since. Messages
    that are no longer retained cannot come again, and one that was sent twice may be run twice: Pub/Sub alone knows
    of both.
    """
    chunks = [
        [chunk for chunk in jobs.chunks(job.job_id) if chunk.queued >= since and _runs(job, chunk)]
        for job in jobs.jobs()
        if job.updated >= since or not job.state.ended  # an ended job is written after its last message was sent
    ]
    return Replay(
        chunks=sum(map(len, chunks)),
        jobs=sum(map(bool, chunks)),
        speech=sum(chunk.task.speech for some in chunks for chunk in some),
    )


def _runs(job: Job, chunk: Chunk) -> bool:
    """Return whether a worker would run this chunk's message if it came now: see ``stages/worker.py``."""
    return job.state in (JobState.COMPLETE, JobState.PARTIAL) or (
        not job.state.ended and chunk.state is ChunkState.PENDING
    )
