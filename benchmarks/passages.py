"""Whether the worst passages of a transcript are where it went wrong: speech with injected faults, the real model.

    python -m benchmarks.passages [--takes 3] [--first 100] [--model base] [--json OUT.json]

A take is the demo's sentences in an order of its own, spoken by a synthetic voice, as it is or with faults:

- *bursts*: silences of 4 s are filled with white noise as loud as the speech,
- *swamped*: 3 s of words lie under pink noise 10 dB louder than they are,
- *tones*: silences of 8 s are filled with a chord every half second, as loud as the speech,
- *mixed*: nine faults, three of each kind.

A fault is found if a passage overlaps it. The directory that LONGSCRIBE_TEST_AUDIO names, if any, adds people's
recordings with their references: ``.flac`` with a ``.json`` of ``segments`` (start, end, text) beside it. The word
error rate in the sentences that overlap a passage is set beside that in all others. The constants of
``core/passages.py`` were chosen on takes 0 to 2; other takes tell. Beside OUT.json a table is written, OUT.md.
"""

import argparse
import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
from hibari import Hibari

from benchmarks.figures import keep
from benchmarks.missed_speech import pink
from benchmarks.pipeline import write
from benchmarks.scoring import normalised
from longscribe import transcribe
from longscribe.core.limits import SAMPLE_RATE
from longscribe.core.transcript import Passage, Transcript
from longscribe.demo_text import PARAGRAPHS

FAULTS = {"clean": 0, "bursts": 5, "swamped": 5, "tones": 5, "mixed": 9}
"""How many faults a take of each kind has."""

KINDS = ("bursts", "swamped", "tones")
SECONDS = {"bursts": 4.0, "swamped": 3.0, "tones": 8.0}

SENTENCES = tuple(sentence for text in PARAGRAPHS for sentence in re.split(r"(?<=[.!?]) ", text))


