"""``longscribe plan`` and ``receipt``: what a recording will take, and what a job took."""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from longscribe import prices, wiring
from longscribe.cli import drawing
from longscribe.cli.drawing import dollars
from longscribe.cli.store import Directory, JobArgument, Json, Project, answer, opened
from longscribe.core.costing import Cost
from longscribe.core.limits import MAX_RECORDING_SECONDS
from longscribe.core.settings import Settings
from longscribe.embedded import checked
from longscribe.errors import BadInput
from longscribe.operating.accounts import JobReceipt, account
from longscribe.planning.constants import Case, measured
from longscribe.planning.estimate import Plan, Range, estimate
from longscribe.planning.survey import survey, typical

BYTES_A_SECOND = 16_000
"""Of a recording nobody has seen: 128 kbit/s, a usual rate of mp3 and m4a."""

MAX_INSTANCES = 1_000


class Gpu(StrEnum):
    """What a worker may run on."""

    T4 = "t4"
    L4 = "l4"


def plan(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A recording; it is listened to here.", show_default=False),
    ] = None,
    hours: Annotated[
        float | None, typer.Option(help="In place of a file: a recording this long.", show_default=False)
    ] = None,
    gpus: Annotated[int, typer.Option(help="Instances, each with one GPU.")] = 6,
    gpu: Annotated[Gpu, typer.Option(help="T4s on GKE, or L4s on Cloud Run.")] = Gpu.T4,
    spot: Annotated[bool, typer.Option("--spot", help="Spot instances, which may be taken away.")] = False,
    as_json: Json = False,
) -> None:
    """Tell how long a recording will take on Google Cloud, and what that will cost; nothing is sent or spent.

    Simulated, with the model large-v3; every assumption and price is shown with its source.
    """
    if (file is None) == (hours is None):
        raise BadInput("Give a recording, or --hours for one you have not got yet.")
    if not 1 <= gpus <= MAX_INSTANCES:
        raise BadInput(f"--gpus is {gpus}; give 1 to {MAX_INSTANCES:,}.")
    if spot and gpu is not Gpu.T4:
        raise BadInput("Cloud Run has no spot instances; leave --spot out, or choose --gpu t4.")
    found = _of_hours(hours, gpus, gpu, spot) if hours is not None else _of_file(file, gpus, gpu, spot)
    if as_json:
        answer(found)
    else:
        _draw_plan(found, drawing.screen())


def _of_file(file: Path | None, gpus: int, gpu: Gpu, spot: bool) -> Plan:
    path = checked(file or Path())
    found = survey(path, wiring.media(), wiring.detector(), Settings())
    return estimate(
        dict.fromkeys(Case, found.recording),
        found.speech,
        found.size,
        name=path.name,
        gpu=gpu,
        spot=spot,
        instances=gpus,
        prices=prices.load(),
    )


def _of_hours(hours: float, gpus: int, gpu: Gpu, spot: bool) -> Plan:
    seconds = hours * 3600
    if not 1 <= seconds <= MAX_RECORDING_SECONDS:
        raise BadInput(f"--hours is {hours:g}; a recording has up to {MAX_RECORDING_SECONDS // 3600} hours.")
    known = measured()
    usual = typical(seconds, known.speech_share, known.window_seconds, Settings())
    full = typical(seconds, 1.0, known.window_seconds, Settings())
    return estimate(
        {Case.FAST: usual, Case.LIKELY: usual, Case.SLOW: full},
        seconds * known.speech_share,
        round(seconds * BYTES_A_SECOND),
        name=None,
        gpu=gpu,
        spot=spot,
        instances=gpus,
        prices=prices.load(),
    )


