"""The pull loop: what it leases, what it batches, and what becomes of a message on every path."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from longscribe.adapters.local.queue import PARDONED
from longscribe.core import limits, topics
from longscribe.documents import ChunkState, JobState
from longscribe.errors import NoSpace, Transient
from longscribe.messages import ChunkTask, UploadEvent, decode, encode
from longscribe.ports import Clock, Delivery, WindowAudio
from longscribe.pulling import LOW_PATIENCE_SECONDS, PullLoop
from longscribe.stages import chunker
from tests.standins import Bench, Faulty, Slow, SystemClock, ToneRecogniser, job_id, spoken, tones, words

COUNT = 150
"""Words: 12 to 16 chunks of one window each."""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, SystemClock())
    yield made
    made.close()


@pytest.fixture
def event(bench: Bench) -> UploadEvent:
    made = bench.upload(spoken(COUNT))
    chunker.chunk(made, bench.chunker())
    return made


class Running:
    """A loop in a thread of its own."""

    def __init__(self, loop: PullLoop) -> None:
        self.loop = loop
        self.errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.loop.run()
        except BaseException as error:
            self.errors.append(error)

    def start(self) -> None:
        self._thread.start()

    def join(self, seconds: float = 10.0) -> None:
        self._thread.join(seconds)
        assert not self._thread.is_alive()


@contextmanager
def running(bench: Bench, clock: Clock | None = None, **ports: Any) -> Iterator[list[Exception]]:
    """Run a loop; yield the errors it tells of. Its end is awaited."""
    told: list[Exception] = []
    work = Running(PullLoop(bench.worker(**ports), clock or bench.clock, told.append))
    work.start()
    try:
        yield told
    finally:
        work.loop.stop()
        work.join()
        assert work.errors == []


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to pass"
        time.sleep(0.005)


def idle(bench: Bench) -> bool:
    return not any(bench.queue.backlog(topic) for topic in (topics.CHUNKS_HIGH, topics.CHUNKS_LOW))


def finish(bench: Bench, event: UploadEvent) -> None:
    """Work, and assemble, until the job has ended."""
    bench.assemble()
    until(lambda: bench.assemble() is not None and bench.job(event).state.ended)


class Watched(Faulty):
    """A queue that knows which leases are out."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench.queue, lambda *_: None)
        self._queue = bench.queue
        self._lock = threading.Lock()
        self.out: set[str] = set()
        self.most = 0
        self.pulls: list[tuple[str, int]] = []

    def pull(self, subscription: str, limit: int) -> list[Delivery]:
        got = self._queue.pull(subscription, limit)
        with self._lock:
            self.pulls.append((subscription, limit))
            self.out |= {subscription + delivery.lease for delivery in got}
            self.most = max(self.most, len(self.out))
        return got

    def _settle(self, subscription: str, leases: Sequence[str]) -> None:
        with self._lock:
            self.out -= {subscription + lease for lease in leases}

    def acknowledge(self, subscription: str, leases: Sequence[str]) -> None:
        self._settle(subscription, leases)
        self._queue.acknowledge(subscription, leases)

    def nack(self, subscription: str, leases: Sequence[str]) -> None:
        self._settle(subscription, leases)
        self._queue.nack(subscription, leases)


def test_everything_is_worked_off_once(bench: Bench, event: UploadEvent) -> None:
    with running(bench) as told:
        finish(bench, event)
    assert told == []
    assert bench.text(event) == words(COUNT)
    heard = sorted(text for batch in bench.recogniser.batches for text in batch)
    assert len(heard) == len(set(heard)) == sum(len(chunk.task.windows) for chunk in bench.chunks(event))
    assert idle(bench)


def test_never_more_leases_than_it_can_work_on(bench: Bench, event: UploadEvent) -> None:
    bench.recogniser.seconds = 0.02
    queue = Watched(bench)
    with running(bench, queue=queue):
        finish(bench, event)
    assert queue.most == limits.LEASES
    assert max(limit for _, limit in queue.pulls) <= limits.LEASES
    assert queue.out == set()


