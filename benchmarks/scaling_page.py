"""``docs/scaling.md``: its tables and plots, made of the figures by ``python -m benchmarks.scaling``."""

import json
import re
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.drawing import FIGURES, pyplot, save
from longscribe import prices
from longscribe.planning.constants import Case

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "scaling.md"


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
    return _table(heads, rows)


def _reached(found: dict[str, Any]) -> list[str]:
    row = next(row for row in found["designs"] if row["name"] == "longscribe")
    many = next(row for row in found["many"] if row["gpus"] == 100)

    def minutes(name: str, bound: float) -> list[str]:
        cases = [f"{case} {row[case][name]:g}" for case in Case if row[case][name] > bound]
        return [_case(row, name), "yes" if not cases else f"not in every case: {', '.join(cases)}"]

    dearest = row[Case.SLOW]["dollars"][1]
    return _table(
        ["figure", "to reach", "likely (fast to slow)", "reached"],
        [
            ["6.8 hours on 6 T4s, warm", "≤ 10 minutes", *minutes("warm_minutes", 10)],
            ["6.8 hours on 6 T4s, cold", "≤ 15 minutes", *minutes("cold_minutes", 15)],
            ["its cost, cold", "≤ $2", _dollars(row), "yes" if dearest <= 2 else f"not in every case: ${dearest}"],
            [
                f"{found['recordings']:,} recordings on 100 T4s: share of the time that GPUs work",
                "≥ 90 %",
                f"{many['busy_percent']:g} % sim",
                "yes" if many["busy_percent"] >= 90 else "no",
            ],
        ],
    )


def _one(found: dict[str, Any]) -> list[str]:
    first = found["one"][0]["minutes"]
    return _table(
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
    )


def _many(found: dict[str, Any]) -> list[str]:
    return _table(
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
    )


def _peers(found: dict[str, Any]) -> list[str]:
    hours = found["seconds"] / 3600
    rows = [
        [peer.name, _cents(peer.low, peer.high), _cents(peer.low * hours, peer.high * hours), peer.date, "quot"]
        for peer in sorted(prices.load().peers, key=lambda peer: peer.low)
    ]
    for name in ("longscribe", "longscribe, spot"):
        row = next(row for row in found["designs"] if row["name"] == name)
        low, high = row[Case.FAST]["dollars"][0], row[Case.SLOW]["dollars"][1]
        mine = f"**{name.replace('longscribe', 'longscribe on 6 T4s')}**"
        rows.append([mine, _cents(low / hours, high / hours), _cents(low, high), "see `prices.toml`", "sim"])
    bulk = next(row for row in found["many"] if row["gpus"] == 100)
    low, high = (amount / found["recordings"] for amount in bulk["dollars"])
    mine = f"**longscribe on 100 T4s, {found['recordings']:,} recordings**"
    rows.append([mine, _cents(low / hours, high / hours), _cents(low, high), "see `prices.toml`", "sim"])
    return _table(["", "an hour of audio", "24,348 s", "price of", ""], rows)


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
                    f"{row['seconds_of_audio']:.0f}",
                    str(row["windows"]),
                    f"{row['predicted_seconds']:.1f} sim",
                    f"{statistics.median(row['measured_seconds']):.1f} meas",
                    f"{row['error_percent']:+.1f} %",
                    f"{row['predicted_processor_seconds']:.1f} sim",
                    f"{statistics.median(row['measured_processor_seconds']):.1f} meas",
                    f"{row['processor_error_percent']:+.1f} %",
                ]
                for row in planning["checks"]
            ),
        ),
        "",
        f"Taken on {planning['date']} on {planning['cores']} cores with Whisper {planning['model']}; the engine was"
        f" measured on {planning['calibrated_on']}. Load of the machine before and after:"
        f" {planning['load'][0]:g}, {planning['load'][1]:g}.",
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
            ["merging and writing, for each chunk", f"{merging:.4f} meas", "1 core"],
            ["loading Whisper base", f"{loading:g} meas", "2 cores"],
        ],
    )


TABLES = {
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
