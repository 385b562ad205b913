"""The table of moves, the frontier and the progress."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from longscribe.core.progress import MOVES, Frontier, Progress, check, frontier, progress, requeued, resent
from longscribe.documents import Chunk, ChunkState, JobState, Seal
from longscribe.errors import IllegalMove
from longscribe.messages import BlobRef, ChunkTask, Priority

PENDING, DONE, MISSING = ChunkState.PENDING, ChunkState.DONE, ChunkState.MISSING


def chunk(index: int, state: ChunkState, start: int | None = None, end: int | None = None) -> Chunk:
    start = index * 100 if start is None else start
    end = start + 100 if end is None else end
    task = ChunkTask("job", index, 1, "", BlobRef("b", "n", 1), start, start, end, (), 0, Priority.LOW, "tiny.en")
    return Chunk(task=task, state=state)


def chunks(*states: ChunkState) -> list[Chunk]:
    return [chunk(index, state) for index, state in enumerate(states)]


def test_every_move_is_as_documented() -> None:
    table = {
        "chunking": "transcribing failed cancelled",
        "transcribing": "settling failed cancelled",
        "settling": "transcribing complete partial failed cancelled",
        "complete": "settling transcribing",
        "partial": "settling transcribing",
        "failed": "",
        "cancelled": "",
    }
    assert {str(source): {str(target) for target in targets} for source, targets in MOVES.items()} == {
        source: set(targets.split()) for source, targets in table.items()
    }


@pytest.mark.parametrize("source", JobState)
@pytest.mark.parametrize("target", JobState)
def test_only_moves_of_the_table_pass(source: JobState, target: JobState) -> None:
    if target in MOVES[source]:
        check(source, target)
    else:
        with pytest.raises(IllegalMove, match=f"{source} cannot become {target}; .+"):
            check(source, target)


def test_every_job_can_end() -> None:
    """From each state that has not ended, an end is in reach."""
    reached = {state for state in JobState if state.ended}
    while new := {source for source, targets in MOVES.items() if targets & reached} - reached:
        reached |= new
    assert reached == set(JobState)


def test_a_job_can_be_cancelled_or_fail_as_long_as_it_runs() -> None:
    for state in JobState:
        assert ({JobState.FAILED, JobState.CANCELLED} <= MOVES[state]) == (not state.ended)


def test_only_the_next_run_is_queued_and_it_begins_afresh() -> None:
    old = replace(chunk(0, DONE), sendings=3, overwritten=5.0)
    assert requeued(old, replace(old.task, run=3), 9.0) is None
    again = requeued(old, replace(old.task, run=2), 9.0)
    assert again is not None
    assert (again.state, again.queued, again.updated, again.sendings, again.overwritten) == (PENDING, 9, 9, 1, 0)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (chunk(0, PENDING), True),
        (chunk(0, DONE), False),
        (chunk(0, MISSING), False),
        (replace(chunk(0, PENDING), sendings=2), False),
        (replace(chunk(0, PENDING), task=replace(chunk(0, PENDING).task, run=2)), False),
    ],
)
def test_only_what_is_as_it_was_seen_is_sent_again(now: Chunk, expected: bool) -> None:
    assert (resent(now, chunk(0, PENDING), 9.0) is not None) == expected


SEALED = Seal(samples=350, chunks=3)


@pytest.mark.parametrize(
    ("given_chunks", "seal", "expected"),
    [
        ([], None, Frontier(0, 0)),
        ([], Seal(samples=350, chunks=0), Frontier(350, None)),
        ([], SEALED, Frontier(0, 0)),
        (chunks(PENDING), None, Frontier(0, 0)),
        (chunks(DONE), None, Frontier(100, 1)),
        (chunks(DONE, MISSING), None, Frontier(200, 2)),
        (chunks(DONE, PENDING, DONE), None, Frontier(100, 1)),
        (chunks(DONE, PENDING, DONE), SEALED, Frontier(100, 1)),
        (chunks(DONE, DONE), SEALED, Frontier(200, 2)),
        (chunks(DONE, DONE, PENDING), SEALED, Frontier(200, 2)),
        (chunks(DONE, MISSING, DONE), SEALED, Frontier(350, None)),
        ([chunk(1, DONE)], None, Frontier(0, 0)),
        ([chunk(0, DONE), chunk(2, DONE)], SEALED, Frontier(100, 1)),
    ],
)
def test_the_frontier_stops_at_the_first_chunk_not_final(
    given_chunks: list[Chunk], seal: Seal | None, expected: Frontier
) -> None:
    assert frontier(given_chunks, seal) == expected


def test_the_frontier_is_a_chunks_own_end() -> None:
    assert frontier([chunk(0, DONE, 0, 70), chunk(1, DONE, 70, 333), chunk(2, PENDING)], None).time == 333


def test_the_frontier_reads_no_further_than_need_be() -> None:
    reader = iter(chunks(DONE, PENDING, DONE))
    frontier(reader, None)
    assert next(reader).task.index == 2


STATES = st.lists(st.sampled_from(list(ChunkState)), max_size=12)


@given(STATES, st.booleans(), st.data())
def test_the_frontier_never_retreats(states: list[ChunkState], sealed: bool, data: st.DataObject) -> None:
    seal = Seal(samples=100 * len(states) + 50, chunks=len(states)) if sealed else None
    before = frontier(chunks(*states), seal)
    after = list(states)
    for index, state in enumerate(states):
        if state is PENDING and data.draw(st.booleans()):
            after[index] = DONE
    assert frontier(chunks(*after), seal).time >= before.time
    if before.blocked_by is None:
        assert PENDING not in states
    elif before.blocked_by < len(states):
        assert states[before.blocked_by] is PENDING
        assert PENDING not in states[: before.blocked_by]


@pytest.mark.parametrize(
    ("given_chunks", "seal", "expected"),
    [
        ([], None, Progress(0, 0, 0, 0)),
        ([], Seal(samples=350, chunks=0), Progress(0, 0, 350, 350)),
        (chunks(DONE, PENDING, MISSING), None, Progress(2, 3, 200, 300)),
        (chunks(DONE, PENDING, DONE), SEALED, Progress(2, 3, 250, 350)),
        (chunks(DONE, DONE), SEALED, Progress(2, 3, 200, 350)),
        (chunks(DONE, MISSING, DONE), SEALED, Progress(3, 3, 350, 350)),
    ],
)
def test_progress_counts_what_is_no_longer_pending(
    given_chunks: list[Chunk], seal: Seal | None, expected: Progress
) -> None:
    assert progress(given_chunks, seal) == expected


@given(STATES)
def test_progress_is_full_when_nothing_is_pending(states: list[ChunkState]) -> None:
    seal = Seal(samples=100 * len(states) + 7, chunks=len(states))
    found = progress(chunks(*states), seal)
    assert (found.done_samples == found.known_samples) == (PENDING not in states)
    assert found.done == len(states) - states.count(PENDING)
