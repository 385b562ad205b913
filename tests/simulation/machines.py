"""What a process has of its own: a clock, and, if it is a worker, a way to wait for messages and a recogniser."""

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from msgspec.structs import replace

from longscribe.core import limits, topics
from longscribe.core.settings import Settings
from longscribe.messages import WindowResult, Word
from longscribe.ports import Delivery, WindowAudio
from tests.simulation.faults import Effects
from tests.simulation.scheduler import Condition, Process, Scheduler
from tests.standins import tones

EPOCH = 1_700_000_000.0

PULL_SECONDS = 10.0
"""How long a worker's pull waits for a first message."""


@dataclass(frozen=True)
class ProcessClock:
    """A process's own idea of the time."""

    scheduler: Scheduler
    process: Process

    def now(self) -> float:
        return EPOCH + self.scheduler.time + self.process.skew

    def sleep(self, seconds: float) -> None:
        self.scheduler.sleep(seconds)


@dataclass
class Pulling:
    """A worker's queue: a pull of the low topic waits for a first message."""

    port: Any
    arrivals: Condition

    def __getattr__(self, name: str) -> Any:
        return getattr(self.port, name)

    def pull(self, subscription: str, limit: int) -> list[Delivery]:
        got: list[Delivery] = self.port.pull(subscription, limit)
        if not got and subscription == topics.CHUNKS_LOW:
            self.arrivals.wait(PULL_SECONDS)
            got = self.port.pull(subscription, limit)
        return got


@cache
def heard(audio: bytes) -> tuple[Word, ...]:
    """The words in some samples; the campaigns hear the same windows thousands of times."""
    return tones(np.frombuffer(audio, np.int16))


@dataclass
class Ears:
    """A recogniser that takes virtual time. Untold, it hears every other window as German, but is unsure."""

    effects: Effects
    process: Process
    deadly: set[int]  #: seeds of windows that kill who hears them
    deaths: Counter[int]  #: of those who heard them, by window
    speed: float  #: seconds of audio in a second
    model: str = Settings().model
    compute_type: str = "int8"
    device: str = "simulated"
    lanes: int = 2
    at_once: int = 2
    batch: int = 4

    def knows(self, language: str) -> bool:
        return True

    def recognise(self, windows: Sequence[WindowAudio]) -> list[WindowResult]:
        seconds = sum(len(window.samples) for window in windows) / limits.SAMPLE_RATE / self.speed
        return self.effects.call(self.process, "recognise", lambda: list(map(self._hear, windows)), seconds)  # type: ignore[no-any-return]

    def _hear(self, window: WindowAudio) -> WindowResult:
        if window.seed in self.deadly:
            self.deaths[window.seed] += 1
            self.effects.die(self.process)
        audio = window.samples.tobytes()
        unsure = window.language is None and zlib.crc32(audio) % 2 == 0
        if unsure:
            words = tuple(replace(word, text=word.text.upper()) for word in heard(audio))
            return WindowResult(words, "de", 0.5, -0.1)
        return WindowResult(heard(audio), window.language or "en", 0.99, -0.1)
