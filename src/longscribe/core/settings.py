"""The settings of one job: checked once, frozen, hashed, stored with the transcript."""

import hashlib
from collections.abc import Mapping

import msgspec

from longscribe.core.languages import LANGUAGES
from longscribe.core.limits import (
    MAX_CHUNK_SECONDS,
    MAX_TERM_CHARACTERS,
    MAX_VOCABULARY_TERMS,
    MIN_CHUNK_SECONDS,
)
from longscribe.errors import BadInput, OverLimit

FORMATS = ("json", "srt", "vtt", "txt")
"""What a transcript can be written as."""

COMPUTE_TYPES = ("auto", "int8", "int8_float16", "int8_float32", "int8_bfloat16", "float16", "bfloat16", "float32")
"""CTranslate2's quantisations; ``auto`` chooses from the hardware."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How a recording is transcribed.

    Raises `BadInput`, with a sentence for the person who set it, from `checked` and `from_metadata`.
    """

    language: str | None = None  #: an ISO 639-1 code; None: detect
    vocabulary: tuple[str, ...] = ()  #: names and terms to listen for, given to every window
    formats: tuple[str, ...] = FORMATS
    model: str = "base"  #: a Whisper model's name or a directory
    compute_type: str = "auto"
    word_times: bool = False  #: write each word's times into the JSON
    chunk_seconds: float = 116.0  #: speech a chunk holds at most: four windows of 29 s

    def hash(self) -> str:
        """Return 16 hex digits that stand for these settings."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:16]

    def checked(self) -> "Settings":
        """Return these settings if every one can be honoured, each term of the vocabulary once."""
        if self.language is not None and self.language not in LANGUAGES:
            raise BadInput(
                f"Unknown language {self.language!r};"
                " give a code such as 'en' or 'de', or leave it out to detect it."
            )
        for name in self.formats:
            if name not in FORMATS:
                raise BadInput(f"Unknown format {name!r}; choose from {', '.join(FORMATS)}.")
        if not self.formats:
            raise BadInput(f"No format is left to write; choose from {', '.join(FORMATS)}.")
        if self.compute_type not in COMPUTE_TYPES:
            raise BadInput(f"Unknown compute type {self.compute_type!r}; choose from {', '.join(COMPUTE_TYPES)}.")
        if not self.model:
            raise BadInput("The model's name is empty; give a name such as 'base', or a directory.")
        if not MIN_CHUNK_SECONDS <= self.chunk_seconds <= MAX_CHUNK_SECONDS:
            raise OverLimit(
                f"A chunk of {self.chunk_seconds:g} s is out of bounds;"
                f" give {MIN_CHUNK_SECONDS:g} to {MAX_CHUNK_SECONDS:g} seconds."
            )
        self._check_terms()
        return msgspec.structs.replace(self, vocabulary=self._terms())

    def _terms(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(term.strip() for term in self.vocabulary))

    def _check_terms(self) -> None:
        if len(self._terms()) > MAX_VOCABULARY_TERMS:
            raise OverLimit(f"The vocabulary has {len(self._terms())} terms; give at most {MAX_VOCABULARY_TERMS}.")
        for term in self.vocabulary:
            if len(term) > MAX_TERM_CHARACTERS:
                raise OverLimit(
                    f"The vocabulary's term {term[:20]!r}… is longer than {MAX_TERM_CHARACTERS} characters;"
                    " shorten it."
                )
            if not term.strip() or not term.isprintable():
                raise BadInput("A term of the vocabulary is empty or not printable; remove it.")


def from_metadata(metadata: Mapping[str, str], defaults: Settings) -> Settings:
    """Return ``defaults`` overridden by an upload's metadata.

    Keys are the fields of `Settings`, with ``-`` or ``_``; lists are separated by commas. Raises `BadInput` for an
    unknown key or a value that cannot be read.
    """
    values: dict[str, object] = {}
    known = {field.name for field in msgspec.structs.fields(Settings)}
    for key, text in metadata.items():
        name = key.lower().replace("-", "_")
        if name not in known:
            raise BadInput(f"Unknown setting {key!r}; known are {', '.join(sorted(known))}.")
        values[name] = _read(name, text.strip())
    return msgspec.structs.replace(defaults, **values).checked()


def _read(name: str, text: str) -> object:
    if name in ("vocabulary", "formats"):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if name == "language":
        return None if text == "auto" else text
    if name == "chunk_seconds":
        try:
            return float(text)
        except ValueError:
            raise BadInput(f"The chunk length {text!r} is no number; give seconds, such as 45.") from None
    if name == "word_times":
        if text.lower() not in ("true", "false"):
            raise BadInput(f"The setting word_times is {text!r}; give true or false.")
        return text.lower() == "true"
    return text
