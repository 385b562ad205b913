"""How far the times of words are from the speech they stand for, at the bounds of the reference clips.

    python -m benchmarks.word_times [--model base] [--json OUT.json]

The directory LONGSCRIBE_TEST_AUDIO must hold ``read-4min`` and ``read-25min``, 16 kHz, each with its reference, a
``.json`` whose ``segments`` have ``start``, ``end`` (seconds) and ``text``.

The truth is a clip's first and last frame of 10 ms above -45 dBFS. The words of the transcript are matched to those
of the references by their text, and a clip's first and last matched word are measured. Clips of which no word was
matched are counted apart.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import jiwer
import numpy as np

from benchmarks.engine import ours
from benchmarks.figures import keep
from benchmarks.missed_speech import read, truth
from benchmarks.scoring import normalised
from longscribe.adapters.memory import keep_memory
from longscribe.adapters.models import locate
from longscribe.adapters.whisper import Whisper
from longscribe.core.limits import FRAME, SAMPLE_RATE
from longscribe.messages import Word
from longscribe.ports import Samples

RECORDINGS = ("read-4min", "read-25min")
NEAR_SECONDS = 0.3


def matched(words: Sequence[Word], texts: Sequence[str]) -> Iterator[tuple[Word, Word] | None]:
    """Yield the first and the last word that was matched to one of each text's; None where none was."""
    spoken = [(part, word) for word in words for part in normalised(word.text).split()]
    wanted = [normalised(text).split() for text in texts]
    result = jiwer.process_words(
        " ".join(part for text in wanted for part in text), " ".join(part for part, _ in spoken)
    )
    of: dict[int, Word] = {}
    for chunk in result.alignments[0]:
        if chunk.type in ("equal", "substitute"):
            indices = range(chunk.ref_start_idx, chunk.ref_end_idx)
            of.update((ref, spoken[chunk.hyp_start_idx + number][1]) for number, ref in enumerate(indices))
    ends = list(accumulate(map(len, wanted)))
    for first, last in zip([0, *ends], ends, strict=False):
        found = [of[ref] for ref in range(first, last) if ref in of]
        yield (found[0], found[-1]) if found else None


def off(samples: Samples, words: Sequence[Word], segments: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return how far starts and ends are from the truth, in seconds: late is positive."""
    spoken = truth(samples, list(segments))
    starts, ends, lost = [], [], 0
    for segment, pair in zip(segments, matched(words, [one["text"] for one in segments]), strict=True):
        first, last = int(segment["start"] * 100), int(np.ceil(segment["end"] * 100))
        frames = first + np.flatnonzero(spoken[first:last])
        if pair is None or not len(frames):
            lost += 1
            continue
        starts.append((pair[0].start - int(frames[0]) * FRAME) / SAMPLE_RATE)
        ends.append((pair[1].end - (int(frames[-1]) + 1) * FRAME) / SAMPLE_RATE)
    return {"starts": starts, "ends": ends, "unmatched": lost}


def told(name: str, found: dict[str, Any]) -> dict[str, Any]:
    """Return one row of figures."""
    row: dict[str, Any] = {"recording": name, "clips": len(found["starts"]), "unmatched": found["unmatched"]}
    for edge in ("starts", "ends"):
        late = np.array(found[edge])
        row[edge] = {
            "within_percent": round(100 * float(np.mean(np.abs(late) <= NEAR_SECONDS)), 1),
            "median_late": round(float(np.median(late)), 3),
            "tenth_to_ninetieth": [round(float(each), 3) for each in np.quantile(late, (0.1, 0.9))],
        }
    return row


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="base")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    directory = Path(os.environ["LONGSCRIBE_TEST_AUDIO"])
    keep_memory()
    engine = Whisper(locate(options.model, Path(tempfile.gettempdir()) / "longscribe-models"), options.model)
    run = ours(engine)
    rows = []
    for name in RECORDINGS:
        samples = read(directory / f"{name}.flac")
        segments = json.loads((directory / f"{name}.json").read_text())["segments"]
        rows.append(told(name, off(samples, run(samples)[1], segments)))
        for edge in ("starts", "ends"):
            print(
                f"{name:12} {edge:6} within {NEAR_SECONDS} s: {rows[-1][edge]['within_percent']:5.1f} %",
                rows[-1][edge],
            )
    if options.json:
        found = {"model": options.model, "near_seconds": NEAR_SECONDS, "rows": rows}
        keep(options.json, found)


if __name__ == "__main__":
    main()
