"""Costs against sums worked by hand."""

import pytest

from longscribe.core.costing import (
    Cost,
    CostLine,
    Dollars,
    Machine,
    Peer,
    Price,
    Prices,
    StoreOperations,
    any_hour,
    cost,
    hour,
)


def price(low: float, high: float | None = None, date: str = "2026-01") -> Price:
    return Price(low=low, high=low if high is None else high, unit="one", date=date, source="made up")


PRICES = Prices(
    prices={
        "gpu": price(0.36),
        "host": price(0.10, 0.20, "2018"),
        "all-in": price(1.44),
        "function-processor": price(0.001),
        "function-gib": price(0.0005),
        "storage-write": price(0.05),
        "storage-read": price(0.004, 0.005),
        "message-gib": price(8.0),
        "document-read": price(0.003),
        "document-write": price(0.009),
    },
    machines={
        "small": Machine(name="a small one", prices=("gpu", "host")),
        "large": Machine(name="a large one", prices=("all-in",)),
    },
    peers=(Peer(name="theirs", low=0.1, high=0.2, date="2026-01", source="their list"),),
)


def ends(amount: Dollars) -> tuple[float, float]:
    return amount.low, amount.high


def test_an_hour_is_the_sum_of_its_parts() -> None:
    assert ends(hour("small", PRICES)) == pytest.approx((0.46, 0.56))
    assert hour("large", PRICES) == Dollars(1.44, 1.44)
    with pytest.raises(KeyError):
        hour("none", PRICES)


def test_an_unknown_machine_costs_what_any_may_cost() -> None:
    assert ends(any_hour(PRICES)) == pytest.approx((0.46, 1.44))


def test_a_job_worked_by_hand() -> None:
    calls = StoreOperations(
        storage_writes=10, storage_reads=100, messages=20, document_reads=30, document_writes=40
    )
    made = cost({"small": 1_800.0}, 100.0, calls, 2**29, PRICES)
    assert made == Cost(
        # half an hour; 100 s of two processors and 2 GiB; 10 × 0.05 + 100 × 0.004; half a GiB twice; 0.09 + 0.36
        low=9.88,
        high=10.03,
        lines=(
            CostLine("GPU instances", 0.23, 0.28),
            CostLine("chunker", 0.3, 0.3),
            CostLine("storage calls", 0.9, 1.0),
            CostLine("messages", 8.0, 8.0),
            CostLine("documents", 0.45, 0.45),
        ),
        dates=("2018", "2026-01"),
    )


def test_machines_add_up_and_one_without_a_price_is_a_range() -> None:
    made = cost({"large": 3_600.0, "": 7_200.0}, 0.0, StoreOperations(), 0, PRICES)
    # an hour at 1.44, and two at 0.46 to 1.44
    assert made.lines[0] == CostLine("GPU instances", 2.36, 4.32)
    assert made.dates == ("2018", "2026-01")


def test_a_small_message_is_billed_as_a_thousand_bytes() -> None:
    few = cost({}, 0.0, StoreOperations(messages=1_000), 10, PRICES)
    assert few.lines[3].low == pytest.approx(2 * 1_000_000 / 2**30 * 8, abs=1e-6)
    assert few.lines[0] == CostLine("GPU instances", 0.0, 0.0)


def test_operations_add_up() -> None:
    one = StoreOperations(storage_writes=1, messages=2)
    assert one + one == one * 2 == StoreOperations(storage_writes=2, messages=4)
