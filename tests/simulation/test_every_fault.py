"""Every effect of a small job fails in each of four ways, singly and in pairs: the transcript is the same."""

import random

import pytest

from tests.simulation.every import PAIRS_OF_CI, Case, outcome, pairs, singles


def test_every_single_fault() -> None:
    cases = list(singles())
    assert len(cases) > 4 * 60, "hardly anything happened"
    for case in cases:
        assert outcome(case).fired == 1, f"no fault fired: {case}"


def test_some_pairs_of_faults() -> None:
    """All of them are tried by ``make prove``."""
    chosen = random.Random(7).choices(list(singles()), k=PAIRS_OF_CI)
    for first in chosen:
        second = random.Random(str(first)).choice(list(pairs(first)))
        assert outcome(second).fired == 2, f"a fault did not fire: {second}"


def test_a_transcript_that_differs_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "longscribe.stages.assembler.render", lambda transcript, name: b"{}" if name == "json" else b""
    )
    with pytest.raises(AssertionError, match="another transcript"):
        outcome(Case())
