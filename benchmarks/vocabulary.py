"""Names that the model misses, without a vocabulary and with one: how many are right, and whether it leaks.

    python -m benchmarks.vocabulary [--model base] [--json OUT.json]

The recording is synthetic: the sentences below, each twice as different windows, with stretches between them in
which nobody speaks: digital silence, pink noise, hum. The whole pipeline transcribes it without a vocabulary, with
one name that nobody says, with the names in the order below, and with the names scattered among others that nobody
says, 100 in all. An echo is a term of the vocabulary in the text of a stretch in which nobody speaks.
"""

import argparse
import json
import random
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
from hibari import Hibari

from benchmarks.missed_speech import pink
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
    return Recording(samples, " ".join(said), tuple(quiet))


def _nobody(number: int) -> np.ndarray:
    count = int(QUIET * SAMPLE_RATE)
    time = np.arange(count) / SAMPLE_RATE
    noise = pink(count, number)
    hum = np.sin(2 * np.pi * 100 * time) + np.sin(2 * np.pi * 150 * time)
    return (np.zeros(count), 0.03 * noise, 0.05 * hum + 0.005 * noise, 0.1 * noise)[number % 4]


def run(made: Recording, vocabulary: Sequence[str], model: str) -> dict[str, Any]:
    """Transcribe with ``vocabulary`` and return the figures."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "recording.flac"
        path.write_bytes(AvMedia().encode(made.samples))
        transcript = transcribe(path, language="en", vocabulary=tuple(vocabulary), model=model)
    heard, reference = _words(transcript.text), _words(made.text)
    terms = {word for term in TERMS for word in _words(term)}
    wanted = Counter(word for word in reference if word in terms)
    told = {word for term in set(vocabulary) - set(transcript.unused_vocabulary) for word in _words(term)}
    given = Counter({word: count for word, count in wanted.items() if word in told})
    return {
        "terms": len(vocabulary),
        "unused": len(transcript.unused_vocabulary),
        "names": wanted.total(),
        "names_right": (wanted & Counter(heard)).total(),
        "given": given.total(),
        "given_right": (given & Counter(heard)).total(),
        "wer": round(jiwer.wer(" ".join(reference), " ".join(heard)), 5),
        "echoes": _echoes(transcript, made.quiet, vocabulary),
        "words_where_nobody_speaks": len(_between(transcript, made.quiet)),
        "leaks": _leaks(heard, reference, vocabulary),
    }


def _echoes(transcript: Transcript, quiet: Sequence[tuple[float, float]], vocabulary: Sequence[str]) -> int:
    terms = {word for term in vocabulary for word in _words(term)}
    return sum(word in terms for word in _between(transcript, quiet))


def _between(transcript: Transcript, quiet: Sequence[tuple[float, float]]) -> list[str]:
    """Return the words whose middle lies where nobody speaks, half a second left for the times' own error."""
    return [
        plain
        for segment in transcript.segments
        for word in segment.words
        for plain in _words(word.text)
        if any(start + 0.5 < (word.start + word.end) / 2 < end - 0.5 for start, end in quiet)
    ]


def _leaks(heard: Sequence[str], reference: Sequence[str], vocabulary: Sequence[str]) -> int:
    """Return how often terms stand in the text beyond what was said: leaks into speech."""
    terms = {word for term in vocabulary for word in _words(term)}
    extra = Counter(word for word in heard if word in terms)
    extra.subtract(word for word in reference if word in terms)
    return sum(count for count in extra.values() if count > 0)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description="Names right without and with a vocabulary, and echoes of it.")
    parser.add_argument("--model", default="base")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    made = recording()
    many = [*TERMS, *OTHERS]
    random.Random(1).shuffle(many)
    assert len(many) == MAX_VOCABULARY_TERMS
    rows = []
    print("| vocabulary | no room for | names right | of those given | word error rate | echoes | leaks |")
    print("|---|---|---|---|---|---|---|")
    for vocabulary in ((), OTHERS[:1], TERMS, many):
        row = run(made, vocabulary, options.model)
        rows.append(row)
        print(
            f"| {row['terms']} terms | {row['unused']} | {row['names_right']} of {row['names']}"
            f" | {row['given_right']} of {row['given']} | {row['wer']:.1%}"
            f" | {row['echoes']} | {row['leaks']} |",
            flush=True,
        )
    if options.json:
        seconds = round(len(made.samples) / SAMPLE_RATE, 1)
        options.json.write_text(
            json.dumps({"model": options.model, "seconds": seconds, "rows": rows}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
