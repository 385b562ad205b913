"""The whole of `longscribe transcribe`, from file to files, beside stock faster-whisper: speed and word errors.

    python -m benchmarks.pipeline speed    [RECORDING.flac] [--rounds 3] [--json OUT.json]
    python -m benchmarks.pipeline accuracy [RECORDING.flac] [--json OUT.json]

The recording is 16 kHz mono with its reference beside it (``.json`` with ``segments``: start, end, text); without
one, ``read-25min.flac`` in the directory that LONGSCRIBE_TEST_AUDIO names.

- *speed*: ours is the whole process, started afresh, as is whisper-ctranslate2's command; the others begin with
  decoded samples and a loaded model. All are run in turn, ``--rounds`` times; medians count.
- *accuracy*: plain `WhisperModel.transcribe` and ours with chunks of several lengths, on the recording as it is and
  with seeded pink noise 10 dB below its speech; the interval is a bootstrap over stretches of 100 words.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engine import LANGUAGE, load, timed
from benchmarks.figures import keep
from benchmarks.missed_speech import read, truth, variants
from benchmarks.peers import peer
from benchmarks.scoring import score
from longscribe.adapters.hardware import cores
from longscribe.adapters.models import locate
from longscribe.core.limits import SAMPLE_RATE
from longscribe.core.settings import Settings
from longscribe.wiring import detector

HEARD = ("clean", "pink noise, 10 dB")
"""The variants of the recording whose word errors are measured."""

LENGTHS = (28.0, 45.0, Settings().chunk_seconds)

OPPONENTS = ("transcribe", "batched-16", "pair-4", "naive-30-5")
"""Stock faster-whisper: as it comes, at its best batch size, two batched pipelines of one thread each, and piece by
piece of 30 s, 5 s of them once more."""


def ours(path: Path, chunk_seconds: float = Settings().chunk_seconds) -> tuple[str, float]:
    """Run the command on ``path``; return the text and the seconds the whole process took."""
    command = Path(sys.executable).with_name("longscribe")
    with tempfile.TemporaryDirectory() as out:
        began = time.perf_counter()
        subprocess.run(
            [
                *(command, "transcribe", path, "--out", out, "--language", LANGUAGE),
                *("--chunk-length", str(chunk_seconds)),
            ],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        took = time.perf_counter() - began
        return (Path(out) / f"{path.stem}.txt").read_text(encoding="utf-8"), took


def other_command(path: Path) -> tuple[str, float]:
    """Run whisper-ctranslate2 in batches on ``path``; return the text and the seconds the whole process took."""
    model = locate("base", Path(tempfile.gettempdir()) / "longscribe-models")
    with tempfile.TemporaryDirectory() as out:
        began = time.perf_counter()
        subprocess.run(
            [
                *(peer("whisper-ctranslate2"), path, "--output_dir", out, "--output_format", "txt"),
                *("--model_directory", model, "--language", LANGUAGE, "--device", "cpu"),
                *("--compute_type", "int8", "--threads", str(cores()), "--batched", "True", "--batch_size", "16"),
            ],
            check=True,
            capture_output=True,
        )
        took = time.perf_counter() - began
        return (Path(out) / f"{path.stem}.txt").read_text(encoding="utf-8"), took


def measured(name: str, times: list[float], seconds: float, reference: str, text: str) -> dict[str, Any]:
    """Return one row of figures, printed too."""
    errors = score(reference, text)
    row = {
        "name": name,
        "seconds": [round(took, 2) for took in times],
        "speed": round(seconds / statistics.median(times), 2),
        "wer": round(errors.rate, 5),
        "wer_interval": [round(errors.low, 5), round(errors.high, 5)],
        "words": errors.words,
    }
    print(f"{name:28} {row['speed']:6.1f} × real time   WER {errors}", flush=True)
    return row


def stock(name: str) -> Callable[[np.ndarray], tuple[str, float]]:
    """Return one of stock faster-whisper's ways in a process of its own, its model loaded."""
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), load, (name, "base"))

    def run(samples: np.ndarray) -> tuple[str, float]:
        done = pool.submit(timed, samples).result()
        return done.text, done.seconds

    run(np.zeros(SAMPLE_RATE, np.int16))
    return run


def speed(path: Path, reference: str, rounds: int) -> list[dict[str, Any]]:
    """Run every way in turn and return the rows."""
    samples = read(path)
    ways: dict[str, Callable[[np.ndarray], tuple[str, float]]] = {"longscribe": lambda _: ours(path)}
    ways |= {name: stock(name) for name in OPPONENTS}
    ways["whisper-ctranslate2"] = lambda _: other_command(path)
    times: dict[str, list[float]] = {name: [] for name in ways}
    said: dict[str, str] = {}
    for _ in range(rounds):
        for name, way in ways.items():
            said[name], took = way(samples)
            times[name].append(took)
    return [measured(name, times[name], len(samples) / SAMPLE_RATE, reference, said[name]) for name in ways]


def accuracy(path: Path, segments: list[dict[str, Any]], reference: str) -> list[dict[str, Any]]:
    """Return the rows of each variant of the recording and each chunk length: errors only, all is run once."""
    samples = read(path)
    plain = stock("transcribe")
    rows = []
    for variant, audio in variants(samples, truth(samples, segments)):
        if variant not in HEARD:
            continue
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / "recording.wav"
            write(file, audio)
            text, took = plain(audio)
            seconds = len(audio) / SAMPLE_RATE
            rows.append(measured(f"{variant}: transcribe", [took], seconds, reference, text))
            for length in LENGTHS:
                text, took = ours(file, length)
                name = f"{variant}: chunks of {length:g} s"
                rows.append(measured(name, [took], seconds, reference, text))
    return [{name: value for name, value in row.items() if name not in ("seconds", "speed")} for row in rows]


def write(path: Path, samples: np.ndarray) -> None:
    """Write 16-bit mono samples as a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.astype("<i2").tobytes())


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "accuracy"))
    directory = Path(os.environ.get("LONGSCRIBE_TEST_AUDIO", "."))
    parser.add_argument("recording", nargs="?", type=Path, default=directory / "read-25min.flac")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    path: Path = options.recording.resolve()
    segments = json.loads(path.with_suffix(".json").read_text())["segments"]
    reference = " ".join(segment["text"] for segment in segments)
    if options.what == "speed":
        rows = speed(path, reference, options.rounds)
    else:
        rows = accuracy(path, segments, reference)
    if options.json:
        figures = {"recording": path.name, "cores": len(os.sched_getaffinity(0)), "detector": detector().name}
        keep(options.json, {**figures, "rows": rows})


if __name__ == "__main__":
    main()
