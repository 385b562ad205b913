"""Every effect of a small job fails in each of four ways, singly and in pairs: the transcript is the same."""

import random
from collections.abc import Callable, Iterator
from itertools import islice

import pytest

from tests.simulation.every import Case, outcome, pairs, singles
from tests.tiers import proving, units

pytestmark = pytest.mark.no_cover  # coverage cannot follow greenlets, and takes twice the time

SOME = 250
"""Pairs that are tried where not all of them are."""

Record = Callable[[str, object], None]


def test_every_single_fault(record_property: Record) -> None:
    cases = list(singles())
    assert len(cases) > 4 * 60, "hardly anything happened"
    for case in cases:
        assert outcome(case).fired == 1, f"no fault fired: {case}"
    record_property("faults", len(cases))


def some_pairs() -> Iterator[Case]:
    lots = random.Random(7)
    for first in lots.choices(list(singles()), k=SOME):
        if seconds := list(pairs(first)):  # after the last effect nothing is left to fail
            yield lots.choice(seconds)


def all_pairs() -> Iterator[Case]:
    due = units(0)
    for first in islice(singles(), due.start, due.stop):
        yield from pairs(first)


def test_pairs_of_faults(record_property: Record) -> None:
    slowest, count = 0.0, 0
    for case in all_pairs() if proving() else some_pairs():
        found = outcome(case)
        assert found.fired == 2, f"a fault did not fire: {case}"
        slowest, count = max(slowest, found.seconds), count + 1
    assert count or proving()
    record_property("pairs", count)
    record_property("most seconds of virtual time until rest", slowest)


def test_a_transcript_that_differs_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "longscribe.stages.assembler.render", lambda transcript, name: b"{}" if name == "json" else b""
    )
    with pytest.raises(AssertionError, match="another transcript"):
        outcome(Case())
