"""Stand-ins for what is slow or clever: a recording of tones that are words, and ears that tell which were played.

Every word of a recording made by `spoken` is a burst of tone, its frequency the word's number. The recogniser hears
no more than what is in the samples it is given, so audio that was lost, doubled, cut or put out of order shows in
the transcript.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from longscribe.adapters.local.files import Files
from longscribe.adapters.local.jobs import SqliteJobs
from longscribe.adapters.local.queue import SqliteQueue, Subscription
from longscribe.core import ids, topics
from longscribe.core.limits import FRAME, GRID, LEASE_SECONDS, MAX_ATTEMPTS_EMBEDDED, SAMPLE_RATE
from longscribe.core.scaling import Fleet
from longscribe.core.settings import Settings
from longscribe.documents import Chunk, Job
from longscribe.errors import BadInput, Poison
from longscribe.messages import Judged, Missing, UploadEvent, WindowResult, Word
from longscribe.ports import Clock, DeadLetterPolicy, Decoded, Heard, RangeReader, Samples, WindowAudio
from longscribe.stages.assembler import AssemblerPorts, take_dead_letter, take_result
from longscribe.stages.chunker import ChunkerPorts
from longscribe.stages.reconciler import ReconcilerPorts
from longscribe.stages.worker import Prepared, WorkerPorts, conclude, prepare
from tests.contract.clocks import ManualClock

BURST = SAMPLE_RATE * 4 // 10
TONES = 340
"""Distinct words: 300 to 3,690 Hz in steps of 10, which a burst of 0.4 s tells apart exactly."""


def word(number: int) -> str:
    """The ``number``-th word of every recording."""
    return f"w{number % TONES:03d}"


def words(count: int, first: int = 0) -> list[str]:
    return [word(number) for number in range(first, first + count)]


def burst(number: int) -> Samples:
    """One spoken word."""
    time = np.arange(BURST) / SAMPLE_RATE
    return (8_000 * np.sin(2 * np.pi * (300 + 10 * (number % TONES)) * time)).astype(np.int16)


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * 100) * FRAME, np.int16)


def spoken(count: int, first: int = 0) -> Samples:
    """``count`` words with pauses as people make them: mostly 0.3 s, sometimes 1 or 3 s. About 0.8 s a word."""
    parts = [silence(0.5)]
    for number in range(first, first + count):
        pause = 3.0 if number % 23 == 22 else 1.0 if number % 7 == 6 else 0.3
        parts += [burst(number), silence(pause)]
    return np.concatenate(parts)


class PcmMedia:
    """Media whose recordings are 16-bit samples at 16 kHz as they are: nothing is decoded.

    A file that begins with ``BAD`` is no audio; a stretch whose first sample is -32768 cannot be decoded.
    """

    LOST = -32_768

    def __init__(self, stretch: int = GRID, dies_after: int | None = None) -> None:
        self._stretch = stretch
        self._dies_after = dies_after  # stretches
        self.open = 0  #: decodings under way
        self.starts: list[int] = []  #: where each decoding began

    @contextmanager
    def decode(self, read: RangeReader, size: int, start: int = 0) -> Iterator[Iterator[Decoded]]:
        if read(0, 3) == b"BAD":
            raise BadInput("It is no audio; give a recording.")
        self.open += 1
        self.starts.append(start)
        try:
            yield self._stretches(read, size // 2, start)
        finally:
            self.open -= 1

    def _stretches(self, read: RangeReader, length: int, start: int) -> Iterator[Decoded]:
        for number, first in enumerate(range(start, length, self._stretch)):
            if number == self._dies_after:
                raise ConnectionError("the store went away")
            last = min(first + self._stretch, length)
            samples = np.frombuffer(read(2 * first, 2 * last), np.int16)
            lost = samples[0] == self.LOST
            yield Decoded(
                first,
                np.zeros_like(samples) if lost else samples,
                (Missing(first, last, "it was damaged"),) if lost else (),
            )

    def encode(self, samples: Samples) -> bytes:
        return b"PCM" + samples.tobytes()

    def decode_chunk(self, data: bytes) -> Samples:
        if not data.startswith(b"PCM"):
            raise Poison("The chunk's audio cannot be read.")
        return np.frombuffer(data[3:], np.int16)


class LevelDetector:
    """Whatever is loud is speech."""

    name = "level"

    def detect(self, samples: Samples, lead: int) -> Heard:
        whole = (len(samples) - lead) // FRAME * FRAME
        loud = np.abs(samples[lead : lead + whole].astype(np.int32)).reshape(-1, FRAME).max(axis=1) > 100
        return Heard(loud, (Judged(0, len(samples) - lead, self.name),))


@dataclass
class ToneRecogniser:
    """Hears the words of `spoken`: a burst that is not whole is heard as ``cut``."""

    seconds: float = 0.0  #: that each call takes
    lanes: int = 2
    at_once: int = 2
    batch: int = 4
    model: str = Settings().model
    compute_type: str = "int8"
    device: str = "cpu"
    unknown: str = "xx"  #: a language it does not know
    hears: Callable[[WindowAudio], tuple[str, float]] = lambda window: (window.language or "en", 0.99)
    before: Callable[[Sequence[WindowAudio]], None] = lambda windows: None  #: called first; may raise
    log: Path | None = None  #: gets a line for each window, by whatever process
    batches: list[list[str]] = field(default_factory=list)  #: each call's windows, their text

    def knows(self, language: str) -> bool:
        return language != self.unknown

    def recognise(self, windows: Sequence[WindowAudio]) -> list[WindowResult]:
        heard = [tones(window.samples) for window in windows]
        self.batches.append(["".join(word.text for word in found) for found in heard])
        self.before(windows)
        time.sleep(self.seconds)
        if self.log is not None:
            with self.log.open("ab", buffering=0) as file:
                file.write("".join(f"{text}\n" for text in map(_text, heard)).encode())
        return [
            WindowResult(found, *self.hears(window), -0.1) for found, window in zip(heard, windows, strict=True)
        ]


def _text(found: Sequence[Word]) -> str:
    return "".join(word.text for word in found).strip()


def tones(samples: Samples) -> tuple[Word, ...]:
    """The words in some samples, timed from their start."""
    loud = np.abs(samples.astype(np.int32)) > 100
    frames = np.append(loud, np.zeros(-len(loud) % FRAME, np.bool_)).reshape(-1, FRAME).any(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], frames, [False])))) * FRAME
    found = []
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if end - start == BURST:
            peak = int(np.argmax(np.abs(np.fft.rfft(samples[start:end])))) * SAMPLE_RATE / BURST
            found.append(Word(start, end, f" {word(round((peak - 300) / 10))}", 0.9))
        else:
            found.append(Word(start, end, " cut", 0.9))
    return tuple(found)


class Slow:
    """Any port, each of its calls ``seconds`` slower."""

    def __init__(self, port: object, seconds: float) -> None:
        self._port = port
        self._seconds = seconds

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)

        def slowly(*args: object, **named: object) -> Any:
            time.sleep(self._seconds)
            return call(*args, **named)

        return slowly


class Faulty:
    """Any port; ``fault(method, args)`` is asked before each call, and may raise."""

    def __init__(self, port: object, fault: Callable[[str, tuple[Any, ...]], None]) -> None:
        self._port = port
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)

        def perhaps(*args: Any, **named: Any) -> Any:
            self._fault(name, args)
            return call(*args, **named)

        return perhaps


class Inline(Executor):
    """Runs each task at once, in the caller's thread: the order of writes is then known."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Pool:
    """A GPU pool that is always as large as it was asked to be."""

    def __init__(self) -> None:
        self.sizes = [0]  #: all of them, in order

    def size(self) -> int:
        return self.sizes[-1]

    def resize(self, instances: int) -> None:
        self.sizes.append(instances)


