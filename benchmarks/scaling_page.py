"""``docs/scaling.md``: its tables and plots, made of the figures by ``python -m benchmarks.scaling``.

So is every sentence with a number that follows from them.
"""

import json
import math
import re
import statistics
import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.drawing import FIGURES, pyplot, save
from longscribe import prices
from longscribe.core.limits import LEASES
from longscribe.core.scaling import SPEED, TARGET_SECONDS
from longscribe.planning.constants import Case, Constant, constants
from longscribe.planning.estimate import ASSEMBLER_SLOTS, CHUNKER_SLOTS

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "scaling.md"

OURS, SPOT = "longscribe", "longscribe, spot"
ASKED = "longscribe, as many as the reconciler asks for"
"""This system's rows among the designs."""


def _row(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(row for row in found["designs"] if row["name"] == name)


def _known(name: str) -> Constant:
    return constants("t4")[name]


def _case(row: dict[str, Any], name: str) -> str:
    likely, fast, slow = (row[case][name] for case in (Case.LIKELY, Case.FAST, Case.SLOW))
    return f"{likely:g} ({fast:g} to {slow:g}) sim"


def _dollars(row: dict[str, Any]) -> str:
    low, high = row[Case.FAST]["dollars"][0], row[Case.SLOW]["dollars"][1]
    return f"${low:.2f} to ${high:.2f} sim"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(heads)} |",
        f"|{'---|' * len(heads)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _prose(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def _designs(found: dict[str, Any]) -> list[str]:
    quoted = {974: "974 quot", 812: "811 quot, by division 812", 542: "540 quot, by division 542"}
    heads = ["chunks of", "workers × leases", "chunks", "windows", "model loads, minutes", "GPU minutes"]
    heads += ["assembly, seconds", "minutes, warm", "minutes, cold", "cost"]
    rows = []
    for row in found["designs"]:
        likely = row[Case.LIKELY]
        rows.append(
            [
                row["name"],
                f"{row['workers']} × {row['leases']}",
                quoted.get(row["chunks"], f"{row['chunks']} sim"),
                f"{row['windows']} sim",
                f"{likely['loads']}, {likely['load_minutes']:g} sim",
                f"{likely['gpu_minutes']:g} sim",
                f"{likely['assembly_seconds']:g} sim",
                _case(row, "warm_minutes"),
                _case(row, "cold_minutes"),
                _dollars(row),
            ]
        )
    again = next(row for row in found["designs"] if row["chunks"] == 974)["windows"]
    once = next(row for row in found["designs"] if row["chunks"] == 812)["windows"]
    return [
        *_table(heads, rows),
        "",
        _prose(
            f"Three things make the difference. The overlap is heard twice: {100 * (again / once - 1):.0f} % more"
            " windows (sim). A chunk of 45 s is two windows, the second half empty, and what a window lacks costs"
            " time too. And silence is never decoded. What the joints cost in words is measured in the"
            " [README](../README.md#measured)."
        ),
    ]


