"""``longscribe doctor``: whether all is well, and what to mend."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from longscribe import wiring
from longscribe.adapters.checks import home_checks, machine_checks
from longscribe.cli import drawing
from longscribe.cli.common import FAILED
from longscribe.cli.store import HOME, Directory, Json, answer, opened
from longscribe.core.settings import Settings
from longscribe.errors import LongscribeError
from longscribe.operating.doctor import Check, Verdict, diagnose, store_checks


def doctor(
    directory: Directory = Path(),
    model: Annotated[str, typer.Option(help="The model to look for.")] = Settings().model,
    as_json: Json = False,
) -> None:
    """Check this machine and the store: what is installed, the model, the disk, the queue, stuck jobs.

    Each check is ok, warn or fail, with what to mend. Exits with 1 if one fails.
    """
    checks = machine_checks(model, wiring.models())
    with ExitStack() as stack:
        report = diagnose([*checks, *_of_store(directory, stack)])
    if as_json:
        answer(report)
    else:
        drawing.draw_findings(report.findings, drawing.screen())
    if report.verdict is Verdict.FAIL:
        raise typer.Exit(FAILED)


def _of_store(directory: Path, stack: ExitStack) -> list[Check]:
    home = directory / HOME
    if not home.is_dir():
        return [("store", lambda: (Verdict.OK, f"nothing was transcribed in {directory} so far", None))]
    try:
        store = stack.enter_context(opened(directory))
    except LongscribeError as error:
        sentence = str(error).rstrip(".")
        return [*home_checks(home), ("store", lambda: (Verdict.FAIL, sentence, None))]
    return [*home_checks(home), *store_checks(store.operations)]
