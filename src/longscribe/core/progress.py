"""How a job advances: the legal moves between its states, and what its readers can tell from the chunks."""

from collections.abc import Iterable
from dataclasses import dataclass

from longscribe.documents import Chunk, ChunkState, JobState, Seal
from longscribe.errors import IllegalMove

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
