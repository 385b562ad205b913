"""The ``longscribe`` command: one module for each kind of work."""

import sys
from typing import Annotated, NoReturn

import typer

from longscribe import __version__
from longscribe.cli.account import plan, receipt
from longscribe.cli.common import BAD_INPUT, FAILED, OK, complain
from longscribe.cli.doctor import doctor
from longscribe.cli.operate import cancel, delete, diff, status, watch
from longscribe.cli.rerun import dead_letters, rerun
from longscribe.cli.seek_preview import seek_preview
from longscribe.cli.serve import serve
from longscribe.cli.transcribe import transcribe
from longscribe.errors import BadInput, LongscribeError, NoSpace

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
        complain(str(error))
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


app.command(epilog="Example: longscribe transcribe interview.m4a --language en --out transcripts")(transcribe)
app.command(epilog="Example: longscribe serve /srv/recordings --language en")(serve)
app.command(epilog="Example: longscribe status interview.m4a --dir transcripts")(status)
app.command(epilog="Example: longscribe watch interview.m4a --dir transcripts")(watch)
app.command(epilog="Example: longscribe rerun interview.m4a --chunk 3 --model small --dir transcripts")(rerun)
app.command(epilog="Example: longscribe diff interview.m4a --dir transcripts")(diff)
app.command(epilog="Example: longscribe cancel interview.m4a --dir transcripts")(cancel)
app.command(epilog="Example: longscribe delete interview.m4a --dir transcripts --yes")(delete)
app.command(epilog="Example: longscribe dead-letters --replay --dir transcripts")(dead_letters)
app.command(epilog="Example: longscribe plan interview.m4a --gpus 6 --gpu t4")(plan)
app.command(epilog="Example: longscribe receipt interview.m4a --dir transcripts")(receipt)
app.command(epilog="Example: longscribe doctor --dir transcripts")(doctor)
app.command(epilog="Example: longscribe seek-preview --since 2026-11-26T08:00 --project my-project")(seek_preview)
