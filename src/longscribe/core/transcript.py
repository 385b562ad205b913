"""The transcript of a recording, as it is written and read: times in seconds, to the millisecond.

``docs/transcript.md`` describes its JSON. *The same transcript* means the same bytes of TXT, SRT, VTT and of the
JSON without ``provenance`` and ``receipt``.
"""

from enum import StrEnum

import msgspec

from longscribe.core.costing import Cost, StoreOperations
from longscribe.core.limits import SAMPLE_RATE
from longscribe.core.settings import Settings
from longscribe.messages import Guard

FORMAT_VERSION = 1
"""Raised when a member of the JSON changes meaning or goes away."""


class Status(StrEnum):
    """Whether all of the recording is accounted for."""

    COMPLETE = "complete"
    PARTIAL = "partial"  #: some stretches are missing: ``coverage`` names them


class Kind(StrEnum):
    """What became of a stretch of the recording."""

    TRANSCRIBED = "transcribed"  #: it was recognised; that may have given no words
    SILENT = "silent"  #: no speech was found in it
    MISSING = "missing"  #: it may hold speech and has no text


class TimedWord(msgspec.Struct, frozen=True):
    """A word with its times."""

    start: float  #: seconds from the start of the recording
    end: float  #: seconds
    text: str  #: as it stands in the text, a leading space included
    confidence: float  #: the model's probability, 0 to 1


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A sentence, or as much of one as was said in one go."""

    start: float  #: seconds from the start of the recording
    end: float  #: seconds
    text: str  #: without space around it
    confidence: float  #: mean of its words' probabilities, 0 to 1
    language: str | None = None  #: an ISO 639-1 code: detected, voted or as given
    speaker: str | None = None  #: who speaks; always null for now
    guards: tuple[Guard, ...] = ()  #: what was found wrong with the text it comes from
    words: tuple[TimedWord, ...] = ()  #: in the JSON only when the setting ``word_times`` is on


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one stretch; together they run from 0 to the end of the recording without a gap."""

    start: float  #: seconds from the start of the recording
    end: float  #: seconds
    kind: Kind
    level: float | None = None  #: of a silent stretch: mean level in dBFS, -100 for digital silence
    reason: str | None = None  #: of a missing stretch: why
    detector: str | None = None  #: of the others: the speech detector that judged it


class Reason(StrEnum):
    """What makes a passage doubtful."""

    MISSING = "missing"  #: it could not be transcribed: see ``coverage``
    GUARDS = "failed-guards"  #: the text did not pass, after every new attempt: see ``guards``
    TEMPERATURE = "high-temperature"  #: only a decoding drawn by lot passed
    WORDS = "doubtful-words"  #: the model was unsure of several words in a row
    UNWORDED = "speech-without-words"  #: much speech was detected and hardly a word recognised
    SEAM = "seam"  #: speech was cut here, and the two sides heard other words


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch that is worth a listen, because its text is probably wrong or lacks words."""

    start: float  #: seconds from the start of the recording
    end: float  #: seconds
    reasons: tuple[Reason, ...]  #: at least one
    score: float  #: about as many words as are wrong or lost, at least 2; reasons that meet add up


class Recording(msgspec.Struct, frozen=True):
    """The object that was uploaded."""

    bucket: str
    name: str


class ChunkRecord(msgspec.Struct, frozen=True):
    """Who transcribed one chunk, and how often it was tried."""

    index: int  #: from 0, in the order of the recording
    run: int
    attempt: int  #: deliveries until the one that counted, 1 for the first
    worker: str
    device_seconds: float


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Who made the transcript, and with what. Lists are sorted and name each value once."""

    versions: tuple[str, ...]  #: of longscribe
    models: tuple[str, ...]
    compute_types: tuple[str, ...]
    devices: tuple[str, ...]
    chunks: tuple[ChunkRecord, ...]  #: the chunks that were transcribed, by index


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What a job used, and what that cost. What was not noted by an older longscribe is 0."""

    device_seconds: float  #: spent by the models on the results that were kept
    idle_seconds: float = 0.0  #: that devices stood idle although the job's chunks were queued
    retried_seconds: float = 0.0  #: spent on results that were replaced, and at most on attempts that were lost
    chunker_seconds: float = 0.0  #: from the event to the seal, tries that died left out
    recording_bytes: int = 0
    chunk_bytes: int = 0  #: of the chunks' audio
    message_bytes: int = 0  #: of the chunks' tasks and results
    operations: StoreOperations = StoreOperations()  #: as many as such a job takes; they are not metered
    machines: tuple[str, ...] = ()  #: that workers ran on, as far as they were told
    chunks: int  #: in the recording
    attempts: int  #: deliveries of the chunks that were transcribed
    retried: int  #: chunks that took more than one
    cost: Cost | None = None  #: null where nothing is paid for: on one's own machine


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """Everything known of what was said in one recording."""

    version: int = FORMAT_VERSION  #: of this format
    job_id: str
    recording: Recording
    duration: float  #: seconds
    language: str | None  #: an ISO 639-1 code; null when nothing was said
    status: Status
    settings: Settings
    unused_vocabulary: tuple[str, ...] = ()  #: the last terms, if the model's prompt had no room for them
    text: str  #: all of it, one paragraph a pause, paragraphs parted by a line break
    segments: tuple[Segment, ...]  #: in order; none overlaps the next
    coverage: tuple[Coverage, ...]
    passages: tuple[Passage, ...] = ()  #: up to ten most worth a listen, the worst first
    provenance: Provenance
    receipt: Receipt


def seconds(samples: int) -> float:
    """Return ``samples`` at 16 kHz as seconds, to the millisecond."""
    return round(samples / SAMPLE_RATE, 3)


def milliseconds(time: float) -> int:
    """Return a time in seconds as whole milliseconds."""
    return round(time * 1000)
