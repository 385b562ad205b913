"""The pull loop around the worker stage: leases in, batches of windows to the model's lanes, results out.

Every lane takes windows from one pool that all held chunks share, so a lane never waits for another chunk's end,
and fetching goes on while the model works. A chunk that was delivered before is a suspect: it may have killed
whoever held it, and a lease counts as an attempt. So it runs alone, when the others are done, and nothing is leased
beside it.

What becomes of a message on each path:

- run, or dropped by `prepare` as not to be run: acknowledged, a result published first
- for a chunk in hand already, as a second message: let go, and its lease expires
- preparing, recognising or publishing failed: nacked, so that it comes again until its attempts are spent
- this process dies: the lease expires, and the message comes again
- the disk is full: the loop ends with `NoSpace`; the leases expire
"""

import math
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from longscribe.core import limits, topics
from longscribe.core.metering import Meter
from longscribe.errors import NoSpace
from longscribe.messages import ChunkResult, ChunkTask, WindowResult
from longscribe.ports import Clock, Delivery, WindowAudio
from longscribe.stages.worker import Prepared, Unrun, WorkerPorts, conclude, prepare

IDLE_SECONDS = 0.05
"""Between two empty pulls of a local queue; a pull of a remote one waits by itself."""

LEAST_WINDOWS = 2
"""A lane takes as many, if there are: on a CPU one alone costs a fifth more than one of two."""

LOW_PATIENCE_SECONDS = 60.0
"""How long the low topic may wait before it gets one lease ahead of the high one."""


@dataclass(eq=False)
class _Held:
    """A leased chunk."""

    subscription: str
    delivery: Delivery

    @property
    def suspect(self) -> bool:
        """Whether it has failed someone before, and so may not share a batch."""
        return self.delivery.attempt > 1


@dataclass(eq=False)
class _Chunk:
    """A leased chunk on its way through the model."""

    held: _Held
    prepared: Prepared
    heard: dict[int, WindowResult] = field(default_factory=dict)
    device_seconds: float = 0.0
    idle_seconds: float = 0.0  #: of all lanes, since the chunk was queued

    @property
    def windows(self) -> tuple[WindowAudio, ...]:
        """Its windows, ready for the model."""
        return self.prepared.windows


_Place = tuple[_Chunk, int]
"""One window of a chunk."""


