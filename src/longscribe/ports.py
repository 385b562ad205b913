"""What the stages need of the world. Each port has one suite in ``tests/contract``, run on every adapter."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from longscribe.documents import Chunk, Job, JobState, Seal, Worker
from longscribe.messages import BlobRef, ChunkResult, ChunkTask, Judged, Missing, WindowResult

Samples = npt.NDArray[np.int16]
"""Mono audio at 16 kHz, shape (samples,)."""

Verdicts = npt.NDArray[np.bool_]
"""One verdict for each 10 ms frame, shape (frames,): whether it holds speech."""


class Clock(Protocol):
    """Time, passed in."""

    def now(self) -> float:
        """Return seconds since 1970."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


@dataclass(frozen=True)
class BlobInfo:
    """What a store knows of an object."""

    ref: BlobRef
    size: int  #: bytes
    metadata: Mapping[str, str]


class Blobs(Protocol):
    """Objects in buckets, written whole or not at all. Names are data: any text is a legal name."""

    def stat(self, bucket: str, name: str) -> BlobInfo:
        """Return the newest generation. Raises `Gone`."""
        ...

    def read(self, ref: BlobRef, start: int = 0, end: int | None = None) -> bytes:
        """Return bytes ``start`` to ``end`` of this generation. Raises `Gone` if it was overwritten or deleted."""
        ...

    def create(self, bucket: str, name: str, data: bytes) -> BlobRef:
        """Write an object that does not exist yet; return the one that is there if it does. Raises `NoSpace`."""
        ...

    def replace(self, bucket: str, name: str, data: bytes) -> BlobRef:
        """Write an object, over any older generation. Readers see the old bytes or the new. Raises `NoSpace`."""
        ...

    def delete(self, bucket: str, name: str) -> None:
        """Delete an object; one that is not there is no error."""
        ...

    def names(self, bucket: str, prefix: str = "") -> Iterator[str]:
        """Yield the names in a bucket that begin with ``prefix``, in order."""
        ...


@dataclass(frozen=True)
class Delivery:
    """A message leased to one consumer."""

    lease: str  #: good for one delivery; useless once it has expired
    data: bytes
    attempt: int  #: deliveries so far, 1 for the first
    published: float  #: seconds since 1970


@dataclass(frozen=True)
class DeadLetterPolicy:
    """After how many deliveries a message moves on, and where to."""

    topic: str
    attempts: int


class Queue(Protocol):
    """Topics and subscriptions as Pub/Sub has them: at least once, in any order, leased, retained."""

    def publish(self, topic: str, data: bytes, group: str = "") -> None:
        """Queue a message durably on every subscription of ``topic``.

        ``group`` says whose it is (a job's id): a queue may deliver the groups in turn, so that none waits for
        another's end.
        """
        ...

    def pull(self, subscription: str, limit: int) -> list[Delivery]:
        """Lease up to ``limit`` messages; an empty list does not mean an empty queue."""
        ...

    def extend(self, subscription: str, leases: Sequence[str], seconds: float) -> None:
        """Let the leases run for ``seconds`` from now. Expired ones are ignored."""
        ...

    def acknowledge(self, subscription: str, leases: Sequence[str]) -> None:
        """Never deliver these again. Expired leases are ignored: their messages come again."""
        ...

    def nack(self, subscription: str, leases: Sequence[str]) -> None:
        """Give the messages back for redelivery."""
        ...

    def seek(self, subscription: str, time: float) -> None:
        """Deliver again all retained messages published at or after ``time``, and none older."""
        ...