def test_lanes_share_the_windows_of_all_held_chunks(bench: Bench) -> None:
    """Chunks of two windows: both lanes are at work at once, and batches hold windows of several chunks."""
    event = bench.upload(spoken(2 * COUNT), chunk_seconds="40")
    chunker.chunk(event, bench.chunker())
    own = [set(said(chunk.task.index, bench, event)) for chunk in bench.chunks(event)]
    busy = most = 0
    lock = threading.Lock()

    def watch(_: Sequence[WindowAudio]) -> None:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.05)
        with lock:
            busy -= 1

    bench.recogniser.before = watch
    with running(bench):
        finish(bench, event)
    assert most == 2
    sources = [
        {number for text in batch for number, said_in in enumerate(own) if said_in & set(text.split())}
        for batch in bench.recogniser.batches
    ]
    assert max(map(len, sources)) >= 2
    assert bench.text(event) == words(2 * COUNT)


def test_a_batch_is_never_larger_than_the_device_likes(bench: Bench) -> None:
    bench.recogniser.batch, bench.recogniser.lanes, bench.recogniser.at_once = 3, 1, 1
    event = bench.upload(spoken(COUNT), chunk_seconds="100")
    chunker.chunk(event, bench.chunker())
    assert max(len(chunk.task.windows) for chunk in bench.chunks(event)) > 3
    with running(bench):
        finish(bench, event)
    assert max(map(len, bench.recogniser.batches)) == 3
    assert bench.text(event) == words(COUNT)


@pytest.mark.parametrize(("count", "batches"), [(30, [1]), (60, [2]), (100, [1, 2]), (140, [2, 2]), (190, [2, 3])])
def test_a_jobs_last_windows_are_spread_over_the_lanes_by_twos(
    bench: Bench, count: int, batches: list[int]
) -> None:
    event = bench.upload(spoken(count), chunk_seconds="200")
    chunker.chunk(event, bench.chunker())
    (chunk,) = bench.chunks(event)
    assert len(chunk.task.windows) == sum(batches)
    with running(bench, blobs=Slow(bench.blobs, 0.6)):  # meanwhile the queue is found empty
        finish(bench, event)
    assert sorted(map(len, bench.recogniser.batches)) == batches


def poison(chunk: int, bench: Bench, event: UploadEvent) -> Callable[[Sequence[WindowAudio]], None]:
    """The device fails whenever it meets the words of one chunk."""
    bad = set(said(chunk, bench, event))

    def fail(windows: Sequence[WindowAudio]) -> None:
        if any(found.text.strip() in bad for window in windows for found in tones(window.samples)):
            raise RuntimeError("the device went mad")

    return fail


def said(chunk: int, bench: Bench, event: UploadEvent) -> list[str]:
    data = bench.blobs.read(bench.jobs.chunk(job_id(event), chunk).task.audio)
    return [found.text.strip() for found in tones(bench.media.decode_chunk(data))]


@pytest.mark.parametrize("victim", [0, 2, 7])
def test_a_poison_chunk_harms_only_itself(bench: Bench, event: UploadEvent, victim: int) -> None:
    bench.recogniser.before = poison(victim, bench, event)
    with running(bench) as told:
        finish(bench, event)
    assert bench.job(event).state is JobState.PARTIAL
    lost = set(said(victim, bench, event))
    assert bench.text(event) == [text for text in words(COUNT) if text not in lost]
    given_up = [chunk.task.index for chunk in bench.chunks(event) if chunk.state is ChunkState.MISSING]
    assert given_up == [victim]
    assert len(told) == limits.MAX_ATTEMPTS_EMBEDDED
    attempts = [chunk.result.provenance.attempt for chunk in bench.chunks(event) if chunk.result is not None]
    assert max(attempts) <= 2
    assert idle(bench)


def test_a_chunk_on_its_second_delivery_runs_alone(bench: Bench, event: UploadEvent) -> None:
    victim = set(said(1, bench, event))
    with_it: list[list[set[str]]] = []
    busy: list[list[set[str]]] = []
    lock = threading.Lock()

    def fail(windows: Sequence[WindowAudio]) -> None:
        batch = [{found.text.strip() for found in tones(window.samples)} for window in windows]
        with lock:
            busy.append(batch)
            together = [*busy]
        time.sleep(0.02)
        with lock:
            busy.remove(batch)
        if any(window & victim for window in batch):
            with_it.append([window for other in together for window in other])
            raise RuntimeError("the device went mad")

    bench.recogniser.before = fail
    with running(bench):
        finish(bench, event)
    assert len(with_it) == limits.MAX_ATTEMPTS_EMBEDDED
    assert all(len(batch) == 1 for batch in with_it[1:])


