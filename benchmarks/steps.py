"""Where a window's processor time goes, and what each width of the beam costs and gets wrong.

    python -m benchmarks.steps [--rounds 3] [--model base] [--json OUT.json]

The directory LONGSCRIBE_TEST_AUDIO must hold ``read-4min`` and ``read-25min``, 16 kHz, each with its reference, a
``.json`` whose ``segments`` have ``text``. Our windows over each are heard on one lane, in batches as always, once
for every width of the beam, in turn. Each call of the model is timed in seconds of the processor, of all threads;
what is no call of the model (spectrograms, guards, words) is the rest. A width of 1 is greedy decoding.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ctranslate2

from benchmarks.engine import LANGUAGE, planned
from benchmarks.figures import keep
from benchmarks.missed_speech import read
from benchmarks.scoring import score
from longscribe.adapters.memory import keep_memory
from longscribe.adapters.models import locate
from longscribe.adapters.whisper import Whisper
from longscribe.core import guards
from longscribe.ports import WindowAudio

RECORDINGS = ("read-4min", "read-25min")
BEAMS = (5, 3, 2, 1)
STEPS = ("encode", "generate", "align")
"""The model's calls: the encoder, the decoding, the times of the words."""


spent: defaultdict[str, float] = defaultdict(float)
"""Seconds of the processor, for each of the model's calls."""


def timed(name: str) -> Callable[..., Any]:
    """Return the model's call ``name``, counting what it takes."""
    call = getattr(ctranslate2.models.Whisper, name)

    def run(*args: Any, **options: Any) -> Any:
        began = time.process_time()
        result = call(*args, **options)
        spent[name] += time.process_time() - began
        return result

    return run


Timed = type("Timed", (ctranslate2.models.Whisper,), {name: timed(name) for name in STEPS})


def hear(engine: Whisper, audio: list[WindowAudio], beam: int) -> tuple[dict[str, float], str]:
    """Return the seconds a window, by step, and the text."""
    guards.BEAM = beam
    spent.clear()
    began = time.process_time()
    results = [
        result
        for first in range(0, len(audio), engine.batch)
        for result in engine.recognise(audio[first : first + engine.batch])
    ]
    spent["rest"] = time.process_time() - began - sum(spent.values())
    text = "".join(word.text for result in results for word in result.words)
    return {name: seconds / len(audio) for name, seconds in spent.items()}, text


def measure(engine: Whisper, name: str, rounds: int) -> list[dict[str, Any]]:
    """Return a row for each width of the beam."""
    path = Path(os.environ["LONGSCRIBE_TEST_AUDIO"]) / f"{name}.flac"
    reference = json.loads(path.with_suffix(".json").read_text())["segments"]
    audio = [WindowAudio(part, LANGUAGE, (), seed) for seed, (_, part) in enumerate(planned(read(path)))]
    runs: dict[int, list[tuple[dict[str, float], str]]] = {beam: [] for beam in BEAMS}
    for _ in range(rounds):
        for beam, some in runs.items():
            some.append(hear(engine, audio, beam))
    return [
        {
            "recording": name,
            "windows": len(audio),
            "beam": beam,
            "seconds_a_window": {
                step: round(statistics.median(taken[step] for taken, _ in some), 3) for step in (*STEPS, "rest")
            },
            "wer": score(" ".join(one["text"] for one in reference), some[-1][1]).rate,
        }
        for beam, some in runs.items()
    ]


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="base")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    keep_memory()
    setattr(ctranslate2.models, "Whisper", Timed)  # noqa: B010 -- what it is cannot be told to the type checker
    path = locate(options.model, Path(tempfile.gettempdir()) / "longscribe-models")
    engine = Whisper(path, options.model, "int8", "cpu")
    engine.warm_up()
    rows = [row for name in RECORDINGS for row in measure(engine, name, options.rounds)]
    print("| recording | beam | encoder | decoding | word times | rest | together | word errors |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        steps = row["seconds_a_window"].values()
        cells = " | ".join(f"{step:.2f}" for step in (*steps, sum(steps)))
        print(f"| {row['recording']} | {row['beam']} | {cells} | {row['wer']:.1%} |")
    if options.json:
        keep(options.json, {"model": options.model, "compute_type": engine.compute_type, "rows": rows})


if __name__ == "__main__":
    main()
