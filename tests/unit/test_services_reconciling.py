"""The reconciler's service: what a round did is logged without content, and what it asks for is started."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace

from longscribe.core import limits, topics
from longscribe.core.scaling import Fleet
from longscribe.core.uploads import COMPLAINT
from longscribe.documents import JobState
from longscribe.errors import Misconfigured, NoSpace
from longscribe.messages import UploadEvent
from longscribe.observe import Log
from longscribe.ports import BlobInfo
from longscribe.services.events import Retry
from longscribe.services.reconciling import Reconciling, Unscaled
from longscribe.stages import chunker
from longscribe.stages.chunker import job_id
from longscribe.stages.reconciler import ReconcilerPorts
from tests.standins import Bench, Faulty, PcmMedia, spoken

CANARY = "canary-7f3a"


@dataclass
class Starter:
    """Starts chunkers, as far as the service calls it; the real one has tests of its own."""

    fails: bool = False
    events: list[UploadEvent] = field(default_factory=list)

    def start(self, event: UploadEvent) -> str:
        self.events.append(event)
        if self.fails:
            raise Misconfigured(CANARY)
        return "execution"


@dataclass
class Pool:
    """Remembers what it was asked for."""

    instances: int = 0

    def size(self) -> int:
        return self.instances

    def resize(self, instances: int) -> None:
        self.instances = instances


Make = Callable[..., Reconciling]


@pytest.fixture
def lines() -> io.StringIO:
    stream = io.StringIO()
    yield stream
    assert CANARY not in stream.getvalue()


@pytest.fixture
def make(bench: Bench, lines: io.StringIO) -> Make:
    def made(
        job: Starter | None = None,
        pool: Any = None,
        waiting: Callable[[], int] = lambda: 0,
        written: Callable[[float, float], list[BlobInfo]] = lambda since, until: [],
    ) -> Reconciling:
        ports = ReconcilerPorts(bench.assembler(), pool or Unscaled(), Fleet(6))
        return Reconciling(ports, bench.clock, job, waiting, written, Log("reconciler", bench.clock.now, lines))

    return made


def logged(lines: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def test_a_lost_last_event_is_made_good(bench: Bench, make: Make, lines: io.StringIO) -> None:
    event = bench.upload(spoken(40), name=f"{CANARY}.pcm")
    chunker.chunk(event, bench.chunker())
    bench.work()
    for data in bench.drop(topics.RESULTS)[1:]:
        bench.queue.publish(topics.RESULTS, data)
    bench.assemble()
    lost = [chunk for chunk in bench.chunks(event) if chunk.result is None]
    assert not lost or bench.job(event).state is JobState.TRANSCRIBING
    bench.clock.sleep(limits.LOST_SECONDS * 2)
    make().tick()
    bench.work()
    bench.assemble()
    make().tick()
    assert bench.job(event).state is JobState.COMPLETE
    assert [line["message"] for line in logged(lines)].count("A round was taken") == 2


@pytest.mark.parametrize("starter", [Starter(), Starter(fails=True), None])
def test_a_chunker_that_died_is_started_again(
    bench: Bench, make: Make, lines: io.StringIO, starter: Starter | None
) -> None:
    event = bench.upload(spoken(720), name=f"{CANARY}.pcm", language="de")
    with pytest.raises(ConnectionError):
        chunker.chunk(event, bench.chunker(media=PcmMedia(dies_after=3)))
    bench.clock.sleep(limits.CHUNKER_SECONDS + 1)
    make(starter).tick()
    if starter is None:
        assert "no job that could cut" in lines.getvalue()
        return
    (again,) = starter.events
    assert job_id(again) == job_id(event)
    assert ("Misconfigured" in lines.getvalue()) == starter.fails
    chunker.chunk(again, bench.chunker())
    job = bench.job(event)
    assert (job.state, job.settings.language) == (JobState.TRANSCRIBING, "de")


def test_the_pool_gets_what_the_backlog_asks_for(bench: Bench, make: Make, lines: io.StringIO) -> None:
    event = bench.upload(spoken(40))
    chunker.chunk(event, bench.chunker())
    pool = Pool()
    make(pool=pool).tick()
    assert pool.instances == 1
    assert logged(lines)[-1]["instances"] == 1
    assert logged(lines)[-1]["waiting"] == len(bench.chunks(event))


def test_messages_that_wait_count_where_no_document_does(make: Make) -> None:
    pool = Pool()
    make(pool=pool, waiting=lambda: 500).tick()
    assert pool.instances > 1


def test_a_count_that_fails_is_logged_and_the_round_goes_on(make: Make, lines: io.StringIO) -> None:
    def fail() -> int:
        raise Misconfigured(CANARY)

    make(waiting=fail).tick()
    assert [line["message"] for line in logged(lines)] == [
        "The waiting messages could not be counted",
        "A round was taken",
    ]


def test_a_pool_nobody_sizes_stays_as_it_is() -> None:
    pool = Unscaled()
    pool.resize(5)
    assert pool.size() == 0


def test_a_job_in_trouble_is_named_and_not_quoted(bench: Bench, make: Make, lines: io.StringIO) -> None:
    event = bench.upload(spoken(40))
    chunker.chunk(event, bench.chunker())

    def fail(call: str, _: object) -> None:
        if call == "count_pending":
            raise NoSpace(CANARY)

    bench.jobs = Faulty(bench.jobs, fail)
    make().tick()
    trouble = next(line for line in logged(lines) if line.get("error") == "NoSpace")
    assert trouble["job"] == job_id(event)


def test_a_round_that_cannot_begin_is_asked_for_again(bench: Bench, make: Make, lines: io.StringIO) -> None:
    def fail(call: str, _: object) -> None:
        if call == "unfinished":
            raise RuntimeError(CANARY)

    bench.jobs = Faulty(bench.jobs, fail)
    with pytest.raises(Retry):
        make().tick()
    assert "RuntimeError" in lines.getvalue()


def test_an_upload_whose_event_was_lost_is_cut(bench: Bench, make: Make, lines: io.StringIO) -> None:
    known, lost = (bench.upload(spoken(40 + n), name=f"{CANARY}-{n}.pcm", language="de") for n in range(2))
    chunker.chunk(known, bench.chunker())
    asked: list[tuple[float, float]] = []

    def written(since: float, until: float) -> list[BlobInfo]:
        asked.append((since, until))
        note = replace(lost.recording, name=f"{lost.recording.name}{COMPLAINT}")
        return [
            BlobInfo(known.recording, known.size, known.metadata),
            BlobInfo(lost.recording, lost.size, lost.metadata),
            BlobInfo(note, 10, {}),
        ]

    starter = Starter()
    service = make(starter, written=written)
    service.tick()
    assert starter.events == [lost]
    now = bench.clock.now()
    assert asked == [(now - limits.MISSED_FOR_SECONDS, now - limits.MISSED_SECONDS)]
    service.tick()
    assert len(asked) == 1, "not with every tick"
    bench.clock.sleep(limits.MISSED_SECONDS)
    service.tick()
    assert starter.events == [lost, lost], "until it has a job"


def test_a_bucket_that_cannot_be_listed_does_not_stop_the_round(make: Make, lines: io.StringIO) -> None:
    def fail(since: float, until: float) -> list[BlobInfo]:
        raise Misconfigured(CANARY)

    make(written=fail).tick()
    assert [line["message"] for line in logged(lines)] == [
        "The uploads could not be looked at",
        "A round was taken",
    ]


def test_a_first_chunk_starts_a_worker_where_there_is_none(make: Make, lines: io.StringIO) -> None:
    pool = Pool()
    make(pool=pool).wake()
    assert pool.instances == 1
    pool.instances = 3
    make(pool=pool).wake()
    assert pool.instances == 3
    assert [line["message"] for line in logged(lines)] == ["A worker was asked for"]


def test_a_pool_that_fails_is_woken_again(make: Make, lines: io.StringIO) -> None:
    def fail(call: str, _: object) -> None:
        raise Misconfigured(CANARY)

    with pytest.raises(Retry):
        make(pool=Faulty(Pool(), fail)).wake()
    assert "Misconfigured" in lines.getvalue()
