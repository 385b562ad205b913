"""What must be true of a deployment that has come to rest, and of every write on the way there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from msgspec.structs import replace

from longscribe.core import topics
from longscribe.core.limits import JOB_SECONDS
from longscribe.core.progress import MOVES
from longscribe.core.transcript import seconds
from longscribe.documents import Chunk, ChunkState, Job, JobState
from longscribe.messages import ChunkTask, decode
from longscribe.stages.assembler import GIVEN_UP
from longscribe.stages.chunker import job_id
from tests.simulation.deployment import CHUNKS, Deployment
from tests.standins import spoken


@dataclass(frozen=True)
class Recording:
    """A recording of ``count`` spoken words, and its settings. Without a word it is no audio at all."""

    name: str
    count: int
    settings: tuple[tuple[str, str], ...] = (("language", "en"),)

    def upload(self, deployment: Deployment) -> None:
        """Put it in."""
        deployment.upload(self.name, _data(self.count), **dict(self.settings))


@cache
def _data(count: int) -> bytes:
    return spoken(count).tobytes() if count else b"BAD"


@dataclass(frozen=True)
class Quiet:
    """What becomes of a recording when nothing goes wrong."""

    job: Job
    chunks: tuple[Chunk, ...]
    transcript: Mapping[str, object]  #: by format
    effects: int


@cache
def quiet(recording: Recording) -> Quiet:
    """Run a deployment without faults."""
    deployment = Deployment()

    def scenario() -> None:
        recording.upload(deployment)
        rest(deployment)

    deployment.run(scenario, 3_600.0)
    (job,) = deployment.jobs.jobs()
    assert job.state is (JobState.COMPLETE if recording.count else JobState.FAILED)
    chunks = tuple(deployment.jobs.chunks(job.job_id))
    return Quiet(job, chunks, transcript(deployment, job), len(deployment.effects.steps))


def rest(deployment: Deployment) -> None:
    """Wait until a deployment is at rest."""
    while not deployment.settled:
        deployment.scheduler.sleep(1.0)


def transcript(deployment: Deployment, job: Job) -> dict[str, object]:
    """Return a job's transcript, by format; the JSON without the two members that tell how it was made."""
    found: dict[str, object] = {}
    for ref in job.transcripts:
        kind, data = ref.name.rpartition(".")[2], deployment.blobs.read(ref)
        found[kind] = data
        if kind == "json":
            document = json.loads(data)
            found[kind] = {name: document[name] for name in document if name not in ("provenance", "receipt")}
    return found


@dataclass
class Watch:
    """Looks at every write of a document; hang it on `Documents.watch`."""

    wrong: list[str] = field(default_factory=list)

    def __call__(self, old: Job | Chunk | None, new: Job | Chunk) -> None:
        """See one write."""
        if isinstance(new, Job) and isinstance(old, Job):
            self._job(old, new)
        elif isinstance(new, Chunk) and isinstance(old, Chunk):
            self._chunk(old, new)

    def _job(self, old: Job, new: Job) -> None:
        if new.state is not old.state and new.state not in MOVES[old.state]:
            self.wrong.append(f"job {new.job_id} went from {old.state} to {new.state}")
        if old.seal not in (None, new.seal):
            self.wrong.append(f"job {new.job_id} was sealed anew")

    def _chunk(self, old: Chunk, new: Chunk) -> None:
        name = f"chunk {new.task.index} of {new.task.job_id}"
        if new.task.run not in (old.task.run, old.task.run + 1):
            self.wrong.append(f"{name} went from run {old.task.run} to {new.task.run}")
        if new.task.run == old.task.run and new.task != old.task:
            self.wrong.append(f"{name} has another task in the same run")
        if old.result is not None and (new.result is None or new.result.run < old.result.run):
            self.wrong.append(f"{name} lost its result")
        if old.state is not ChunkState.PENDING and new.state is ChunkState.PENDING and new.task.run == old.task.run:
            self.wrong.append(f"{name} became pending again in the same run")


