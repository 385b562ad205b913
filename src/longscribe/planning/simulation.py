"""A discrete-event simulation of the pipeline: chunker, cold starts, leases, batches, preemptions, assembler.

It follows the code's rules (``stages/``, ``pulling.py``): chunks are queued while the recording is cut; a worker
leases as many as it may hold and pools their windows; each lane takes a batch from the pool and waits for its turn
to compute; near the queue's end the windows are spread over the lanes; a chunk that is delivered again runs alone.
It draws nothing by lot: the same deployment and recordings give the same outcome.

All of a batch's time is taken for computing. A real GPU worker makes the features of a lane's next batch, and
reads the words of its last, while another lane computes; how long that takes on a T4 is not known, so nothing is
gained by it here: this errs on the slow side.

All times are seconds.
"""

import math
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import simpy

from longscribe.core.limits import LEASE_SECONDS, LEASES
from longscribe.pulling import LEAST_WINDOWS

Steps = Generator[simpy.Event, Any, None]


@dataclass(frozen=True)
class Work:
    """A chunk."""

    end: float  #: of the stretch it owns, from the recording's start
    windows: tuple[float, ...]  #: the audio in each


@dataclass(frozen=True)
class Recording:
    """What is to be transcribed."""

    seconds: float
    chunks: tuple[Work, ...]
    arrives: float = 0.0


@dataclass(frozen=True)
class Chunker:
    """How recordings are cut."""

    start: float  #: until a call of it works
    first: float  #: until the first stretch is cut
    rate: float  #: for each second of recording
    slots: int = 1  #: recordings cut side by side


@dataclass(frozen=True)
class Worker:
    """How one worker works: a call takes ``call``, and for each window ``window`` and ``audio`` × its seconds."""

    start: float  #: until it has its model
    call: float
    window: float
    audio: float
    lanes: int = 1
    at_once: int = 1  #: lanes that compute at the same time; the others hold their batches ready
    batch: int = 16
    leases: int = LEASES
    fetch: float = 0.0  #: from the lease to the windows
    answer: float = 0.0  #: from the last window's text to the acknowledgement
    reload: float = 0.0  #: before each call, where the model is loaded anew every time


@dataclass(frozen=True)
class Assembler:
    """How results are stored and the transcript is made."""

    result: float  #: to store one
    finish: float  #: to settle, merge and write
    finish_chunk: float  #: and as much for each chunk
    slots: int = 1  #: messages taken side by side


@dataclass(frozen=True)
class Deployment:
    """All of it."""

    chunker: Chunker
    worker: Worker
    assembler: Assembler
    workers: int
    shared: float = 0.0  #: of the processors the chunker takes from the lanes, and they from it: one machine
    preempted: tuple[float, ...] = ()  #: when a worker dies, each another one; a new one starts in its place


@dataclass
class Outcome:
    """What came of it."""

    seconds: float = 0.0  #: until the last transcript was written
    first_text: float = math.inf  #: until the first chunk's result was stored
    transcribed: float = 0.0  #: until the last chunk was
    busy: float = 0.0  #: seconds of computing, lost ones among them, of all lanes together
    lost: float = 0.0  #: those of calls that died
    ready: float = math.inf  #: until the first worker had its model
    ends: list[float] = field(default_factory=list)  #: of each recording, from its arrival
    cut: float = 0.0  #: seconds spent cutting
    calls: int = 0
    deliveries: int = 0

    def busy_share(self, at_once: int) -> float:
        """Return the share of the time from the first worker's readiness to the last result that was computed in.

        ``at_once``: calls that all workers together can compute at the same time.
        """
        return self.busy / (at_once * (self.transcribed - self.ready))


@dataclass(eq=False)
class _Chunk:
    work: Work
    recording: "_Job"
    attempt: int = 0
    left: int = 0  #: windows

    @property
    def suspect(self) -> bool:
        return self.attempt > 1


@dataclass(eq=False)
class _Job:
    recording: Recording
    left: int  #: chunks without a result
    sealed: bool = False


