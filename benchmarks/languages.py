"""Which language the model hears in human speech, before the vote and after it, and how many words come out wrong.

    python -m benchmarks.languages [DIRECTORY] [--json OUT.json]

DIRECTORY (or LONGSCRIBE_TEST_AUDIO) is searched for telephone prompts as Debian's packages
``asterisk-core-sounds-{es,fr,it,ru}`` and ``…-g722`` install them: spoken by one person a language, their texts in
``core-sounds-LL.txt.gz``. After ``apt install`` of these that is ``/usr/share``.

- *clips*: each prompt alone in a window, as hard as it gets: how many are heard right, and how many wrong ones the
  model is certain of, which no vote could mend.
- *recordings*: the prompts of a language in one recording, a second apart, through the whole pipeline with the
  language left to it; with the shortest chunks too; behind two minutes of music; and two languages in turn.

A clip counts as heard in the language of the window that its middle lies in. Left out are prompts of fewer than
four words, with digits, brackets, or letters lost in the list. Numbers that are written out count as errors where
the model writes digits, so the word error rates are an upper bound.
"""

import argparse
import gzip
import os
import random
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
from whisper_normalizer.basic import BasicTextNormalizer

from benchmarks.figures import keep
from benchmarks.missed_speech import read
from benchmarks.sounds import music
from longscribe import wiring
from longscribe.adapters.media.av_media import AvMedia
from longscribe.adapters.models import locate
from longscribe.adapters.whisper import Whisper
from longscribe.core import ids, voting
from longscribe.core.limits import MIN_CHUNK_SECONDS, SAMPLE_RATE, WINDOW
from longscribe.core.settings import Settings
from longscribe.core.transcript import Transcript
from longscribe.documents import Chunk
from longscribe.embedded import Embedded
from longscribe.messages import WindowResult
from longscribe.ports import Samples, WindowAudio

CLIPS = 40
"""Of each language, drawn by a fixed seed."""

PAUSE = np.zeros(SAMPLE_RATE, np.int16)
MUSIC_SECONDS = 120.0
LEAST_WORDS = 4
PRINT = "{:44} {:>5} {:>8} {:>8} {:>6} {:>8}"


@dataclass(frozen=True)
class Clip:
    """A prompt: what is said in which language."""

    language: str
    text: str
    samples: Samples


@dataclass
class Noting:
    """A recogniser that remembers what each window was first heard as, by its seed."""

    engine: Whisper
    first: dict[int, WindowResult] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def recognise(self, windows: Sequence[WindowAudio]) -> list[WindowResult]:
        """Recognise, and take note."""
        results = self.engine.recognise(windows)
        for window, result in zip(windows, results, strict=True):
            self.first.setdefault(window.seed, result)
        return results


@dataclass(frozen=True)
class Outcome:
    """A recording, transcribed."""

    transcript: Transcript
    chunks: list[Chunk]
    first: dict[int, WindowResult]


def clips(directory: Path) -> dict[str, list[Clip]]:
    """Return the prompts by language."""
    found: dict[str, list[Clip]] = {}
    for listing in sorted(directory.rglob("core-sounds-??.txt.gz")):
        language = listing.name.split("-")[2][:2]
        (sounds,) = directory.rglob(f"sounds/{language}_*_*")
        text = gzip.decompress(listing.read_bytes()).decode("utf-8")
        usable = [
            (sounds / f"{name}.g722", said.strip())
            for name, said in re.findall(r"(?m)^([\w/-]+): *(.+)$", text)
            if len(said.split()) >= LEAST_WORDS and not re.search(r"[\[\](){}\d]|\w\?\w|\w\?\s+[a-z]", said)
        ]
        usable = [each for each in usable if each[0].exists()]
        drawn = random.Random(1).sample(usable, min(CLIPS, len(usable)))
        found[language] = [Clip(language, said, read(path)) for path, said in drawn]
    return found


def alone(engine: Whisper, some: Sequence[Clip]) -> dict[str, Any]:
    """Return which language each clip is heard in, in a window of its own; nothing is decoded."""
    windows = [WindowAudio(clip.samples[:WINDOW], None, (), 1) for clip in some]
    heard = engine._languages(windows, engine._encode([window.samples for window in windows]))
    right = [found.code == clip.language for clip, found in zip(some, heard, strict=True)]
    sure = [found.probability >= voting.CERTAIN for found in heard]
    return {
        "language": some[0].language,
        "clips": len(some),
        "seconds": round(sum(len(clip.samples) for clip in some) / SAMPLE_RATE, 1),
        "right": sum(right),
        "right_certain": sum(a and b for a, b in zip(right, sure, strict=True)),
        "wrong_certain": sum(b and not a for a, b in zip(right, sure, strict=True)),
        "highest_wrong": round(
            max((found.probability for found, ok in zip(heard, right, strict=True) if not ok), default=0.0), 2
        ),
    }


