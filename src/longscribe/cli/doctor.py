"""``longscribe doctor``: whether all is well, and what to mend."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from longscribe import wiring
from longscribe.adapters.checks import home_checks, light_checks, machine_checks
from longscribe.cli import drawing
from longscribe.cli.common import FAILED
from longscribe.cli.store import HOME, Directory, Json, Project, answer, cloud, opened
from longscribe.core.settings import Settings
from longscribe.errors import LongscribeError
from longscribe.operating.doctor import Check, Verdict, diagnose, store_checks


def doctor(
    directory: Directory = None,
    project: Project = None,
    model: Annotated[str, typer.Option(help="The model to look for.")] = Settings().model,
    as_json: Json = False,
) -> None:
    """Check this machine and the store: what is installed, the model, the disk, the queue, stuck jobs.

    Each check is ok, warn or fail, with what to mend. Exits with 1 if one fails.
    """
    with ExitStack() as stack:
        chosen = cloud(directory, project)
        if chosen is None:
            checks = [*machine_checks(model, wiring.models()), *_of_store(directory or Path(), stack)]
        else:
            checks = [*light_checks(), *_of_deployment(chosen, stack)]
        report = diagnose(checks)
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
        store = stack.enter_context(opened(directory, None))
    except LongscribeError as error:
        sentence = str(error).rstrip(".")
        return [*home_checks(home), ("store", lambda: (Verdict.FAIL, sentence, None))]
    return [*home_checks(home), *store_checks(store.operations)]


def _of_deployment(project: str, stack: ExitStack) -> list[Check]:
    try:
        store = stack.enter_context(opened(None, project))
    except LongscribeError as error:
        sentence = str(error).rstrip(".")
        return [("project", lambda: (Verdict.FAIL, sentence, None))]
    return [*store.checks, *store_checks(store.operations)]
