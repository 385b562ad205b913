"""``longscribe serve``: a watched folder."""

import os
import signal
from pathlib import Path
from typing import Annotated

import typer

from longscribe import serving, wiring
from longscribe.cli.common import OK, listed
from longscribe.core.settings import COMPUTE_TYPES, FORMATS, Settings
from longscribe.watching import printable


def serve(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Made if need be; state is kept in .longscribe there.")
    ],
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
    settle: Annotated[
        float, typer.Option(min=0.0, help="Seconds a file must have been as it is before it is taken.")
    ] = serving.SETTLE_SECONDS,
) -> None:
    """Transcribe whatever is dropped into DIR/uploads, into DIR/transcripts, until stopped.

    The options are for recordings without settings of their own, which for talk.m4a stand beside it in the file
    talk.m4a.settings.json, put there first.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    settings = Settings(
        language=None if language == "auto" else language,
        vocabulary=listed(vocabulary),
        formats=listed(formats),
        model=model,
        compute_type=compute_type,
        word_times=word_times,
        chunk_seconds=chunk_length,
    ).checked()
    machine = wiring.machine(settings)
    _say(f"watching {folder / 'uploads'}")
    serving.serve(folder, settings, machine, settle, _say)


def _say(line: str) -> None:
    typer.echo(printable(line), err=True)


def _stop(*_: object) -> None:
    # The model's batches cannot be interrupted, and everything done is stored: leave as a kill would.
    os.write(2, b"longscribe: Stopped; started again, the work goes on from here.\n")  # the stream may be in use
    os._exit(OK)
