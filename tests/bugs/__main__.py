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

from tests.bugs.bugs import BUGS
from tests.bugs.planting import ROOT, Tree, hunt

FOUND = ROOT / "build" / "bugs.json"


def main(names: Sequence[str]) -> int:
    """Hunt the bugs whose names hold one of ``names``, or all; return 1 if one survived."""
    known = _known()
    chosen = [bug for bug in BUGS if not names or any(name in bug.name for name in names)]
    for bug in chosen:
        key = hashlib.sha256(f"{_sources()}{bug}".encode()).hexdigest()
        if known.get(bug.name, {}).get("key") != key:
            began = time.monotonic()
            with tempfile.TemporaryDirectory(prefix="longscribe-bug-") as home:
                caught = hunt(bug, Tree(Path(home)))
            took = round(time.monotonic() - began)
            known[bug.name] = {
                "key": key,
                "seconds": took,
                **(vars(caught) if caught else {"suite": None, "test": ""}),
            }
            FOUND.parent.mkdir(exist_ok=True)
            FOUND.write_text(json.dumps(known, indent=1))
        found = known[bug.name]
        print(
            f"{bug.name:56} {found['suite'] or 'SURVIVED':11} {found['seconds']:4} s  {found['test']}", flush=True
        )
    caught = sum(known[bug.name]["suite"] is not None for bug in chosen)
    print(f"{caught} of {len(chosen)} caught")
    return 0 if caught == len(chosen) else 1


def _known() -> dict[str, Any]:
    return dict(json.loads(FOUND.read_text())) if FOUND.exists() else {}


def _sources() -> str:
    """Stand for what is in the folders that matter, committed or not."""
    paths = sorted(
        path for folder in ("src", "tests", "functions", "local_cloud") for path in (ROOT / folder).rglob("*.py")
    )
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
