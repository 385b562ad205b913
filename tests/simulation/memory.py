"""The ports in memory, at the speed of memory. The contract suites keep them from drifting away from the real ones.

All they hold is bytes: messages and documents go through the codec on every call. A queue is at its owner's mercy:
its `Weather` may lose, double, shuffle and bury as it likes.
"""

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
from msgspec.structs import replace

from longscribe.adapters.local.jobs import WORKER_SECONDS
from longscribe.adapters.local.queue import Subscription
from longscribe.core import progress
from longscribe.documents import Chunk, ChunkState, Job, JobState, Seal, Worker
from longscribe.errors import Gone
from longscribe.messages import BlobRef, ChunkResult, ChunkTask
from longscribe.ports import BlobInfo, Clock, Delivery


@dataclass(eq=False)
class Message:
    """One subscription's copy of a message."""

    data: bytes
    published: float
    attempts: int = 0
    deliveries: int = 0
    leased_until: float = 0.0
    acknowledged: bool = False


class Weather:
    """What becomes of messages on their way: here, nothing but what must."""

    def lost(self, topic: str) -> bool:
        """Return whether a message never arrives."""
        return False

    def order(self, ready: list[Message]) -> list[Message]:
        """Return in which order messages are delivered."""
        return ready

    def again(self) -> bool:
        """Return whether a message is delivered although somebody holds it."""
        return False

    def honoured(self) -> bool:
        """Return whether an acknowledgement under an expired lease counts."""
        return False

    def unheard(self) -> bool:
        """Return whether an acknowledgement gets lost."""
        return False

    def graves(self) -> int:
        """Return how often a message given up is dead-lettered."""
        return 1


class MemoryQueue:
    """`Queue`, with the semantics of `SqliteQueue`; the groups do not take turns."""

    def __init__(self, subscriptions: Iterable[Subscription], clock: Clock, weather: Weather | None = None) -> None:
        self._subscriptions = {subscription.name: subscription for subscription in subscriptions}
        self._clock = clock
        self._messages: dict[str, dict[int, Message]] = {name: {} for name in self._subscriptions}
        self._waiting: dict[str, dict[int, Message]] = {name: {} for name in self._subscriptions}
        self._count = 0
        self._lock = threading.RLock()
        self.weather = weather or Weather()
        self.published: Callable[[], None] = lambda: None  #: called after each publication

    def publish(self, topic: str, data: bytes, group: str = "") -> None:
        names = [each.name for each in self._subscriptions.values() if each.topic == topic]
        if not names:
            raise Gone(f"The topic {topic!r} has no subscription.")
        if self.weather.lost(topic):
            return
        with self._lock:
            for name in names:
                self._count += 1
                message = Message(data, self._clock.now())
                self._messages[name][self._count] = self._waiting[name][self._count] = message
        self.published()

    def pull(self, subscription: str, limit: int) -> list[Delivery]:
        with self._lock:
            self._bury()
            now = self._clock.now()
            numbers = {id(message): number for number, message in self._waiting[subscription].items()}
            ready = [
                message
                for message in self._waiting[subscription].values()
                if message.leased_until <= now or self.weather.again()
            ]
            taken = self.weather.order(ready)[: max(limit, 0)]
            for message in taken:
                message.attempts += 1
                message.deliveries += 1
                message.leased_until = now + self._subscriptions[subscription].lease_seconds
            return [
                Delivery(f"{numbers[id(each)]}.{each.deliveries}", each.data, each.attempts, each.published)
                for each in taken
            ]

    def extend(self, subscription: str, leases: Sequence[str], seconds: float) -> None:
        with self._lock:
            for _, message in self._leased(subscription, leases):
                message.leased_until = self._clock.now() + seconds

    def acknowledge(self, subscription: str, leases: Sequence[str]) -> None:
        with self._lock:
            for number, message in self._leased(subscription, leases, self.weather.honoured):
                if not self.weather.unheard():
                    message.acknowledged = True
                    del self._waiting[subscription][number]

    def nack(self, subscription: str, leases: Sequence[str]) -> None:
        with self._lock:
            for _, message in self._leased(subscription, leases):
                message.leased_until = 0.0
            self._bury()

    def seek(self, subscription: str, time: float) -> None:
        with self._lock:
            for message in self._messages[subscription].values():
                message.acknowledged = message.published < time
                message.leased_until, message.attempts = 0.0, 0
            self._waiting[subscription] = {
                number: message
                for number, message in self._messages[subscription].items()
                if not message.acknowledged
            }
        self.published()

    def backlog(self, subscription: str) -> int:
        """Return how many messages are not acknowledged."""
        return len(self._waiting[subscription])

    def contents(self, subscription: str) -> list[bytes]:
        """Return all that was ever published."""
        return [message.data for message in self._messages[subscription].values()]

    def _leased(
        self, subscription: str, leases: Sequence[str], late: Callable[[], bool] = lambda: False
    ) -> Iterator[tuple[int, Message]]:
        for lease in leases:
            number, deliveries = map(int, lease.split("."))
            message = self._waiting[subscription].get(number)
            if message is not None:
                current = message.deliveries == deliveries and message.leased_until > self._clock.now()
                if current or late():
                    yield number, message

    def _bury(self) -> None:
        now = self._clock.now()
        for subscription in self._subscriptions.values():
            policy = subscription.dead_letter
            if policy is None:
                continue
            waiting = self._waiting[subscription.name]
            spent = [n for n, m in waiting.items() if m.attempts >= policy.attempts and m.leased_until <= now]
            for number in spent:
                message = waiting.pop(number)
                message.acknowledged = True
                for _ in range(self.weather.graves()):
                    self.publish(policy.topic, message.data)


