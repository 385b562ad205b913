"""``longscribe transcribe``: recordings into transcripts, here and now."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from longscribe import wiring
from longscribe.cli.common import BAD_INPUT, FAILED, OK, PARTIAL, complain
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
from longscribe.cli.store import HOME
from longscribe.embedded import Embedded, checked
from longscribe.errors import BadInput
from longscribe.watching import Outcome, watch


def transcribe(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Recordings: audio or video, any length.")],
    out: Annotated[
        Path, typer.Option(help="Where the transcripts go; state is kept in .longscribe there.")
    ] = Path(),
    language: Language = None,
    vocabulary: Vocabulary = "",
    formats: Formats = ALL_FORMATS,
    model: Model = DEFAULT.model,
    compute_type: ComputeType = "auto",
    word_times: WordTimes = False,
    chunk_length: ChunkLength = DEFAULT.chunk_seconds,
    force: Annotated[bool, typer.Option("--force", help="Transcribe afresh what is already transcribed.")] = False,
) -> None:
    """Transcribe recordings on this machine: NAME.txt, .srt, .vtt and .json for each.

    Interrupted, the same command goes on where it stopped.
    """
    settings = chosen(language, vocabulary, formats, model, compute_type, word_times, chunk_length)
    for path in files:
        checked(path)
    _check_names(files, out, settings.formats)
    machine = wiring.machine(settings)
    with Embedded(out / HOME, settings, machine) as work:
        jobs = {work.submit(path, afresh=force): path for path in files}
        work.start()
        try:
            outcomes = watch(work, jobs, out)
        except KeyboardInterrupt:
            complain("Stopped; the same command goes on from here.")
            # The model's batches cannot be interrupted, and everything done is stored: leave as a kill would.
            os._exit(FAILED)
    raise typer.Exit(max((CODES[outcome] for outcome in outcomes), key=(OK, PARTIAL, FAILED, BAD_INPUT).index))


CODES = {
    Outcome.COMPLETE: OK,
    Outcome.PARTIAL: PARTIAL,
    Outcome.REFUSED: BAD_INPUT,
    Outcome.CANCELLED: FAILED,
}


LONGEST_NAME = 255
"""Bytes that file systems take for a name."""


def _check_names(files: Sequence[Path], out: Path, formats: Sequence[str]) -> None:
    """Raise `BadInput` for recordings that would write one transcript, or over one, or under too long a name."""
    first: dict[str, Path] = {}
    recordings = {path.resolve() for path in files}
    for path in files:
        for kind in formats:
            name = f"{path.stem}.{kind}"
            if len(os.fsencode(name)) > LONGEST_NAME:
                raise BadInput(f"{path} has too long a name for its transcripts; give it a shorter one.")
            if (out / name).resolve() in recordings:
                raise BadInput(f"The transcript {name} would be written over a recording; give another --out.")
        other = first.setdefault(path.stem, path)
        if other is not path:
            raise BadInput(
                f"{other} and {path} would both write {path.stem}.*; transcribe them with different --out."
            )
