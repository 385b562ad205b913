"""Put every bug in, one at a time, and tell which test caught it: ``make bugs ARGS=NAME…``.

What was found is kept in ``build/bugs.json`` and counts until the sources or the tests change.
"""

import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bugs.bugs import BUGS, Bug
from tests.bugs.planting import ROOT, Tree, hunt

FOUND = ROOT / "build" / "bugs.json"
MATTERS = ("src", "tests", "functions", "local_cloud")
SURVIVED = "SURVIVED"


def main(names: Sequence[str]) -> int:
    """Hunt the bugs whose names hold one of ``names``, or all; return 1 if one survived."""
    known: dict[str, Any] = json.loads(FOUND.read_text()) if FOUND.exists() else {}
    chosen = [bug for bug in BUGS if not names or any(name in bug.name for name in names)]
    sources = _sources()
    for bug in chosen:
        if known.get(bug.name, {}).get("sources") != sources:
            known[bug.name] = {"sources": sources, **_hunted(bug)}
            FOUND.parent.mkdir(exist_ok=True)
            FOUND.write_text(json.dumps(known, indent=1))
        found = known[bug.name]
        print(f"{bug.name:56} {found['suite']:11} {found['seconds']:4} s  {found['test']}", flush=True)
    survived = [bug.name for bug in chosen if known[bug.name]["suite"] == SURVIVED]
    print(f"{len(chosen) - len(survived)} of {len(chosen)} caught")
    return 1 if survived else 0


def _hunted(bug: Bug) -> dict[str, str | int]:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="longscribe-bug-") as home:
        caught = hunt(bug, Tree(Path(home)))
    return {
        "suite": caught.suite if caught else SURVIVED,
        "test": caught.test if caught else "",
        "seconds": round(time.monotonic() - began),
    }


def _sources() -> str:
    """Stand for all that a hunt depends on, committed or not."""
    digest = hashlib.sha256()
    for path in sorted(path for folder in MATTERS for path in (ROOT / folder).rglob("*.py")):
        digest.update(path.as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