def test_while_a_suspect_is_held_nothing_else_is_leased(bench: Bench, event: UploadEvent) -> None:
    """Else a chunk that kills the process would spend the attempts of whatever waits beside it."""
    first = bench.queue.pull(topics.CHUNKS_HIGH, 4)
    bench.queue.nack(topics.CHUNKS_HIGH, [delivery.lease for delivery in first])
    queue = Watched(bench)
    beside: list[int] = []
    suspects = [set(said(chunk, bench, event)) for chunk in range(4)]

    def look(windows: Sequence[WindowAudio]) -> None:
        heard = {found.text.strip() for window in windows for found in tones(window.samples)}
        if any(heard & suspect for suspect in suspects):
            time.sleep(0.03)
            beside.append(len(queue.out))

    bench.recogniser.before = look
    with running(bench, queue=queue):
        finish(bench, event)
    assert beside == [1, 1, 1, 1]
    assert queue.most == limits.LEASES  # later, when no suspect is held


def test_a_process_killing_chunk_is_given_up_and_its_neighbours_are_not(bench: Bench, event: UploadEvent) -> None:
    """Each process dies as soon as it works on chunk 2; the next one voids its leases, but attempts count."""
    bad = set(said(2, bench, event))
    deaths = 0
    while bench.queue.backlog(topics.DEAD_CHUNKS) == 0:
        bench.queue.void_leases()
        bench.queue.pull(topics.DEAD_CHUNKS, 0)  # moves what is spent
        if bench.queue.backlog(topics.DEAD_CHUNKS):
            break
        deaths += 1
        dying, dead = threading.Event(), threading.Event()

        def die(
            windows: Sequence[WindowAudio], dying: threading.Event = dying, dead: threading.Event = dead
        ) -> None:
            if any(found.text.strip() in bad for window in windows for found in tones(window.samples)):
                dying.set()
                dead.wait()

        frozen = Frozen(bench.queue)
        recogniser = ToneRecogniser(lanes=1, before=die)
        work = Running(PullLoop(bench.worker(queue=frozen, recogniser=recogniser), bench.clock, lambda _: None))
        work.start()
        assert dying.wait(10)
        frozen.dead = True  # whatever it does from here on does not happen
        work.loop.stop()
        dead.set()
        work.join()
    assert deaths == limits.MAX_ATTEMPTS_EMBEDDED + PARDONED
    with running(bench) as told:
        finish(bench, event)
    assert told == []
    given_up = [chunk.task.index for chunk in bench.chunks(event) if chunk.state is ChunkState.MISSING]
    assert given_up == [2]
    attempts = [chunk.result.provenance.attempt for chunk in bench.chunks(event) if chunk.result is not None]
    assert max(attempts) <= 2


class Frozen(Faulty):
    """A queue whose user can die: then nothing reaches it any more."""

    def __init__(self, queue: object) -> None:
        super().__init__(queue, lambda *_: None)
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        call = super().__getattr__(name)
        return lambda *args: [] if self.dead else call(*args)


def test_poison_that_is_no_message_is_dead_lettered_too(bench: Bench, event: UploadEvent) -> None:
    bench.queue.publish(topics.CHUNKS_HIGH, b"no message")
    with running(bench) as told:
        until(lambda: idle(bench))
    assert len(told) == limits.MAX_ATTEMPTS_EMBEDDED
    assert bench.drop(topics.DEAD_CHUNKS) == [b"no message"]
    bench.assemble()
    assert bench.text(event) == words(COUNT)


def test_a_failure_that_passes_costs_attempts_only(bench: Bench, event: UploadEvent) -> None:
    failures = iter([True, False, True, True, False])

    def fail(_: Sequence[WindowAudio]) -> None:
        if next(failures, False):
            raise Transient("The device is out of memory; try again.")

    bench.recogniser.before = fail
    with running(bench) as told:
        finish(bench, event)
    assert len(told) == 3
    assert bench.job(event).state is JobState.COMPLETE
    assert bench.text(event) == words(COUNT)


def test_a_task_that_is_not_to_be_run_is_acknowledged(bench: Bench, event: UploadEvent) -> None:
    bench.jobs.delete_job(job_id(event))
    with running(bench) as told:
        until(lambda: idle(bench))
    assert told == []
    assert bench.recogniser.batches == []


