"""``longscribe seek-preview``: what a replay on Google Cloud would run again, told before it is begun."""

from datetime import datetime
from typing import Annotated

import msgspec
import typer

from longscribe.cli import drawing
from longscribe.cli.store import Json, Project, answer, cloud, opened
from longscribe.core import topics
from longscribe.core.transcript import seconds
from longscribe.errors import BadInput
from longscribe.stages.replaying import replay


class SeekPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What a seek to a moment would run again."""

    since: float  #: seconds since 1970
    chunks: int
    jobs: int  #: whose chunks they are
    speech_seconds: float  #: in these chunks
    commands: tuple[str, ...]  #: that seek, one for each subscription of chunks


def seek_preview(
    since: Annotated[
        str,
        typer.Option(metavar="TIME", help="The moment, such as 2026-11-26T08:00; local time if no zone is given."),
    ],
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Tell how many chunks a seek would run again, of how many jobs, and the commands that seek; change nothing."""
    try:
        moment = datetime.fromisoformat(since).astimezone()
    except ValueError:
        raise BadInput(f"{since!r} is no moment; give one such as 2026-11-26T08:00.") from None
    chosen = cloud(None, project)
    if chosen is None:
        raise BadInput("Only Google Cloud's queue can be sought; give --project, or use rerun on this machine.")
    with opened(None, chosen) as store:
        found = replay(store.operations.jobs, moment.timestamp())
    preview = SeekPreview(
        since=moment.timestamp(),
        chunks=found.chunks,
        jobs=found.jobs,
        speech_seconds=seconds(found.speech),
        commands=tuple(
            f"gcloud pubsub subscriptions seek {name} --time={moment.isoformat()} --project={chosen}"
            for name in (topics.CHUNKS_HIGH, topics.CHUNKS_LOW)
        ),
    )
    if as_json:
        answer(preview)
        return
    screen = drawing.screen()
    speech = drawing.clock(preview.speech_seconds)
    said = f"{found.chunks} chunks of {found.jobs} jobs, with {speech} of speech, would be run again. To do so:"
    for line in (said, *preview.commands):
        screen.print(drawing.text(line), soft_wrap=True)
