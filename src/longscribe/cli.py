"""The ``longscribe`` command."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from longscribe import __version__, wiring
from longscribe.core.settings import COMPUTE_TYPES, FORMATS, Settings
from longscribe.embedded import Embedded, checked
from longscribe.errors import BadInput, LongscribeError, NoSpace
from longscribe.watching import Outcome, printable, watch

OK, FAILED, BAD_INPUT, PARTIAL = 0, 1, 2, 3
"""Exit codes: complete; anything else; wrong usage or bad input, nothing written; something is missing."""

app = typer.Typer(
    help="Hours-long recordings into complete, ordered, timed transcripts.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def main() -> NoReturn:
    """Run the command line."""
    try:
        app(standalone_mode=True)
    except LongscribeError as error:
        _complain(str(error))
        sys.exit(BAD_INPUT if isinstance(error, BadInput | NoSpace) else FAILED)
    sys.exit(OK)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"longscribe {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    _: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    pass


@app.command(epilog="Example: longscribe transcribe interview.m4a --language en --out transcripts")
def transcribe(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Recordings: audio or video, any length.")],
    out: Annotated[
        Path, typer.Option(help="Where the transcripts go; state is kept in .longscribe there.")
    ] = Path(),
    language: Annotated[
        str | None, typer.Option(help="The language spoken, such as en; else it is detected.")
    ] = None,
    vocabulary: Annotated[str, typer.Option(help="Names and terms to listen for, separated by commas.")] = "",
    formats: Annotated[str, typer.Option(help="What to write.")] = ",".join(FORMATS),
    model: Annotated[str, typer.Option(help="A Whisper model's name, or a directory.")] = Settings().model,
    compute_type: Annotated[str, typer.Option(help=f"One of {', '.join(COMPUTE_TYPES)}.")] = "auto",
    word_times: Annotated[
        bool, typer.Option("--word-times", help="Write each word's times into the JSON.")
    ] = False,
    chunk_length: Annotated[
        float, typer.Option(help="Seconds of speech in one unit of work.")
    ] = Settings().chunk_seconds,
    force: Annotated[bool, typer.Option("--force", help="Transcribe afresh what is already transcribed.")] = False,
) -> None:
    """Transcribe recordings on this machine: NAME.txt, .srt, .vtt and .json for each.

    Interrupted, the same command goes on where it stopped.
    """
    settings = Settings(
        language=None if language == "auto" else language,
        vocabulary=_listed(vocabulary),
        formats=_listed(formats),
        model=model,
        compute_type=compute_type,
        word_times=word_times,
        chunk_seconds=chunk_length,
    ).checked()
    for path in files:
        checked(path)
    _check_names(files)
    machine = wiring.machine(settings)
    with Embedded(out / ".longscribe", settings, machine) as work:
        jobs = {work.submit(path, afresh=force): path for path in files}
        work.start()
        try:
            outcomes = watch(work, jobs, out)
        except KeyboardInterrupt:
            _complain("Stopped; the same command goes on from here.")
            # The model's batches cannot be interrupted, and everything done is stored: leave as a kill would.
            os._exit(FAILED)
    raise typer.Exit(max((_CODES[outcome] for outcome in outcomes), key=(OK, PARTIAL, BAD_INPUT).index))


_CODES = {Outcome.COMPLETE: OK, Outcome.PARTIAL: PARTIAL, Outcome.REFUSED: BAD_INPUT}


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _check_names(files: Sequence[Path]) -> None:
    """Raise `BadInput` if two recordings would write the same transcript."""
    first: dict[str, Path] = {}
    for path in files:
        other = first.setdefault(path.stem, path)
        if other is not path:
            raise BadInput(
                f"{other} and {path} would both write {path.stem}.*; transcribe them with different --out."
            )


def _complain(sentence: str) -> None:
    typer.echo(f"longscribe: {printable(sentence)}", err=True)
