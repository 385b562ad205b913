"""``longscribe rerun`` and ``dead-letters``: chunks of finished jobs once more."""

import os
import time
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from msgspec.structs import replace

from longscribe import wiring
from longscribe.cli import delivered, drawing
from longscribe.cli.common import BAD_INPUT, ENDS, FAILED, OK, PARTIAL, complain
from longscribe.cli.notices import Notices
from longscribe.cli.store import HOME, JOB, Directory, JobArgument, Json, Project, Store, answer, opened
from longscribe.cli.transcribe import CODES
from longscribe.core.transcript import Transcript
from longscribe.documents import Job, JobState
from longscribe.embedded import Embedded
from longscribe.errors import BadInput, Transient
from longscribe.follow import transcript
from longscribe.operating import ending
from longscribe.operating.dead_letters import DeadLetter
from longscribe.operating.dead_letters import dead_letters as letters_of
from longscribe.operating.ports import Operations, Worker
from longscribe.operating.rerunning import Rerun, model_of, refused, under_way
from longscribe.operating.rerunning import rerun as rerun_chunks
from longscribe.ports import Jobs
from longscribe.watching import Outcome, Work, watch

Wait = Annotated[bool, typer.Option("--wait", help="Where another process does the work: wait for it to be done.")]
Model = Annotated[str | None, typer.Option(help="The model to use; else the job's own.", show_default=False)]


class Ended(Rerun, frozen=True, kw_only=True):
    """What became of a rerun."""

    state: JobState  #: of the job; not ended where another process does the work
    worker: Worker | None  #: that process


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the jobs whose chunks were replayed."""

    jobs: tuple[Ended, ...]


class DeadLetters(msgspec.Struct, frozen=True, kw_only=True):
    """The chunks that were given up."""

    letters: tuple[DeadLetter, ...]


def rerun(
    job: JobArgument,
    chunk: Annotated[
        list[int] | None,
        typer.Option(help="A chunk's number, from 0; may be repeated. Else all.", show_default=False),
    ] = None,
    model: Model = None,
    wait: Wait = False,
    directory: Directory = None,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Transcribe a finished job, or some of its chunks, again; the older text stays until the new one is there.

    If nobody is at work here the model is loaded and the work done now; else, and on Google Cloud, it is queued.
    """
    with opened(directory, project) as store:
        ended, code = _again(store, store.find(job), chunk or [], model, wait)
    if as_json:
        answer(ended)
    else:
        _tell(ended)
    raise typer.Exit(code)


