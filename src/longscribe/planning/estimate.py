"""The plan: simulates what was surveyed on the instances asked for, and prices it."""

from collections.abc import Mapping, Sequence

import msgspec

from longscribe.core import scaling
from longscribe.core.costing import Cost, CostLine, Price, Prices, cost
from longscribe.core.limits import LEASES
from longscribe.core.receipts import DELIVERY, operations
from longscribe.core.settings import FORMATS
from longscribe.planning.constants import Case, Constant, constants
from longscribe.planning.simulation import Assembler, Chunker, Deployment, Outcome, Recording, Worker, simulate

CHUNKER_SLOTS = 20
"""Functions that may cut at once, as deployed."""

ASSEMBLER_SLOTS = 40
"""Messages that the assembler takes at once, as deployed: ten instances, four each."""

LANES = 2
BATCH = 16
"""Calls side by side on a GPU, which computes one at a time, and windows in each (``adapters/hardware.py``)."""

STORE_CALLS = 4
"""Calls, one after the other, before a chunk's windows are there; as many to store its result."""

TASK_BYTES = 1_000
RESULT_BYTES_A_SECOND = 200
"""Of messages: a chunk's task, and for each second of audio some three words of 40 bytes; both rounded up."""


SIMULATED = ("cold_minutes", "warm_minutes", "cost")
"""Members of a plan that nothing but the simulation knows."""


class Range(msgspec.Struct, frozen=True):
    """A value in the three cases."""

    fast: float
    likely: float
    slow: float


class PricedBy(Price, frozen=True, kw_only=True):
    """A price that was used."""

    name: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What transcribing will take, simulated; nothing was sent or spent."""

    name: str | None  #: of the file; null for hours
    seconds: float  #: of the recording
    speech_seconds: float  #: as the detector heard it; of hours nobody has heard, what is usual
    windows: int
    chunks: int
    machine: str  #: by its name in ``prices.toml``
    instances: int
    scaled_to: int  #: instances the reconciler asks for by itself, if as many are allowed
    cold_minutes: Range  #: from the upload to the transcript, instances not running
    warm_minutes: Range  #: the same, instances running
    cost: Cost  #: from the instances' start to their release; low: all goes fast, high: all goes slowly
    constants: tuple[Constant, ...]  #: what it rests on
    prices: tuple[PricedBy, ...]
    simulated: tuple[str, ...] = SIMULATED  #: members that were simulated, not measured


def deployment(values: Mapping[str, Constant], case: Case, instances: int, *, cold: bool) -> Deployment:
    """Return Google Cloud as the ``values`` have it in a case."""

    def value(name: str) -> float:
        return values[name].of(case)

    window = 30 / value("speed") * (1 + value("overhead"))
    wait = value("function_start") + value("scaler") + value("start") + value("image") + value("load")
    start = wait if cold else 0.0
    return Deployment(
        chunker=Chunker(
            start=value("function_start") if cold else 0.0,
            first=value("chunker_first"),
            rate=value("chunker_rate") / 3600,
            slots=CHUNKER_SLOTS,
        ),
        worker=Worker(
            start=start,
            call=0.0,
            window=window * value("padding"),
            audio=window * (1 - value("padding")) / 30,
            lanes=LANES,
            batch=BATCH,
            leases=LEASES,
            fetch=STORE_CALLS * value("call"),
            answer=value("call"),
        ),
        assembler=Assembler(
            result=STORE_CALLS * value("call"),
            finish=value("finish"),
            finish_chunk=value("finish_chunk"),
            slots=ASSEMBLER_SLOTS,
        ),
        workers=instances,
        preempted=tuple(start + 60.0 * (number + 1) for number in range(instances)) if value("preemptions") else (),
    )


def asked_for(chunks: int, speech: float) -> int:
    """Return how many instances the reconciler asks for by itself, if as many are allowed."""
    return scaling.instances(scaling.Backlog(chunks, speech), 0, 0.0, scaling.Fleet(maximum=max(1, chunks)))


def held_seconds(outcome: Outcome, instances: int) -> float:
    """Return the seconds that instances are paid for: from their order to their release, ten idle minutes later."""
    return instances * (outcome.seconds + scaling.IDLE_SECONDS)


def priced(
    outcome: Outcome, recordings: Sequence[Recording], size: int, machine: str, instances: int, prices: Prices
) -> Cost:
    """Return what a simulated run costs; ``size``: bytes of one recording."""
    chunks = sum(len(recording.chunks) for recording in recordings)
    audio = sum(sum(chunk.windows) for recording in recordings for chunk in recording.chunks)
    calls = DELIVERY * (outcome.deliveries - chunks)
    for recording in recordings:
        count = len(recording.chunks)
        calls += operations(
            seconds=recording.seconds,
            recording_bytes=size,
            chunks=count,
            runs=count,
            deliveries=count,
            formats=len(FORMATS),
        )
    message_bytes = TASK_BYTES * chunks + RESULT_BYTES_A_SECOND * audio
    return cost({machine: held_seconds(outcome, instances)}, outcome.cut, calls, message_bytes, prices)


def together(fast: Cost, slow: Cost) -> Cost:
    """Return the range from one cost's low end to the other's high end."""
    return Cost(
        low=fast.low,
        high=slow.high,
        lines=tuple(
            CostLine(one.what, one.low, other.high) for one, other in zip(fast.lines, slow.lines, strict=True)
        ),
        dates=fast.dates,
    )


def estimate(
    recordings: Mapping[Case, Recording],
    speech: float,
    size: int,
    *,
    name: str | None,
    gpu: str,
    spot: bool,
    instances: int,
    prices: Prices,
) -> Plan:
    """Return the plan for one recording, which may look different in each case."""
    values = constants(gpu, spot=spot)
    machine = f"{gpu}-spot" if spot else gpu
    cold: dict[Case, Outcome] = {}
    warm: dict[Case, Outcome] = {}
    for case, recording in recordings.items():
        for outcomes, start in ((cold, True), (warm, False)):
            outcomes[case] = simulate(deployment(values, case, instances, cold=start), [recording])
    costs = {
        case: priced(cold[case], [recording], size, machine, instances, prices)
        for case, recording in recordings.items()
    }
    likely = recordings[Case.LIKELY]
    used = [*prices.machines[machine].prices, *(one for one in prices.prices if _of_calls(one))]
    return Plan(
        name=name,
        seconds=round(likely.seconds, 1),
        speech_seconds=round(speech, 1),
        windows=sum(len(chunk.windows) for chunk in likely.chunks),
        chunks=len(likely.chunks),
        machine=machine,
        instances=instances,
        scaled_to=asked_for(len(likely.chunks), speech),
        cold_minutes=_minutes(cold),
        warm_minutes=_minutes(warm),
        cost=together(costs[Case.FAST], costs[Case.SLOW]),
        constants=tuple(values.values()),
        prices=tuple(PricedBy(name=one, **msgspec.structs.asdict(prices.prices[one])) for one in used),
    )


def _of_calls(price: str) -> bool:
    return price.startswith(("function-", "storage-", "message-", "document-"))


def _minutes(outcomes: Mapping[Case, Outcome]) -> Range:
    return Range(**{str(case): round(outcome.seconds / 60, 1) for case, outcome in outcomes.items()})
