"""What every command shares: exit codes, complaints, lists."""

import typer

from longscribe.documents import JobState
from longscribe.watching import printable

OK, FAILED, BAD_INPUT, PARTIAL = 0, 1, 2, 3
"""Exit codes: complete; anything else; wrong usage or bad input, nothing written; something is missing."""


ENDS = {
    JobState.COMPLETE: OK,
    JobState.PARTIAL: PARTIAL,
    JobState.FAILED: BAD_INPUT,
    JobState.CANCELLED: FAILED,
}
"""The exit code of a command that followed a job to its end."""


def listed(text: str) -> tuple[str, ...]:
    """Return the parts of a list separated by commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def complain(sentence: str) -> None:
    """Write one sentence to stderr."""
    typer.echo(f"longscribe: {printable(sentence)}", err=True)
