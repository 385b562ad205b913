"""How figures are drawn: the same bytes for the same figures."""

from pathlib import Path
from typing import Any

FIGURES = Path(__file__).parent.parent / "docs" / "figures"


def pyplot() -> Any:
    """Return matplotlib's, ready to draw without a screen."""
    import matplotlib as mpl  # slow, and few need it

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    mpl.rcParams.update({"svg.hashsalt": "longscribe", "font.size": 10, "axes.grid": True, "grid.alpha": 0.3})
    return plt


def save(drawn: Any, name: str) -> None:
    """Write a figure as PNG and SVG."""
    drawn.tight_layout()
    drawn.savefig(FIGURES / f"{name}.png", dpi=110, metadata={"Software": None})
    drawn.savefig(FIGURES / f"{name}.svg", metadata={"Date": None})
