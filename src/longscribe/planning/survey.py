"""What is in a recording, told by the chunker's own parts: its length, speech and windows. Nothing is written."""

import os
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from longscribe.core.cutting import PlannedChunk, Planner
from longscribe.core.limits import SAMPLE_RATE
from longscribe.core.settings import Settings
from longscribe.planning.simulation import Recording, Work
from longscribe.ports import Media, SpeechDetector
from longscribe.stages.chunker import listen


@dataclass(frozen=True)
class Survey:
    """A recording that was listened to."""

    recording: Recording
    speech: float  #: seconds, as the detector heard it
    size: int  #: bytes
    took: float  #: seconds


def survey(path: Path, media: Media, detector: SpeechDetector, settings: Settings) -> Survey:
    """Return what is in the file at ``path``. Raises `BadInput` for what could not be transcribed."""
    began = time.monotonic()
    size = path.stat().st_size
    planner = Planner(settings.chunk_seconds)
    chunks: list[PlannedChunk] = []
    length = 0
    with path.open("rb") as file:

        def read(start: int, end: int) -> bytes:  # by several threads at once
            return os.pread(file.fileno(), end - start, start)

        with media.decode(read, size) as stretches, closing(listen(stretches, detector)) as listened:
            for decoded, heard in listened:
                length = decoded.start + len(decoded.samples)
                chunks += planner.feed(heard, decoded.missing)
        chunks += planner.finish(length)[0]
    work = tuple(
        Work(chunk.end / SAMPLE_RATE, tuple(window.samples / SAMPLE_RATE for window in chunk.windows))
        for chunk in chunks
    )
    speech = sum(chunk.speech for chunk in chunks) / SAMPLE_RATE
    return Survey(Recording(length / SAMPLE_RATE, work), speech, size, time.monotonic() - began)


def typical(seconds: float, speech_share: float, window_seconds: float, settings: Settings) -> Recording:
    """Return a recording nobody has heard: ``speech_share`` of it in windows of ``window_seconds``, evenly."""
    windows = max(1, round(seconds * speech_share / window_seconds))
    each = max(1, int(settings.chunk_seconds // window_seconds))
    fill = seconds * speech_share / windows
    chunks = []
    for first in range(0, windows, each):
        count = min(each, windows - first)
        chunks.append(Work(seconds * (first + count) / windows, (fill,) * count))
    return Recording(seconds, tuple(chunks))