def _reached(found: dict[str, Any]) -> list[str]:
    row, asked = _row(found, OURS), _row(found, ASKED)
    warm, cold = ({case: row[case][f"{start}_minutes"] for case in Case} for start in ("warm", "cold"))
    dollars = {case: row[case]["dollars"][1] for case in Case}
    busy = {case: found["hundred"][case] for case in Case}
    share = f"{found['recordings']:,} recordings on 100 T4s: share of the time that GPUs work"
    working = f"{busy[Case.LIKELY]:g} % ({busy[Case.FAST]:g} % to {busy[Case.SLOW]:g} %) sim"
    six = "6.8 hours on 6 T4s"
    rows = [
        [f"{six}, warm", "≤ 10 minutes", _case(row, "warm_minutes"), _verdict(warm, lambda took: took <= 10)],
        [f"{six}, cold", "≤ 15 minutes", _case(row, "cold_minutes"), _verdict(cold, lambda took: took <= 15)],
        ["its cost, cold", "≤ $2", _dollars(row), _verdict(dollars, lambda spent: spent <= 2)],
        [share, "≥ 90 %", working, _verdict(busy, lambda percent: percent >= 90)],
    ]
    return [
        *_table(["figure", "to reach", "likely (fast to slow)", "reached"], rows),
        "",
        _prose(
            "Warm: the instances run and have their model. Cold: none runs, and the slow case has nodes that take"
            f" {_known('start').slow / 60:g} minutes to get their driver, and an image that is fetched without"
            " streaming."
        ),
        "",
        _prose(
            "Six have to be asked for [by hand](operations.md#scale). By itself the reconciler asks for"
            f" {asked['workers']} for this recording, as many as work it off in {TARGET_SECONDS / 60:g} minutes at"
            f" {SPEED:g} × real time, and never for more than `max_gpus`. On {asked['workers']} it takes"
            f" {_case(asked, 'warm_minutes')} minutes warm, {_case(asked, 'cold_minutes')} minutes cold, and costs"
            f" {_dollars(asked)}. What `gke-t4` deploys are spot pods: theirs is the spot row below."
        ),
    ]


def _verdict(values: dict[Case, float], reached: Callable[[float], bool]) -> str:
    missed = [f"{values[case]:g} sim if {case}" for case in Case if not reached(values[case])]
    if not missed:
        return "yes"
    return f"{'yes, but' if reached(values[Case.LIKELY]) else 'no:'} {', '.join(missed)}"


def _one(found: dict[str, Any]) -> list[str]:
    first, last = found["one"][0]["minutes"], found["one"][-1]["minutes"]
    enough = next(row["gpus"] for row in found["one"] if row["minutes"] == last)
    cutting = _known("chunker_rate").likely * found["seconds"] / 3600
    chunks = _row(found, OURS)["chunks"]
    busy = math.ceil(chunks / LEASES)
    return [
        *_table(
            ["T4s", "minutes", "times as fast as one", "GPUs at work"],
            (
                [
                    str(row["gpus"]),
                    f"{row['minutes']:.1f} sim",
                    f"{first / row['minutes']:.1f} sim",
                    f"{row['busy_percent']:.0f} % sim",
                ]
                for row in found["one"]
            ),
        ),
        "",
        _prose(
            f"From {enough} T4s on, one recording gets no faster (sim). The chunker cuts it in {cutting:.0f} s"
            f" (sim), and no number of GPUs is done before it. A worker takes {LEASES} chunks at a time, so"
            f" {chunks} chunks keep no more than {busy} workers at work (sim)."
            f" {'The chunker' if enough < busy else 'The number of chunks'} is what binds first."
        ),
    ]


def _many(found: dict[str, Any]) -> list[str]:
    most, deployed = found["many"][-1], found["many"][0]
    more = next(row for row in found["many"][::-1] if row["assembler_messages"] < most["assembler_messages"])
    cut = CHUNKER_SLOTS * 3600 / _known("chunker_rate").likely
    equal = cut / (deployed["audio_hours_an_hour"] / deployed["gpus"])
    gain = 100 * (most["audio_hours_an_hour"] / more["audio_hours_an_hour"] - 1)
    return [
        _prose(
            f"{found['recordings']:,} recordings of {found['seconds']:,} s, uploaded at once; instances running,"
            f" likely values. {CHUNKER_SLOTS} chunkers and {ASSEMBLER_SLOTS} messages at once are what is deployed."
        ),
        "",
        *_table(
            ["T4s", "chunkers", "messages assembled at once", "hours", "audio hours an hour", "GPUs at work"],
            (
                [
                    f"{row['gpus']:,}",
                    str(row["chunkers"]),
                    str(row["assembler_messages"]),
                    f"{row['hours']:.2f} sim",
                    f"{row['audio_hours_an_hour']:,} sim",
                    f"{row['busy_percent']:.0f} % sim",
                ]
                for row in found["many"]
            ),
        ),
        "",
        _prose(
            f"The first thing to give way is the chunker: {CHUNKER_SLOTS} functions cut as much as {equal:.0f} T4s"
            f" transcribe (sim). With {more['chunkers']} of them, {more['gpus']:,} T4s work"
            f" {more['busy_percent']:.0f} % of the time (sim); {most['assembler_messages']} messages assembled at"
            f" once in place of {more['assembler_messages']} then add {gain:.1f} % (sim). Both are bounds of the"
            " deployment. Quotas of GPUs are smaller than any of these numbers, and this simulation has no bound on"
            " what Pub/Sub, Firestore and the buckets take."
        ),
    ]


