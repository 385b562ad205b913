"""The page of promises says what the proofs' results say, and no more."""

import json
import subprocess
from pathlib import Path

import pytest

from proofs import __main__ as proving
from proofs.page import PAGE, RESULTS, _standing, page
from proofs.registry import PROMISES, PROOFS, ROOT, Promise, Proof
from tests.tiers import VARIABLE

RESULT = {
    "commit": "0" * 12,
    "date": "2026-01-01",
    "unit": "seeds",
    "done": 10,
    "goal": 10,
    "tests": 1,
    "skipped": 0,
    "counts": {"crash before": 3, "most seconds": 2.5},
    "seconds": 7,
    "cores": 2,
    "held": True,
    "failures": [],
}


def row(text: str, number: int) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"| {number} |"))


def test_the_page_is_made_of_the_results() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(json.loads(RESULTS.read_text())), "python -m proofs.page"


def test_every_proof_is_of_a_promise_and_its_tests_are_there() -> None:
    numbers = {promise.number for promise in PROMISES}
    for proof in PROOFS:
        assert set(proof.promises) <= numbers
        files = [part.partition("::")[0] for part in proof.tests if part.startswith("tests/")]
        assert all((ROOT / file).exists() for file in [*files, *proof.files()])


def test_what_did_not_run_is_said() -> None:
    text = page({})
    assert "| held |" not in text
    assert text.count("has not run") == len(PROOFS)
    assert "no proof is part" in _standing(Promise(99, "", ""), {})


def test_a_promise_is_held_when_all_its_proofs_are() -> None:
    (proof,) = (proof for proof in PROOFS if 2 in proof.promises)
    whole = {**RESULT, "done": proof.goal(), "goal": proof.goal()}
    assert "| held |" in row(page({proof.name: whole}), 2)
    assert "not proved yet" in row(page({proof.name: {**whole, "done": 9, "held": False}}), 2)
    assert "**not held**" in row(page({proof.name: {**whole, "held": False, "failures": ["seed 3"]}}), 2)


def test_what_came_since_a_proof_is_said() -> None:
    (proof,) = (proof for proof in PROOFS if 2 in proof.promises)
    before = {**RESULT, "done": proof.goal() - 1, "goal": proof.goal() - 1}
    text = page({proof.name: before})
    assert f"| held, but for what came since: {proof.name} |" in row(text, 2)
    assert "held (1 seeds came since)" in text


@pytest.mark.parametrize(
    ("proof", "due"),
    [
        (Proof("numbered", (1,), ("tests/a.py",), goal=lambda: 9, step=4), "3 4"),
        (Proof("by file", (1,), ("{file}",), goal=lambda: 9, files=lambda: ["tests/a.py"] * 9), None),
    ],
)
def test_tests_are_asked_for_the_units_that_are_due_and_whole_files_for_none(
    proof: Proof, due: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []

    def run(command: list[str], env: dict[str, str], **_: object) -> "subprocess.CompletedProcess[str]":
        asked.append((command[-1], env.get(VARIABLE)))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(proving, "STATE", tmp_path)
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.delenv(VARIABLE, raising=False)
    proving.go_on(proof, {"done": 3, "seconds": 0.0, "passed": 0, "counts": {}, "failures": []}, 9)
    assert asked == [("tests/a.py", due)]
