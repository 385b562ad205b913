"""What the operator's commands share: the store they look into, the job they are given, and how they answer."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from longscribe import wiring
from longscribe.cli.common import complain, json_text
from longscribe.documents import Job
from longscribe.errors import BadInput, LongscribeError
from longscribe.operating.doctor import Check
from longscribe.operating.finding import find
from longscribe.operating.ports import Operations, readable
from longscribe.watching import printable

HOME = ".longscribe"
"""Where `transcribe` and `serve` keep their state, inside the directory they were given."""


@dataclass(frozen=True)
class Store:
    """A store, opened beside whoever works in it."""

    operations: Operations
    directory: Path | None = None  #: of an embedded store; None on Google Cloud
    checks: Sequence[Check] = field(default=())  #: the doctor's, of what the store alone is made of

    @property
    def poll_seconds(self) -> float:
        """How long to wait between two looks: in the cloud each is paid for."""
        return 3.0 if self.directory is None else 0.5

    def find(self, text: str) -> Job:
        """Return the job that is meant; say so on stderr where there was a choice. Raises `BadInput`."""
        found = find(self.operations.jobs, text)
        if found.remark is not None:
            complain(found.remark)
        return found.job


@contextmanager
def opened(directory: Path | None, project: str | None) -> Iterator[Store]:
    """Open the store of ``directory``, or of the deployment in ``project``. Raises `BadInput` if there is none."""
    chosen = cloud(directory, project)
    if chosen is not None:
        yield _deployed(chosen)
        return
    directory = directory or Path()
    home = directory / HOME
    if not home.is_dir():
        raise BadInput(
            f"{directory} holds no {HOME}; name the directory that transcripts went to,"
            " or that is served, with --dir."
        )
    stores = wiring.local_stores(home)
    try:
        yield Store(wiring.local_operations(home, stores), directory)
    finally:
        stores.close()


def cloud(directory: Path | None, project: str | None) -> str | None:
    """Return the Google Cloud project whose deployment is meant; None for an embedded store. Raises `BadInput`."""
    if directory is None:
        return wiring.cloud_project(project)
    if project is not None:
        raise BadInput("Give --dir for a directory, or --project for Google Cloud, not both.")
    return None


def _deployed(project: str) -> Store:
    try:
        from longscribe import wiring_cloud
    except ImportError:  # only then is it known whether they are there
        raise BadInput(
            f"Project {project!r} takes Google Cloud's packages: run make operator in its clone."
        ) from None
    operations, checks = wiring_cloud.operating(project)
    return Store(operations, checks=checks)


def completed(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the jobs that a shell may put in the place of ``incomplete``, each with its recording's name."""
    try:
        with opened(_path(context.params.get("directory")), context.params.get("project")) as store:
            jobs = [(job.job_id, readable(job.recording.name)) for job in store.operations.jobs.jobs()]
    except LongscribeError:
        return []
    named = [
        (name, job_id) for job_id, name in jobs if incomplete and name.startswith(incomplete) and name.isprintable()
    ]
    return named or [(job_id, printable(name)) for job_id, name in jobs if job_id.startswith(incomplete)]


def _path(given: object) -> Path | None:
    return Path(str(given)) if given else None


def answer(value: object) -> None:
    """Write a value as JSON to stdout, for a program."""
    sys.stdout.write(f"{json_text(value)}\n")


JOB = typer.Argument(
    metavar="JOB",
    help="A job's id, its first characters, or its recording's name.",
    autocompletion=completed,
    show_default=False,
)
JobArgument = Annotated[str, JOB]
Directory = Annotated[
    Path | None,
    typer.Option(
        "--dir",
        help="The directory that transcripts went to, or that is served; state is in it.",
        show_default=".",
    ),
]
Project = Annotated[
    str | None,
    typer.Option(
        help="The Google Cloud project that longscribe is deployed in, in place of --dir.", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Write JSON, for a program.")]