def _peers(found: dict[str, Any]) -> list[str]:
    hours = found["seconds"] / 3600
    rows = [
        [
            peer.name,
            f"{_cents(peer.low, peer.high)} quot",
            f"{_cents(peer.low * hours, peer.high * hours)} quot",
            peer.date,
            peer.source,
        ]
        for peer in sorted(prices.load().peers, key=lambda peer: peer.low)
    ]

    def own(name: str, low: float, high: float) -> list[str]:
        each, whole = _cents(low / hours, high / hours), _cents(low, high)
        return [
            f"**{name}**",
            f"{each} sim",
            f"{whole} sim",
            "see there",
            "[`prices.toml`](../src/longscribe/prices.toml)",
        ]

    for name in (OURS, SPOT):
        row = _row(found, name)
        low, high = row[Case.FAST]["dollars"][0], row[Case.SLOW]["dollars"][1]
        rows.append(own(name.replace("longscribe", "longscribe on 6 T4s"), low, high))
    bulk = next(row for row in found["many"] if row["gpus"] == 100)
    low, high = (amount / found["recordings"] for amount in bulk["dollars"])
    rows.append(own(f"longscribe on 100 T4s, {found['recordings']:,} recordings", low, high))
    return _table(["", "an hour of audio", f"{found['seconds']:,} s", "price of", "source"], rows)


def _cents(low: float, high: float) -> str:
    shown = [f"${amount:.3f}".removesuffix("0") for amount in (low, high)]
    return shown[0] if shown[0] == shown[1] else f"{shown[0]} to {shown[1]}"


def _checks(_: dict[str, Any]) -> list[str]:
    planning = json.loads((FIGURES / "planning.json").read_text())
    return [
        *_table(
            ["recording", "audio, s", "windows", *("wall, s", "", "error"), *("processor, s", "", "error")],
            (
                [
                    row["recording"],
                    f"{row['seconds_of_audio']:.0f} meas",
                    f"{row['windows']} meas",
                    f"{row['predicted_seconds']:.1f} sim",
                    f"{statistics.median(row['measured_seconds']):.1f} meas",
                    f"{row['error_percent']:+.1f} % sim to meas",
                    f"{row['predicted_processor_seconds']:.1f} sim",
                    f"{statistics.median(row['measured_processor_seconds']):.1f} meas",
                    f"{row['processor_error_percent']:+.1f} % sim to meas",
                ]
                for row in planning["checks"]
            ),
        ),
        "",
        _prose(
            f"Taken on {planning['date']} on {planning['cores']} cores with Whisper {planning['model']}; the"
            f" engine was measured on {planning['calibrated_on']}. Load of the machine before and after:"
            f" {planning['load'][0]:g}, {planning['load'][1]:g}."
        ),
    ]


