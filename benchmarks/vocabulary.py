"""Names that the model misses, without a vocabulary and with one: how many are right, and whether it leaks.

    python -m benchmarks.vocabulary [RECORDING.flac] [--model base] [--json OUT.json]

One recording is synthetic: the sentences below, each twice as different windows, with stretches between them in
which nobody speaks: digital silence, pink noise, hum. The whole pipeline transcribes it without a vocabulary, with
one name that nobody says, with the names in the order below, and with the names scattered among others that nobody
says, 100 in all. An echo is a term of the vocabulary in the text of a stretch in which nobody speaks.

The other is read by people, its reference beside it (``.json`` with ``segments``: start, end, text); without one,
``read-25min.flac`` in the directory that LONGSCRIBE_TEST_AUDIO names. Its names are found by rule, not chosen: the
words with a capital inside a sentence that the reference never writes without one. It is transcribed without a
vocabulary, with all of them, and with those that were then missed.
"""

import argparse
import json
import os
import random
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hibari import Hibari

from benchmarks.figures import keep
from benchmarks.missed_speech import pink, read
from benchmarks.scoring import score
from longscribe.adapters.media.av_media import AvMedia
from longscribe.api import transcribe
from longscribe.core.limits import MAX_VOCABULARY_TERMS, SAMPLE_RATE
from longscribe.core.transcript import Transcript
from longscribe.ports import Samples

TERMS = (
    *("Oyelaran", "Szczepan", "Quillfeather", "Mbeki", "Tanvir", "Ashgrove", "Lindqvist", "Nwosu", "Brannagh"),
    *("Ceridwen", "Kowalczyk", "Thibodeaux", "Zephyrine", "Okonkwo", "Varga", "Maelis", "kubectl", "Terraform"),
    *("Eventarc", "idempotent", "gRPC", "quorum", "mutex", "Zirconia", "Kestrelby", "Ostrava", "Halloran"),
    *("Fenwick", "Ilse", "Petrosyan"),
)
"""Unusual names and technical terms, each said once in `SENTENCES`."""

SENTENCES = (
    "Before the meeting began, Oyelaran asked Szczepan whether the letters from Quillfeather had come.",
    "Mrs Mbeki and her neighbour Tanvir walked to Ashgrove in the rain, and came home late.",
    "The report by Lindqvist was read aloud by Nwosu, while Brannagh made coffee for everyone.",
    "Nobody told Ceridwen that Kowalczyk had already paid for the boat.",
    "When Thibodeaux left the village, Zephyrine wrote to Okonkwo every week.",
    "The doctor, a man named Varga, took Maelis to the station.",
    "First we call kubectl, then Terraform builds the network again.",
    "Messages from Eventarc come twice, so every step has to be idempotent.",
    "The service speaks gRPC, and three servers make a quorum.",
    "Hold the mutex for a moment only, said the woman from Zirconia.",
    "The train from Kestrelby to Ostrava stops for an hour at the border.",
    "Halloran sold the farm to Fenwick, and Ilse never forgave Petrosyan.",
)

OTHERS = tuple(
    f"{first}{last}"
    for first in ("Ald", "Bren", "Cald", "Dorv", "Elm", "Farn", "Gris", "Holv", "Ing", "Jarn")
    for last in ("ova", "eth", "wick", "mere", "ander", "isk", "ulle")
)
"""Names that nobody says."""

QUIET = 20.0
"""Seconds of each stretch in which nobody speaks: with less than this the planner might join it to speech."""


@dataclass(frozen=True)
class Recording:
    """Speech, and where nobody speaks."""

    samples: Samples
    text: str
    names: tuple[str, ...]  #: that the text holds
    quiet: tuple[tuple[float, float], ...]  #: seconds