class SystemClock:
    """The machine's own time."""

    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Bench:
    """The four stages on real local stores, stepped by hand."""

    def __init__(self, home: Path, clock: Clock | None = None, lease_seconds: float = LEASE_SECONDS) -> None:
        self.home = home
        self.clock = clock or ManualClock()
        self.settings = Settings(language="en", chunk_seconds=10.0)
        dead = DeadLetterPolicy(topics.DEAD_CHUNKS, MAX_ATTEMPTS_EMBEDDED)
        subscriptions = [
            Subscription(topics.CHUNKS_HIGH, topics.CHUNKS_HIGH, lease_seconds, dead),
            Subscription(topics.CHUNKS_LOW, topics.CHUNKS_LOW, lease_seconds, dead),
            Subscription(topics.RESULTS, topics.RESULTS),
            Subscription(topics.DEAD_CHUNKS, topics.DEAD_CHUNKS),
        ]
        self.blobs = Files({name: home / name for name in ("chunks", "transcripts")})
        self.queue = SqliteQueue(home / "queue.sqlite", subscriptions, self.clock)
        self.jobs = SqliteJobs(home / "jobs.sqlite", self.clock)
        self.media = PcmMedia()
        self.recogniser = ToneRecogniser()
        self.pool = Pool()
        self.executor: Executor = Inline()

    def close(self) -> None:
        self.queue.close()
        self.jobs.close()

    def upload(self, samples: Samples | bytes, name: str = "talk.pcm", **metadata: str) -> UploadEvent:
        """Put a recording where an upload would be, and return the event it causes."""
        data = samples if isinstance(samples, bytes) else samples.tobytes()
        (self.home / name).write_bytes(data)
        found = self.blobs.stat(str(self.home), name)
        return UploadEvent(found.ref, found.size, metadata)

    def chunker(self, **other: Any) -> ChunkerPorts:
        ports = {
            "blobs": self.blobs,
            "queue": self.queue,
            "jobs": self.jobs,
            "media": self.media,
            "detector": LevelDetector(),
            "clock": self.clock,
            "executor": self.executor,
            "chunks_bucket": "chunks",
            "defaults": self.settings,
        }
        return ChunkerPorts(**{**ports, **other})

    def worker(self, **other: Any) -> WorkerPorts:
        ports = {
            "blobs": self.blobs,
            "queue": self.queue,
            "jobs": self.jobs,
            "media": self.media,
            "recogniser": self.recogniser,
            "worker": "bench",
            "version": "test",
        }
        return WorkerPorts(**{**ports, **other})

    def assembler(self, **other: Any) -> AssemblerPorts:
        ports = {"blobs": self.blobs, "queue": self.queue, "jobs": self.jobs, "transcripts_bucket": "transcripts"}
        return AssemblerPorts(**{**ports, **other})

    def reconciler(self, **other: Any) -> ReconcilerPorts:
        assembler = self.assembler(
            **{name: other.pop(name) for name in ("blobs", "queue", "jobs") if name in other}
        )
        return ReconcilerPorts(**{"assembler": assembler, "pool": self.pool, "fleet": Fleet(maximum=4), **other})

    def work(self, limit: int = 1_000) -> int:
        """Be the worker until nothing waits, or ``limit`` messages were taken; return how many were run."""
        ran = 0
        for subscription in (topics.CHUNKS_HIGH, topics.CHUNKS_LOW):
            while limit and (got := self.queue.pull(subscription, 1)):
                limit -= 1
                prepared = prepare(got[0].data, self.worker())
                if isinstance(prepared, Prepared):
                    heard = self.recogniser.recognise(prepared.windows)
                    conclude(prepared, heard, 0.5, got[0].attempt, self.worker())
                    ran += 1
                self.queue.acknowledge(subscription, [got[0].lease])
        return ran

    def assemble(self) -> list[str]:
        """Be the assembler until nothing waits; return what became of each message."""
        outcomes = []
        for subscription, take in ((topics.RESULTS, take_result), (topics.DEAD_CHUNKS, take_dead_letter)):
            while got := self.queue.pull(subscription, 1):
                outcomes.append(str(take(got[0].data, self.assembler()).what))
                self.queue.acknowledge(subscription, [got[0].lease])
        return outcomes

    def drop(self, subscription: str) -> list[bytes]:
        """Lose every message that waits; return them."""
        lost = []
        while got := self.queue.pull(subscription, 100):
            lost += [delivery.data for delivery in got]
            self.queue.acknowledge(subscription, [delivery.lease for delivery in got])
        return lost

    def job(self, event: UploadEvent) -> Job:
        return self.jobs.job(job_id(event))

    def chunks(self, event: UploadEvent) -> list[Chunk]:
        return list(self.jobs.chunks(job_id(event)))

    def text(self, event: UploadEvent) -> list[str]:
        """The words of the job's transcript."""
        written = {ref.name.rsplit(".", 1)[1]: ref for ref in self.job(event).transcripts}
        return self.blobs.read(written["txt"]).decode().split()


def job_id(event: UploadEvent) -> str:
    return ids.job_id(event.recording.bucket, event.recording.name, event.recording.generation)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