def simulate(deployment: Deployment, recordings: Sequence[Recording]) -> Outcome:
    """Return what becomes of ``recordings``."""
    run = _Run(deployment)
    jobs = [_Job(recording, len(recording.chunks)) for recording in recordings]
    for job in jobs:
        run.env.process(run.cut(job))
    for number in range(deployment.workers):
        at = deployment.preempted[number] if number < len(deployment.preempted) else None
        _Worker(run, at)
    run.env.run(until=run.over)
    return run.outcome


class _Run:
    """What the parts share: the clock, the queue, the books."""

    def __init__(self, deployment: Deployment) -> None:
        self.env = simpy.Environment()
        self.deployment = deployment
        self.outcome = Outcome()
        self.over = self.env.event()
        self.queue: deque[_Chunk] = deque()
        self._waiting: deque[simpy.Event] = deque()
        self._chunkers = simpy.Resource(self.env, deployment.chunker.slots)
        self._assemblers = simpy.Resource(self.env, deployment.assembler.slots)
        self._open = 0
        self.cutting_until = 0.0

    def cut(self, job: _Job) -> Steps:
        chunker, recording = self.deployment.chunker, job.recording
        self._open += 1
        yield self.env.timeout(recording.arrives)
        with self._chunkers.request() as slot:
            yield slot
            yield self.env.timeout(chunker.start)
            began = self.env.now
            pace = chunker.rate / (1 - self.deployment.shared)
            whole = max(chunker.first, recording.seconds * pace)
            self.cutting_until = max(self.cutting_until, began + whole)
            for work in recording.chunks:
                at = began + max(chunker.first, min(work.end * pace, whole))
                yield self.env.timeout(max(0.0, at - self.env.now))
                self.put(_Chunk(work, job))
            yield self.env.timeout(max(0.0, began + whole - self.env.now))
            self.outcome.cut += self.env.now - began
        job.sealed = True
        if job.left == 0:
            self.env.process(self._finish(job))

    def put(self, chunk: _Chunk) -> None:
        if chunk.suspect:
            self.queue.appendleft(chunk)
        else:
            self.queue.append(chunk)
        if self._waiting:
            self._waiting.popleft().succeed()

    def arrival(self) -> simpy.Event:
        """Return what happens when a chunk is there for the one who asks."""
        event = self.env.event()
        if self.queue:
            event.succeed()
        else:
            self._waiting.append(event)
        return event

    def pass_on(self) -> None:
        """Wake another, where the one who was woken is dead."""
        if self.queue and self._waiting:
            self._waiting.popleft().succeed()

    def store(self, chunk: _Chunk) -> Steps:
        self.outcome.transcribed = self.env.now
        with self._assemblers.request() as slot:
            yield slot
            yield self.env.timeout(self.deployment.assembler.result)
        self.outcome.first_text = min(self.outcome.first_text, self.env.now)
        job = chunk.recording
        job.left -= 1
        if job.left == 0 and job.sealed:
            yield from self._finish(job)

    def _finish(self, job: _Job) -> Steps:
        assembler = self.deployment.assembler
        with self._assemblers.request() as slot:
            yield slot
            yield self.env.timeout(assembler.finish + assembler.finish_chunk * len(job.recording.chunks))
        self.outcome.ends.append(self.env.now - job.recording.arrives)
        self.outcome.seconds = self.env.now
        self._open -= 1
        if self._open == 0:
            self.over.succeed()

    def stretched(self, work: float) -> float:
        """Return how long a lane takes for ``work``, the chunker on the same processors."""
        slow = max(0.0, self.cutting_until - self.env.now)
        speed = 1 - self.deployment.shared
        done = slow * speed
        return work / speed if work <= done else slow + work - done


