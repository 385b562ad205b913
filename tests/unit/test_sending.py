"""Which messages are taken for lost."""

from collections.abc import Iterator

import pytest

from longscribe.core.sending import doubted
from longscribe.documents import Chunk, ChunkState
from longscribe.messages import BlobRef, ChunkTask, Priority

NOW, BOUND = 10_000.0, 900.0
PENDING, DONE, MISSING = ChunkState.PENDING, ChunkState.DONE, ChunkState.MISSING
HIGH, LOW = Priority.HIGH, Priority.LOW


def chunk(
    index: int,
    state: ChunkState = PENDING,
    queued: float = 0.0,
    updated: float | None = None,
    sendings: int = 1,
    priority: Priority = LOW,
) -> Chunk:
    task = ChunkTask("job", index, 1, "", BlobRef("b", "n", 1), 0, 0, 100, (), 0, priority, "base")
    changed = queued if updated is None else updated
    return Chunk(task=task, state=state, queued=queued, updated=changed, sendings=sendings)


def indices(latest: Chunk, *pending: Chunk, now: float = NOW) -> list[int]:
    return [found.task.index for found in doubted(latest, pending, now, BOUND)]


@pytest.mark.parametrize("state", [DONE, MISSING])
def test_what_an_answered_chunk_has_overtaken_is_lost(state: ChunkState) -> None:
    latest = chunk(5, state, queued=50, updated=NOW - BOUND)
    assert indices(latest, chunk(2, queued=20), chunk(3, queued=30), chunk(9, queued=90)) == [2, 3]


def test_nothing_is_doubted_while_the_job_is_heard_of() -> None:
    assert indices(chunk(5, DONE, queued=50, updated=NOW - BOUND + 1), chunk(2, queued=20)) == []
    assert indices(chunk(5, queued=NOW - BOUND + 1), chunk(5, queued=NOW - BOUND + 1)) == []


def test_where_none_is_overtaken_the_last_is_a_probe() -> None:
    latest = chunk(0, DONE, queued=1, updated=50)
    assert indices(latest, chunk(2, queued=20), chunk(3, queued=30)) == [3]
    assert indices(latest) == []


def test_one_priority_says_nothing_of_the_other() -> None:
    latest = chunk(5, DONE, queued=50, updated=60, priority=HIGH)
    assert indices(latest, chunk(2, queued=20), chunk(3, queued=30)) == [3]
    assert indices(latest, chunk(1, queued=10, priority=HIGH), chunk(2, queued=20)) == [1]


def test_a_probe_that_waits_is_repeated_alone_and_ever_more_seldom() -> None:
    def never() -> Iterator[Chunk]:
        pytest.fail("the others are not even read")
        yield

    queued, at = 0.0, []
    for sendings in range(1, 8):
        minutes = 0
        while not list(doubted(chunk(7, queued=queued, sendings=sendings), never(), queued + 60 * minutes, BOUND)):
            minutes += 1
        queued += 60.0 * minutes
        at.append(queued)
    assert at == [BOUND * (2**sendings - 1) for sendings in range(1, 8)]
    assert sum(time <= 86_400 for time in at) == 6  # a day's worth


def test_what_was_sent_again_is_due_later() -> None:
    latest = chunk(5, DONE, queued=8_000, updated=8_100)
    fresh, second, third = (
        chunk(1, queued=7_990),
        chunk(2, queued=7_990, sendings=2),
        chunk(3, queued=7_990, sendings=3),
    )
    assert indices(latest, fresh, second, third, now=7_990 + 2 * BOUND) == [1, 2]
    assert indices(latest, third, now=7_990 + 2 * BOUND) == []
    assert indices(latest, chunk(9, queued=9_500, sendings=2)) == [], "nor is the probe"
