"""A deployment in virtual time: the real services and stages, and what the platform does around them.

The platform pushes messages to functions and starts them again, ticks, sizes the pool and replaces dead workers. It
has no faults of its own but those of the `Weather`; everything that the processes do goes through `Effects`.
"""

import base64
import io
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from unittest.mock import patch

import msgspec
from cloudevents.http import CloudEvent

from longscribe import pulling
from longscribe.adapters.local.queue import Subscription
from longscribe.core import limits, topics
from longscribe.core.scaling import Fleet
from longscribe.core.settings import Settings
from longscribe.errors import LongscribeError
from longscribe.messages import UploadEvent, decode, encode
from longscribe.observe import Log
from longscribe.operating.ports import Operations
from longscribe.ports import BlobInfo, DeadLetterPolicy, Delivery
from longscribe.services.assembling import Assembling
from longscribe.services.chunking import Chunking
from longscribe.services.events import FINALIZED, PUBLISHED, Retry
from longscribe.services.reconciling import Reconciling
from longscribe.stages import chunker
from longscribe.stages.assembler import AssemblerPorts
from longscribe.stages.chunker import ChunkerPorts
from longscribe.stages.reconciler import ReconcilerPorts
from longscribe.stages.worker import WorkerPorts
from tests.simulation.faults import Effects, Plan
from tests.simulation.machines import Ears, ProcessClock, Pulling
from tests.simulation.memory import Documents, MemoryBlobs, MemoryJobs, MemoryQueue, Weather
from tests.simulation.scheduler import Condition, Process, Scheduler, Threads
from tests.standins import Inline, LevelDetector, PcmMedia, Pool

UPLOADS, CHUNKS, TRANSCRIPTS = "uploads", "chunks", "transcripts"
EVENTS = "upload-events"
PUSH_SECONDS = 600.0
"""How long a function may take to answer before its message is pushed again."""

AGAIN_SECONDS = 10.0
"""From a failed push to the next: Pub/Sub's shortest pause."""

SIDE_BY_SIDE = 3
"""Instances of one function at once."""

LOOK_SECONDS = 2.0
"""Between two looks of the platform at its workers."""


