"""What every command shares: exit codes, complaints, lists."""

import json

import msgspec
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


def json_text(value: object, indent: int = 2) -> str:
    """Return JSON for a program to read, in which whatever could steer a terminal is escaped."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=indent).decode()
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)


def complain(sentence: str) -> None:
    """Write one sentence to stderr."""
    typer.echo(f"longscribe: {printable(sentence)}", err=True)
