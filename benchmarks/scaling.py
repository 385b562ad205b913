"""The original design's tables beside this system's, how far it scales, and what others ask: ``docs/scaling.md``.

    python -m benchmarks.scaling [--tables]

Simulates on the plan's constants (``src/longscribe/planning/constants.py``); writes ``docs/figures/scaling.json``,
the plots ``docs/figures/scaling-*.png`` and ``.svg``, and the page's tables; with ``--tables`` the latter alone,
from the figures as they are. No figure of the tables is typed by hand: a test compares them with what this makes.

Of the original design two things are known, and quoted: 974 or 811 chunks of 30 s with 5 s of overlap, and 540
chunks of 45 s, both of 24,348 s of audio.
"""

import argparse
import json
import math
from dataclasses import replace
from typing import Any

from benchmarks.scaling_page import ASKED, FIGURES, OURS, PAGE, SPOT, page, plots
from longscribe import prices
from longscribe.core.limits import LEASES
from longscribe.core.settings import Settings
from longscribe.planning.constants import Case, constants, measured
from longscribe.planning.estimate import ASSEMBLER_SLOTS, CHUNKER_SLOTS, LANES, asked_for, deployment, priced
from longscribe.planning.simulation import Outcome, Recording, Work, simulate
from longscribe.planning.survey import typical

SECONDS = 24_348
"""Of audio: the recording that the original design reckons with."""

SIZE = SECONDS * 16_000
"""Bytes, at 128 kbit/s."""

GPUS = 6
ONE = (1, 2, 4, 6, 8, 12, 16, 24, 32, 36, 40, 48, 64, 100)
MANY = (
    *((gpus, CHUNKER_SLOTS, ASSEMBLER_SLOTS) for gpus in (100, 200, 400)),
    *(
        (gpus, *slots)
        for gpus in (800, 1_600)
        for slots in ((CHUNKER_SLOTS, ASSEMBLER_SLOTS), (100, ASSEMBLER_SLOTS), (100, 400))
    ),
)
"""T4s, chunkers and messages assembled at once: as deployed, then with more."""

RECORDINGS = 1_000


def cut_evenly(length: float, step: float) -> Recording:
    """Return the recording in chunks of ``length`` seconds that begin ``step`` apart, a window for each 30 s.

    Silence stays in: a window holds as much speech as the recording does on the whole.
    """
    share = measured().speech_share
    chunks = []
    for number in range(math.ceil(SECONDS / step)):
        left = min(length, SECONDS - number * step)
        windows = [min(30.0, left - at) for at in range(0, math.ceil(left), 30)]
        chunks.append(Work(min(SECONDS, number * step + length), tuple(share * one for one in windows)))
    return Recording(float(SECONDS), tuple(chunks))


def ours() -> Recording:
    """Return the recording as this system cuts it."""
    known = measured()
    return typical(SECONDS, known.speech_share, known.window_seconds, Settings())


def design(
    name: str,
    recording: Recording,
    workers: int,
    leases: int,
    *,
    lanes: int = 1,
    reload: bool = False,
    machine: str = "t4",
) -> dict[str, Any]:
    """Simulate one design, cold and warm, in all three cases, and return its row."""
    values = constants("t4", spot=machine.endswith("spot"))
    row: dict[str, Any] = {"name": name, "workers": workers, "leases": leases}
    row["chunks"] = len(recording.chunks)
    row["windows"] = sum(len(chunk.windows) for chunk in recording.chunks)
    for case in Case:
        load = values["load"].of(case)
        made: dict[str, Outcome] = {}
        for start in ("cold", "warm"):
            cloud = deployment(values, case, workers, cold=start == "cold")
            # One lease at a time: no batches, and nothing is fetched while the model works.
            worker = replace(cloud.worker, lanes=lanes, leases=leases, reload=load if reload else 0.0)
            made[start] = simulate(replace(cloud, worker=worker), [recording])
        loads = made["cold"].calls if reload else workers
        assembler = deployment(values, case, workers, cold=False).assembler
        spent = priced(made["cold"], [recording], SIZE, machine, workers, prices.load())
        row[case] = {
            "cold_minutes": round(made["cold"].seconds / 60, 1),
            "warm_minutes": round(made["warm"].seconds / 60, 1),
            "gpu_minutes": round(made["warm"].busy / 60, 1),
            "loads": loads,
            "load_minutes": round(loads * load / 60, 1),
            "assembly_seconds": round(assembler.finish + assembler.finish_chunk * len(recording.chunks), 1),
            "dollars": [round(spent.low, 2), round(spent.high, 2)],
        }
    return row