def test_a_second_message_for_a_chunk_in_hand_is_not_run_and_not_lost(bench: Bench, event: UploadEvent) -> None:
    task = bench.jobs.chunk(job_id(event), 0).task
    bench.drop(topics.CHUNKS_HIGH)
    bench.drop(topics.CHUNKS_LOW)
    bench.drop(topics.RESULTS)
    for _ in range(3):
        bench.queue.publish(topics.CHUNKS_HIGH, encode(task))
    bench.recogniser.seconds = 0.2
    with running(bench):
        until(lambda: bench.queue.backlog(topics.RESULTS) == 1)
    assert sum(map(len, bench.recogniser.batches)) == len(task.windows)
    assert bench.queue.backlog(topics.CHUNKS_HIGH) == 2
    bench.assemble()
    bench.queue.void_leases()
    with running(bench):
        until(lambda: idle(bench))
    assert sum(map(len, bench.recogniser.batches)) == len(task.windows)


def test_a_chunk_given_back_and_taken_again_at_once_is_run(bench: Bench, event: UploadEvent) -> None:
    """It comes again before the loop has let the first delivery go."""

    class Quick(Faulty):
        def nack(self, subscription: str, leases: Sequence[str]) -> None:
            bench.queue.nack(subscription, leases)
            time.sleep(0.1)

    failures = iter([True])

    def fail(_: Sequence[WindowAudio]) -> None:
        if next(failures, False):
            raise RuntimeError("the device went mad")

    bench.recogniser.before = fail
    with running(bench, queue=Quick(bench.queue, lambda *_: None)):
        finish(bench, event)
    assert bench.text(event) == words(COUNT)


def test_a_full_disk_ends_the_loop_and_loses_nothing(bench: Bench, event: UploadEvent) -> None:
    full = True

    def fill(call: str, args: tuple[Any, ...]) -> None:
        if call == "publish" and full:
            raise NoSpace("The disk is full; make room.")

    told: list[Exception] = []
    loop = PullLoop(bench.worker(queue=Faulty(bench.queue, fill)), bench.clock, told.append)
    with pytest.raises(NoSpace):
        loop.run()
    full = False
    bench.queue.void_leases()
    with running(bench):
        finish(bench, event)
    assert bench.job(event).state is JobState.COMPLETE
    assert bench.text(event) == words(COUNT)


def test_leases_are_renewed_while_a_long_batch_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LEASE_SECONDS", 1.5)
    bench = Bench(tmp_path, SystemClock(), lease_seconds=1.5)
    event = bench.upload(spoken(20))
    chunker.chunk(event, bench.chunker())
    bench.recogniser.seconds = 4.0
    with running(bench) as told:
        time.sleep(3.0)
        assert bench.queue.pull(topics.CHUNKS_HIGH, 10) == []  # all still leased
        finish(bench, event)
    assert told == []
    assert {chunk.result.provenance.attempt for chunk in bench.chunks(event) if chunk.result} == {1}
    bench.close()