@dataclass
class Deployment:
    """Everything there is. Put recordings in by `upload`, in a function given to `run`."""

    plan: Plan = field(default_factory=Plan)
    weather: Weather = field(default_factory=Weather)
    skew: Callable[[], float] = lambda: 0.0  #: of a new process's clock, in seconds
    attempts: int = limits.MAX_ATTEMPTS_CLOUD
    workers: int = 2  #: at most
    speed: float = 9.0  #: of a worker, as a multiple of real time
    deadly: set[int] = field(default_factory=set)  #: seeds of windows that kill who hears them

    def __post_init__(self) -> None:
        self.scheduler = Scheduler()
        self.effects = Effects(self.scheduler, self.plan)
        self.platform = Process("platform")
        self.clock = ProcessClock(self.scheduler, self.platform)
        dead = DeadLetterPolicy(topics.DEAD_CHUNKS, self.attempts)
        self.queue = MemoryQueue(
            [
                Subscription(topics.CHUNKS_HIGH, topics.CHUNKS_HIGH, limits.LEASE_SECONDS, dead),
                Subscription(topics.CHUNKS_LOW, topics.CHUNKS_LOW, limits.LEASE_SECONDS, dead),
                *(Subscription(name, name, PUSH_SECONDS) for name in (EVENTS, topics.RESULTS, topics.DEAD_CHUNKS)),
            ],
            self.clock,
            self.weather,
        )
        self.blobs = MemoryBlobs([UPLOADS, CHUNKS, TRANSCRIPTS])
        self.documents = Documents()
        self.jobs = MemoryJobs(self.documents, self.clock)
        self.pool = Pool()
        self.uploads: list[tuple[float, UploadEvent]] = []
        self.arrivals = Condition(self.scheduler)
        self.queue.published = self.arrivals.notify_all
        self.deaths: Counter[int] = Counter()  #: by poison, by the window's seed
        self.living: list[Process] = []  #: processes that faults may strike from outside
        self.log = Log("simulation", self.clock.now, io.StringIO())
        self._count = 0

    def run(self, scenario: Callable[[], object], limit: float) -> None:
        """Run until ``scenario`` returns. Raises `Stuck` after ``limit`` virtual seconds."""
        with self._patched():
            self.scheduler.run(partial(self._main, scenario), limit)

    def _main(self, scenario: Callable[[], object]) -> None:
        for work in (
            partial(self._push, EVENTS, self._chunk),
            partial(self._push, topics.RESULTS, self._assemble),
            partial(self._push, topics.DEAD_CHUNKS, self._assemble),
            self._tick,
            self._keep_workers,
        ):
            self.scheduler.spawn(self.platform, work)
        scenario()

    @contextmanager
    def _patched(self) -> Iterator[None]:
        with (
            patch.object(pulling, "threading", self.scheduler.standins()),
            patch.object(pulling, "ThreadPoolExecutor", lambda *_, **__: Threads(self.scheduler)),
            patch.object(chunker, "ThreadPoolExecutor", lambda *_, **__: Inline()),
        ):
            yield

    def upload(self, name: str, data: bytes, **metadata: str) -> UploadEvent:
        """Put a recording into the bucket, which tells of it."""
        ref = self.blobs.create(UPLOADS, name, data)
        event = UploadEvent(ref, len(data), metadata)
        self.uploads.append((self.clock.now(), event))
        self.queue.publish(EVENTS, encode(event))
        return event

    @property
    def settled(self) -> bool:
        """Whether nothing more is going to happen."""
        if self.waiting() or any(map(self.queue.backlog, (EVENTS, topics.RESULTS, topics.DEAD_CHUNKS))):
            return False
        jobs = list(self.jobs.jobs())
        return {chunker.job_id(event) for _, event in self.uploads} <= {job.job_id for job in jobs} and all(
            job.at_rest and not self.jobs.any_pending(job.job_id) for job in jobs
        )

    def process(self, name: str) -> Process:
        """Return a new process."""
        self._count += 1
        process = Process(f"{name}-{self._count}", self.skew())
        self.living = [*(each for each in self.living if not each.dead and not each.ended), process]
        return process

    def view(self, process: Process, name: str, port: object) -> Any:
        """Return a port as a process sees it."""
        return self.effects.port(process, name, port)

    def stores(self, process: Process) -> dict[str, Any]:
        """Return the three stores as a process sees them."""
        jobs = MemoryJobs(self.documents, ProcessClock(self.scheduler, process))
        return {
            "blobs": self.view(process, "blobs", self.blobs),
            "queue": self.view(process, "queue", self.queue),
            "jobs": self.view(process, "jobs", jobs),
        }

    def operations(self, process: Process) -> Operations:
        """Return what an operator's command on ``process`` needs."""
        return Operations(
            **self.stores(process),
            clock=ProcessClock(self.scheduler, process),
            chunks_bucket=CHUNKS,
            transcripts_bucket=TRANSCRIPTS,
            attempts=self.attempts,
            worker=lambda: None,
            delete_upload=lambda _: False,
            start_worker="",
            restart_worker="",
            address=lambda ref: ref.name,
        )

    # The platform

    def _push(self, subscription: str, service: Callable[[Process, bytes], None]) -> None:
        """Push a subscription's messages to a service."""
        pushes: list[Process] = []
        while True:
            pushes = [each for each in pushes if not each.ended]
            got = self.queue.pull(subscription, SIDE_BY_SIDE - len(pushes))
            for delivery in got:
                push = Process("push")
                pushes.append(push)
                self.scheduler.spawn(push, partial(self._deliver, subscription, delivery, service))
            if not got:
                self.arrivals.wait(1.0 if self.queue.backlog(subscription) else None)

    def _deliver(self, subscription: str, delivery: Delivery, service: Callable[[Process, bytes], None]) -> None:
        process = self.process(service.__name__.strip("_"))
        answered: list[bool] = []

        def serve() -> None:
            try:
                service(process, delivery.data)
            except Retry:
                return
            answered.append(True)

        self.scheduler.join(self.scheduler.spawn(process, serve))
        if answered:
            self.queue.acknowledge(subscription, [delivery.lease])
        else:
            self.scheduler.sleep(AGAIN_SECONDS)
            self.queue.nack(subscription, [delivery.lease])

    def _tick(self) -> None:
        """Call the reconciler once a minute, whether or not it has answered; a dead one is replaced."""
        process = self.process("reconcile")
        service = self._reconciling(process)
        while True:
            self.scheduler.sleep(60.0)
            if process.dead:
                process = self.process("reconcile")
                service = self._reconciling(process)
            self.scheduler.spawn(process, partial(_retried, service.tick))

    def _keep_workers(self) -> None:
        """Have as many workers as the pool asks for."""
        at_work: list[Process] = []
        while True:
            at_work = [process for process in at_work if not process.ended]
            wanted = min(self.pool.size(), self.workers)
            for process in at_work[wanted:]:
                self.scheduler.kill(process)
            while len(at_work) < wanted:
                at_work.append(self._worker())
            self.scheduler.sleep(LOOK_SECONDS)

    # The services

    def _chunking(self, process: Process) -> Chunking:
        ports = ChunkerPorts(
            **self.stores(process),
            media=PcmMedia(),
            detector=LevelDetector(),
            clock=ProcessClock(self.scheduler, process),
            executor=Threads(self.scheduler),
            chunks_bucket=CHUNKS,
            defaults=Settings(chunk_seconds=10.0),
            started=self._wake,
        )
        return Chunking(ports, UPLOADS, self.view(process, "job", self), self.log)

    def _chunk(self, process: Process, data: bytes) -> None:
        event = decode(data, UploadEvent)
        stored = {
            "bucket": event.recording.bucket,
            "name": event.recording.name,
            "generation": str(event.recording.generation),
            "size": str(event.size),
            "metadata": event.metadata,
        }
        source = "//storage.googleapis.com/projects/_/buckets/uploads"
        self._chunking(process).take(CloudEvent({"type": FINALIZED, "source": source}, stored))

    def start(self, event: UploadEvent) -> str:
        """Start the chunker's job, as `ChunkerJob` does; nobody starts it again if it fails."""
        process = self.process("chunker-job")

        def run() -> None:
            with suppress(LongscribeError):  # the reconciler finds that nothing comes of it
                self._chunking(process).run(event)

        self.scheduler.spawn(process, run)
        return process.name

    def _assemble(self, process: Process, data: bytes) -> None:
        kind = msgspec.json.decode(data)["type"]
        topic = topics.DEAD_CHUNKS if kind == "ChunkTask" else topics.RESULTS
        message = {"message": {"data": base64.b64encode(data).decode()}}
        source = f"//pubsub.googleapis.com/projects/simulated/topics/{topic}"
        event = CloudEvent({"type": PUBLISHED, "source": source}, message)
        Assembling(self._assembler(process), self.log).take(event)

    def _assembler(self, process: Process) -> AssemblerPorts:
        return AssemblerPorts(**self.stores(process), transcripts_bucket=TRANSCRIPTS)

    def _reconciling(self, process: Process) -> Reconciling:
        return Reconciling(
            ReconcilerPorts(
                self._assembler(process), self.view(process, "pool", self.pool), Fleet(maximum=self.workers)
            ),
            ProcessClock(self.scheduler, process),
            self.view(process, "job", self),
            self.view(process, "queue", self).waiting,
            self.view(process, "blobs", self).written,
            self.log,
        )

    def waiting(self) -> int:
        """Return how many messages wait for workers."""
        return self.queue.backlog(topics.CHUNKS_HIGH) + self.queue.backlog(topics.CHUNKS_LOW)

    def written(self, since: float, until: float) -> list[BlobInfo]:
        """Return the uploads of a time."""
        return [
            BlobInfo(event.recording, event.size, event.metadata)
            for time, event in self.uploads
            if since <= time < until
        ]

    def _wake(self) -> None:
        process = self.process("wake")
        self.scheduler.spawn(process, partial(_retried, self._reconciling(process).wake))

    def _worker(self) -> Process:
        process = self.process("worker")
        stores = self.stores(process)
        stores["queue"] = Pulling(stores["queue"], self.arrivals)
        ports = WorkerPorts(
            **stores,
            media=PcmMedia(),
            recogniser=Ears(self.effects, process, self.deadly, self.deaths, self.speed),
            worker=process.name,
            version="simulated",
        )
        loop = pulling.PullLoop(ports, ProcessClock(self.scheduler, process), lambda _: None)

        def work() -> None:
            with suppress(LongscribeError):  # the process ends, and its leases with it
                loop.run()

        self.scheduler.spawn(process, work)
        return process


def _retried(call: Callable[[], None]) -> None:
    """Call a service that somebody calls again anyway."""
    with suppress(Retry):
        call()