def designs() -> list[dict[str, Any]]:
    """Return the rows of the original design's tables, and this system's."""
    naive, even = cut_evenly(30, 25), cut_evenly(45, 45)
    apart = cut_evenly(30, 30)
    asked = asked_for(len(ours().chunks), SECONDS * measured().speech_share)
    return [
        design("30 s, 5 s overlap; one at a time, model loaded for each", naive, 3, 1, reload=True),
        design("30 s, 5 s overlap; one at a time", naive, 3, 1),
        design("30 s, the design's other count; one at a time", apart, 3, 1),
        design("30 s, 5 s overlap", naive, GPUS, 4),
        design("45 s; one at a time", even, 3, 1),
        design("45 s", even, GPUS, 4),
        design("longscribe; one at a time", ours(), 3, 1),
        design(OURS, ours(), GPUS, LEASES, lanes=LANES),
        design(SPOT, ours(), GPUS, LEASES, lanes=LANES, machine="t4-spot"),
        design(ASKED, ours(), asked, LEASES, lanes=LANES),
    ]


def one_recording() -> list[dict[str, Any]]:
    """Return how long one recording takes on more and more instances, all of them running."""
    rows = []
    for gpus in ONE:
        made = simulate(deployment(constants("t4"), Case.LIKELY, gpus, cold=False), [ours()])
        busy = round(100 * made.busy_share(gpus), 1)
        rows.append({"gpus": gpus, "minutes": round(made.seconds / 60, 2), "busy_percent": busy})
    return rows


def many_recordings(gpus: int, chunkers: int, assemblers: int, case: Case = Case.LIKELY) -> dict[str, Any]:
    """Return how long a thousand take, all uploaded at once, on instances that run."""
    cloud = deployment(constants("t4"), case, gpus, cold=False)
    cloud = replace(
        cloud,
        chunker=replace(cloud.chunker, slots=chunkers),
        assembler=replace(cloud.assembler, slots=assemblers),
    )
    made = simulate(cloud, [ours()] * RECORDINGS)
    spent = priced(made, [ours()] * RECORDINGS, SIZE, "t4", gpus, prices.load())
    return {
        "gpus": gpus,
        "chunkers": chunkers,
        "assembler_messages": assemblers,
        "hours": round(made.seconds / 3600, 2),
        "busy_percent": round(100 * made.busy_share(gpus), 1),
        "audio_hours_an_hour": round(RECORDINGS * SECONDS / made.seconds),
        "dollars": [round(spent.low, 2), round(spent.high, 2)],
    }


def figures() -> dict[str, Any]:
    """Simulate everything."""
    return {
        "seconds": SECONDS,
        "designs": designs(),
        "one": one_recording(),
        "recordings": RECORDINGS,
        "many": [many_recordings(*row) for row in MANY],
        "hundred": {case: many_recordings(*MANY[0], case)["busy_percent"] for case in Case},
    }


def main() -> None:
    """Simulate, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", action="store_true", help="only write the tables, from the figures as they are")
    options = parser.parse_args()
    path = FIGURES / "scaling.json"
    if not options.tables:
        found = figures()
        path.write_text(json.dumps(found, indent=1) + "\n")
        plots(found)
    found = json.loads(path.read_text())
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")


if __name__ == "__main__":
    main()