def test_a_renewal_that_fails_once_is_told_and_tried_again(
    bench: Bench, event: UploadEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LEASE_SECONDS", 0.3)
    renewals = 0

    def fail(call: str, args: tuple[Any, ...]) -> None:
        nonlocal renewals
        if call == "extend":
            assert args[1], "nothing to renew"
            renewals += 1
            if renewals == 1:
                raise Transient("The network is away.")

    bench.recogniser.seconds = 0.5
    with running(bench, queue=Faulty(bench.queue, fail)) as told:
        until(lambda: renewals > 2)
    assert [str(error) for error in told] == ["The network is away."]


def test_a_message_that_cannot_even_be_given_back_is_let_go(bench: Bench, event: UploadEvent) -> None:
    """Its lease then expires by itself; held for ever, it would block the loop."""
    nacks = 0

    def fail(call: str, args: tuple[Any, ...]) -> None:
        nonlocal nacks
        if call == "nack":
            nacks += 1
            if nacks <= 4:
                raise Transient("The network is away.")

    failures = iter([True] * 4)

    def mad(_: Sequence[WindowAudio]) -> None:
        if next(failures, False):
            raise RuntimeError("the device went mad")

    bench.recogniser.before = mad
    with running(bench, queue=Faulty(bench.queue, fail)) as told:
        until(lambda: sum(map(len, bench.recogniser.batches)) >= len(bench.chunks(event)) - limits.LEASES)
        until(lambda: nacks >= 4)
    assert "The network is away." in map(str, told)


def test_low_is_pulled_only_for_what_high_leaves(bench: Bench, event: UploadEvent) -> None:
    queue = Watched(bench)
    bench.recogniser.seconds = 0.02
    with running(bench, queue=queue):
        finish(bench, event)
    first_low = next(n for n, (subscription, _) in enumerate(queue.pulls) if subscription == topics.CHUNKS_LOW)
    assert all(subscription == topics.CHUNKS_HIGH for subscription, _ in queue.pulls[:first_low])
    assert first_low >= 1


def test_low_gets_one_lease_when_it_has_waited_for_a_minute(bench: Bench, event: UploadEvent) -> None:
    tasks = [decode(data, ChunkTask) for data in bench.drop(topics.CHUNKS_HIGH) + bench.drop(topics.CHUNKS_LOW)]
    *high, low = sorted(tasks, key=lambda task: task.index)
    for task in high:
        bench.queue.publish(topics.CHUNKS_HIGH, encode(task))
    bench.queue.publish(topics.CHUNKS_LOW, encode(low))

    class Leaping(SystemClock):
        """A clock on which each batch takes 25 s."""

        leapt = 0.0

        def now(self) -> float:
            return super().now() + self.leapt

    clock = Leaping()

    def leap(_: Sequence[WindowAudio]) -> None:
        clock.leapt += 25.0

    bench.recogniser.before = leap
    bench.recogniser.lanes = 1
    bench.recogniser.batch = 1
    queue = Watched(bench)
    with running(bench, clock=clock, queue=queue):
        finish(bench, event)
    order = [text for batch in bench.recogniser.batches for text in batch]
    place = next(n for n, text in enumerate(order) if said(low.index, bench, event)[0] in text)
    # Three batches are a minute; then it is leased, and at most the three held beside it go first.
    assert LOW_PATIENCE_SECONDS / 25 <= place <= 8
    assert (topics.CHUNKS_LOW, 1) in queue.pulls


def test_stop_returns_once_the_batch_under_way_is_done(bench: Bench, event: UploadEvent) -> None:
    begun = threading.Event()
    bench.recogniser.before = lambda _: begun.set()
    bench.recogniser.seconds = 0.3
    loop = Running(PullLoop(bench.worker(), bench.clock, lambda _: None))
    loop.start()
    assert begun.wait(5)
    loop.loop.stop()
    loop.join(3)
    assert loop.errors == []
    with running(bench):
        finish(bench, event)
    assert bench.text(event) == words(COUNT)
    assert {thread.name for thread in threading.enumerate() if "lane" in thread.name} == set()


def test_stop_before_the_start_returns_at_once(bench: Bench, event: UploadEvent) -> None:
    loop = PullLoop(bench.worker(), bench.clock, lambda _: None)
    loop.stop()
    loop.run()
    assert bench.recogniser.batches == []


def test_a_queue_that_fails_ends_the_loop(bench: Bench) -> None:
    def fail(call: str, _: object) -> None:
        if call == "pull":
            raise Transient("The network is away.")

    loop = PullLoop(bench.worker(queue=Faulty(bench.queue, fail)), bench.clock, lambda _: None)
    with pytest.raises(Transient):
        loop.run()


def test_the_time_that_a_lane_waits_for_a_queued_chunk_is_told(bench: Bench, event: UploadEvent) -> None:
    with running(bench, blobs=Slow(bench.blobs, 0.3)):
        until(lambda: idle(bench))
    bench.assemble()
    results = [chunk.result.provenance for chunk in bench.chunks(event) if chunk.result is not None]
    assert len(results) == len(bench.chunks(event))
    waited = [by.idle_seconds for by in results]
    assert min(waited) >= 0.0
    # A lane waits at least for the first chunks, whose audio takes 0.3 s, before it has anything to do.
    assert sum(waited) > 0.25
    assert sum(waited) < 0.3 * len(results) + 5.0


def test_a_worker_that_waits_for_the_next_recording_is_idle_for_none(bench: Bench) -> None:
    with running(bench):
        time.sleep(0.6)
        event = bench.upload(spoken(10))
        chunker.chunk(event, bench.chunker())
        until(lambda: idle(bench))
    bench.assemble()
    (chunk,) = bench.chunks(event)
    assert chunk.result is not None
    assert chunk.result.provenance.idle_seconds < 0.5
