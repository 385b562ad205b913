"""A pytest plugin: counts what a proof's tests did, for `proofs.__main__`.

What a test records (pytest's ``record_property``) under a name is added up; a name that begins with ``most`` keeps
the largest instead.
"""

import json
import os
from collections import Counter
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

VARIABLE = "LONGSCRIBE_PROOF_COUNTS"
"""Names the file that the counts are written to."""

Counts = dict[str, float]

_counts: list[Counts] = []
_failures: list[str] = []
_outcomes: Counter[str] = Counter()


def add(counts: Counts, more: Counts) -> Counts:
    """Return two counts as one."""
    merged = dict(counts)
    for name, value in more.items():
        known = merged.get(name, 0)
        merged[name] = max(known, value) if name.startswith("most") else known + value
    return merged


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """See one phase of one test."""
    if report.failed:
        _failures.append(f"{report.nodeid}: {_last_line(report)}")
    if report.skipped:
        _outcomes["skipped"] += 1
    if report.when == "call":
        _outcomes[report.outcome] += 1
    if report.when == "teardown":
        recorded: Any = report.user_properties
        _counts.extend({name: value} for name, value in recorded)


def _last_line(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message).strip().splitlines()[-1] if crash is not None else "it could not be set up"


def pytest_sessionfinish() -> None:
    """Write the file."""
    written: dict[str, object] = {"passed": _outcomes["passed"], "skipped": _outcomes["skipped"]}
    written |= {"counts": reduce(add, _counts, dict[str, float]()), "failures": _failures}
    Path(os.environ[VARIABLE]).write_text(json.dumps(written))