def dead_letters(
    job: Annotated[str | None, JOB] = None,
    replay: Annotated[bool, typer.Option("--replay", help="Transcribe them again, as rerun does.")] = False,
    wait: Wait = False,
    directory: Directory = None,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Show the chunks that were given up, of one job or of all, and with --replay try them again."""
    with opened(directory, project) as store:
        only = None if job is None else store.find(job).job_id
        letters = tuple(letters_of(store.operations, only))
        if not replay or not letters:
            _show(letters, replay, as_json)
            return
        ended = [_again(store, *one, None, wait) for one in _rerunnable(store, letters)]
    if as_json:
        answer(Replayed(jobs=tuple(one for one, _ in ended)))
    else:
        for one, _ in ended:
            _tell(one)
    raise typer.Exit(max((code for _, code in ended), key=(OK, PARTIAL, BAD_INPUT, FAILED).index, default=FAILED))


def _show(letters: tuple[DeadLetter, ...], replay: bool, as_json: bool) -> None:
    if not as_json:
        drawing.draw_letters(letters, drawing.screen())
    else:
        answer(Replayed(jobs=()) if replay else DeadLetters(letters=letters))


def _rerunnable(store: Store, letters: Iterable[DeadLetter]) -> Iterator[tuple[Job, list[int]]]:
    """Yield each job that can be rerun, and its chunks; say so of the others."""
    for job_id, group in groupby(letters, key=lambda letter: letter.job_id):
        job = store.operations.jobs.job(job_id)
        if job.state in (JobState.COMPLETE, JobState.PARTIAL) or under_way(job):
            yield job, [letter.chunk for letter in group]
        else:
            complain(f"Job {job_id} is {job.state}; its chunks are left as they are.")


def _again(store: Store, job: Job, chunks: list[int], model: str | None, wait: bool) -> tuple[Ended, int]:
    """Rerun chunks here or through who is at work; return what became of it, and the exit code."""
    ops = store.operations
    wanted = model_of(job, model, ops)
    worker = ops.worker()
    if worker is not None and worker.model not in (None, wanted):
        instead = "have them deployed with that model" if store.directory is None else "stop it first"
        raise BadInput(
            f"{worker.here} with the model {worker.model!r} and would refuse {wanted!r};"
            f" {instead}, or give --model {worker.model}."
        )
    if worker is None and store.directory is not None:
        begun, code = _here(ops, store.directory, job, chunks, wanted)
    else:
        begun = rerun_chunks(job, chunks, wanted, ops, wiring.media())
        code = _followed(store, job) if wait else OK
    state = ops.jobs.job(job.job_id).state
    return Ended(**msgspec.structs.asdict(begun), state=state, worker=worker), code


def _followed(store: Store, job: Job) -> int:
    """Wait until a job has ended; on Google Cloud its transcripts stay in their bucket."""
    ops = store.operations
    if store.directory is not None:
        return CODES[_watched(Elsewhere(ops), store.directory, job)]
    notices = Notices(ops)
    while not (found := ops.jobs.job(job.job_id)).state.ended:
        notices.look(found)
        time.sleep(store.poll_seconds)
    return ENDS[found.state]


def _here(ops: Operations, directory: Path, job: Job, chunks: list[int], model: str) -> tuple[Rerun, int]:
    """Load the model and work until the job has ended."""
    other = refused(job, model, ops)
    if other is not None:
        raise BadInput(
            f"Job {other.job_id} is not finished and asks for another model than {model!r}, so its chunks would be"
            " given up; finish or cancel it first."
        )
    settings = replace(job.settings, model=model)
    machine = wiring.machine(settings)
    with Embedded(directory / HOME, settings, machine) as work:
        begun = rerun_chunks(job, chunks, model, ops, machine.media)
        work.start()
        return begun, CODES[_watched(work, directory, job)]


def _watched(work: Work, directory: Path, job: Job) -> Outcome:
    """Follow a job to its end with a bar, and put its transcripts where they were."""
    try:
        (outcome,) = watch(work, {job.job_id: Path(job.recording.name)}, None)
    except KeyboardInterrupt:
        complain("Stopped; the same command goes on from here.")
        # As after `transcribe`: the model's batches cannot be interrupted, and everything done is stored.
        os._exit(FAILED)
    if outcome in (Outcome.COMPLETE, Outcome.PARTIAL):
        delivered.put(directory, job, work.transcript(job.job_id))
    return outcome


class Elsewhere:
    """Jobs that another process is at work on."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self.problems: list[str] = []

    @property
    def jobs(self) -> Jobs:
        """The documents."""
        return self._operations.jobs

    def check(self) -> None:
        """Raise `Transient` if nobody is at work any more."""
        if self._operations.worker() is None:
            raise Transient("Who was at work here has ended; the same command goes on from here.")

    def transcript(self, job_id: str) -> Transcript:
        """Return an ended job's transcript. Raises `BadInput` with the reason if there is none."""
        return transcript(self.jobs, job_id)

    def drop_audio(self, job_id: str) -> None:
        """Delete the audio of a job's chunks."""
        ending.drop(job_id, self._operations.blobs, self._operations.chunks_bucket)


def _tell(ended: Ended) -> None:
    count = f"{len(ended.chunks)} {'chunk' if len(ended.chunks) == 1 else 'chunks'}"
    what = f"{count} of {ended.name}" if ended.chunks else f"The rerun of {ended.name} that was under way"
    short = ended.job_id[: drawing.SHORT]
    if ended.state.ended:
        said = f"{what}: transcribed again with {ended.model}; longscribe diff {short} shows what changed."
    else:
        by = ended.worker.here if ended.worker is not None else "a worker comes within minutes"
        said = f"{what}: queued for {ended.model}, {by}; longscribe watch {short} follows it."
    drawing.screen().print(drawing.text(said), soft_wrap=True)
