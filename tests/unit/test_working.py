"""The worker's service: it works, tells its health, reports itself, and ends as it is asked to."""

import io
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from longscribe.core import topics
from longscribe.core.limits import SAMPLE_RATE
from longscribe.documents import ChunkState
from longscribe.errors import NoSpace, Transient
from longscribe.messages import UploadEvent
from longscribe.observe import Log
from longscribe.ports import Delivery
from longscribe.services import working
from longscribe.services.working import Health, Working, resident_bytes
from longscribe.stages import chunker
from tests.standins import Bench, Faulty, SystemClock, ToneRecogniser, job_id, spoken

MAIN = Path(__file__).parents[2] / "gpu_service" / "main.py"

SMALL = 2**60
"""Bytes of memory that no process has."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working, "WATCH_SECONDS", 0.02)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, SystemClock())
    yield made
    made.close()


@pytest.fixture
def event(bench: Bench) -> UploadEvent:
    made = bench.upload(spoken(60))
    chunker.chunk(made, bench.chunker())
    bench.drop(topics.RESULTS)
    return made


def service(bench: Bench, stream: io.StringIO | None = None, memory: int = SMALL, **ports) -> Working:
    log = Log("worker", bench.clock.now, stream or io.StringIO())
    return Working(bench.worker(**ports), bench.clock, log, memory, resident=lambda: 1_000)


def until(done: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def done(bench: Bench, event: UploadEvent) -> bool:
    bench.assemble()
    return not bench.jobs.any_pending(job_id(event))


def test_it_works_off_what_waits_and_ends_when_asked(bench: Bench, event: UploadEvent) -> None:
    made = service(bench)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(made.run)
        until(lambda: done(bench, event))
        made.end()
        assert running.result(10) == 0


def test_each_chunk_is_logged_with_the_speed_of_the_model(bench: Bench, event: UploadEvent) -> None:
    stream = io.StringIO()
    made = service(bench, stream, recogniser=ToneRecogniser(seconds=0.05))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(made.run)
        until(lambda: done(bench, event))
        made.end()
        assert running.result(10) == 0
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    heard = {line["chunk"]: line for line in lines if line["message"] == "A chunk was heard"}
    assert set(heard) == {chunk.task.index for chunk in bench.chunks(event)}
    for chunk in bench.chunks(event):
        assert chunk.result is not None
        line = heard[chunk.task.index]
        assert line["seconds"] == pytest.approx(chunk.task.speech / SAMPLE_RATE, abs=0.05)
        spent = chunk.result.provenance.device_seconds
        assert line["speed"] == pytest.approx(chunk.task.speech / SAMPLE_RATE / spent, abs=0.05)


def test_it_holds_as_many_chunks_as_it_is_told(bench: Bench, event: UploadEvent) -> None:
    log = Log("worker", bench.clock.now, io.StringIO())
    asked: list[int] = []

    class Watched(Faulty):
        def pull(self, subscription: str, limit: int) -> list[Delivery]:
            asked.append(limit)
            return bench.queue.pull(subscription, limit)

    ports = bench.worker(queue=Watched(bench.queue, lambda *_: None))
    made = Working(ports, bench.clock, log, SMALL, resident=lambda: 1_000, leases=2)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(made.run)
        until(lambda: done(bench, event))
        until(lambda: max(asked) == 2)
        made.end()
        assert running.result(10) == 0
    assert max(asked) == 2


def test_it_reports_itself(bench: Bench) -> None:
    made = service(bench)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(made.run)
        until(lambda: list(bench.jobs.workers()))
        made.end()
        running.result(10)
    (worker,) = bench.jobs.workers()
    assert (worker.name, worker.model, worker.device) == ("bench", "base", "cpu")
    assert time.time() - 30 < worker.since <= worker.pulled


def test_a_queue_that_is_away_for_a_while_is_asked_again(
    bench: Bench, event: UploadEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "AWAY_SECONDS", 0.02)
    pulls = 0

    def fail(call: str, _: object) -> None:
        nonlocal pulls
        if call == "pull":
            pulls += 1
            if pulls in (2, 3):
                raise Transient("The network is away.")

    stream = io.StringIO()
    made = service(bench, stream, queue=Faulty(bench.queue, fail))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(made.run)
        until(lambda: done(bench, event))
        made.end()
        assert running.result(10) == 0
    assert stream.getvalue().count("Transient") >= 2
    states = {chunk.state for chunk in bench.chunks(event)}
    assert states == {ChunkState.DONE}


@pytest.mark.parametrize("grown", [False, True], ids=["asked to end", "grown"])
def test_a_worker_whose_queue_is_away_ends_as_any_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, grown: bool
) -> None:
    monkeypatch.setattr(working, "AWAY_SECONDS", 0.02)

    def fail(call: str, _: object) -> None:
        if call == "pull":
            raise Transient("The network is away.")

    made = service(bench, memory=999 if grown else SMALL, queue=Faulty(bench.queue, fail))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(made.run)
        if not grown:
            time.sleep(0.2)
            made.end()
        assert running.result(10) == 0


def test_a_report_that_fails_is_logged_and_no_more(bench: Bench) -> None:
    def fail(call: str, _: object) -> None:
        if call == "report":
            raise NoSpace("full")

    stream = io.StringIO()
    made = service(bench, stream, jobs=Faulty(bench.jobs, fail))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(made.run)
        until(lambda: "NoSpace" in stream.getvalue())
        made.end()
        assert running.result(10) == 0


def test_grown_memory_ends_it_between_chunks_and_nothing_is_given_back(bench: Bench, event: UploadEvent) -> None:
    made = service(bench, memory=999, recogniser=ToneRecogniser(seconds=0.05))
    assert made.run() == 0
    bench.assemble()
    held = [chunk for chunk in bench.chunks(event) if chunk.state is ChunkState.DONE]
    waiting = bench.queue.backlog(topics.CHUNKS_HIGH) + bench.queue.backlog(topics.CHUNKS_LOW)
    assert len(held) + waiting == len(bench.chunks(event))


def test_a_batch_that_outlasts_the_grace_is_given_back_at_once(
    bench: Bench, event: UploadEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "GRACE_SECONDS", 0.1)
    busy, free = threading.Event(), threading.Event()

    def block(_: object) -> None:
        busy.set()
        free.wait(30)

    stream = io.StringIO()
    made = service(bench, stream, recogniser=ToneRecogniser(before=block))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(made.run)
        assert busy.wait(20)
        made.end()
        assert running.result(10) == 0
        attempts = [delivery.attempt for delivery in bench.queue.pull(topics.CHUNKS_HIGH, 100)]
        free.set()
    assert 2 in attempts
    assert "given back" in stream.getvalue()


def test_a_worker_that_dies_says_so_and_returns_1(bench: Bench) -> None:
    class Dead(BaseException):
        pass

    def die(call: str, _: object) -> None:
        if call == "pull":
            raise Dead

    stream = io.StringIO()
    assert service(bench, stream, queue=Faulty(bench.queue, die)).run() == 1
    assert '"error": "Dead"' in stream.getvalue()


def status(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_health_is_what_the_worker_says() -> None:
    well = [True]
    with Health(0, lambda: well[0]) as health:
        assert status(health.port, "/healthz") == 200
        assert status(health.port, "/other") == 404
        well[0] = False
        assert status(health.port, "/healthz") == 503


def test_a_worker_without_progress_is_not_well(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    made = service(bench)
    assert made.well
    monkeypatch.setattr(working, "STUCK_SECONDS", -1.0)
    assert not made.well


def stuck(bench: Bench, monkeypatch: pytest.MonkeyPatch, memory: int = SMALL) -> tuple[int, str]:
    """What a worker returns and logs whose first batch does not end."""
    monkeypatch.setattr(working, "STUCK_SECONDS", 1.5)
    free = threading.Event()
    stream = io.StringIO()
    try:
        code = service(bench, stream, memory, recogniser=ToneRecogniser(before=lambda _: free.wait(30))).run()
    finally:
        free.set()
    return code, stream.getvalue()


def test_a_worker_that_is_stuck_ends_by_itself_and_gives_its_chunks_back(
    bench: Bench, event: UploadEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, log = stuck(bench, monkeypatch)
    assert (code, "Nothing moves any more" in log) == (1, True)
    assert 2 in [delivery.attempt for delivery in bench.queue.pull(topics.CHUNKS_HIGH, 100)]


def test_a_worker_that_is_stuck_while_it_is_exchanged_ends_too(
    bench: Bench, event: UploadEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, log = stuck(bench, monkeypatch, memory=999)
    assert (code, log.count("The memory has grown")) == (1, 1)


def test_a_stuck_thread_does_not_hold_the_process_up() -> None:
    script = (
        "import runpy, threading; from longscribe import wiring_cloud; from longscribe.services import working;"
        "wiring_cloud.working = lambda: threading.Thread(target=threading.Event().wait).start();"
        "working.serve = lambda *_: 1;"
        f"runpy.run_path({str(MAIN)!r}, run_name='__main__')"
    )
    variables = {**os.environ, "LONGSCRIBE_PROJECT": "some-project"}
    assert subprocess.run([sys.executable, "-c", script], env=variables, timeout=60, check=False).returncode == 1


def test_this_process_holds_some_memory() -> None:
    assert 2**20 < resident_bytes() < 2**40