@dataclass
class Take:
    """A recording, where its faults are and what is said when; times in seconds."""

    parts: list[np.ndarray] = field(default_factory=list)
    faults: list[tuple[float, float]] = field(default_factory=list)
    segments: list[dict[str, Any]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """The length so far."""
        return sum(map(len, self.parts)) / SAMPLE_RATE

    def add(self, samples: np.ndarray, text: str = "", fault: bool = False) -> None:
        """Append ``samples``, floating point, which say ``text``, or are a fault."""
        start = self.seconds
        self.parts.append(samples)
        if text:
            self.segments.append({"start": start, "end": self.seconds, "text": text})
        if fault:
            self.faults.append((start, self.seconds))

    def audio(self, seed: int) -> np.ndarray:
        """Return the recording as 16-bit samples, with the faint noise of a quiet room."""
        samples = np.concatenate(self.parts)
        samples = samples + np.random.default_rng(seed).normal(0, 10 ** (-70 / 20), len(samples))
        return (samples.clip(-1, 1) * 32767).astype(np.int16)


@cache
def said(sentence: str, speed: float) -> np.ndarray:
    """Return a sentence as speech at 16 kHz."""
    voice = Hibari()
    samples = voice(sentence, speed=speed)
    count = int(len(samples) * SAMPLE_RATE / voice.sample_rate)
    return np.interp(np.arange(count) * voice.sample_rate / SAMPLE_RATE, np.arange(len(samples)), samples)


def made(kind: str, seed: int) -> Take:
    """Return the take ``seed`` of a kind; every kind of one seed says the same."""
    random = np.random.default_rng(seed)
    speed = float(random.choice([0.9, 1.0, 1.15, 1.3]))
    sentences = [SENTENCES[index] for index in random.permutation(len(SENTENCES))]
    level = float(np.sqrt(np.mean(np.concatenate([said(text, speed) for text in sentences]) ** 2)))
    count = FAULTS[kind]
    places = np.linspace(0, len(sentences), count + 2)[1:-1].round().astype(int).tolist() if count else []
    faults = dict(zip(places, islice(cycle(KINDS if kind == "mixed" else (kind,)), count), strict=True))
    take = Take()
    for index, text in enumerate(sentences):
        fault = faults.get(index)
        samples = said(text, speed)
        if fault == "swamped":
            length = min(len(samples), int(SECONDS[fault] * SAMPLE_RATE))
            at = int(random.integers(0, len(samples) - length + 1))
            noise = np.zeros(len(samples))
            noise[at : at + length] = pink(length, seed) * level * 10 ** (10 / 20)
            start = take.seconds + at / SAMPLE_RATE
            take.faults.append((start, start + length / SAMPLE_RATE))
            take.add(samples + noise, text)
        else:
            take.add(samples, text)
            if fault:
                take.add(silence(0.5))
                take.add(sound(fault, random) * level, fault=True)
        take.add(silence(float(random.choice([0.3, 0.6, 1.0, 2.5]))))
    return take


def silence(seconds: float) -> np.ndarray:
    """Return digital silence."""
    return np.zeros(int(seconds * SAMPLE_RATE))


def sound(kind: str, random: np.random.Generator) -> np.ndarray:
    """Return noise or chords of unit power."""
    count = int(SECONDS[kind] * SAMPLE_RATE)
    if kind == "bursts":
        return random.normal(0, 1, count)
    time = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    chords = []
    for root in random.choice([48, 50, 52, 53, 55, 57, 60], 2 * int(SECONDS[kind])):
        notes = 440 * 2 ** ((np.array([0, 4, 7, 12]) + root - 69) / 12)
        chord = sum(
            np.sin(2 * np.pi * note * overtone * time) / overtone for note in notes for overtone in (1, 2, 3)
        )
        chords.append(chord * np.exp(-2 * time))
    music = np.concatenate(chords)
    return music / np.sqrt(np.mean(music**2))


def judged(transcript: Transcript, take: Take) -> Counter[str]:
    """Return what one recording counts: faults, passages, seconds, and words and errors in and out of passages."""
    passages = transcript.passages
    counts = Counter(
        recordings=1,
        faults=len(take.faults),
        found=sum(overlaps(start, end, passages) for start, end in take.faults),
        passages=len(passages),
        seconds=round(transcript.duration),
        listening=round(sum(passage.end - passage.start for passage in passages)),
    )
    inside = [overlaps(segment["start"], segment["end"], passages) for segment in take.segments]
    texts = [normalised(segment["text"]).split() for segment in take.segments]
    place = [within for words, within in zip(texts, inside, strict=True) for _ in words]
    reference = " ".join(word for words in texts for word in words)
    result = jiwer.process_words(reference, normalised(transcript.text))
    counts.update({"words in" if within else "words out": place.count(within) for within in (True, False)})
    for part in result.alignments[0]:
        if part.type == "insert":
            within = place[min(part.ref_start_idx, len(place) - 1)]
            counts["errors in" if within else "errors out"] += part.hyp_end_idx - part.hyp_start_idx
        elif part.type != "equal":
            for index in range(part.ref_start_idx, part.ref_end_idx):
                counts["errors in" if place[index] else "errors out"] += 1
    return counts


def overlaps(start: float, end: float, passages: Sequence[Passage]) -> bool:
    """Return whether a stretch overlaps a passage."""
    return any(passage.start < end and start < passage.end for passage in passages)


def measured(takes: int, first: int, model: str) -> Iterator[tuple[str, Counter[str]]]:
    """Yield each kind of recording with what was counted in all its takes."""
    with tempfile.TemporaryDirectory() as directory:
        for kind in FAULTS:
            counts: Counter[str] = Counter()
            for seed in range(first, first + takes):
                take, path = made(kind, seed), Path(directory) / f"{kind}-{seed}.wav"
                write(path, take.audio(seed))
                counts += judged(transcribe(path, language="en", model=model), take)
            yield kind, counts
    for path in sorted(Path(os.environ.get("LONGSCRIBE_TEST_AUDIO", os.devnull)).glob("*.flac")):
        if path.with_suffix(".json").exists():
            take = Take(segments=json.loads(path.with_suffix(".json").read_text())["segments"])
            yield path.name, judged(transcribe(path, language="en", model=model), take)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the figures as Markdown."""
    lines = [
        "| | recordings | faults found | passages | of the time | word error rate in passages | elsewhere |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        found = f"{row['found']} of {row['faults']}" if row["faults"] else ""
        lines.append(
            f"| {row['name']} | {row['recordings']} | {found} | {row['passages']}"
            f" | {row['listening'] / row['seconds']:.0%} | {_rate(row, 'in')} | {_rate(row, 'out')} |"
        )
    return "\n".join(lines) + "\n"


def page(figures: dict[str, Any]) -> str:
    """Return the table with what it needs to be understood."""
    people = [row["name"] for row in figures["rows"] if row["name"] not in FAULTS]
    recordings = (
        f"\n\nRead by people, as they are: {', '.join(people)}. The constants were chosen on none of them."
        if people
        else ""
    )
    return f"""# Where the worst passages point

Whisper {figures["model"]}, on a CPU, {figures["date"]}. `python -m benchmarks.passages` measures it again.

Synthetic speech without and with faults (takes from {figures["first"]} on). *Bursts* and *tones* fill pauses with
noise and chords, *swamped* puts 3 s of words under noise 10 dB louder, *mixed* does all three. A fault is found if
a passage overlaps it. The constants were chosen on other takes.{recordings}

{table(figures["rows"])}"""


def _rate(row: dict[str, Any], side: str) -> str:
    return f"{row[f'errors {side}'] / row[f'words {side}']:.1%}" if row[f"words {side}"] else ""


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--takes", type=int, default=3, help="of each kind")
    parser.add_argument("--first", type=int, default=100, help="the number of the first take")
    parser.add_argument("--model", default="base")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    names = "recordings faults found passages seconds listening".split()
    names += [f"{what} {side}" for what in ("words", "errors") for side in ("in", "out")]
    rows = [
        {"name": kind, **{name: counts[name] for name in names}}
        for kind, counts in measured(options.takes, options.first, options.model)
    ]
    print(table(rows))
    if options.json:
        figures = {"model": options.model, "takes": options.takes, "first": options.first, "rows": rows}
        keep(options.json, figures)
        options.json.with_suffix(".md").write_text(page(json.loads(options.json.read_text())), encoding="utf-8")


if __name__ == "__main__":
    main()