class Jobs(Protocol):
    """The documents. Every write is idempotent; only a job's state change is a transaction."""

    def create_job(self, job: Job) -> Job:
        """Store a new job; return the stored one, which is the older if there was one."""
        ...

    def job(self, job_id: str) -> Job:
        """Return a job. Raises `Gone`."""
        ...

    def jobs(self) -> Iterator[Job]:
        """Yield every job, the newest first. For people: it reads them all."""
        ...

    def unfinished(self) -> Iterator[Job]:
        """Yield the jobs that are not at rest, in any order, at one read each; the others cost nothing."""
        ...

    def last_moved(self) -> float:
        """Return when a job was last written, 0.0 where there is none, at the cost of one read."""
        ...

    def seal(self, job_id: str, seal: Seal) -> Job:
        """Record the seal and move to *transcribing*, in one transaction; sealed twice is sealed once."""
        ...

    def move(self, job_id: str, source: JobState, target: JobState, **changes: object) -> Job | None:
        """Move from ``source`` to ``target`` and set ``changes``, in one transaction.

        Return the job as it then is, or None if it was not in ``source``. Raises `IllegalMove` for a move that
        ``core/progress.py`` does not allow, `Gone` for an unknown job.
        """
        ...

    def amend(self, job: Job, **changes: object) -> Job | None:
        """Set ``changes``, the state not among them, on a job that nobody has written since ``job`` was read.

        Return the job as it then is, or None, and no change, if somebody has. Raises `Gone`.
        """
        ...

    def create_chunk(self, chunk: Chunk) -> bool:
        """Store a new chunk; False, and no change, if there was one."""
        ...

    def chunk(self, job_id: str, index: int) -> Chunk:
        """Return a chunk. Raises `Gone`."""
        ...

    def chunks(self, job_id: str, first: int = 0) -> Iterator[Chunk]:
        """Yield a job's chunks from ``first`` on, by index."""
        ...

    def store_result(self, result: ChunkResult) -> Chunk | None:
        """Make the chunk *done* with this result and return it; None, and no change, if that is not for it.

        ``core/progress.py`` has the rule (``answered``). The very result it holds already is not written again.
        """
        ...

    def give_up(self, job_id: str, index: int, run: int, reason: str) -> bool:
        """End a pending chunk's run without a result; False, and no change, if it is not pending or in another run.

        It becomes *missing*; one that an earlier run has a result of becomes *done* with that again.
        """
        ...

    def requeue(self, task: ChunkTask) -> bool:
        """Make the chunk pending under ``task``, whose run must be its current one plus one; False otherwise.

        It keeps its result until it gets another.
        """
        ...

    def resend(self, seen: Chunk) -> bool:
        """Note that a pending chunk's message is about to be sent again; False, and no change, if that is undue.

        It is undue if the chunk is no longer pending, or was sent again by another since it was ``seen``.
        """
        ...

    def any_pending(self, job_id: str) -> bool:
        """Return whether at least one chunk is pending, at the cost of one read."""
        ...

    def count_pending(self, job_id: str) -> int:
        """Return how many chunks are pending, at the cost of one read for every thousand of them."""
        ...

    def pending(self, job_id: str) -> Iterator[Chunk]:
        """Yield the pending chunks by index, at one read each; a reader may write between two of them."""
        ...

    def last_queued(self, job_id: str) -> Chunk | None:
        """Return the chunk whose message was sent last, None where there is none, at the cost of one read."""
        ...

    def last_changed(self, job_id: str) -> Chunk | None:
        """Return the chunk that was written last, None where there is none, at the cost of one read."""
        ...

    def delete_job(self, job_id: str) -> None:
        """Delete a job and its chunks."""
        ...

    def report(self, worker: Worker) -> None:
        """Record how a worker is, over what it reported before."""
        ...

    def workers(self) -> Iterator[Worker]:
        """Yield the workers of the last day, by name."""
        ...


@dataclass(frozen=True)
class Decoded:
    """A decoded stretch of a recording."""

    start: int  #: its first sample
    samples: Samples  #: zeros where ``missing`` says so
    missing: tuple[Missing, ...]  #: what could not be decoded within it


class RangeReader(Protocol):
    """Reads the recording's bytes."""

    def __call__(self, start: int, end: int) -> bytes:
        """Return bytes ``start`` to ``end``; fewer only at the end of the object."""
        ...


class Media(Protocol):
    """Untrusted media in, samples out."""

    def decode(self, read: RangeReader, size: int, start: int = 0) -> AbstractContextManager[Iterator[Decoded]]:
        """Decode an object of ``size`` bytes, from sample ``start`` (a multiple of `limits.GRID`) on.

        The iterator yields consecutive stretches without gaps: all but the last end on multiples of `limits.GRID`,
        and the last one's end is the recording's length. The same bytes give the same samples, wherever it starts
        and however many decode at once. Leaving the context ends every process it started.

        Raises `BadInput` for what is not audio, has no audio stream, decodes to nothing, or is over a limit.
        """
        ...

    def encode(self, samples: Samples) -> bytes:
        """Return ``samples`` as FLAC."""
        ...

    def decode_chunk(self, data: bytes) -> Samples:
        """Return the samples of a chunk that `encode` made. Raises `Poison` if it cannot be read."""
        ...


@dataclass(frozen=True)
class Heard:
    """What a detector made of some audio."""

    speech: Verdicts
    judged: tuple[Judged, ...]  #: tiles the audio, its first sample being 0; boundaries between frames


class SpeechDetector(Protocol):
    """Says which frames hold speech."""

    name: str

    def detect(self, samples: Samples, lead: int) -> Heard:
        """Return one verdict for each whole 10 ms frame after the first ``lead`` samples, which only warm it up.

        Keeps nothing between calls: the same samples give the same verdicts.
        """
        ...


@dataclass(frozen=True)
class WindowAudio:
    """One window, ready to be recognised."""

    samples: Samples  #: at most 30 s
    language: str | None  #: None: detect
    vocabulary: tuple[str, ...]
    seed: int  #: for decoding with a temperature


class Recogniser(Protocol):
    """A speech model on a device. Thread-safe: each lane may call it at the same time."""

    model: str
    compute_type: str
    device: str
    lanes: int  #: calls that run side by side to good effect
    at_once: int  #: of them that compute at the same time; one that waits has its input ready
    batch: int  #: windows in one call that the device is best fed with

    def knows(self, language: str) -> bool:
        """Return whether the model can be told to hear this language."""
        ...

    def recognise(self, windows: Sequence[WindowAudio]) -> list[WindowResult]:
        """Return what each window says, in order; word times are in samples from the window's own start.

        A window's result does not depend on its company (to the bit on a CPU). Raises `Transient` when the device
        is out of memory even for one window.
        """
        ...


class GpuPool(Protocol):
    """The workers' machines. Only the reconciler changes their number."""

    def size(self) -> int:
        """Return how many instances are asked for, started or not."""
        ...

    def resize(self, instances: int) -> None:
        """Ask for ``instances``; they start and stop later. Raises `Busy` while another change is under way."""
        ...
