"""What the operator's commands share: the store they look into, the job they are given, and how they answer."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from longscribe import wiring
from longscribe.cli.common import complain
from longscribe.documents import Job
from longscribe.errors import BadInput, LongscribeError
from longscribe.operating.finding import find
from longscribe.operating.ports import Operations, readable

HOME = ".longscribe"
"""Where `transcribe` and `serve` keep their state, inside the directory they were given."""


@dataclass(frozen=True)
class Store:
    """An embedded store, opened beside whoever works in it."""

    directory: Path
    operations: Operations

    @property
    def home(self) -> Path:
        """Where the state lies."""
        return self.directory / HOME

    def find(self, text: str) -> Job:
        """Return the job that is meant; say so on stderr where there was a choice. Raises `BadInput`."""
        found = find(self.operations.jobs, text)
        if found.remark is not None:
            complain(found.remark)
        return found.job


@contextmanager
def opened(directory: Path) -> Iterator[Store]:
    """Open the store of ``directory``. Raises `BadInput` if there is none."""
    home = directory / HOME
    if not home.is_dir():
        raise BadInput(
            f"{directory} holds no {HOME}; name the directory that transcripts went to,"
            " or that is served, with --dir."
        )
    stores = wiring.local_stores(home)
    try:
        yield Store(directory, wiring.local_operations(home, stores))
    finally:
        stores.close()


def completed(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the jobs that a shell may put in the place of ``incomplete``, each with its recording's name."""
    try:
        with opened(Path(context.params.get("directory") or ".")) as store:
            jobs = [(job.job_id, readable(job.recording.name)) for job in store.operations.jobs.jobs()]
    except LongscribeError:
        return []
    named = [(name, job_id) for job_id, name in jobs if incomplete and name.startswith(incomplete)]
    return named or [(job_id, name) for job_id, name in jobs if job_id.startswith(incomplete)]


def answer(value: object) -> None:
    """Write a value as JSON to stdout, for a program."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


JOB = typer.Argument(
    metavar="JOB",
    help="A job's id, its first characters, or its recording's name.",
    autocompletion=completed,
    show_default=False,
)
JobArgument = Annotated[str, JOB]
Directory = Annotated[
    Path,
    typer.Option("--dir", help="The directory that transcripts went to, or that is served; state is in it."),
]
Json = Annotated[bool, typer.Option("--json", help="Write JSON, for a program.")]
