"""Poison chunks harm only themselves, and a seed tells the same story again: ten of a hundred, or 100 of 1,000."""

from collections.abc import Callable

import pytest

from tests.simulation.poison import campaign
from tests.tiers import proving, units

pytestmark = pytest.mark.no_cover  # coverage cannot follow greenlets, and takes twice the time


def test_poison_harms_only_itself(record_property: Callable[[str, object], None]) -> None:
    chunks, poison = (1_000, 100) if proving() else (100, 10)
    for seed in units(1):
        done = campaign(seed, chunks, poison)
        assert (done.finished, done.buried) == (chunks - poison, poison)
        assert done.deaths > poison
        assert done.preempted > 0
        assert campaign(seed, chunks, poison) == done, "the same seed tells another story"
        record_property("chunks", chunks)
        record_property("poison chunks", poison)
        record_property("healthy chunks finished", done.finished)
        record_property("dead-letter records", done.buried)
        record_property("workers killed by poison", done.deaths)
        record_property("workers preempted", done.preempted)
        record_property("most attempts of a healthy chunk", done.most_attempts)
