"""What passes between the stages: UploadEvent → ChunkTask → ChunkResult or ChunkRefused, and Sealed at a job's end.

Frozen values with a version. Encoded as JSON; whatever cannot be decoded is one `DecodeError`. All times are
integer samples at 16 kHz, counted from the start of the recording.
"""

from enum import StrEnum
from typing import Any, TypeVar, cast

import msgspec

from longscribe.core.limits import MAX_MESSAGE_BYTES
from longscribe.errors import DecodeError

VERSION = 1
"""Raised when a field changes meaning or a required one is added."""


class BlobRef(msgspec.Struct, frozen=True, order=True):
    """One generation of one object."""

    bucket: str
    name: str
    generation: int


class Span(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A half-open stretch of the recording."""

    start: int  #: first sample
    end: int  #: one past the last sample

    @property
    def samples(self) -> int:
        """The length in samples."""
        return self.end - self.start


class Silence(msgspec.Struct, frozen=True, array_like=True):
    """A stretch in which no speech was found, with its level as evidence."""

    start: int
    end: int
    level: float  #: mean level in dBFS, -100 for digital silence


class Missing(msgspec.Struct, frozen=True, array_like=True):
    """A stretch that has no text although it may hold speech."""

    start: int
    end: int
    reason: str


class Judged(msgspec.Struct, frozen=True, array_like=True):
    """A stretch, and which detector said where in it there is speech."""

    start: int
    end: int
    detector: str


class Window(msgspec.Struct, frozen=True):
    """At most 30 s of audio: one input of Whisper.

    ``start`` to ``end`` is what the window owns of the recording; windows own disjoint stretches. ``spans`` is the
    audio it is decoded from, in order, silence between them left out. Where a cut had to go through speech, the
    spans reach beyond what the window owns, and so does its neighbour's: the merge removes the doubled words.
    """

    start: int
    end: int
    spans: tuple[Span, ...]
    language: str | None = None  #: pinned by the vote on the recording's language; None: as its chunk has it

    @property
    def samples(self) -> int:
        """The audio in the window, in samples."""
        return sum(span.samples for span in self.spans)


class Priority(StrEnum):
    """Which of the two chunk topics a task goes to."""

    HIGH = "high"  #: the first chunks of a job, and those full of speech
    LOW = "low"


class UploadEvent(msgspec.Struct, frozen=True, tag=True):
    """A recording has arrived."""

    recording: BlobRef
    size: int  #: bytes
    metadata: dict[str, str]  #: the upload's settings, as given
    version: int = VERSION


class ChunkTask(msgspec.Struct, frozen=True, tag=True):
    """One chunk to transcribe. Carries no audio and no name the user gave."""

    job_id: str
    index: int  #: from 0, in the order of the recording
    run: int  #: raised when the chunk is transcribed afresh; effects of another run are dropped
    settings_hash: str
    audio: BlobRef  #: FLAC, 16 kHz mono, from sample ``audio_start`` on
    audio_start: int
    start: int  #: what the chunk owns of the recording; chunks own disjoint stretches
    end: int
    windows: tuple[Window, ...]
    speech: int  #: samples of speech in the windows
    priority: Priority
    model: str  #: that is to transcribe it
    language: str | None = None  #: as given in the settings; None: each window detects
    resent: bool = False  #: its message was taken for lost: to be run only while the chunk is pending
    version: int = VERSION


class Word(msgspec.Struct, frozen=True, array_like=True):
    """A word as Whisper spells it, its leading space included."""

    start: int
    end: int
    text: str
    probability: float


class Guard(StrEnum):
    """What a guard found wrong with a window's text."""

    LOW_PROBABILITY = "low-probability"
    COMPRESSION = "compression"  #: the text compresses too well: it repeats itself
    REPETITION = "repetition"
    PROMPT_ECHO = "prompt-echo"  #: the vocabulary came back as text
    NO_SPEECH = "no-speech"  #: the model itself doubts that anyone spoke: the text was dropped


class WindowResult(msgspec.Struct, frozen=True):
    """What one window says."""

    words: tuple[Word, ...]
    language: str
    language_probability: float  #: 1.0 when pinned
    log_probability: float  #: mean natural logarithm of the tokens' probabilities
    temperature: float = 0.0  #: of the decoding that was kept
    guards: tuple[Guard, ...] = ()  #: what still failed after every fallback
    unused_terms: int = 0  #: so many of the vocabulary's last terms found no room in the model's prompt

    @property
    def text(self) -> str:
        """The words as one string."""
        return "".join(word.text for word in self.words)


class Provenance(msgspec.Struct, frozen=True):
    """Who made a result, and at what cost."""

    model: str
    compute_type: str
    device: str
    version: str  #: of longscribe
    worker: str
    device_seconds: float
    attempt: int  #: deliveries of the message, 1 for the first
    idle_seconds: float = 0.0  #: that the device stood idle before, although the chunk was queued
    machine: str = ""  #: what the worker runs on, by its name in ``prices.toml``; empty: it was not told


class ChunkResult(msgspec.Struct, frozen=True, tag=True):
    """The text of one chunk: one `WindowResult` for each window of its task, in the same order."""

    job_id: str
    index: int
    run: int
    settings_hash: str
    windows: tuple[WindowResult, ...]
    provenance: Provenance
    version: int = VERSION


class ChunkRefused(msgspec.Struct, frozen=True, tag=True):
    """A worker cannot transcribe a chunk, and no other attempt could: it is given up at once."""

    job_id: str
    index: int
    run: int
    settings_hash: str
    reason: str  #: one sentence
    version: int = VERSION


class Sealed(msgspec.Struct, frozen=True, tag=True):
    """A job's chunk total has been written: its last result may have come before, so look whether it is done."""

    job_id: str
    version: int = VERSION


Message = TypeVar("Message", UploadEvent, ChunkTask, ChunkResult, ChunkRefused, Sealed)


def encode(message: UploadEvent | ChunkTask | ChunkResult | ChunkRefused | Sealed) -> bytes:
    """Return ``message`` as JSON in UTF-8, its kind in ``type``."""
    return msgspec.json.encode(message)


class _Versioned(msgspec.Struct):
    version: int


def decode(data: bytes, kind: type[Message]) -> Message:
    """Return the one typed value that ``data`` holds.

    Raises `DecodeError` for bytes over the size limit, that are not JSON, that are of a version this code does not
    know, or that lack a field or hold it in the wrong type.
    """
    return cast("Message", _decode(data, kind))


def decode_result(data: bytes) -> ChunkResult | ChunkRefused | Sealed:
    """Return what the results topic carried. Raises as `decode` does."""
    return cast("ChunkResult | ChunkRefused | Sealed", _decode(data, ChunkResult | ChunkRefused | Sealed))


def _decode(data: bytes, kind: Any) -> object:
    if len(data) > MAX_MESSAGE_BYTES:
        raise DecodeError(f"The message is larger than {MAX_MESSAGE_BYTES:,} bytes; drop it.")
    try:
        version = msgspec.json.decode(data, type=_Versioned).version
        if version != VERSION:
            raise DecodeError(
                f"The message is of version {version}, this code reads {VERSION}; deploy the newer longscribe."
            )
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        # The parser's own words may quote the message: only its kind is told.
        raise DecodeError(f"The message is of another kind or damaged ({type(error).__name__}); drop it.") from None
