"""The operator's commands on jobs: look at them, follow them, end them, see what was given up and what changed."""

import sys
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from longscribe.cli import delivered, drawing
from longscribe.cli.common import ENDS, complain, json_text
from longscribe.cli.notices import Notices
from longscribe.cli.store import JOB, Directory, JobArgument, Json, Project, answer, opened
from longscribe.core.transcript import Segment
from longscribe.documents import Job, JobState
from longscribe.errors import BadInput
from longscribe.follow import Follower
from longscribe.operating import ending
from longscribe.operating.comparing import compare
from longscribe.operating.ports import readable
from longscribe.operating.status import overview
from longscribe.operating.status import status as status_of
from longscribe.watching import printable


class WatchedSegment(msgspec.Struct, frozen=True, kw_only=True):
    """One line of ``watch --json``."""

    start: float  #: seconds from the start of the recording
    end: float  #: seconds
    text: str
    confidence: float  #: 0 to 1


class WatchedEnd(msgspec.Struct, frozen=True, kw_only=True):
    """The last line of ``watch --json``."""

    job_id: str
    state: JobState
    reason: str | None  #: why it failed or was cancelled


def status(
    job: Annotated[str | None, JOB] = None,
    directory: Directory = None,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Show all jobs, or everything about one: how far, how fast, what is waited for, what is missing.

    The speed is the recording time done in the last five minutes, or since the work began.
    """
    with opened(directory, project) as store:
        if job is None:
            all_jobs = overview(store.operations)
            if as_json:
                answer(all_jobs)
            else:
                drawing.draw_overview(all_jobs, drawing.screen())
            return
        one = status_of(store.find(job), store.operations)
        if as_json:
            answer(one)
        else:
            drawing.draw_status(one, drawing.screen())


def watch(job: JobArgument, directory: Directory = None, project: Project = None, as_json: Json = False) -> None:
    """Print a job's text in order, each sentence as soon as it is final, until the job ends."""
    with opened(directory, project) as store:
        found = store.find(job)
        follower = Follower(store.operations.jobs, found.job_id)
        notices = Notices(store.operations)
        while True:
            view = follower.look()
            for segment in view.segments:
                _say(segment, as_json)
            if view.job.state.ended:
                break
            notices.look(view.job)
            time.sleep(store.poll_seconds)
    _end(view.job, as_json)


def _say(segment: Segment, as_json: bool) -> None:
    if as_json:
        line = WatchedSegment(
            start=segment.start, end=segment.end, text=segment.text, confidence=segment.confidence
        )
        _line(json_text(line, indent=-1))
    else:
        _line(f"{drawing.clock(segment.start)}  {printable(segment.text)}")


def _line(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _end(job: Job, as_json: bool) -> None:
    if as_json:
        end = WatchedEnd(job_id=job.job_id, state=job.state, reason=job.reason)
        _line(json_text(end, indent=-1))
    if job.reason is not None:
        complain(job.reason)
    raise typer.Exit(ENDS[job.state])


def cancel(job: JobArgument, directory: Directory = None, project: Project = None, as_json: Json = False) -> None:
    """End an unfinished job: its chunks are dropped unrun. A rerun is taken back, its older text stays."""
    with opened(directory, project) as store:
        done = ending.cancel(store.find(job), store.operations)
    if as_json:
        answer(done)
        return
    dropped = "1 chunk" if done.dropped == 1 else f"{done.dropped} chunks"
    drawing.screen().print(drawing.text(f"{done.name} is {done.state}; {dropped} dropped unrun."), soft_wrap=True)


def delete(
    job: JobArgument,
    directory: Directory = None,
    project: Project = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete a job: its upload, chunks, documents and transcripts. A recording given by its path is kept."""
    with opened(directory, project) as store:
        found = store.find(job)
        if not yes:
            _ask(found)
        beside = store.directory
        files = [] if beside is None else list(delivered.unchanged(beside, found, store.operations))
        done = ending.delete(found, store.operations)
        for path in files:
            path.unlink(missing_ok=True)
        done = msgspec.structs.replace(done, files=tuple(readable(str(path)) for path in files))
        kept = [] if beside is None else _kept(beside, found)
        count = len(done.transcripts if beside is None else files)
    if as_json:
        answer(done)
        return
    screen = drawing.screen()
    screen.print(drawing.text(f"{done.name} is deleted: {done.chunks} chunks, {count} transcripts."))
    for path in kept:
        screen.print(drawing.text(f"{path} is not as it was written for this job, and is kept."), soft_wrap=True)
    if not done.upload:
        screen.print(drawing.text(f"The recording in {found.recording.bucket} is kept."), soft_wrap=True)


def _ask(job: Job) -> None:
    if not sys.stdin.isatty():
        raise BadInput("Deleting is not undone; give --yes to delete without being asked.")
    what = f"Delete {printable(job.recording.name)} ({job.state}): chunks, documents and transcripts?"
    typer.confirm(what, abort=True, err=True)


def _kept(directory: Path, job: Job) -> list[Path]:
    """Return what is left where the job's transcripts were put, if it had any."""
    return [path for path in delivered.files(directory, job).values() if path.exists() and job.transcripts]


def diff(job: JobArgument, directory: Directory = None, project: Project = None, as_json: Json = False) -> None:
    """Show what the last rerun of a job changed, word for word."""
    with opened(directory, project) as store:
        found = compare(store.find(job), store.operations)
    if as_json:
        answer(found)
    else:
        drawing.draw_comparison(found, drawing.screen())
