"""``longscribe serve``: a watched folder."""

import os
import signal
from pathlib import Path
from typing import Annotated

import typer

from longscribe import serving, wiring
from longscribe.cli.common import OK
from longscribe.cli.settings import (
    ALL_FORMATS,
    DEFAULT,
    ChunkLength,
    ComputeType,
    Formats,
    Language,
    Model,
    Vocabulary,
    WordTimes,
    chosen,
)
from longscribe.watching import printable


def serve(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Made if need be; state is kept in .longscribe there.")
    ],
    language: Language = None,
    vocabulary: Vocabulary = "",
    formats: Formats = ALL_FORMATS,
    model: Model = DEFAULT.model,
    compute_type: ComputeType = "auto",
    word_times: WordTimes = False,
    chunk_length: ChunkLength = DEFAULT.chunk_seconds,
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
    settings = chosen(language, vocabulary, formats, model, compute_type, word_times, chunk_length)
    machine = wiring.machine(settings)
    _say(f"watching {folder / 'uploads'}")
    serving.serve(folder, settings, machine, settle, _say)


def _say(line: str) -> None:
    typer.echo(printable(line), err=True)


def _stop(*_: object) -> None:
    # The model's batches cannot be interrupted, and everything done is stored: leave as a kill would.
    os.write(2, b"longscribe: Stopped; started again, the work goes on from here.\n")  # the stream may be in use
    os._exit(OK)