class _Worker:
    def __init__(self, run: _Run, dies: float | None) -> None:
        self._run = run
        self._env = run.env
        self._how = run.deployment.worker
        self._died: float | None = None
        self._held: list[_Chunk] = []
        self._ready: deque[tuple[_Chunk, float]] = deque()
        self._in_flight: list[_Chunk] = []
        self._last = False
        self._changed = self._env.event()
        self._device = simpy.Resource(self._env, self._how.at_once)
        self._env.process(self._work())
        if dies is not None:
            self._env.process(self._die(dies))

    def _alive(self) -> bool:
        return self._died is None

    def _work(self) -> Steps:
        yield self._env.timeout(self._how.start)
        self._run.outcome.ready = min(self._run.outcome.ready, self._env.now)
        for _ in range(self._how.lanes):
            self._env.process(self._lane())
        while self._alive():
            room = 0 if any(chunk.suspect for chunk in self._held) else self._how.leases - len(self._held)
            if room <= 0:
                yield self._changed
                continue
            if not self._run.queue:
                self._tell(last=True)
                yield self._run.arrival()
                if not self._alive():
                    self._run.pass_on()
                continue
            got = self._lease(room)
            self._tell(last=len(got) < room)
            for chunk in got:
                self._after(self._how.fetch, self._prepared, chunk)
            yield self._env.timeout(0)

    def _after(self, seconds: float, step: Callable[[_Chunk], None], chunk: _Chunk) -> None:
        """Take a step later: an event, where a process would be three."""
        self._env.timeout(seconds).callbacks.append(lambda _: step(chunk))

    def _lease(self, room: int) -> list[_Chunk]:
        queue = self._run.queue
        got = [queue.popleft() for _ in range(min(room, len(queue)))]
        for chunk in got:
            chunk.attempt += 1
            chunk.left = len(chunk.work.windows)
        self._held += got
        self._run.outcome.deliveries += len(got)
        return got

    def _tell(self, last: bool | None = None) -> None:
        if last is not None:
            self._last = last
        if self._changed.callbacks:  # somebody waits
            event, self._changed = self._changed, self._env.event()
            event.succeed()

    def _prepared(self, chunk: _Chunk) -> None:
        if self._alive():
            self._ready.extend((chunk, seconds) for seconds in chunk.work.windows)
            self._tell()

    def _lane(self) -> Steps:
        how = self._how
        while self._alive():
            batch = self._batch()
            if not batch:
                yield self._changed
                continue
            self._in_flight += [chunk for chunk, _ in batch]
            with self._device.request() as turn:
                yield turn
                if not self._alive():
                    return
                self._run.outcome.calls += 1
                work = how.reload + how.call + sum(how.window + how.audio * seconds for _, seconds in batch)
                began, took = self._env.now, self._run.stretched(work)
                yield self._env.timeout(took)
            if self._died is not None:
                self._run.outcome.lost += self._died - began
                self._run.outcome.busy += self._died - began
                return
            self._run.outcome.busy += took
            for chunk, _ in batch:
                self._in_flight.remove(chunk)
                chunk.left -= 1
                if chunk.left == 0:
                    self._after(self._how.answer, self._answered, chunk)
            self._tell()

    def _batch(self) -> list[tuple[_Chunk, float]]:
        together = [place for place in self._ready if not place[0].suspect]
        if self._ready and not together and not self._in_flight:
            together = [place for place in self._ready if place[0] is self._ready[0][0]]
        elif any(chunk.suspect for chunk in self._in_flight):
            return []
        share = self._how.batch
        if self._last:
            share = max(LEAST_WINDOWS, math.ceil(len(together) / self._how.at_once))
        batch = together[: min(share, self._how.batch)]
        for place in batch:
            self._ready.remove(place)
        return batch

    def _answered(self, chunk: _Chunk) -> None:
        if not self._alive():
            return
        self._held.remove(chunk)
        self._tell()
        self._env.process(self._run.store(chunk))

    def _die(self, at: float) -> Steps:
        """Die; what was held comes again when its leases are over, and another worker starts at once."""
        yield self._env.timeout(at)
        self._died = self._env.now
        held, self._held = self._held, []
        _Worker(self._run, None)
        yield self._env.timeout(LEASE_SECONDS)
        for chunk in held:
            self._run.put(chunk)