class PullLoop:
    """Works chunks off the two chunk topics until it is told to stop."""

    def __init__(
        self,
        ports: WorkerPorts,
        clock: Clock,
        on_error: Callable[[Exception], None],
        leases: int = limits.LEASES,
        on_heard: Callable[[ChunkTask, ChunkResult], None] = lambda *_: None,
    ) -> None:
        """Tell ``on_error`` of what failed, ``on_heard`` of each result that was published."""
        self._ports = ports
        self._clock = clock
        self._on_error = on_error
        self._leases = leases
        self._on_heard = on_heard
        self._changed = threading.Condition()
        self._held: list[_Held] = []
        self._tasks: dict[_Held, ChunkTask] = {}
        self._careful = True  # what comes next may be what killed the process before
        self._last = False  # the queue gave less than it was asked for
        self._ready: deque[_Place] = deque()
        self._in_flight: Counter[_Chunk] = Counter()
        self._meter = Meter(clock.now())
        self._stopping = False
        self._draining = False
        self._fatal: NoSpace | None = None
        self._low_pulled = clock.now()
        self.pulled = clock.now()  #: when the queue last answered
        self.progressed = clock.now()  #: when a pull or a batch last ended

    def drain(self) -> None:
        """Make `run` return once every held chunk is done; no more are leased."""
        with self._changed:
            self._draining = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Give all held chunks back at once, whatever the lanes are doing: for a process that ends now."""
        with self._changed:
            self._stopping = True
            held, self._held = self._held, []
            self._changed.notify_all()
        self._give_back(held)

    def stop(self) -> None:
        """Make `run` return once the batches under way are done."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def run(self) -> None:
        """Work until stopped. Raises `NoSpace` when results can no longer be stored."""
        lanes = [
            threading.Thread(target=self._lane, name=f"lane-{number}", daemon=True)
            for number in range(self._ports.recogniser.lanes)
        ]
        renewer = threading.Thread(target=self._renew, name="renewer", daemon=True)
        with ThreadPoolExecutor(2 * self._leases, thread_name_prefix="chunk-io") as self._io:
            for thread in (renewer, *lanes):
                thread.start()
            try:
                self._feed()
            finally:
                self.stop()
                for thread in (renewer, *lanes):
                    thread.join()
        if self._fatal is not None:
            raise self._fatal
        self._give_back(self._held)

    def _feed(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or self._draining or self._room() > 0)
                if self._draining:
                    self._changed.wait_for(lambda: self._stopping or not self._held)
                if self._stopping or self._draining:
                    return
                room = self._room()
            pulled = self._pull(room)
            with self._changed:
                self.pulled = self.progressed = self._clock.now()
                self._held.extend(pulled)
                self._last = len(pulled) < room
                if pulled:
                    self._careful = any(held.suspect for held in pulled)
                else:
                    self._changed.wait_for(lambda: self._stopping, IDLE_SECONDS)
            for held in pulled:
                self._io.submit(self._guarded, held, partial(self._prepare, held))

    def _room(self) -> int:
        """Return how many chunks may be leased now: one at a time while suspects come."""
        if self._careful or any(held.suspect for held in self._held):
            return 0 if self._held else 1
        return self._leases - len(self._held)

    def _pull(self, free: int) -> list[_Held]:
        """Lease up to ``free`` chunks, high ones first; low ones get a turn when they have waited for a minute."""
        low_first = self._clock.now() - self._low_pulled >= LOW_PATIENCE_SECONDS
        order = [(topics.CHUNKS_LOW, 1)] if low_first else []
        order += [(topics.CHUNKS_HIGH, free), (topics.CHUNKS_LOW, free)]
        pulled: list[_Held] = []
        for subscription, limit in order:
            room = min(limit, free - len(pulled))
            if room > 0:
                if subscription == topics.CHUNKS_LOW:
                    self._low_pulled = self._clock.now()
                pulled += [_Held(subscription, got) for got in self._ports.queue.pull(subscription, room)]
        return pulled

    def _guarded(self, held: _Held, step: Callable[[], None]) -> None:
        """Take one step with a chunk; a failure gives it back."""
        try:
            step()
        except Exception as error:  # whatever it is, the message must not be lost
            self._failed([held], error)

    def _prepare(self, held: _Held) -> None:
        prepared = prepare(held.delivery.data, self._ports)
        if isinstance(prepared, Unrun):
            self._acknowledge(held)
            return
        chunk = _Chunk(held, prepared)
        with self._changed:
            in_hand = prepared.task in self._tasks.values()
            if not in_hand:
                self._tasks[held] = prepared.task
                self._ready.extend((chunk, number) for number in range(len(chunk.windows)))
                self._changed.notify_all()
        if in_hand:  # left until its lease expires: by then the chunk is answered, or else this message is needed
            self._release([held])

    def _lane(self) -> None:
        while batch := self._take():
            try:
                self._recognise(batch)
            except Exception as error:  # the lane must live on
                self._failed(list(dict.fromkeys(chunk.held for chunk, _ in batch)), error)
            with self._changed:
                self._in_flight -= Counter(chunk for chunk, _ in batch)
                self._changed.notify_all()

    def _take(self) -> list[_Place]:
        """Wait for windows and take a lane's share of them; empty when stopping."""
        with self._changed:
            while True:
                if self._stopping:
                    return []
                batch = self._next_batch()
                if batch:
                    self._in_flight += Counter(chunk for chunk, _ in batch)
                    return batch
                self._changed.wait()

    def _next_batch(self) -> list[_Place]:
        together = [place for place in self._ready if not place[0].held.suspect]
        others = any(chunk.held.suspect for chunk in self._in_flight)
        if self._ready and not together:
            suspect = self._ready[0][0]
            together = [place for place in self._ready if place[0] is suspect]
            others = any(chunk is not suspect for chunk in self._in_flight)
            others = others or not all(held.suspect for held in self._held)
        if others or not together:
            return []
        recogniser = self._ports.recogniser
        share = recogniser.batch
        if self._last:  # a job's last windows are spread
            share = max(LEAST_WINDOWS, math.ceil(len(together) / recogniser.at_once))
        batch = together[: min(share, recogniser.batch)]
        taken = set(batch)
        self._ready = deque(place for place in self._ready if place not in taken)
        return batch

    def _recognise(self, batch: Sequence[_Place]) -> None:
        audio = [chunk.windows[number] for chunk, number in batch]
        queued = min(chunk.held.delivery.published for chunk, _ in batch)
        with self._changed:
            mark, idle = self._meter.begin(self._clock.now(), queued)
        try:
            results = self._ports.recogniser.recognise(audio)
        finally:
            with self._changed:
                self.progressed = self._clock.now()
                seconds = self._meter.end(self.progressed, mark)
        total = sum(len(window.samples) for window in audio)
        finished = []
        with self._changed:
            for (chunk, number), window, result in zip(batch, audio, results, strict=True):
                chunk.heard[number] = result
                share = len(window.samples) / total
                chunk.device_seconds += seconds * share
                chunk.idle_seconds += idle * share
                if len(chunk.heard) == len(chunk.windows):
                    finished.append(chunk)
        for chunk in finished:
            self._io.submit(self._guarded, chunk.held, partial(self._conclude, chunk))

    def _conclude(self, chunk: _Chunk) -> None:
        heard = [chunk.heard[number] for number in range(len(chunk.heard))]
        attempt = chunk.held.delivery.attempt
        result = conclude(chunk.prepared, heard, chunk.device_seconds, attempt, self._ports, chunk.idle_seconds)
        self._acknowledge(chunk.held)
        self._on_heard(chunk.prepared.task, result)

    def _acknowledge(self, held: _Held) -> None:
        self._ports.queue.acknowledge(held.subscription, [held.delivery.lease])
        self._release([held])

    def _failed(self, chunks: Sequence[_Held], error: Exception) -> None:
        """Give chunks back after a failure; on a full disk end the loop: a retry would only fill it more."""
        self._on_error(error)
        if isinstance(error, NoSpace):
            with self._changed:
                self._fatal = error
            self.stop()
            return
        with self._changed:
            self._careful = True
            for held in chunks:  # before they are given back: they may come again at once
                self._tasks.pop(held, None)
        self._give_back(chunks)
        self._release(chunks)

    def _give_back(self, chunks: Sequence[_Held]) -> None:
        for held in chunks:
            try:
                self._ports.queue.nack(held.subscription, [held.delivery.lease])
            except Exception as error:  # then the lease expires by itself
                self._on_error(error)

    def _release(self, chunks: Sequence[_Held]) -> None:
        with self._changed:
            gone = set(chunks)
            self._held = [held for held in self._held if held not in gone]
            self._tasks = {held: task for held, task in self._tasks.items() if held not in gone}
            self._ready = deque(place for place in self._ready if place[0].held not in gone)
            self._changed.notify_all()

    def _renew(self) -> None:
        """Keep the leases of all held chunks alive, from a thread of its own that no batch can hold up."""
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: self._stopping, limits.LEASE_SECONDS / 3):
                    return
                everything = list(self._held)
            for subscription in (topics.CHUNKS_HIGH, topics.CHUNKS_LOW):
                leases = [held.delivery.lease for held in everything if held.subscription == subscription]
                try:
                    if leases:
                        self._ports.queue.extend(subscription, leases, limits.LEASE_SECONDS)
                except Exception as error:  # the next renewal still comes in time
                    self._on_error(error)
