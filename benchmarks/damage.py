"""What damage costs: every kind of it, in every format, measured and written into ``docs/damaged-recordings.md``.

    python -m benchmarks.damage

The recordings and the oracle are those of ``tests/hostile/damaged.py``: 20 s of noise, of which every 10 ms is
looked for in what was decoded. The page and ``docs/figures/damage.json`` are written anew.
"""

import json
from pathlib import Path
from typing import Any

from benchmarks.figures import keep
from tests.hostile.damaged import CASES, DAMAGES, FORMATS, SECONDS, examine

ROOT = Path(__file__).parent.parent
FIGURES = ROOT / "docs" / "figures" / "damage.json"
PAGE = ROOT / "docs" / "damaged-recordings.md"
TRACE = 0.1
"""Seconds: a rounding is no loss."""

START, END = "<!-- figures -->\n", "<!-- /figures -->"


def measure() -> dict[str, Any]:
    """Return the figures: seconds named, lost in silence, gone without a trace in the file; null where refused."""
    rows: dict[str, dict[str, list[float] | None]] = {damage: {} for damage in DAMAGES}
    for kind, damage in CASES:
        one, found = examine(kind, damage)
        if found is None:
            rows[damage][kind] = None
        else:
            untold = max(0.0, one.gone - found.named)
            rows[damage][kind] = [round(found.named, 2), round(found.silent, 2), round(untold, 2)]
    return {"seconds": SECONDS, "formats": list(FORMATS), "rows": rows}


def report() -> str:
    """Return the table as Markdown."""
    figures = json.loads(FIGURES.read_text())
    formats = figures["formats"]
    silent = [cell[1] for row in figures["rows"].values() for cell in row.values() if cell]
    return "\n".join(
        [
            f"Recordings of {figures['seconds']} s; in each cell the seconds named as missing / lost in silence,"
            f" at most {max(silent):.2f} s. † is what is gone without a trace: no such file can tell of it.",
            "",
            "| | " + " | ".join(formats) + " |",
            "|---" * (len(formats) + 1) + "|",
            *(
                f"| {damage} | " + " | ".join(_cell(row, kind) for kind in formats) + " |"
                for damage, row in figures["rows"].items()
            ),
            "",
        ]
    )


def _cell(row: dict[str, list[float] | None], kind: str) -> str:
    if kind not in row:
        return "–"
    cell = row[kind]
    if cell is None:
        return "refused"
    trace = f" †{cell[2]:.2f}" if cell[2] >= TRACE else ""
    return f"{cell[0]:.2f} / {cell[1]:.2f}{trace}"


def main() -> None:
    """Measure, and write the figures and the page."""
    keep(FIGURES, measure())
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{START}{report()}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
