"""The time of a device, shared among the calls on it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.core.metering import Meter


def test_a_call_alone_has_all_of_its_time() -> None:
    meter = Meter(10.0)
    mark, idle = meter.begin(12.0, queued=5.0)
    assert idle == 2.0, "before the meter began, nobody could have worked"
    assert meter.end(15.0, mark) == 3.0


def test_two_calls_share_what_they_have_together() -> None:
    """The first from 0 to 4, the second from 2 to 6: two seconds alone each, and half of the two between."""
    meter = Meter(0.0)
    first, _ = meter.begin(0.0, queued=0.0)
    second, idle = meter.begin(2.0, queued=0.0)
    assert idle == 0.0, "the device was at work"
    assert meter.end(4.0, first) == 3.0
    assert meter.end(6.0, second) == 3.0


def test_idle_is_what_was_queued_and_not_begun() -> None:
    meter = Meter(0.0)
    mark, _ = meter.begin(0.0, queued=0.0)
    meter.end(1.0, mark)
    assert meter.begin(8.0, queued=5.0)[1] == 3.0
    meter = Meter(0.0)
    assert meter.begin(1.0, queued=2.0)[1] == 0.0, "another machine's clock may be ahead"


CALLS = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), min_size=1, max_size=12)


@given(calls=CALLS)
def test_nothing_is_counted_twice_or_lost(calls: list[tuple[int, int]]) -> None:
    """Calls as (start, length): together they have the time in which one ran, at least; idle time is the rest."""
    meter = Meter(0.0)
    ends = [(start + length, 0, number) for number, (start, length) in enumerate(calls)]
    starts = [(start, 1, number) for number, (start, _) in enumerate(calls)]
    marks: dict[int, float] = {}
    worked = idle = 0.0
    for at, begins, number in sorted(starts + ends):
        if begins:
            marks[number], waited = meter.begin(float(at), queued=0.0)
            idle += waited
        else:
            worked += meter.end(float(at), marks[number])
    covered = {second for start, length in calls for second in range(start, start + length)}
    assert worked == pytest.approx(len(covered))
    assert worked + idle == pytest.approx(max(start + length for start, length in calls))
