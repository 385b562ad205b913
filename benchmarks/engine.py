"""Speed and word errors of the engine beside stock faster-whisper, on the same audio, model and cores.

    python -m benchmarks.engine AUDIO [--rounds 3] [--model base] [--only ours,batched-8] [--out FILE.json]

AUDIO is a 16 kHz file with its reference, a ``.json`` of the same name: ``segments`` with ``start``,
``end`` (seconds) and ``text``. Without it, the directory ``LONGSCRIBE_TEST_AUDIO`` must hold ``read-4min.flac``.

Every way has a process of its own, its model loaded before, and is run ``--rounds`` times in turn, so that a slow
minute of the machine hits all. Times are from decoded samples to the text; ours include finding the speech,
planning the windows, and word times, which the others are not asked for. On a machine with other work, compare the
processor seconds. Where there is a GPU, all run on it, in the same type.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper import BatchedInferencePipeline, WhisperModel, decode_audio

from benchmarks.machine import gpu
from benchmarks.scoring import score
from longscribe.adapters.hardware import choose, cores
from longscribe.adapters.memory import keep_memory
from longscribe.adapters.models import locate
from longscribe.adapters.whisper import Whisper
from longscribe.core import speech
from longscribe.core.cutting import Planner
from longscribe.core.limits import SAMPLE_RATE
from longscribe.core.merging import place
from longscribe.core.settings import Settings
from longscribe.messages import Window, Word
from longscribe.ports import Samples, WindowAudio
from longscribe.wiring import detector

LANGUAGE = "en"
WAYS = "transcribe,ours,batched-4,batched-8,batched-16,pair-4"
WAYS_GPU = "transcribe,ours,batched-8,batched-16,batched-32,batched-64,pair-16"
"""The stock pipeline is tried with several batch sizes, its best one counts; and twice at once, a thread each."""

Way = Callable[[Samples], tuple[str, list[Word]]]


@dataclass(frozen=True)
class Run:
    """One way, run once."""

    seconds: float
    processor: float  #: seconds, of all threads
    text: str
    words: list[Word]


def planned(samples: Samples) -> list[tuple[Window, Samples]]:
    """Return the project's own windows over ``samples``, each with the audio it is decoded from."""
    planner = Planner(Settings().chunk_seconds)
    heard = detector().detect(samples, 0)
    chunks = planner.feed(speech.frames(0, samples, heard))
    chunks += planner.finish(len(samples))[0]
    return [
        (window, np.concatenate([samples[span.start : span.end] for span in window.spans]))
        for chunk in chunks
        for window in chunk.windows
    ]


