"""The options that say how a recording is to be transcribed, as all commands that transcribe take them."""

from typing import Annotated

import typer

from longscribe.cli.common import listed
from longscribe.core.settings import COMPUTE_TYPES, FORMATS, Settings

Language = Annotated[str | None, typer.Option(help="The language spoken, such as en; else it is detected.")]
Vocabulary = Annotated[str, typer.Option(help="Names and terms to listen for, separated by commas.")]
Formats = Annotated[str, typer.Option(help="What to write.")]
Model = Annotated[str, typer.Option(help="A Whisper model's name, or a directory.")]
ComputeType = Annotated[str, typer.Option(help=f"One of {', '.join(COMPUTE_TYPES)}.")]
WordTimes = Annotated[bool, typer.Option("--word-times", help="Write each word's times into the JSON.")]
ChunkLength = Annotated[float, typer.Option(help="Seconds of speech in one unit of work.")]

ALL_FORMATS = ",".join(FORMATS)
DEFAULT = Settings()


def chosen(
    language: str | None,
    vocabulary: str,
    formats: str,
    model: str,
    compute_type: str,
    word_times: bool,
    chunk_length: float,
) -> Settings:
    """Return the settings that these options stand for. Raises `BadInput`."""
    return Settings(
        language=None if language == "auto" else language,
        vocabulary=listed(vocabulary),
        formats=listed(formats),
        model=model,
        compute_type=compute_type,
        word_times=word_times,
        chunk_seconds=chunk_length,
    ).checked()
