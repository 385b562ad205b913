"""How many instances a backlog wants."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.core.scaling import Backlog, Fleet, instances

FLEET = Fleet(maximum=8, speed=10.0, target_seconds=600.0, idle_seconds=600.0)
SHARE = 6_000.0  # seconds of speech: what one instance does in time
NOTHING = Backlog(0, 0.0)


def work(shares: float, chunks: int = 1_000) -> Backlog:
    return Backlog(chunks, shares * SHARE)


@pytest.mark.parametrize(
    ("backlog", "size", "expected"),
    [
        (Backlog(1, 3.0), 0, 1),  # the first chunk
        (work(1), 0, 1),
        (work(1.01), 0, 2),
        (work(5), 2, 5),
        (work(80), 2, 8),  # the maximum
        (work(80, chunks=3), 0, 3),  # one chunk cannot be shared
        (work(5), 8, 8),  # within a factor of two nothing is taken away
        (work(4), 8, 8),
        (work(3), 8, 6),
        (work(0.1), 8, 2),
        (work(0.1), 2, 2),
        (work(0.1), 1, 1),
        (work(5), 20, 8),  # the maximum was lowered
    ],
)
def test_a_backlog_wants(backlog: Backlog, size: int, expected: int) -> None:
    assert instances(backlog, size, 0.0, FLEET) == expected


@pytest.mark.parametrize(("idle", "expected"), [(0.0, 3), (599.9, 3), (600.0, 0), (1e9, 0)])
def test_an_idle_pool_waits_and_then_goes(idle: float, expected: int) -> None:
    assert instances(NOTHING, 3, idle, FLEET) == expected


def test_nothing_starts_for_nothing() -> None:
    assert instances(NOTHING, 0, 0.0, FLEET) == 0


@given(st.integers(0, 50), st.floats(0, 1e6), st.integers(0, 12), st.floats(0, 2_000))
def test_the_pool_is_bounded_and_never_flaps(chunks: int, speech: float, size: int, idle: float) -> None:
    """Asked again about the same backlog, it stays; and it moves by itself in one direction only."""
    backlog = Backlog(chunks, speech if chunks else 0.0)
    first = instances(backlog, size, idle, FLEET)
    assert 0 <= first <= FLEET.maximum
    assert (first > 0) or chunks == 0
    assert instances(backlog, first, idle, FLEET) == first


@given(st.lists(st.floats(0.55, 1.0), max_size=20), st.integers(1, 4))
def test_a_backlog_that_wanders_within_a_factor_of_two_only_grows_the_pool(shares: list[float], scale: int) -> None:
    size, sizes = 0, []
    for share in shares:
        size = instances(work(2 * scale * share), size, 0.0, FLEET)
        sizes.append(size)
    assert sizes == sorted(sizes)


def test_a_job_is_worked_off_in_few_steps() -> None:
    """From upload to rest: one start, one growth, shrinking steps at the end, nothing back and forth."""
    size, sizes = 0, []
    for minute in range(60):
        left = max(0.0, 5.0 - 0.1 * minute)
        backlog = work(left, chunks=round(50 * left)) if left else NOTHING
        size = instances(backlog, size, max(0, minute - 50) * 60.0, FLEET)
        sizes.append(size)
    changes = [after - before for before, after in zip([0, *sizes], sizes, strict=False) if after != before]
    assert changes[0] == 5
    assert all(change < 0 for change in changes[1:])
    assert sizes[-1] == 2
    assert instances(NOTHING, size, 600.0, FLEET) == 0
