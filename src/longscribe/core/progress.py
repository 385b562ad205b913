"""How a job advances: the legal moves between its states, its chunks' changes, and what readers tell from them."""

from collections.abc import Iterable
from dataclasses import dataclass

from msgspec.structs import replace

from longscribe.documents import Chunk, ChunkState, JobState, Seal
from longscribe.errors import IllegalMove
from longscribe.messages import ChunkResult, ChunkTask

MOVES: dict[JobState, frozenset[JobState]] = {
    JobState.CHUNKING: frozenset({JobState.TRANSCRIBING, JobState.FAILED, JobState.CANCELLED}),
    # A job past its deadline gives up its pending chunks and settles like any other.
    JobState.TRANSCRIBING: frozenset({JobState.SETTLING, JobState.FAILED, JobState.CANCELLED}),
    JobState.SETTLING: frozenset(
        {
            JobState.TRANSCRIBING,  # outvoted chunks were re-queued
            JobState.COMPLETE,
            JobState.PARTIAL,
            JobState.FAILED,
            JobState.CANCELLED,
        }
    ),
    # A replay is finalised again; a rerun re-queues chunks.
    JobState.COMPLETE: frozenset({JobState.SETTLING, JobState.TRANSCRIBING}),
    JobState.PARTIAL: frozenset({JobState.SETTLING, JobState.TRANSCRIBING}),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}
"""Where a job may go from each state. Staying where it is, is no move."""


def check(source: JobState, target: JobState) -> None:
    """Raise `IllegalMove` unless a job may go from ``source`` to ``target``."""
    if target not in MOVES[source]:
        raise IllegalMove(f"A job that is {source} cannot become {target}; read the job again and decide anew.")


def created(chunk: Chunk, now: float) -> Chunk:
    """Return a new chunk as it is stored, before its message is sent."""
    return replace(chunk, updated=now, queued=now)


def answered(chunk: Chunk, result: ChunkResult, now: float) -> Chunk | None:
    """Return ``chunk`` *done* with ``result``; None for a result of another run or of other settings.

    The chunk itself comes back if it holds this very result. A replay overwrites, a chunk given up is healed, and
    ``overwritten`` tells the time of that.
    """
    if (result.run, result.settings_hash) != (chunk.task.run, chunk.task.settings_hash):
        return None
    if chunk.state is ChunkState.DONE and chunk.result == result:
        return chunk
    late = chunk.state is not ChunkState.PENDING
    replaced = chunk.result.provenance.device_seconds if chunk.result is not None else 0.0
    return replace(
        chunk,
        state=ChunkState.DONE,
        result=result,
        reason=None,
        updated=now,
        overwritten=now if late else chunk.overwritten,
        redone_seconds=round(chunk.redone_seconds + replaced, 3),
    )


def given_up(chunk: Chunk, run: int, reason: str, now: float) -> Chunk | None:
    """Return a pending chunk whose ``run`` ended without a result; None if it is not pending or in another run.

    It is *missing*; one that an earlier run has a result of is *done* with that again.
    """
    if chunk.task.run != run or chunk.state is not ChunkState.PENDING:
        return None
    state = ChunkState.MISSING if chunk.result is None else ChunkState.DONE
    return replace(chunk, state=state, reason=reason, updated=now)


def requeued(chunk: Chunk, task: ChunkTask, now: float) -> Chunk | None:
    """Return ``chunk`` pending under ``task``; None unless its run is the chunk's current one plus one."""
    if chunk.task.run + 1 != task.run:
        return None
    pending = replace(created(chunk, now), task=task, state=ChunkState.PENDING, reason=None)
    return replace(pending, sendings=1, overwritten=0.0)


def resent(chunk: Chunk, seen: Chunk, now: float) -> Chunk | None:
    """Return ``chunk`` with one sending more; None unless it is pending and was not sent since it was ``seen``."""
    if chunk.state is not ChunkState.PENDING:
        return None
    if (chunk.task.run, chunk.sendings) != (seen.task.run, seen.sendings):
        return None
    return replace(created(chunk, now), sendings=chunk.sendings + 1)


@dataclass(frozen=True)
class Frontier:
    """How far the ordered transcript is final while work goes on."""

    time: int  #: samples from the start of the recording
    blocked_by: int | None  #: the chunk that is waited for, cut or not; None: nothing is


def frontier(chunks: Iterable[Chunk], seal: Seal | None) -> Frontier:
    """Return how far the transcript is final: up to the first chunk that is pending or not there.

    ``chunks`` come by index, from 0. A chunk given up is final: its stretch is reported missing. An unsealed job
    always waits for one more chunk; a sealed one with none pending is final to the recording's end.
    """
    time = 0
    wanted = 0
    for chunk in chunks:
        if chunk.task.index != wanted or chunk.state is ChunkState.PENDING:
            return Frontier(time, wanted)
        time = chunk.task.end
        wanted += 1
    if seal is None or wanted < seal.chunks:
        return Frontier(time, wanted)
    return Frontier(seal.samples, None)


@dataclass(frozen=True)
class Progress:
    """How much of a job is done, for a progress bar."""

    done: int  #: chunks that are no longer pending
    known: int  #: chunks cut so far; all of them once the job is sealed
    done_samples: int  #: of the recording, owned by the chunks that are done
    known_samples: int  #: of the recording, cut so far; its length once the job is sealed


def progress(chunks: Iterable[Chunk], seal: Seal | None) -> Progress:
    """Return how much is done. A sealed job with no chunk pending has all its samples done."""
    done = known = done_samples = known_samples = 0
    for chunk in chunks:
        samples = chunk.task.end - chunk.task.start
        known += 1
        known_samples += samples
        if chunk.state is not ChunkState.PENDING:
            done += 1
            done_samples += samples
    if seal is None:
        return Progress(done, known, done_samples, known_samples)
    silent_rest = seal.samples - known_samples if known == seal.chunks else 0
    return Progress(done, seal.chunks, done_samples + silent_rest, seal.samples)
