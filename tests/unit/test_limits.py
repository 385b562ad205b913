"""Every bound of ``core/limits.py`` one below, at, and one above.

What is in bounds is taken, what is not is refused before work is done; what is due is done, and no sooner.
"""

import ast
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longscribe import wiring, wiring_cloud
from longscribe.adapters.gcp.storage import GcsBlobs
from longscribe.adapters.local.queue import SqliteQueue, Subscription
from longscribe.adapters.media.av_media import AvMedia
from longscribe.core import limits, topics
from longscribe.core.limits import FRAME, GRID, SAMPLE_RATE
from longscribe.core.scaling import Fleet
from longscribe.core.settings import Settings
from longscribe.core.uploads import SIDECAR, check_name
from longscribe.documents import JobState
from longscribe.errors import BadInput, DecodeError, OverLimit, Poison
from longscribe.messages import BlobRef, Sealed, decode, encode
from longscribe.observe import Log
from longscribe.ports import BlobInfo, DeadLetterPolicy
from longscribe.services.reconciling import Reconciling, Unscaled
from longscribe.stages import chunker
from longscribe.stages.reconciler import Action, reconcile
from tests.contract.clocks import ManualClock
from tests.hostile.recordings import decode as decode_recording
from tests.hostile.test_media_refusals import flac_claiming, wav
from tests.standins import Bench, spoken
from tests.unit.test_cutting import plan, track
from tests.unit.test_reconcile import half_cut, left_settling

ROOT = Path(__file__).parents[2]
Try = Callable[[Bench, Any], bool]
"""Given a bench and a value, whether it is in bounds: taken, or not yet due."""


@dataclass(frozen=True)
class Bound:
    """How a limit is tried."""

    tried: Try
    step: float = 1
    below: bool = True
    at: bool = True
    above: bool = False


TRIED: dict[str, list[Bound]] = {}

UNITS = {"SAMPLE_RATE", "FRAME"}
"""What others are counted in; nothing can be more or less of it."""

ELSEWHERE = {
    "MAX_CHUNKS": "tests/unit/test_stages_chunker.py::test_the_limit_on_chunks",
    "LEASES": "tests/unit/test_pulling.py::test_never_more_leases_than_it_can_work_on",
}
"""What is tried where it is used: one below, at and one above."""


def bound(*names: str, **how: Any) -> Callable[[Try], Try]:
    """Try the limits called so."""

    def note(tried: Try) -> Try:
        for name in names:
            TRIED.setdefault(name, []).append(Bound(tried, **how))
        return tried

    return note


LOW = {"below": False, "at": True, "above": True}
DUE = {"below": True, "at": False, "above": False}


def accepted(do: Callable[[], object], *refused: type[Exception]) -> bool:
    """Return whether it is done, or refused as it should be."""
    try:
        do()
    except refused as error:
        said = str(error)
    else:
        return True
    assert said.endswith(".")
    return False


# Audio


@bound("WINDOW", step=FRAME)
def window(bench: Bench, samples: int) -> bool:
    chunks, _, _ = plan(track((samples / SAMPLE_RATE, -20.0)), 56.0)
    windows = [window for chunk in chunks for window in chunk.windows]
    assert all(window.samples <= limits.WINDOW for window in windows)
    return len(windows) == 1


@bound("GRID", below=False)
def grid(bench: Bench, start: int) -> bool:
    data = wav()

    def begin() -> None:
        with AvMedia().decode(lambda first, last: data[first:last], len(data), start):
            pass

    return accepted(begin, ValueError) if start % GRID == 0 else _is_no_multiple(begin)


def _is_no_multiple(begin: Callable[[], None]) -> bool:
    with pytest.raises(ValueError, match="multiple"):
        begin()
    return False


@bound("MAX_CHUNK_EXTENT")
def extent(bench: Bench, samples: int) -> bool:
    media = AvMedia()
    return accepted(lambda: media.decode_chunk(media.encode(np.zeros(samples, np.int16))), Poison)


@bound("MAX_RECORDING_BYTES")
def bytes_decoded(bench: Bench, size: int) -> bool:
    data = wav()

    def begin() -> None:
        with AvMedia().decode(lambda first, last: data[first:last].ljust(last - first, b"\0"), size):
            pass

    return accepted(begin, OverLimit)


@bound("MAX_RECORDING_BYTES")
def bytes_uploaded(bench: Bench, size: int) -> bool:
    from longscribe.messages import UploadEvent

    event = UploadEvent(BlobRef("uploads", f"{size}.wav", 1), size, {})
    job = chunker.open_job(event, bench.settings, bench.jobs, bench.clock)
    return job.state is not JobState.FAILED


