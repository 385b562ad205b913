"""The ``longscribe`` command: one module for each kind of work."""

import sys
from typing import Annotated, NoReturn

import typer

from longscribe import __version__
from longscribe.cli.common import BAD_INPUT, FAILED, OK, complain
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