def _parts(_: dict[str, Any]) -> list[str]:
    chunking, cloud, planning = (
        json.loads((FIGURES / f"{name}.json").read_text()) for name in ("chunking", "cloud", "planning")
    )
    long = next(row for row in chunking["rows"] if row["recording"] == "6.8 hours.m4a")
    last = statistics.median(cloud["last_step_seconds"])
    merging, loading = planning["assembling_seconds_a_chunk"], planning["engine"]["load_seconds"]
    return _table(
        ["part", "seconds", "on"],
        [
            [f"cutting {long['hours']:g} hours (m4a, 44.1 kHz, stereo)", f"{long['seconds']:g} meas", "2 cores"],
            ["of that, to the first chunk", f"{long['first_chunk_seconds']:g} meas", "2 cores"],
            ["from the last result to the transcript", f"{last:.2f} meas", "the emulators, 2 cores"],
            ["merging and writing, for each chunk, processor seconds", f"{merging:.4f} meas", "1 core"],
            ["loading Whisper base, processor seconds", f"{loading:g} meas", "2 cores"],
        ],
    )


def _speeds(_: dict[str, Any]) -> list[str]:
    speed = _known("speed")
    return [
        _prose(
            f"The model is Whisper large-v3 on NVIDIA T4s at {speed.slow:g} to {speed.fast:g} × real time (quot),"
            " *unbatched*: those are the published speeds. Batches are several times as fast elsewhere; nothing of"
            " that is counted here. Nor is what a worker gains by reading one batch's words, and making the next"
            " one's features, while the GPU computes another: how much that is on a T4 is not known. Both err on"
            " the slow side."
        ),
    ]


TABLES = {
    "speeds": _speeds,
    "parts": _parts,
    "reached": _reached,
    "designs": _designs,
    "one": _one,
    "many": _many,
    "peers": _peers,
    "checks": _checks,
}


def page(text: str, found: dict[str, Any]) -> str:
    """Return the page with each table, between its two marks, as the figures have it."""
    for name, table in TABLES.items():
        body = "\n".join(table(found))
        marked = f"<!-- {name} -->\n{body}\n<!-- /{name} -->"
        text, count = re.subn(rf"<!-- {name} -->.*?<!-- /{name} -->", lambda _, new=marked: new, text, flags=re.S)
        if count != 1:
            raise SystemExit(f"{PAGE} has not one place for the table {name!r}")
    return text


def plots(found: dict[str, Any]) -> None:
    """Draw one recording and many, each as PNG and SVG."""
    plt = pyplot()
    one, many = found["one"], [row for row in found["many"] if row["chunkers"] == 20]
    drawn, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    gpus = [row["gpus"] for row in one]
    ideal = [one[0]["minutes"] / count for count in gpus]
    left.loglog(gpus, ideal, "--", color="grey", label="twice as fast on twice as many")
    left.loglog(gpus, [row["minutes"] for row in one], "o-", label="simulated")
    left.set(xlabel="T4s, running", ylabel="minutes", title="One recording of 6.8 hours (simulated)")
    left.legend()
    right.semilogx(gpus, [row["busy_percent"] for row in one], "o-", label="one recording")
    counts = [row["gpus"] for row in many]
    right.semilogx(counts, [row["busy_percent"] for row in many], "s-", label=f"{found['recordings']:,} recordings")
    right.axhline(90, linestyle="--", color="grey", label="90 %")
    right.set(xlabel="T4s, running", ylabel="% of the time", title="GPUs at work (simulated)", ylim=(0, 105))
    right.legend()
    save(drawn, "scaling-gpus")
    drawn, axes = plt.subplots(figsize=(8, 4))
    rows = [row for row in found["designs"] if "spot" not in row["name"]]
    for number, row in enumerate(rows):
        likely, fast, slow = (row[case]["warm_minutes"] for case in (Case.LIKELY, Case.FAST, Case.SLOW))
        error = [[likely - fast], [slow - likely]]
        colour = "tab:blue" if "longscribe" in row["name"] else "silver"
        axes.barh(number, likely, xerr=error, color=colour, capsize=3)
    names = [f"{row['name']}, {row['workers']} × {row['leases']}" for row in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="minutes, instances running (bars: fast to slow)")
    axes.set_title("24,348 s of audio on T4s (simulated)")
    save(drawn, "scaling-designs")