class MemoryBlobs:
    """`Blobs`. A generation says how often its name was written, so it is the same in each simulation."""

    def __init__(self, buckets: Iterable[str]) -> None:
        self._buckets: dict[str, dict[str, tuple[BlobInfo, bytes]]] = {name: {} for name in buckets}
        self._generations: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def stat(self, bucket: str, name: str) -> BlobInfo:
        return self._find(bucket, name)[0]

    def read(self, ref: BlobRef, start: int = 0, end: int | None = None) -> bytes:
        found, data = self._find(ref.bucket, ref.name)
        if found.ref != ref:
            raise Gone(f"{ref.name!r} was overwritten.")
        return data[start:end]

    def create(self, bucket: str, name: str, data: bytes) -> BlobRef:
        with self._lock:
            if name in self._buckets[bucket]:
                return self._buckets[bucket][name][0].ref
            return self._put(bucket, name, data)

    def replace(self, bucket: str, name: str, data: bytes) -> BlobRef:
        with self._lock:
            return self._put(bucket, name, data)

    def delete(self, bucket: str, name: str) -> None:
        self._buckets[bucket].pop(name, None)

    def names(self, bucket: str, prefix: str = "") -> Iterator[str]:
        yield from sorted(name for name in self._buckets[bucket] if name.startswith(prefix))

    def _find(self, bucket: str, name: str) -> tuple[BlobInfo, bytes]:
        try:
            return self._buckets[bucket][name]
        except KeyError:
            raise Gone(f"There is no {name!r} in {bucket!r}.") from None

    def _put(self, bucket: str, name: str, data: bytes) -> BlobRef:
        self._generations[bucket, name] += 1
        ref = BlobRef(bucket, name, self._generations[bucket, name])
        self._buckets[bucket][name] = BlobInfo(ref, len(data), {}), data
        return ref


@dataclass
class Documents:
    """What several `MemoryJobs`, each with its process's clock, share."""

    jobs: dict[str, bytes] = field(default_factory=dict)
    chunks: dict[str, dict[int, tuple[ChunkState, bytes]]] = field(default_factory=lambda: defaultdict(dict))
    workers: dict[str, bytes] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    watch: Callable[[Job | Chunk | None, Job | Chunk], None] = lambda old, new: None  #: sees every change


