"""How a job stands, told from its documents alone: speed, time left, what is missing, results by model."""

from collections import Counter
from collections.abc import Iterable, Sequence

from longscribe.core.limits import SAMPLE_RATE
from longscribe.core.progress import Progress
from longscribe.documents import Chunk, ChunkState, Job
from longscribe.messages import Guard, Missing

RECENT_SECONDS = 300.0
"""The speed is that of the last five minutes: long enough for a few chunks on a slow machine."""


def speed(job: Job, chunks: Iterable[Chunk], now: float) -> float | None:
    """Return seconds of recording done in each second of the recent past; None where nothing ended in it.

    The recent past begins `RECENT_SECONDS` before ``now``, or when the work began, if that is later: with the job,
    and for chunks under a later run when the job was sent back.
    """
    chunks = list(chunks)
    began = max(now - RECENT_SECONDS, job.created)
    if any(chunk.state is ChunkState.PENDING and chunk.task.run > 1 for chunk in chunks):
        began = max(began, job.updated)
    done = sum(
        chunk.task.end - chunk.task.start
        for chunk in chunks
        if chunk.state is not ChunkState.PENDING and chunk.updated >= began
    )
    return done / SAMPLE_RATE / (now - began) if done and now > began else None


def seconds_left(job: Job, progress: Progress, rate: float | None) -> float | None:
    """Return how long the rest will take at the speed ``rate``; None while that or the length is unknown."""
    if job.seal is None or rate is None:
        return None
    return (progress.known_samples - progress.done_samples) / SAMPLE_RATE / rate


def missing(job: Job, chunks: Iterable[Chunk]) -> tuple[Missing, ...]:
    """Return the stretches that have no text so far though they may hold speech, in order."""
    parts: list[Missing] = list(job.seal.missing) if job.seal is not None else []
    for chunk in chunks:
        parts += chunk.missing
        if chunk.state is ChunkState.MISSING:
            parts += [
                Missing(max(span.start, window.start), min(span.end, window.end), chunk.reason or "it was given up")
                for window in chunk.task.windows
                for span in window.spans
                if max(span.start, window.start) < min(span.end, window.end)
            ]
    return tuple(sorted(parts, key=lambda part: part.start))


def results(chunks: Iterable[Chunk]) -> dict[str, int]:
    """Return how many chunks have their text from each model."""
    return dict(Counter(chunk.result.provenance.model for chunk in chunks if chunk.result is not None))


def guards(chunks: Iterable[Chunk]) -> dict[Guard, int]:
    """Return how many windows each guard still doubts."""
    raised = (window.guards for chunk in chunks if chunk.result is not None for window in chunk.result.windows)
    return dict(Counter(guard for found in raised for guard in found))


def last_result(chunks: Sequence[Chunk]) -> float | None:
    """Return when the last chunk ended, in seconds since 1970."""
    return max((chunk.updated for chunk in chunks if chunk.state is not ChunkState.PENDING), default=None)
