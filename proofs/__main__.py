"""Run the proofs, go on where an earlier run was stopped, and write ``docs/proofs.json`` and the page made of it.

    python -m proofs [--only NAME]… [--minutes N]

Commit first: what is proved is a commit. What was done is kept in ``build/proofs/``, and counts as long as neither
the sources nor the tests have changed since.
"""

import argparse
import datetime
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from proofs import counting
from proofs.page import PAGE, RESULTS, page
from proofs.registry import PROOFS, ROOT, Proof
from tests.tiers import VARIABLE

PYTEST = (
    sys.executable,
    "-m",
    "pytest",
    "-q",
    "--no-cov",
    "--timeout=3600",
    "-p",
    "proofs.counting",
)
STATE = ROOT / "build" / "proofs"
PROVED = ("src", "tests", "functions", "local_cloud", "pyproject.toml", "requirements")
"""What a proof depends on."""


def git(*arguments: str) -> str:
    """Return what git says."""
    done = subprocess.run(("/usr/bin/env", "git", *arguments), cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def begin(proof: Proof, sources: str) -> dict[str, Any]:
    """Return how far a proof is, from the start if it was of other sources."""
    path = _path(proof)
    if path.exists():
        state: dict[str, Any] = json.loads(path.read_text())
        if state["sources"] == sources and not state["failures"]:
            return state
    return {"sources": sources, "done": 0, "seconds": 0.0, "passed": 0, "skipped": 0, "counts": {}, "failures": []}


def _path(proof: Proof) -> Path:
    return STATE / f"{hashlib.sha256(proof.name.encode()).hexdigest()[:12]}.json"


def go_on(proof: Proof, state: dict[str, Any], goal: int) -> None:
    """Try the next units, and note what came of them."""
    count = min(proof.step, goal - state["done"])
    counts = _path(proof).with_suffix(".counts")
    counts.unlink(missing_ok=True)
    files = proof.files()
    file = files[state["done"]] if files else ""
    # Where a unit is a file, its tests are not asked for one of theirs.
    due = {} if files else {VARIABLE: f"{state['done']} {count}"}
    arguments = [part.replace("{file}", file) for part in proof.tests]
    began = time.monotonic()
    done = subprocess.run(
        [*PYTEST, f"--basetemp={_path(proof).with_suffix('.tmp')}", *arguments],
        cwd=ROOT,
        env={**os.environ, **due, counting.VARIABLE: str(counts)},
        check=False,
    )
    found: dict[str, Any] = {"passed": 0, "skipped": 0, "counts": {}, "failures": []}
    if counts.exists():
        found = json.loads(counts.read_text())
    failures = found["failures"]
    if done.returncode and not failures:
        failures.append(f"pytest ended with {done.returncode}")
    state["done"] += 0 if found["skipped"] else count
    state["skipped"] = found["skipped"]
    state["seconds"] += time.monotonic() - began
    state["passed"] += found["passed"]
    state["counts"] = counting.add(state["counts"], found["counts"])
    state["failures"] = failures
    _path(proof).write_text(json.dumps(state))


def record(proof: Proof, state: dict[str, Any], goal: int, commit: str) -> None:
    """Write what is known of a proof by now, and the page."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[proof.name] = {
        "commit": commit,
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "unit": proof.unit,
        "from": 0,
        "done": state["done"],
        "goal": goal,
        "tests": state["passed"],
        "skipped": state["skipped"],
        "counts": state["counts"],
        "seconds": round(state["seconds"]),
        "cores": len(os.sched_getaffinity(0)),
        "held": not state["failures"] and state["done"] >= goal,
        "failures": state["failures"],
    }
    RESULTS.write_text(json.dumps(dict(sorted(results.items())), indent=1) + "\n")
    PAGE.write_text(page(results), encoding="utf-8")


def main() -> int:
    """Run what is asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="make prove", description="Run the long tiers, resumably.")
    parser.add_argument("--only", action="append", choices=[proof.name for proof in PROOFS], help="a proof's name")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so long")
    given = parser.parse_args()
    if git("status", "--porcelain", "--", *PROVED):
        print("There are changes that are not committed; commit them first: what is proved is a commit.")
        return 2
    sources = hashlib.sha256(git("ls-tree", "HEAD", *PROVED).encode()).hexdigest()[:16]
    STATE.mkdir(parents=True, exist_ok=True)
    ends = time.monotonic() + 60 * given.minutes
    held = True
    for proof in PROOFS:
        if given.only and proof.name not in given.only:
            continue
        goal = proof.goal()
        state = begin(proof, sources)
        while state["done"] < goal and not state["failures"] and time.monotonic() < ends:
            print(f"{proof.name}: {state['done']:,} of {goal:,} {proof.unit}", flush=True)
            go_on(proof, state, goal)
            record(proof, state, goal, git("rev-parse", "--short=12", "HEAD"))
            if state["skipped"]:
                break
        held = held and state["done"] >= goal and not state["failures"]
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