class MemoryJobs:
    """`Jobs`."""

    def __init__(self, documents: Documents, clock: Clock) -> None:
        self._documents = documents
        self._clock = clock

    def create_job(self, job: Job) -> Job:
        with self._documents.lock:
            if job.job_id not in self._documents.jobs:
                self._documents.watch(None, job)
                self._documents.jobs[job.job_id] = msgspec.json.encode(job)
            return self.job(job.job_id)

    def job(self, job_id: str) -> Job:
        try:
            return msgspec.json.decode(self._documents.jobs[job_id], type=Job)
        except KeyError:
            raise Gone(f"There is no job {job_id}.") from None

    def jobs(self) -> Iterator[Job]:
        found = [msgspec.json.decode(data, type=Job) for data in list(self._documents.jobs.values())]
        yield from sorted(found, key=lambda job: (-job.created, job.job_id))

    def unfinished(self) -> Iterator[Job]:
        return (job for job in list(self.jobs()) if not job.at_rest)

    def last_moved(self) -> float:
        return max((job.updated for job in self.jobs()), default=0.0)

    def seal(self, job_id: str, seal: Seal) -> Job:
        with self._documents.lock:
            job = self.job(job_id)
            if job.state is not JobState.CHUNKING:
                return job
            return self._put(job, replace(job, state=JobState.TRANSCRIBING, seal=seal))

    def move(self, job_id: str, source: JobState, target: JobState, **changes: object) -> Job | None:
        progress.check(source, target)
        with self._documents.lock:
            job = self.job(job_id)
            return self._put(job, replace(job, state=target, **changes)) if job.state is source else None

    def amend(self, job: Job, **changes: object) -> Job | None:
        with self._documents.lock:
            return self._put(job, replace(job, **changes)) if self.job(job.job_id) == job else None

    def create_chunk(self, chunk: Chunk) -> bool:
        with self._documents.lock:
            if chunk.task.index in self._documents.chunks[chunk.task.job_id]:
                return False
            self._put_chunk(None, progress.created(chunk, self._clock.now()))
            return True

    def chunk(self, job_id: str, index: int) -> Chunk:
        found = self._documents.chunks[job_id].get(index)
        if found is None:
            raise Gone(f"Job {job_id} has no chunk {index}.")
        return msgspec.json.decode(found[1], type=Chunk)

    def chunks(self, job_id: str, first: int = 0) -> Iterator[Chunk]:
        return self._some(job_id, lambda index, _: index >= first)

    def store_result(self, result: ChunkResult) -> Chunk | None:
        return self._change(result.job_id, result.index, lambda chunk, now: progress.answered(chunk, result, now))

    def give_up(self, job_id: str, index: int, run: int, reason: str) -> bool:
        given_up = self._change(job_id, index, lambda chunk, now: progress.given_up(chunk, run, reason, now))
        return given_up is not None

    def requeue(self, task: ChunkTask) -> bool:
        requeued = self._change(task.job_id, task.index, lambda chunk, now: progress.requeued(chunk, task, now))
        return requeued is not None

    def resend(self, seen: Chunk) -> bool:
        task = seen.task
        return (
            self._change(task.job_id, task.index, lambda chunk, now: progress.resent(chunk, seen, now)) is not None
        )

    def any_pending(self, job_id: str) -> bool:
        return self.count_pending(job_id) > 0

    def count_pending(self, job_id: str) -> int:
        with self._documents.lock:
            return sum(state is ChunkState.PENDING for state, _ in self._documents.chunks[job_id].values())

    def pending(self, job_id: str) -> Iterator[Chunk]:
        return self._some(job_id, lambda _, state: state is ChunkState.PENDING)

    def last_queued(self, job_id: str) -> Chunk | None:
        return max(self.chunks(job_id), key=lambda chunk: chunk.queued, default=None)

    def last_changed(self, job_id: str) -> Chunk | None:
        return max(self.chunks(job_id), key=lambda chunk: chunk.updated, default=None)

    def delete_job(self, job_id: str) -> None:
        with self._documents.lock:
            self._documents.chunks.pop(job_id, None)
            self._documents.jobs.pop(job_id, None)

    def report(self, worker: Worker) -> None:
        self._documents.workers[worker.name] = msgspec.json.encode(worker)

    def workers(self) -> Iterator[Worker]:
        oldest = self._clock.now() - WORKER_SECONDS
        for _, data in sorted(self._documents.workers.items()):
            worker = msgspec.json.decode(data, type=Worker)
            if worker.pulled >= oldest:
                yield worker

    def _put(self, old: Job, job: Job) -> Job:
        new = replace(job, updated=self._clock.now())
        self._documents.watch(old, new)
        self._documents.jobs[new.job_id] = msgspec.json.encode(new)
        return new

    def _put_chunk(self, old: Chunk | None, new: Chunk) -> None:
        self._documents.watch(old, new)
        self._documents.chunks[new.task.job_id][new.task.index] = new.state, msgspec.json.encode(new)

    def _change(self, job_id: str, index: int, change: Callable[[Chunk, float], Chunk | None]) -> Chunk | None:
        with self._documents.lock:
            try:
                chunk = self.chunk(job_id, index)
            except Gone:
                return None
            new = change(chunk, self._clock.now())
            if new is not None and new is not chunk:
                self._put_chunk(chunk, new)
            return new

    def _some(self, job_id: str, wanted: Callable[[int, ChunkState], bool]) -> Iterator[Chunk]:
        with self._documents.lock:
            found = sorted(self._documents.chunks[job_id].items())
        return iter([msgspec.json.decode(data, type=Chunk) for n, (state, data) in found if wanted(n, state)])
