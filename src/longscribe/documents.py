"""What is stored of a job: one document for the job, one for each of its chunks."""

from enum import StrEnum

import msgspec

from longscribe.core.settings import Settings
from longscribe.core.transcript import Receipt
from longscribe.messages import BlobRef, ChunkResult, ChunkTask, Judged, Missing, Silence


class JobState(StrEnum):
    """Where a job stands; the legal moves are in ``core/progress.py``."""

    CHUNKING = "chunking"  #: the chunker is still cutting; chunks are already being transcribed
    TRANSCRIBING = "transcribing"  #: sealed: the number of chunks is known
    SETTLING = "settling"  #: no chunk is pending: vote on the language, merge, write
    COMPLETE = "complete"
    PARTIAL = "partial"  #: finished, with missing stretches named
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self in (JobState.COMPLETE, JobState.PARTIAL, JobState.FAILED, JobState.CANCELLED)


class Seal(msgspec.Struct, frozen=True):
    """What the chunker knows only at the end: its last write."""

    samples: int  #: the recording's length
    chunks: int  #: how many there are
    silences: tuple[Silence, ...] = ()  #: after the last chunk
    missing: tuple[Missing, ...] = ()  #: after the last chunk
    judged: tuple[Judged, ...] = ()  #: after the last chunk
    chunker_seconds: float = 0.0  #: what all of the cutting took, but for tries that died


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One transcription of one recording under one frozen set of settings."""

    job_id: str
    recording: BlobRef
    size: int  #: bytes
    settings: Settings
    state: JobState
    created: float  #: seconds since 1970
    updated: float
    seal: Seal | None = None
    language: str | None = None  #: settled
    reason: str | None = None  #: why it failed or was cancelled, one sentence
    transcripts: tuple[BlobRef, ...] = ()  #: one for each format, once written
    settled: float = 0.0  #: when the chunks began to be read for ``transcripts``, in seconds since 1970
    chunker_seconds: float = 0.0  #: what cutting took so far, where the time was up before the end
    receipt: Receipt | None = None  #: from when it last ended; None for one that was refused at once
    replayed: bool = False  #: the chunks say something else since: to be settled again once no more results come

    @property
    def at_rest(self) -> bool:
        """Whether a reconciler has nothing to do with it."""
        return self.state.ended and not (self.replayed and self.state in (JobState.COMPLETE, JobState.PARTIAL))


class Worker(msgspec.Struct, frozen=True):
    """A worker, as it reported last."""

    name: str
    model: str
    device: str
    pulled: float  #: when a queue last answered it, in seconds since 1970
    since: float = 0.0  #: when it started


class ChunkState(StrEnum):
    """Where a chunk stands."""

    PENDING = "pending"
    DONE = "done"
    MISSING = "missing"  #: given up: dead-lettered, or past the job's deadline


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """One chunk: what was cut, and what became of it.

    What the task's windows leave of ``task.start`` to ``task.end`` is tiled by ``silences`` and ``missing``.
    ``judged`` tiles all of it; no silence reaches over one of its boundaries.
    """

    task: ChunkTask  #: as last queued: its run is the chunk's current run
    silences: tuple[Silence, ...] = ()
    missing: tuple[Missing, ...] = ()  #: stretches that could not be decoded
    audio_bytes: int = 0  #: of the object that holds its audio
    judged: tuple[Judged, ...] = ()
    state: ChunkState = ChunkState.PENDING
    updated: float = 0.0
    queued: float = 0.0  #: when its message was last sent, or was about to be
    sendings: int = 1  #: of that run's message: more than one where it was taken for lost
    overwritten: float = 0.0  #: when a result was last stored although it was no longer pending
    redone_seconds: float = 0.0  #: the device's, spent on results that another has replaced
    result: ChunkResult | None = None  #: while a later run is pending, still the one before
    reason: str | None = None  #: why the last run was given up