@bound("MAX_RECORDING_SECONDS")
def seconds(bench: Bench, length: int) -> bool:
    return accepted(lambda: decode_recording(flac_claiming(length)), OverLimit)


@bound("MAX_CHANNELS")
def channels(bench: Bench, count: int) -> bool:
    return accepted(lambda: decode_recording(wav(channels=count)), OverLimit)


@bound("MAX_SOURCE_RATE")
@bound("MIN_SOURCE_RATE", **LOW)
def rate(bench: Bench, hertz: int) -> bool:
    return accepted(lambda: decode_recording(wav(rate=hertz)), OverLimit)


# Settings


@bound("MAX_CHUNK_SECONDS", step=0.01)
@bound("MIN_CHUNK_SECONDS", step=0.01, **LOW)
def chunk_length(bench: Bench, length: float) -> bool:
    return accepted(lambda: Settings(chunk_seconds=length).checked(), OverLimit)


@bound("MAX_VOCABULARY_TERMS")
def terms(bench: Bench, count: int) -> bool:
    return accepted(lambda: Settings(vocabulary=tuple(f"term {n}" for n in range(count))).checked(), OverLimit)


@bound("MAX_TERM_CHARACTERS")
def term(bench: Bench, length: int) -> bool:
    return accepted(lambda: Settings(vocabulary=("ü" * length,)).checked(), OverLimit)


@bound("MAX_DECODE_WORKERS")
@bound("MIN_DECODE_WORKERS", **LOW)
def decoders(bench: Bench, count: int) -> bool:
    read = accepted(lambda: wiring.environment({"LONGSCRIBE_DECODE_WORKERS": str(count)}), BadInput)
    assert accepted(lambda: AvMedia(count), OverLimit) == read
    return read


@bound("MAX_LEASES")
def leases(bench: Bench, count: int) -> bool:
    variables = {"LONGSCRIBE_PROJECT": "x", "LONGSCRIBE_LEASES": str(count)}
    return accepted(lambda: wiring_cloud.environment(variables), BadInput)


# Names and messages


@bound("MAX_NAME_BYTES")
def name_of_a_file(bench: Bench, length: int) -> bool:
    return accepted(lambda: bench.blobs.create("chunks", "n" * length, b"x"), OverLimit)


