"""Measured figures as JSON, with the day they were taken."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def today() -> str:
    """Return the date."""
    return datetime.now(UTC).date().isoformat()


def keep(path: Path, figures: Mapping[str, Any]) -> None:
    """Write figures that were measured today."""
    path.write_text(json.dumps({"date": today(), **figures}, indent=1) + "\n")
