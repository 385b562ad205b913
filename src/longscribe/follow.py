"""Reads a job as it goes: how much is done, and its ordered text as the frontier moves."""

from dataclasses import dataclass

from longscribe.core import voting
from longscribe.core.assembly import assemble
from longscribe.core.cutting import OVERLAP
from longscribe.core.merging import Merger
from longscribe.core.progress import Progress, progress
from longscribe.core.segmenting import Segmenter
from longscribe.core.transcript import Segment, Transcript
from longscribe.documents import Chunk, ChunkState, Job, JobState
from longscribe.errors import BadInput
from longscribe.ports import Jobs


@dataclass(frozen=True)
class View:
    """A job at one moment."""

    job: Job
    progress: Progress
    segments: list[Segment]  #: those that became final since the view before


class Follower:
    """Follows one job. Reads only what lies behind the frontier, so that looking often costs little."""

    def __init__(self, jobs: Jobs, job_id: str) -> None:
        self._jobs = jobs
        self._job_id = job_id
        self._merger = Merger()
        self._segmenter = Segmenter()
        self._passed = Progress(0, 0, 0, 0)
        self._finished = False

    def look(self) -> View:
        """Return the job as it is now. Raises `Gone` if it was deleted."""
        job = self._jobs.job(self._job_id)
        chunks = list(self._jobs.chunks(self._job_id, self._passed.known))
        final = self._final(job, chunks)
        words = [word for chunk in chunks[:final] for word in self._merger.feed(chunk)]
        self._passed = _add(self._passed, progress(chunks[:final], None))
        # Behind a cut through speech the next chunk may begin with words this much before its own start.
        segments = self._segmenter.feed(words, upto=self._passed.known_samples - OVERLAP)
        if job.state in (JobState.COMPLETE, JobState.PARTIAL) and not self._finished:
            self._finished = True
            segments += self._segmenter.feed(self._merger.finish(), upto=0) + self._segmenter.finish()
        ahead = _add(self._passed, progress(chunks[final:], None))
        return View(job, _whole(ahead, job), segments)

    def _final(self, job: Job, chunks: list[Chunk]) -> int:
        """Return how many of ``chunks`` can no longer change: in order, done, and in a language that stands."""
        over = job.state in (JobState.COMPLETE, JobState.PARTIAL)
        for number, chunk in enumerate(chunks):
            waits = chunk.state is ChunkState.PENDING or chunk.task.index != self._passed.known + number
            if waits or not (over or voting.settled(chunk)):
                return number
        return len(chunks)


def transcript(jobs: Jobs, job_id: str) -> Transcript:
    """Return an ended job's transcript. Raises `BadInput` with the reason if it failed or was cancelled, `Gone`."""
    job = jobs.job(job_id)
    if job.reason is not None:
        raise BadInput(job.reason)
    return assemble(job, jobs.chunks(job_id), job.language)


def _add(one: Progress, other: Progress) -> Progress:
    return Progress(
        one.done + other.done,
        one.known + other.known,
        one.done_samples + other.done_samples,
        one.known_samples + other.known_samples,
    )


def _whole(seen: Progress, job: Job) -> Progress:
    """Return the progress with what the seal tells: the length, and that silence after the last chunk is done."""
    if job.seal is None:
        return seen
    rest = job.seal.samples - seen.known_samples if seen.known == job.seal.chunks else 0
    return Progress(seen.done, job.seal.chunks, seen.done_samples + rest, job.seal.samples)