def recording() -> Recording:
    """Return the sentences with a stretch of silence, noise or hum after every third one."""
    voice = Hibari()
    parts: list[np.ndarray] = []
    quiet: list[tuple[float, float]] = []
    said: list[str] = []
    for number, sentence in enumerate(SENTENCES * 2):
        audio = np.asarray(voice(sentence), np.float64)
        times = np.arange(int(len(audio) * SAMPLE_RATE / voice.sample_rate)) / SAMPLE_RATE
        parts += [
            np.interp(times, np.arange(len(audio)) / voice.sample_rate, audio),
            np.zeros(SAMPLE_RATE // 2),
        ]
        said.append(sentence)
        if number % 3 == 2:
            start = sum(map(len, parts)) / SAMPLE_RATE
            parts.append(_nobody(number // 3))
            quiet.append((start, start + QUIET))
    samples = np.rint(np.concatenate(parts).clip(-1, 1) * 32767).astype(np.int16)
    return Recording(samples, " ".join(said), TERMS, tuple(quiet))


def people(path: Path) -> Recording:
    """Return a recording with its reference: segments, between which nobody speaks."""
    segments = json.loads(path.with_suffix(".json").read_text())["segments"]
    text = " ".join(segment["text"] for segment in segments)
    lower = set(re.findall(r"\b[a-z]\w*", text))
    inside = [name for each in segments for name in re.findall(r"(?<=[\w,;] )[A-Z][a-z]\w*", each["text"])]
    names = tuple(name for name in dict.fromkeys(inside) if name.lower() not in lower)
    samples = read(path)
    starts = [*(segment["start"] for segment in segments), len(samples) / SAMPLE_RATE]
    ends = [0.0, *(segment["end"] for segment in segments)]
    return Recording(samples, text, names, tuple(zip(ends, starts, strict=True)))


def _nobody(number: int) -> np.ndarray:
    count = int(QUIET * SAMPLE_RATE)
    time = np.arange(count) / SAMPLE_RATE
    noise = pink(count, number)
    hum = np.sin(2 * np.pi * 100 * time) + np.sin(2 * np.pi * 150 * time)
    return (np.zeros(count), 0.03 * noise, 0.05 * hum + 0.005 * noise, 0.1 * noise)[number % 4]


def hear(made: Recording, vocabulary: Sequence[str], model: str) -> Transcript:
    """Transcribe with ``vocabulary``."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "recording.flac"
        path.write_bytes(AvMedia().encode(made.samples))
        return transcribe(path, language="en", vocabulary=tuple(vocabulary), model=model)


def counted(made: Recording, vocabulary: Sequence[str], transcript: Transcript) -> dict[str, Any]:
    """Return the figures."""
    heard, reference = _words(transcript.text), _words(made.text)
    wanted = Counter(word for word in reference if word in _terms(made.names))
    told = _terms(set(vocabulary) - set(transcript.unused_vocabulary))
    given = Counter({word: count for word, count in wanted.items() if word in told})
    between = _between(transcript, made.quiet)
    return {
        "terms": len(vocabulary),
        "unused": len(transcript.unused_vocabulary),
        "names": wanted.total(),
        "names_right": (wanted & Counter(heard)).total(),
        "given": given.total(),
        "given_right": (given & Counter(heard)).total(),
        "wer": round(score(made.text, transcript.text).rate, 5),
        "echoes": sum(word in _terms(vocabulary) for word in between),
        "words_where_nobody_speaks": len(between),
        "leaks": _leaks(heard, reference, _terms([*vocabulary, *made.names])),
    }


def missed(made: Recording, transcript: Transcript) -> tuple[str, ...]:
    """Return the names that were heard less often than they were said."""
    lost = Counter(_words(made.text)) - Counter(_words(transcript.text))
    return tuple(name for name in made.names if any(word in lost for word in _words(name)))


def _between(transcript: Transcript, quiet: Sequence[tuple[float, float]]) -> list[str]:
    """Return the words whose middle lies where nobody speaks, half a second left for the times' own error."""
    return [
        plain
        for segment in transcript.segments
        for word in segment.words
        for plain in _words(word.text)
        if any(start + 0.5 < (word.start + word.end) / 2 < end - 0.5 for start, end in quiet)
    ]


def _leaks(heard: Sequence[str], reference: Sequence[str], terms: set[str]) -> int:
    """Return how often terms stand in the text beyond what was said: leaks into speech."""
    extra = Counter(word for word in heard if word in terms) - Counter(reference)
    return extra.total()


def _terms(vocabulary: Iterable[str]) -> set[str]:
    return {word for term in vocabulary for word in _words(term)}


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    directory = Path(os.environ.get("LONGSCRIBE_TEST_AUDIO", "."))
    parser.add_argument("recording", nargs="?", type=Path, default=directory / "read-25min.flac")
    parser.add_argument("--model", default="base")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    many = [*TERMS, *OTHERS]
    random.Random(1).shuffle(many)
    assert len(many) == MAX_VOCABULARY_TERMS
    print(
        "| vocabulary | no room for | names right | of those given | word error rate | words where nobody speaks"
        " | echoes | leaks |"
    )
    print("|---|---|---|---|---|---|---|---|", flush=True)

    def measured(made: Recording, vocabulary: Sequence[str]) -> tuple[dict[str, Any], Transcript]:
        transcript = hear(made, vocabulary, options.model)
        row = counted(made, vocabulary, transcript)
        print(
            f"| {row['terms']} terms | {row['unused']} | {row['names_right']} of {row['names']}"
            f" | {row['given_right']} of {row['given']} | {row['wer']:.1%}"
            f" | {row['words_where_nobody_speaks']} | {row['echoes']} | {row['leaks']} |",
            flush=True,
        )
        return row, transcript

    made = recording()
    rows = [measured(made, vocabulary)[0] for vocabulary in ((), OTHERS[:1], TERMS, many)]
    read_by = people(options.recording)
    without, transcript = measured(read_by, ())
    others = [measured(read_by, vocabulary)[0] for vocabulary in (read_by.names, missed(read_by, transcript))]
    if options.json:
        figures = {
            "model": options.model,
            "seconds": round(len(made.samples) / SAMPLE_RATE, 1),
            "rows": rows,
            "people": {"recording": options.recording.name, "rows": [without, *others]},
        }
        keep(options.json, figures)


if __name__ == "__main__":
    main()