def check(deployment: Deployment, recording: Recording) -> Job:
    """Check one recording of a deployment at rest; return its job. Raises `AssertionError`."""
    expected = quiet(recording)
    job = deployment.jobs.job(expected.job.job_id)
    assert job.at_rest, f"{recording.name} is {job.state} at rest"
    if not recording.count:
        assert (job.state, job.reason) == (JobState.FAILED, expected.job.reason), f"{recording.name} is {job.state}"
        return job
    if job.state is JobState.FAILED:
        assert job.reason, f"{recording.name} failed without a reason"
        assert job.updated - job.created >= JOB_SECONDS, f"{recording.name} failed before its deadline"
        return job
    chunks = list(deployment.jobs.chunks(job.job_id))
    _same_plan(deployment, chunks, expected)
    found = transcript(deployment, job)
    given_up = [chunk for chunk in chunks if chunk.reason is not None]
    if given_up:
        _only_lacks(found, given_up, expected)
        _was_buried(deployment, given_up)
    else:
        assert found == expected.transcript, f"{recording.name} has another transcript"
    missing = any(chunk.result is None for chunk in given_up)
    assert job.state is (JobState.PARTIAL if missing else JobState.COMPLETE), f"{recording.name} is {job.state}"
    return job


def _same_plan(deployment: Deployment, chunks: list[Chunk], expected: Quiet) -> None:
    """Check that the chunks are those that were planned, and their audio is whole."""
    assert [_cut(chunk.task) for chunk in chunks] == [_cut(chunk.task) for chunk in expected.chunks], (
        "chunks are lost, doubled or unexpected"
    )
    assert all(chunk.state is not ChunkState.PENDING for chunk in chunks), "chunks are left pending"
    for chunk, quiet_one in zip(chunks, expected.chunks, strict=True):
        assert replace(chunk, **_LIVED) == replace(quiet_one, **_LIVED), "a chunk's silences were changed"
        if chunk.result is not None and chunk.reason is None:
            assert chunk.result.run == chunk.task.run, "a chunk has a result of another run"
    names = {chunk.task.audio.name for chunk in chunks}
    assert set(deployment.blobs.names(CHUNKS)) >= names, "chunks' audio is lost"


_LIVED = {
    "task": None,
    "result": None,
    "state": ChunkState.DONE,
    "reason": None,
    "updated": 0.0,
    "queued": 0.0,
    "sendings": 1,
    "overwritten": 0.0,
    "redone_seconds": 0.0,
}
"""What becomes of a chunk later, taken out."""


def _cut(task: ChunkTask) -> ChunkTask:
    """Return a task as it was cut: a later run may pin the language of its windows."""
    return replace(task, run=1, windows=tuple(replace(window, language=None) for window in task.windows))


def _was_buried(deployment: Deployment, given_up: list[Chunk]) -> None:
    """Check that chunks were given up because their attempts were spent, and for no other reason."""
    dead = {decode(data, ChunkTask) for data in deployment.queue.contents(topics.DEAD_CHUNKS)}
    for chunk in given_up:
        assert chunk.reason == GIVEN_UP, f"a chunk was given up: {chunk.reason}"
        assert {chunk.task, replace(chunk.task, resent=True)} & dead, "a chunk was given up without a dead letter"


def _only_lacks(found: dict[str, object], given_up: list[Chunk], expected: Quiet) -> None:
    """Check that a transcript lacks what was given up, says so, and has all else.

    A later run that was given up leaves what the one before heard, though it may be in the wrong language.
    """
    missing = [chunk for chunk in given_up if chunk.result is None]
    lost = {chunk.task.index for chunk in missing}
    said = [
        word
        for chunk in expected.chunks
        if chunk.task.index not in lost and chunk.result is not None
        for window in chunk.result.windows
        for word in window.text.split()
    ]
    text, document = found["txt"], found["json"]
    assert isinstance(text, bytes)
    assert isinstance(document, dict)
    assert text.decode().lower().split() == said, "words are lost or doubled beside a missing chunk"
    told = [(one["start"], one["end"], one["reason"]) for one in document["coverage"] if one["kind"] == "missing"]
    ranges: list[tuple[int, int, str | None]] = []
    for chunk in missing:
        for window in chunk.task.windows:
            for span in window.spans:
                start = span.start
                if ranges and ranges[-1][1:] == (start, chunk.reason):
                    start = ranges.pop()[0]
                ranges.append((start, span.end, chunk.reason))
    assert told == [(seconds(start), seconds(end), reason) for start, end, reason in ranges], (
        "missing ranges are not named"
    )


def check_ended(deployment: Deployment) -> None:
    """Check that every upload has a job that ended, with a transcript or a reason."""
    for _, event in deployment.uploads:
        job = deployment.jobs.job(job_id(event))
        assert job.state.ended
        assert bool(job.transcripts) is (job.state is not JobState.FAILED)
        assert bool(job.reason) is (job.state is JobState.FAILED)
