"""Speed and word errors of the engine beside stock faster-whisper, on the same audio, model and cores.

    python -m benchmarks.engine AUDIO [--rounds 3] [--model base] [--only ours,batched-8] [--out FILE.json]

AUDIO is a 16 kHz file with its reference, a ``.json`` of the same name: ``segments`` with ``start``,
``end`` (seconds) and ``text``. Without it, the directory ``LONGSCRIBE_TEST_AUDIO`` must
hold ``read-4min.flac``. Every way is run ``--rounds`` times in turn, so that a slow minute of the machine hits all;
models are loaded before. Times are from decoded samples to the text; ours include finding the speech, planning the
windows, and word times, which the others are not asked for. On a machine with other work, compare the processor
seconds.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper import BatchedInferencePipeline, WhisperModel, decode_audio

from benchmarks.scoring import score
from longscribe.adapters.hardware import cores
from longscribe.adapters.models import locate
from longscribe.adapters.speech import WebRtcDetector
from longscribe.adapters.whisper import Whisper
from longscribe.core import speech
from longscribe.core.cutting import Planner
from longscribe.core.limits import SAMPLE_RATE
from longscribe.core.merging import place
from longscribe.core.settings import Settings
from longscribe.messages import Window, Word
from longscribe.ports import Samples, WindowAudio

LANGUAGE = "en"
BATCHES = (4, 8, 16)
"""Batch sizes the stock pipeline is tried with; its best one counts."""


def planned(samples: Samples) -> list[tuple[Window, Samples]]:
    """Return the project's own windows over ``samples``, each with the audio it is decoded from."""
    planner = Planner(Settings().chunk_seconds)
    verdicts = WebRtcDetector().detect(samples, 0)
    chunks = planner.feed(speech.frames(0, samples, verdicts))
    chunks += planner.finish(len(samples))[0]
    return [
        (window, np.concatenate([samples[span.start : span.end] for span in window.spans]))
        for chunk in chunks
        for window in chunk.windows
    ]


def slices(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    """Yield ``items`` in lists of ``size``."""
    iterator = iter(items)
    while part := list(islice(iterator, size)):
        yield part


def ours(engine: Whisper) -> Callable[[Samples], tuple[str, list[Word]]]:
    """Return this engine as a function from samples to text and words, on all its lanes."""

    def run(samples: Samples) -> tuple[str, list[Word]]:
        windows = planned(samples)
        audio = [WindowAudio(heard, LANGUAGE, (), seed) for seed, (_, heard) in enumerate(windows)]
        with ThreadPoolExecutor(engine.lanes) as lanes:
            results = [one for part in lanes.map(engine.recognise, slices(audio, engine.batch)) for one in part]
        words = [
            word
            for (window, _), result in zip(windows, results, strict=True)
            for word in place(window, result.words)
        ]
        return "".join(word.text for word in words), words

    return run


def stock(model: WhisperModel) -> Callable[[Samples], tuple[str, list[Word]]]:
    """Return ``WhisperModel.transcribe`` with its defaults."""

    def run(samples: Samples) -> tuple[str, list[Word]]:
        segments, _ = model.transcribe(samples.astype(np.float32) / 32768, language=LANGUAGE)
        return "".join(segment.text for segment in segments), []

    return run


def batched(model: WhisperModel, size: int) -> Callable[[Samples], tuple[str, list[Word]]]:
    """Return the stock batched pipeline with batches of ``size``."""
    pipeline = BatchedInferencePipeline(model)

    def run(samples: Samples) -> tuple[str, list[Word]]:
        segments, _ = pipeline.transcribe(samples.astype(np.float32) / 32768, language=LANGUAGE, batch_size=size)
        return "".join(segment.text for segment in segments), []

    return run


def starts_and_ends(words: Sequence[Word], segments: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return how far the words nearest to each reference clip's bounds are from them, in seconds."""
    starts = np.array([word.start for word in words]) / SAMPLE_RATE
    ends = np.array([word.end for word in words]) / SAMPLE_RATE
    first = [float(np.abs(starts - segment["start"]).min()) for segment in segments]
    last = [float(np.abs(ends - segment["end"]).min()) for segment in segments]
    return {
        "start_median": statistics.median(first),
        "start_within_0.3": sum(off <= 0.3 for off in first) / len(first),
        "end_median": statistics.median(last),
        "end_within_0.3": sum(off <= 0.3 for off in last) / len(last),
    }


def main() -> None:
    """Run every way in turn, print a table, write the figures."""
    options = arguments()
    samples = (decode_audio(str(options.audio)) * 32768).clip(-32768, 32767).astype(np.int16)
    reference = json.loads(options.audio.with_suffix(".json").read_text())["segments"]
    text = " ".join(segment["text"] for segment in reference)
    ways = prepared(options.model, options.only)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    busy: dict[str, list[float]] = {name: [] for name in ways}
    said: dict[str, tuple[str, list[Word]]] = {}
    for _ in range(options.rounds):
        for name, run in ways.items():
            began, worked = time.perf_counter(), time.process_time()
            said[name] = run(samples)
            taken[name].append(time.perf_counter() - began)
            busy[name].append(time.process_time() - worked)
    seconds = len(samples) / SAMPLE_RATE
    rows = []
    for name, times in taken.items():
        errors = score(text, said[name][0])
        row: dict[str, Any] = {"name": name, "seconds": times, "speed": seconds / statistics.median(times)}
        row |= {"processor_seconds": statistics.median(busy[name])}
        row |= {"wer": errors.rate, "wer_interval": [errors.low, errors.high], "words": errors.words}
        if said[name][1]:
            row["times"] = starts_and_ends(said[name][1], reference)
        rows.append(row)
        print(
            f"{name:12} {row['speed']:6.1f} x real time   {row['processor_seconds']:6.1f} s of processor"
            f"   WER {errors}"
            f"   S {errors.substitutions} D {errors.deletions} I {errors.insertions}   {row.get('times', '')}"
        )
    if options.out:
        machine = {"cores": cores(), "load": os.getloadavg()}
        options.out.write_text(json.dumps({"audio": seconds, "machine": machine, "ways": rows}, indent=1))


def prepared(model: str, only: str) -> dict[str, Callable[[Samples], tuple[str, list[Word]]]]:
    """Return the ways to compare, models loaded and warm."""
    path = locate(model, Path(tempfile.gettempdir()) / "longscribe-models")
    engine = Whisper(path, model)
    theirs = WhisperModel(str(path), device="cpu", compute_type="int8", cpu_threads=cores())
    ways = {"transcribe": stock(theirs), "ours": ours(engine)}
    ways |= {f"batched-{size}": batched(theirs, size) for size in BATCHES}
    chosen = {name: run for name, run in ways.items() if not only or name in only.split(",")}
    for run in chosen.values():
        run(np.zeros(SAMPLE_RATE, np.int16))
    return chosen


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    directory = Path(os.environ.get("LONGSCRIBE_TEST_AUDIO", "."))
    parser.add_argument("audio", nargs="?", type=Path, default=directory / "read-4min.flac")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="base")
    parser.add_argument("--only", default="", help="names to run, separated by commas")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
