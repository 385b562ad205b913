"""What a job used and what that costs: arithmetic on counts, seconds and dated prices. Holds no price itself.

A price that is not known to the cent is a range, and so is every sum with it: the low ends are added to the low
ends. All money is in US dollars, without taxes, discounts or free tiers.
"""

from collections.abc import Iterable, Mapping

import msgspec

GIB = 2**30
MIN_MESSAGE_BYTES = 1_000
"""Pub/Sub bills at least this much for a request, whatever it carries."""

FUNCTION_PROCESSORS = 2
FUNCTION_GIB = 2
"""The chunker's function: two decoders, a processor each, and room for them (``docs/figures/chunking.json``)."""


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one ``unit`` costs, from ``low`` to ``high`` dollars, and who says so."""

    low: float
    high: float
    unit: str
    date: str  #: when it was so: a year, a month or a day
    source: str
    note: str = ""


class Peer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What another service asks for an hour of audio."""

    name: str
    low: float
    high: float
    date: str  #: when it was so, a month
    source: str  #: whose list of prices, and what it says


class Machine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a worker may run on: an instance with one GPU."""

    name: str  #: for people
    prices: tuple[str, ...]  #: of an hour, added up


class Prices(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every price there is, by name."""

    prices: dict[str, Price]
    machines: dict[str, Machine]
    peers: tuple[Peer, ...]


class Dollars(msgspec.Struct, frozen=True):
    """An amount between two."""

    low: float
    high: float

    def __add__(self, other: "Dollars") -> "Dollars":
        """Return both together."""
        return Dollars(self.low + other.low, self.high + other.high)

    def __mul__(self, times: float) -> "Dollars":
        """Return it ``times`` over."""
        return Dollars(self.low * times, self.high * times)


class CostLine(msgspec.Struct, frozen=True):
    """What one kind of use costs."""

    what: str
    low: float  #: US dollars
    high: float  #: US dollars


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What something costs, part by part; list prices, without taxes, discounts and free tiers."""

    low: float  #: US dollars
    high: float  #: US dollars; the two differ where a price is known as a range only
    lines: tuple[CostLine, ...]  #: what it is the sum of
    dates: tuple[str, ...]  #: of the prices used, sorted


class StoreOperations(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of the stores that are paid for one by one."""

    storage_writes: int = 0  #: objects written (Cloud Storage's class A)
    storage_reads: int = 0  #: reads of objects, or of parts of them (class B)
    messages: int = 0  #: published; each is delivered at least once, which is paid for too
    document_reads: int = 0
    document_writes: int = 0

    def __add__(self, other: "StoreOperations") -> "StoreOperations":
        """Return both together."""
        return StoreOperations(
            **{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__}
        )

    def __mul__(self, times: int) -> "StoreOperations":
        """Return it ``times`` over."""
        return StoreOperations(**{name: getattr(self, name) * times for name in self.__struct_fields__})


def hour(machine: str, prices: Prices) -> Dollars:
    """Return what an instance costs an hour. Raises `KeyError` for a machine without a price."""
    return _sum(_dollars(prices.prices[name]) for name in prices.machines[machine].prices)


def any_hour(prices: Prices) -> Dollars:
    """Return the range over all machines: what an hour costs on one that is not known."""
    hours = [hour(machine, prices) for machine in prices.machines]
    return Dollars(min(one.low for one in hours), max(one.high for one in hours))


def cost(
    instances: Mapping[str, float],
    chunker_seconds: float,
    operations: StoreOperations,
    message_bytes: float,
    prices: Prices,
) -> Cost:
    """Return what some use costs.

    ``instances``: seconds that machines were held, by machine; one that has no price costs what any may cost.
    ``message_bytes``: of all messages, as they were published; each is paid for twice, for its delivery too.
    What lies in the buckets is not in it: that depends on how long it is kept.
    """
    used: set[str] = set()

    def price(name: str) -> Dollars:
        used.add(name)
        return _dollars(prices.prices[name])

    held = Dollars(0, 0)
    for machine, seconds in instances.items():
        known = [machine] if machine in prices.machines else list(prices.machines)
        used.update(name for one in known for name in prices.machines[one].prices)
        held += (hour(machine, prices) if machine in prices.machines else any_hour(prices)) * (seconds / 3600)
    billed = 2 * max(message_bytes, MIN_MESSAGE_BYTES * operations.messages)
    parts = {
        "GPU instances": held,
        "chunker": price("function-processor") * (FUNCTION_PROCESSORS * chunker_seconds)
        + price("function-gib") * (FUNCTION_GIB * chunker_seconds),
        "storage calls": price("storage-write") * operations.storage_writes
        + price("storage-read") * operations.storage_reads,
        "messages": price("message-gib") * (billed / GIB),
        "documents": price("document-read") * operations.document_reads
        + price("document-write") * operations.document_writes,
    }
    total = _sum(parts.values())
    return Cost(
        low=_rounded(total.low),
        high=_rounded(total.high),
        lines=tuple(CostLine(what, _rounded(part.low), _rounded(part.high)) for what, part in parts.items()),
        dates=tuple(sorted({prices.prices[name].date for name in used})),
    )


def _dollars(price: Price) -> Dollars:
    return Dollars(price.low, price.high)


def _sum(amounts: Iterable[Dollars]) -> Dollars:
    total = Dollars(0, 0)
    for amount in amounts:
        total += amount
    return total


def _rounded(dollars: float) -> float:
    return round(dollars, 6)