def transcribed(samples: Samples, engine: Whisper, chunk_seconds: float) -> Outcome:
    """Put ``samples`` through the whole pipeline, the language left to it."""
    noting = Noting(engine)
    settings = Settings(chunk_seconds=chunk_seconds)
    machine = wiring.Machine(AvMedia(), wiring.detector(), lambda: noting)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "recording.flac"
        path.write_bytes(AvMedia().encode(samples))
        with Embedded(Path(directory) / "state", settings, machine) as work:
            job_id = work.submit(path)
            work.start()
            while not work.jobs.job(job_id).state.ended:
                work.check()
                wiring.SystemClock().sleep(0.2)
            return Outcome(work.transcript(job_id), list(work.jobs.chunks(job_id)), noting.first)


def recording(
    name: str, some: Sequence[Clip], engine: Whisper, lead: Samples, chunk_seconds: float
) -> dict[str, Any]:
    """Return the figures of ``lead`` and the clips, a second apart, as one recording."""
    parts, middles, at = [lead], [], len(lead)
    for clip in some:
        parts += [clip.samples, PAUSE]
        middles.append(at + len(clip.samples) // 2)
        at += len(clip.samples) + len(PAUSE)
    done = transcribed(np.concatenate(parts), engine, chunk_seconds)
    before, after = _heard(done, middles)
    row = {
        "recording": name,
        "chunk_seconds": chunk_seconds,
        "clips": len(some),
        "minutes": round(at / SAMPLE_RATE / 60, 1),
        "windows": sum(len(chunk.task.windows) for chunk in done.chunks),
        "sent_back": sum(chunk.task.run > 1 for chunk in done.chunks),
        "language": done.transcript.language,
        "right_before": sum(clip.language == heard for clip, heard in zip(some, before, strict=True)),
        "right_after": sum(clip.language == heard for clip, heard in zip(some, after, strict=True)),
        "wer": round(_errors(some, done.transcript), 4),
    }
    before_after = f"{row['right_before']}", f"{row['right_after']}"
    print(PRINT.format(name, row["clips"], *before_after, str(row["language"]), f"{row['wer']:.1%}"), flush=True)
    return row


def _heard(done: Outcome, middles: Sequence[int]) -> tuple[list[str | None], list[str | None]]:
    """Return the language that each moment was first heard in, and in the end."""
    before: list[str | None] = [None] * len(middles)
    after: list[str | None] = [None] * len(middles)
    for chunk in done.chunks:
        for number, window in enumerate(chunk.task.windows):
            for clip, middle in enumerate(middles):
                if window.start <= middle < window.end and chunk.result is not None:
                    seed = ids.seed(chunk.task.job_id, chunk.task.index, number)
                    before[clip] = done.first[seed].language
                    after[clip] = chunk.result.windows[number].language
    return before, after


def _errors(some: Sequence[Clip], transcript: Transcript) -> float:
    """Return the word error rate of the clips; text for what is no clip counts as inserted."""
    plain = BasicTextNormalizer(remove_diacritics=True)
    said = plain(" ".join(clip.text for clip in some))
    return float(jiwer.wer(said, plain(" ".join(segment.text for segment in transcript.segments))))


def main() -> None:
    """Measure, print tables, write JSON."""
    parser = argparse.ArgumentParser(description="Languages heard in human speech, before the vote and after.")
    parser.add_argument("directory", nargs="?", type=Path, default=os.environ.get("LONGSCRIBE_TEST_AUDIO"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = clips(Path(options.directory)) if options.directory else {}
    if not found:
        parser.error("No prompts there; name the directory that holds Debian's asterisk-core-sounds packages.")
    engine = Whisper(locate("base", Path(tempfile.gettempdir()) / "longscribe-models"), "base")
    rows = [alone(engine, some) for some in found.values()]
    for row in rows:
        print(row, flush=True)
    print(PRINT.format("", "clips", "before", "after", "voted", "WER"))
    nothing, usual = np.zeros(0, np.int16), Settings().chunk_seconds
    first, second, *_ = found
    turns = [
        clip
        for start in range(0, CLIPS, 10)
        for name in (first, second)
        for clip in found[name][start : start + 10]
    ]
    recordings = [
        *(recording(name, some, engine, nothing, usual) for name, some in found.items()),
        *(
            recording(f"{name}, chunks of {MIN_CHUNK_SECONDS:g} s", some, engine, nothing, MIN_CHUNK_SECONDS)
            for name, some in found.items()
        ),
        recording(
            f"{first}, behind {MUSIC_SECONDS / 60:g} minutes of music",
            found[first][:20],
            engine,
            music(MUSIC_SECONDS),
            usual,
        ),
        recording(f"{first} and {second}, ten clips each in turn", turns, engine, nothing, usual),
    ]
    if options.json:
        keep(options.json, {"clips": rows, "recordings": recordings})


if __name__ == "__main__":
    main()