@bound("MAX_NAME_BYTES")
def name_of_an_object(bench: Bench, length: int) -> bool:
    class Nobody:
        """A client of which nothing is asked for a name that is too long."""

        def bucket(self, name: str) -> Any:
            raise ConnectionRefusedError

    with suppress(ConnectionRefusedError):
        return accepted(
            lambda: GcsBlobs(Nobody()).stat("bucket", "ü" * (length // 2) + "n" * (length % 2)), OverLimit
        )
    return True


@bound("MAX_NAME_BYTES")
def name_with_room(bench: Bench, length: int) -> bool:
    room = length - len(SIDECAR)
    name = "/".join(["n" * 200] * 6)
    return accepted(lambda: check_name(name[:room]), OverLimit)


@bound("MAX_MESSAGE_BYTES")
def message(bench: Bench, length: int) -> bool:
    data = encode(Sealed("x" * (length - len(encode(Sealed(""))))))
    assert len(data) == length
    return accepted(lambda: decode(data, Sealed), DecodeError)


# Leases and attempts


def queue(bench: Bench, attempts: int) -> SqliteQueue:
    dead = Subscription("dead", "dead")
    work = Subscription("work", "work", limits.LEASE_SECONDS, DeadLetterPolicy("dead", attempts))
    return SqliteQueue(bench.home / f"{attempts}.sqlite", (work, dead), bench.clock)


@bound("LEASE_SECONDS", step=2**-10, **DUE)
def lease(bench: Bench, waited: float) -> bool:
    made = queue(bench, 5)
    made.publish("work", b"x")
    assert made.pull("work", 1)
    bench.clock.sleep(waited)
    held = not made.pull("work", 1)
    made.close()
    return held


@bound("MAX_ATTEMPTS_EMBEDDED", "MAX_ATTEMPTS_CLOUD")
def attempts(bench: Bench, count: int) -> bool:
    """A message that is given back each time comes so often, and no more."""
    (most,) = {limits.MAX_ATTEMPTS_EMBEDDED, limits.MAX_ATTEMPTS_CLOUD} & {count - 1, count, count + 1}
    made = queue(bench, most)
    made.publish("work", b"x")
    for _ in range(count):
        pulled = made.pull("work", 1)
        made.nack("work", [one.lease for one in pulled])
    dead = bool(made.pull("dead", 1)) if not pulled else False
    made.close()
    assert dead == (not pulled)
    return bool(pulled)


# What comes to an end


def cut(bench: Bench) -> None:
    chunker.chunk(bench.upload(spoken(36)), bench.chunker())


def deeds(bench: Bench, waited: float) -> set[Action]:
    bench.clock.sleep(waited)
    found = reconcile(bench.reconciler(), bench.clock.now())
    assert found.troubles == ()
    return {deed.action for deed in found.deeds}


@bound("LOST_SECONDS", step=2**-10, **DUE)
def silence_of_a_job(bench: Bench, waited: float) -> bool:
    cut(bench)
    bench.drop(topics.CHUNKS_HIGH)
    bench.drop(topics.CHUNKS_LOW)
    return Action.RESENT not in deeds(bench, waited)


@bound("SETTLE_SECONDS", step=2**-10, **DUE)
def settling(bench: Bench, waited: float) -> bool:
    left_settling(bench)
    return Action.SETTLED not in deeds(bench, waited)


@bound("REPLAY_SECONDS", step=2**-10, **DUE)
def replay(bench: Bench, waited: float) -> bool:
    left_settling(bench)
    assert deeds(bench, limits.SETTLE_SECONDS) == {Action.SETTLED}
    return Action.REPLAYED not in deeds(bench, waited)


@bound("CHUNKER_SECONDS", step=2**-10, **DUE)
def cutting(bench: Bench, waited: float) -> bool:
    half_cut(bench)
    return Action.RECUT not in deeds(bench, waited)


@bound("JOB_SECONDS", step=2**-10, **DUE)
def life_of_a_job_that_is_cut(bench: Bench, waited: float) -> bool:
    half_cut(bench)
    return Action.FAILED not in deeds(bench, waited)


@bound("JOB_SECONDS", step=2**-10, **DUE)
def life_of_a_job_that_waits(bench: Bench, waited: float) -> bool:
    cut(bench)
    return Action.EXPIRED not in deeds(bench, waited)


class Reconciler:
    """The service, with uploads that were written long ago, or just now."""

    def __init__(self, bench: Bench) -> None:
        import io

        self.asked: list[tuple[float, float]] = []
        self.clock = bench.clock
        self.service = Reconciling(
            bench.reconciler(pool=Unscaled(), fleet=Fleet(1)),
            bench.clock,
            None,
            lambda: 0,
            self.written,
            Log("reconciler", bench.clock.now, io.StringIO()),
        )

    def written(self, since: float, until: float) -> list[BlobInfo]:
        self.asked.append((since, until))
        return []

    def looks_for(self, age: float) -> bool:
        """Whether a round looks for an upload so old."""
        ((since, until),) = self.asked
        return since <= self.clock.now() - age < until


@bound("MISSED_SECONDS", step=2**-10, **DUE)
def between_looks(bench: Bench, waited: float) -> bool:
    made = Reconciler(bench)
    made.service.tick()
    bench.clock.sleep(waited)
    made.service.tick()
    return len(made.asked) == 1


@bound("MISSED_SECONDS", step=2**-10, below=True, at=True, above=False)
def youth_of_an_upload(bench: Bench, age: float) -> bool:
    """A younger one may yet have its event: it is left alone; at the bound, too."""
    made = Reconciler(bench)
    made.service.tick()
    return not made.looks_for(age)


@bound("MISSED_FOR_SECONDS", step=2**-10)
def age_of_an_upload(bench: Bench, age: float) -> bool:
    made = Reconciler(bench)
    made.service.tick()
    return made.looks_for(age)


# All of them


def declared() -> Iterator[str]:
    tree = ast.parse(Path(limits.__file__).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


@pytest.fixture
def exact(tmp_path: Path) -> Iterator[Bench]:
    """A bench at a time so early that no sum of times is rounded."""
    made = Bench(tmp_path, ManualClock(2.0**20))
    yield made
    made.close()


CASES = [(name, case, side) for name, cases in TRIED.items() for case in cases for side in ("below", "at", "above")]


@pytest.mark.parametrize(
    ("name", "case", "side"), CASES, ids=[f"{name}-{case.tried.__name__}-{side}" for name, case, side in CASES]
)
def test_bounds(exact: Bench, name: str, case: Bound, side: str) -> None:
    value = getattr(limits, name) + case.step * {"below": -1, "at": 0, "above": 1}[side]
    assert case.tried(exact, value) == getattr(case, side)


def test_every_bound_is_tried() -> None:
    assert set(TRIED) | UNITS | set(ELSEWHERE) == set(declared())
    for name, test in ELSEWHERE.items():
        file, _, function = test.partition("::")
        source = (ROOT / file).read_text(encoding="utf-8")
        assert name in source
        assert f"def {function}(" in source


def test_a_limit_that_nobody_tries_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(TRIED, "MAX_CHANNELS")
    with pytest.raises(AssertionError):
        test_every_bound_is_tried()
