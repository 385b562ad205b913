"""Some hundred seeds of the random campaign; ``make simulate`` replays any, ``make prove`` runs ten thousand."""

from collections import Counter
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from longscribe.core import progress
from longscribe.documents import JobState
from tests.simulation.campaign import KINDS, Voyage
from tests.tiers import units

pytestmark = pytest.mark.no_cover  # coverage cannot follow greenlets, and takes twice the time

SEEDS = 200


def test_whatever_happens_all_comes_to_a_good_end(record_property: Callable[[str, object], None]) -> None:
    fired: Counter[str] = Counter()
    states: Counter[str] = Counter()
    slowest = 0.0
    seeds = units(SEEDS)
    for seed in seeds:
        voyage = Voyage(seed).run()
        fired += voyage.fired
        states += voyage.states
        slowest = max(slowest, voyage.seconds)
    assert {kind for kind in KINDS if not fired[kind]} == set(), "some faults never happened"
    assert {JobState.COMPLETE, JobState.PARTIAL, JobState.FAILED} <= set(states)
    for state in sorted(states):
        record_property(f"jobs {state}", states[state])
    for kind in KINDS:
        record_property(kind, fired[kind])
    record_property("most seconds of virtual time from the storm's end to rest", slowest)


def test_a_seed_replays_to_the_same_schedule() -> None:
    for seed in (16, 17):
        first, second = Voyage(seed).run(), Voyage(seed).run()
        assert first.deployment.effects.steps == second.deployment.effects.steps
        assert first.fired == second.fired


answered = progress.answered
BUGS = {
    "results of an older run are stored": (
        "longscribe.core.progress.answered",
        lambda chunk, result, now: answered(chunk, replace(result, run=chunk.task.run), now),
    ),
    "lost messages are not sent again": ("longscribe.stages.reconciler.doubted", lambda *_: ()),
    "a dead assembler's job is left": ("longscribe.stages.reconciler._settling", lambda *_: None),
    "an upload whose event was lost stays lost": (
        "longscribe.services.reconciling.Reconciling._find_missed",
        lambda _: None,
    ),
    "what an older writer wrote over stays": ("longscribe.stages.assembler._mark", lambda *_: False),
}
"""Bugs, each put in by one change."""


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_is_found_within_some_seeds(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*BUGS[bug])
    with pytest.raises(AssertionError, match="seed"):
        run(range(SEEDS))


def run(seeds: range) -> None:
    for seed in seeds:
        Voyage(seed).run()
