"""What damage costs: every kind of it, in every format, measured and written into ``docs/damaged-recordings.md``.

    python -m benchmarks.damage

The recordings and the oracle are those of ``tests/hostile/damaged.py``: 20 s of noise, of which every 10 ms is
looked for in what was decoded. The page and ``docs/figures/damage.json`` are written anew.
"""

import json
from pathlib import Path
from typing import Any

from tests.hostile.damaged import CASES, DAMAGES, FORMATS, SECONDS, examine

ROOT = Path(__file__).parent.parent
FIGURES = ROOT / "docs" / "figures" / "damage.json"
PAGE = ROOT / "docs" / "damaged-recordings.md"
START, END = "<!-- figures -->\n", "<!-- /figures -->"


def measure() -> dict[str, Any]:
    """Return the figures: for each damage and format the seconds named and lost in silence, null where refused."""
    rows: dict[str, dict[str, list[float] | None]] = {damage: {} for damage in DAMAGES}
    for kind, damage in CASES:
        _, found = examine(kind, damage)
        rows[damage][kind] = None if found is None else [round(found.named, 2), round(found.silent, 2)]
    return {"seconds": SECONDS, "formats": list(FORMATS), "rows": rows}


def report() -> str:
    """Return the table as Markdown."""
    figures = json.loads(FIGURES.read_text())
    formats = figures["formats"]
    silent = [cell[1] for row in figures["rows"].values() for cell in row.values() if cell]
    return "\n".join(
        [
            f"Recordings of {figures['seconds']} s; in each cell the seconds named as missing / lost in silence;"
            f" at most {max(silent):.2f} s are lost in silence.",
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
    return "refused" if cell is None else f"{cell[0]:.2f} / {cell[1]:.2f}"


def main() -> None:
    """Measure, and write the figures and the page."""
    FIGURES.write_text(json.dumps(measure(), indent=1) + "\n")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{START}{report()}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