def _draw_plan(found: Plan, console: Console) -> None:
    what = found.name or "a recording nobody has heard"
    drawing.draw_rows(
        [
            (
                "recording",
                f"{what}: {drawing.clock(found.seconds)}, {drawing.clock(found.speech_seconds)} of it speech",
            ),
            ("work", f"{found.windows} windows in {found.chunks} chunks"),
            ("instances", f"{found.instances} × {prices.load().machines[found.machine].name}"),
            ("not running", f"{_minutes(found.cold_minutes)} (simulated)"),
            ("running", f"{_minutes(found.warm_minutes)} (simulated)"),
            ("cost", f"{dollars(found.cost.low, found.cost.high)} (simulated), until the instances are released"),
            *_lines(found.cost, " (simulated)"),
        ],
        console,
    )
    if found.scaled_to != found.instances:
        said = f"The reconciler by itself asks for {found.scaled_to} instances for as much speech."
        console.print(drawing.text(said), soft_wrap=True)
    if found.name is None:
        said = "As much of it is taken for speech as of the readings measured; in the slow case all of it."
        console.print(drawing.text(said), soft_wrap=True)
    console.print(drawing.text("Assumed (fast, likely, slow):", "bold"))
    for one in found.constants:
        values = f"{one.fast:.3g}, {one.likely:.3g}, {one.slow:.3g} {one.unit}".strip()
        console.print(drawing.text(f"- {one.what}: {values}; {one.kind}: {one.source}"), soft_wrap=True)
    console.print(drawing.text("Prices, US dollars:", "bold"))
    for price in found.prices:
        amount = _plain(price.low) if price.low == price.high else f"{_plain(price.low)} to {_plain(price.high)}"
        said = f"- {amount} per {price.unit} ({price.date}): {price.source}"
        console.print(drawing.text(f"{said}; {price.note}" if price.note else said), soft_wrap=True)


def _plain(price: float) -> str:
    return f"{price:.10f}".rstrip("0").rstrip(".")


def _minutes(found: Range) -> str:
    return f"{found.fast:g} to {found.slow:g} minutes, likely {found.likely:g}"


def _lines(cost: Cost, mark: str = "") -> Iterable[tuple[str, str]]:
    return ((f"  {line.what}", dollars(line.low, line.high) + mark) for line in cost.lines)


def receipt(job: JobArgument, directory: Directory = None, project: Project = None, as_json: Json = False) -> None:
    """Show what a job used, device, chunker, bytes and calls, and what that cost."""
    with opened(directory, project) as store:
        found = account(store.find(job), store.operations)
    if as_json:
        answer(found)
    else:
        _draw_receipt(found, drawing.screen())


def _draw_receipt(found: JobReceipt, console: Console) -> None:
    used = found.receipt
    calls = used.operations
    so_far = "reckoned now" if found.state.ended else "so far"
    when = "stored when it ended" if found.stored else so_far
    rows = [
        ("job", f"{found.job_id}, {found.name}, {found.state}; {when}"),
        ("device", f"{used.device_seconds:.1f} s at work, {used.idle_seconds:.1f} s idle while chunks waited"),
        ("retried", f"at most {used.retried_seconds:.1f} s" if used.retried_seconds else ""),
        ("machines", ", ".join(used.machines)),
        ("chunks", f"{used.chunks}, delivered {used.attempts} times, {used.retried} of them more than once"),
        ("chunker", f"{used.chunker_seconds:.1f} s"),
        (
            "bytes",
            f"recording {drawing.bytes_(used.recording_bytes)}, chunks {drawing.bytes_(used.chunk_bytes)},"
            f" messages {drawing.bytes_(used.message_bytes)}",
        ),
        (
            "calls",
            f"{calls.storage_writes} objects written, {calls.storage_reads} reads, {calls.messages} messages,"
            f" {calls.document_reads} documents read, {calls.document_writes} written",
        ),
    ]
    if used.cost is None:
        rows.append(("cost", "nothing: it ran on your own machine"))
    else:
        dates = ", ".join(used.cost.dates)
        rows += [
            ("cost", f"{dollars(used.cost.low, used.cost.high)}, at list prices of {dates}"),
            *_lines(used.cost),
        ]
    drawing.draw_rows(rows, console)