def batches(items: Sequence[WindowAudio], engine: Whisper) -> list[list[WindowAudio]]:
    """Return ``items`` in even batches, as many for one lane as for another."""
    rounds = -(-len(items) // (engine.batch * engine.lanes))
    bounds = np.linspace(0, len(items), rounds * engine.lanes + 1).round().astype(int)
    return [list(items[start:end]) for start, end in pairwise(bounds)]


def ours(engine: Whisper) -> Way:
    """Return this engine as a function from samples to text and words, on all its lanes."""

    def run(samples: Samples) -> tuple[str, list[Word]]:
        windows = planned(samples)
        audio = [WindowAudio(heard, LANGUAGE, (), seed) for seed, (_, heard) in enumerate(windows)]
        with ThreadPoolExecutor(engine.lanes) as lanes:
            results = [one for part in lanes.map(engine.recognise, batches(audio, engine)) for one in part]
        words = [
            word
            for (window, _), result in zip(windows, results, strict=True)
            for word in place(window, result.words)
        ]
        return "".join(word.text for word in words), words

    return run


def stock(model: WhisperModel) -> Way:
    """Return ``WhisperModel.transcribe`` with its defaults."""

    def run(samples: Samples) -> tuple[str, list[Word]]:
        segments, _ = model.transcribe(samples.astype(np.float32) / 32768, language=LANGUAGE)
        return "".join(segment.text for segment in segments), []

    return run


def batched(model: WhisperModel, size: int) -> Way:
    """Return the stock batched pipeline with batches of ``size``."""
    pipeline = BatchedInferencePipeline(model)

    def run(samples: Samples) -> tuple[str, list[Word]]:
        segments, _ = pipeline.transcribe(samples.astype(np.float32) / 32768, language=LANGUAGE, batch_size=size)
        return "".join(segment.text for segment in segments), []

    return run


def naive(model: WhisperModel, seconds: int, overlap: int) -> Way:
    """Return the way without detection: pieces of ``seconds`` each transcribed alone, wherever they cut.

    Each begins ``overlap`` before the last one's end; what begins in the overlap is taken from the later one.
    """
    length, step = seconds * SAMPLE_RATE, (seconds - overlap) * SAMPLE_RATE

    def run(samples: Samples) -> tuple[str, list[Word]]:
        said = []
        for start in range(0, len(samples), step):
            piece = samples[start : start + length].astype(np.float32) / 32768
            segments, _ = model.transcribe(piece, language=LANGUAGE)
            last = start + length >= len(samples)
            said += [one.text for one in segments if last or one.start * SAMPLE_RATE < step]
            if last:
                break
        return "".join(said), []

    return run


def side_by_side(models: Sequence[WhisperModel], size: int) -> Way:
    """Return two stock batched pipelines at once: each takes half of the recording, cut where it is quiet."""
    pipelines = [batched(model, size) for model in models]

    def run(samples: Samples) -> tuple[str, list[Word]]:
        middle = len(samples) // 2
        around = samples[middle - 5 * SAMPLE_RATE : middle + 5 * SAMPLE_RATE].astype(np.float64)
        parts = np.array_split(around**2, 20) if len(around) else [around]
        cut = middle - len(around) // 2 + int(np.argmin([part.sum() for part in parts]) * len(around) / 20)
        with ThreadPoolExecutor(len(pipelines)) as threads:
            texts = threads.map(
                lambda pair: pair[0](pair[1])[0], zip(pipelines, np.split(samples, [cut]), strict=True)
            )
            return " ".join(texts), []

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


_run: Way


def load(name: str, model: str) -> None:
    """Make this process ready to run one way: the model loaded and warm."""
    global _run  # noqa: PLW0603 -- what a pool's initializer leaves for its tasks
    path = locate(model, Path(tempfile.gettempdir()) / "longscribe-models")
    way, _, size = name.partition("-")
    hardware = choose()

    def theirs(threads: int) -> WhisperModel:
        return WhisperModel(
            str(path), device=hardware.device, compute_type=hardware.compute_type, cpu_threads=threads
        )

    if way == "ours":
        keep_memory()
        _run = ours(Whisper(path, model))
    elif way == "pair":
        _run = side_by_side([theirs(1), theirs(1)], int(size))
    elif way == "transcribe":
        _run = stock(theirs(cores()))
    elif way == "naive":
        _run = naive(theirs(cores()), 30, 5)
    else:
        _run = batched(theirs(cores()), int(size))
    _run(np.zeros(SAMPLE_RATE, np.int16))


def timed(samples: Samples) -> Run:
    """Run this process's way once."""
    began, worked = time.perf_counter(), time.process_time()
    text, words = _run(samples)
    return Run(time.perf_counter() - began, time.process_time() - worked, text, words)


def main() -> None:
    """Run every way in turn, each in a process of its own, print a table, write the figures."""
    options = arguments()
    samples = (decode_audio(str(options.audio)) * 32768).clip(-32768, 32767).astype(np.int16)
    reference = json.loads(options.audio.with_suffix(".json").read_text())["segments"]
    spawn = multiprocessing.get_context("spawn")
    pools = {name: ProcessPoolExecutor(1, spawn, load, (name, options.model)) for name in options.only.split(",")}
    runs: dict[str, list[Run]] = {name: [] for name in pools}
    for pool in pools.values():
        pool.submit(timed, samples[:SAMPLE_RATE]).result()  # loaded before the clock starts
    for _ in range(options.rounds):
        for name, pool in pools.items():
            runs[name].append(pool.submit(timed, samples).result())
    rows = [row(name, some, len(samples) / SAMPLE_RATE, reference) for name, some in runs.items()]
    for each in rows:
        print(each.pop("line"))
    if options.out:
        made = {
            "machine": {"cores": cores(), "load": os.getloadavg(), **gpu()},
            "model": options.model,
            "compute_type": choose().compute_type,
            "recording": options.audio.name,
            "versions": {name: version(name) for name in ("ctranslate2", "faster-whisper")},
            "ways": rows,
        }
        options.out.write_text(json.dumps(made, indent=1))
    for pool in pools.values():
        pool.shutdown()


def row(name: str, runs: Sequence[Run], seconds: float, reference: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return one way's figures, and as ``line`` how they read."""
    errors = score(" ".join(segment["text"] for segment in reference), runs[-1].text)
    made: dict[str, Any] = {
        "name": name,
        "seconds": [run.seconds for run in runs],
        "speed": seconds / statistics.median(run.seconds for run in runs),
        "processor_seconds": statistics.median(run.processor for run in runs),
        "wer": errors.rate,
        "wer_interval": [errors.low, errors.high],
        "words": errors.words,
    }
    made["line"] = (
        f"{name:12} {made['speed']:6.1f} x real time   {made['processor_seconds']:6.1f} s of processor"
        f"   WER {errors}   S {errors.substitutions} D {errors.deletions} I {errors.insertions}"
    )
    if runs[-1].words:
        made["times"] = starts_and_ends(runs[-1].words, reference)
        made["line"] += "".join(f"   {key} {value:.2f}" for key, value in made["times"].items())
    return made


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    directory = Path(os.environ.get("LONGSCRIBE_TEST_AUDIO", "."))
    parser.add_argument("audio", nargs="?", type=Path, default=directory / "read-4min.flac")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="base")
    ways = WAYS if choose().device == "cpu" else WAYS_GPU
    parser.add_argument("--only", default=ways, help="names to run, separated by commas")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
