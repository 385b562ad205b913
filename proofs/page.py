"""The page of promises, made of the proofs' results: ``python -m proofs.page``. No figure is typed by hand."""

import json
from collections.abc import Mapping
from typing import Any

from proofs.registry import PROMISES, PROOFS, ROOT, Promise, Proof

RESULTS = ROOT / "docs" / "proofs.json"
PAGE = ROOT / "docs" / "promises.md"

_HEAD = """\
# Promises, and how far each is proved

`make prove` runs the proofs, goes on where an earlier run was stopped, and makes this page of what came of them
([proofs.json](proofs.json)). `make prove ARGS='--only "random campaign" --minutes 10'` runs one, for a while. The
proofs are the tests of `make test`, with more to do; `proofs/registry.py` lists them. A proof is of the commit that
is named with it; all ran on this project's own machines, none on Google Cloud.

| | promise | to reach | stands |
|---|---|---|---|
"""

Results = Mapping[str, Mapping[str, Any]]


def page(results: Results) -> str:
    """Return the page as Markdown."""
    rows = "".join(
        f"| {promise.number} | {promise.text} | {promise.figure} | {_standing(promise, results)} |\n"
        for promise in PROMISES
    )
    sections = "\n".join(_section(proof, results.get(proof.name)) for proof in PROOFS)
    return f"{_HEAD}{rows}\n## The proofs\n\n{sections}"


def _standing(promise: Promise, results: Results) -> str:
    proofs = [proof for proof in PROOFS if promise.number in proof.promises]
    if not proofs:
        return "no proof is part of `make prove`"
    found = [results.get(proof.name) for proof in proofs]
    if any(result is not None and result["failures"] for result in found):
        return "**not held**"
    if all(result is not None and result["held"] for result in found):
        grown = [proof.name for proof, result in zip(proofs, found, strict=True) if _since(proof, result)]
        return f"held, but for what came since: {'; '.join(grown)}" if grown else "held"
    lacking = [
        proof.name for proof, result in zip(proofs, found, strict=True) if result is None or not result["held"]
    ]
    return f"not proved yet: {'; '.join(lacking)}"


def _since(proof: Proof, result: Mapping[str, Any] | None) -> int:
    """Return how many units there are by now that nobody has tried."""
    return max(0, proof.goal() - result["goal"]) if result else 0


def _section(proof: Proof, result: Mapping[str, Any] | None) -> str:
    of = ", ".join(map(str, proof.promises))
    head = f"**{proof.name}** (promise {of}; `{' '.join(proof.tests)}`): "
    if result is None:
        return f"{head}has not run.\n"
    if result["failures"]:
        state = f"**does not hold**: {'; '.join(result['failures'])}"
    elif result["skipped"]:
        state = f"not proved: {result['skipped']} tests were skipped for what the machine lacked"
    elif result["held"]:
        state = "held"
    else:
        state = "not finished"
    if since := _since(proof, result):
        state += f" ({since} {result['unit']} came since)"
    counts = "".join(f"; {name} {_number(value)}" for name, value in result["counts"].items())
    done = f"{result['done']:,} of {result['goal']:,} {result['unit']}, {result['tests']:,} tests passed{counts}"
    when = f"Commit `{result['commit']}`, {result['date']}, {result['seconds']:,} s on {result['cores']} cores"
    return f"{head}{state}. {done}. {when}.\n"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


if __name__ == "__main__":
    PAGE.write_text(page(json.loads(RESULTS.read_text())), encoding="utf-8")
