"""Topics: which one a chunk goes to."""

import pytest

from longscribe.core import topics
from longscribe.core.limits import LEASES
from longscribe.messages import Priority


def test_each_priority_has_a_topic() -> None:
    assert topics.topic(Priority.HIGH) == topics.CHUNKS_HIGH
    assert topics.topic(Priority.LOW) == topics.CHUNKS_LOW


@pytest.mark.parametrize(
    ("index", "speech", "extent", "priority"),
    [
        (0, 0, 100, Priority.HIGH),
        (3, 0, 100, Priority.HIGH),
        (4, 74, 100, Priority.LOW),
        (4, 75, 100, Priority.HIGH),
        (4, 76, 100, Priority.HIGH),
        (9_999, 0, 100, Priority.LOW),
    ],
)
def test_first_chunks_and_those_full_of_speech_are_urgent(
    index: int, speech: int, extent: int, priority: Priority
) -> None:
    assert topics.priority(index, speech, extent) is priority


def test_a_worker_can_hold_all_first_chunks_at_once() -> None:
    assert topics.FIRST_CHUNKS == LEASES


def test_names_are_the_projects_own_and_distinct() -> None:
    names = {topics.CHUNKS_HIGH, topics.CHUNKS_LOW, topics.RESULTS, topics.DEAD_CHUNKS}
    assert len(names) == 4
    assert all(name.startswith("longscribe-") for name in names)
