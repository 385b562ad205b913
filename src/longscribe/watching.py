"""What a person sees while recordings are transcribed, and the transcripts put where they asked for them."""

import contextlib
import errno
import os
import time
from collections.abc import Mapping
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from longscribe.core.ids import digest
from longscribe.core.limits import SAMPLE_RATE
from longscribe.core.rendering import render
from longscribe.core.transcript import Kind, Status, Transcript
from longscribe.documents import JobState
from longscribe.errors import BadInput, Gone, NoSpace
from longscribe.follow import Follower, View
from longscribe.ports import Jobs

POLL_SECONDS = 0.5


class Outcome(Enum):
    """What a recording ended as."""

    COMPLETE = auto()
    PARTIAL = auto()  #: something is missing, and was named
    REFUSED = auto()  #: bad input: nothing was written
    CANCELLED = auto()  #: or deleted, by somebody else: nothing was written


class Work(Protocol):
    """Jobs that somebody is at work on: `Embedded`, or another process."""

    problems: list[str]  #: what went wrong on the way and was tried again

    @property
    def jobs(self) -> Jobs:
        """The documents."""
        ...

    def check(self) -> None:
        """Raise what ended the work, if something did."""
        ...

    def transcript(self, job_id: str) -> Transcript:
        """Return an ended job's transcript. Raises `BadInput` with the reason if there is none."""
        ...

    def drop_audio(self, job_id: str) -> None:
        """Delete the audio of a job's chunks."""
        ...


def printable(text: str) -> str:
    """Return ``text`` fit for a terminal: whatever could steer one is spelled out."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def watch(work: Work, jobs: Mapping[str, Path], out: Path | None) -> list[Outcome]:
    """Show the progress of ``jobs`` (id → recording) until all have ended; write transcripts into ``out``, if any.

    Raises what ended a stage of ``work``.
    """
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[minutes]}"),
        TextColumn("{task.fields[speed]}"),
        TextColumn("{task.fields[left]}"),
        console=console,
        disable=not console.is_terminal,
    )
    with bars:
        watched = [_Watched(work, job_id, path, bars) for job_id, path in jobs.items()]
        outcomes: dict[_Watched, Outcome] = {}
        while True:
            for each in watched:
                if each not in outcomes and each.look():
                    outcomes[each] = each.finish(out, console)
            if len(outcomes) == len(watched):
                break
            work.check()
            time.sleep(POLL_SECONDS)
    for problem in dict.fromkeys(work.problems):
        console.print(f"Tried again after: {escape(printable(problem))}", style="yellow")
    return [outcomes[each] for each in watched]


class _Watched:
    """One job and its bar."""

    def __init__(self, work: Work, job_id: str, path: Path, bars: Progress) -> None:
        self._work = work
        self._job_id = job_id
        self._path = path
        self._bars = bars
        self._follower = Follower(work.jobs, job_id)
        self._bar: TaskID = bars.add_task(escape(printable(path.name)), total=None, minutes="", speed="", left="")
        self._began = time.monotonic()
        self._state: JobState | None = None
        self._before: int | None = None  # samples that were done when this process began

    def look(self) -> bool:
        """Draw how far the job is; return whether it has ended."""
        try:
            view = self._follower.look()
        except Gone:
            return True
        if self._before is None:
            self._before = view.progress.done_samples
        self._draw(view)
        self._state = view.job.state
        return view.job.state.ended

    def _draw(self, view: View) -> None:
        done, known = view.progress.done_samples, view.progress.known_samples
        elapsed = time.monotonic() - self._began
        speed = (done - (self._before or 0)) / SAMPLE_RATE / elapsed
        left = (known - done) / SAMPLE_RATE / speed if speed else None
        self._bars.update(
            self._bar,
            total=known or None,
            completed=done,
            minutes=f"{_minutes(done)}/{_minutes(known)} min",
            speed=f"{speed:.1f}×" if speed else "",
            left="" if left is None else f"{left / 60:.0f} min left" if left > 90 else f"{left:.0f} s left",
        )

    def finish(self, out: Path | None, console: Console) -> Outcome:
        """Write the transcript and say what became of the recording."""
        name = escape(printable(self._path.name))
        try:
            transcript = self._work.transcript(self._job_id)
        except (BadInput, Gone) as error:
            console.print(f"[red]{name}[/]: {escape(printable(str(error)))}")
            return Outcome.REFUSED if self._state is JobState.FAILED else Outcome.CANCELLED
        self._work.drop_audio(self._job_id)
        written = []
        if out is not None:
            written = [f"{self._path.stem}.{kind}" for kind in transcript.settings.formats]
            for kind, file in zip(transcript.settings.formats, written, strict=True):
                write_whole(out / file, render(transcript, kind))
        took = time.monotonic() - self._began
        console.print(
            f"[green]{name}[/]: {transcript.duration / 60:.1f} min in {took / 60:.1f} min"
            f"{' → ' if written else ''}{escape(printable(', '.join(written)))}"
        )
        _tell_unused(transcript, name, console)
        return _told(transcript, name, console)


def _tell_unused(transcript: Transcript, name: str, console: Console) -> None:
    """Name the terms that the model was not given."""
    if unused := transcript.unused_vocabulary:
        console.print(
            f"[yellow]{name}[/]: {len(unused)} of the {len(transcript.settings.vocabulary)} terms of the vocabulary"
            " found no room in the model's prompt; shorten the list, or put what matters first. They are:"
            f" {escape(printable(', '.join(unused)))}"
        )


def _told(transcript: Transcript, name: str, console: Console) -> Outcome:
    """Name what is missing."""
    if transcript.status is Status.COMPLETE:
        return Outcome.COMPLETE
    for part in transcript.coverage:
        if part.kind is Kind.MISSING:
            console.print(
                f"[yellow]{name}[/]: missing {part.start:.1f} s to {part.end:.1f} s: {escape(part.reason or '')}"
            )
    return Outcome.PARTIAL


def _minutes(samples: int) -> str:
    return f"{samples / SAMPLE_RATE / 60:.1f}"


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all. Raises `NoSpace`, or `BadInput` where it cannot be written."""
    try:
        put_whole(path, data)
    except OSError as error:
        if error.errno in FULL:
            raise NoSpace(f"The disk of {path.parent} is full; make room and run the same command again.") from None
        raise BadInput(f"{path} cannot be written ({error.strerror}); choose another --out.") from None


FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""How a full disk, a quota or a file size limit shows."""


def put_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, and put it on the disk. Raises `OSError`."""
    # Named after its target, so that the next try writes over what a kill left; and never too long.
    partial = path.with_name(f".longscribe-{digest(path.name)}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
