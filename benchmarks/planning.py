"""What `longscribe plan` reckons with, measured; and its simulation checked against real runs on this machine.

    python -m benchmarks.planning [RECORDING…] [--calibrate RECORDING] [--rounds 3] [--json OUT.json]
    python -m benchmarks.planning constants

Recordings are 16 kHz FLAC; the directory that LONGSCRIBE_TEST_AUDIO names holds the default ones: the engine is
measured on ``read-4min.flac``, and what that predicts for the recordings, ``read-25min.flac`` by default as a whole
and its first 10 minutes, is compared with the wall time of the whole command, model load included. Whisper base,
int8, on a CPU. ``--rounds`` times, medians; run it on a quiet machine.

*constants* writes ``src/longscribe/planning/measured.json``, the plan's measured constants, from the
figures in ``docs/figures/``; a test compares the two.
"""

import argparse
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engine import planned
from benchmarks.missed_speech import read
from benchmarks.pipeline import ours, write
from longscribe import wiring
from longscribe.adapters.hardware import keep_memory
from longscribe.adapters.models import locate
from longscribe.adapters.whisper import Whisper
from longscribe.core.assembly import assemble
from longscribe.core.limits import SAMPLE_RATE
from longscribe.core.rendering import FORMATS, render
from longscribe.core.settings import Settings
from longscribe.embedded import Embedded
from longscribe.planning.simulation import Assembler, Chunker, Deployment, Worker, simulate
from longscribe.planning.survey import Survey, survey
from longscribe.ports import Samples, WindowAudio
from longscribe.watching import watch

ROOT = Path(__file__).parent.parent
FIGURES = ROOT / "docs" / "figures"
MEASURED = ROOT / "src" / "longscribe" / "planning" / "measured.json"

SHAPES = ((1, 1.0), (2, 1.0), (4, 1.0), (8, 1.0), (8, 0.5))
"""Windows in a call, and the share of each that is kept."""

SHARED = 0.5
"""Of the processors the chunker takes while it cuts, as many processes of it as there are lanes."""

SHORT_SECONDS = 10


def engine(samples: Samples, rounds: int) -> dict[str, Any]:
    """Load the model and time calls of several shapes, both lanes at work; return seconds."""
    began = time.perf_counter()
    whisper = Whisper(locate("base", wiring.models()), "base")
    load = time.perf_counter() - began
    audio = [WindowAudio(samples, "en", (), 1) for _, samples in planned(samples)][:8]
    rows = []
    with ThreadPoolExecutor(whisper.lanes) as lanes:

        def call(windows: Sequence[WindowAudio]) -> float:
            began = time.perf_counter()
            whisper.recognise(windows)
            return time.perf_counter() - began

        call(audio[:1])
        for count, share in SHAPES:
            windows = [_part(window, share) for window in itertools.islice(itertools.cycle(audio), count)]
            took = [
                statistics.mean(lanes.map(call, [windows] * whisper.lanes)) for _ in range(rounds)
            ]  # all lanes at once, as they work
            rows.append(
                {
                    "windows": count,
                    "audio_seconds": round(sum(len(one.samples) for one in windows) / SAMPLE_RATE, 2),
                    "seconds": round(statistics.median(took), 3),
                }
            )
    return {"load_seconds": round(load, 2), "lanes": whisper.lanes, "batch": whisper.batch, "rows": rows}


def _part(window: WindowAudio, share: float) -> WindowAudio:
    return WindowAudio(window.samples[: int(len(window.samples) * share)], window.language, (), window.seed)


def fitted(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the seconds of a call, a window and a second of audio, none below zero, that fit best."""
    shapes = np.array([[1.0, row["windows"], row["audio_seconds"]] for row in rows])
    took = np.array([row["seconds"] for row in rows])
    best: tuple[float, np.ndarray] = (np.inf, np.zeros(3))
    for kept in (list(one) for size in (1, 2, 3) for one in itertools.combinations(range(3), size)):
        # Errors relative to each time, so that the short calls count too.
        part, *_ = np.linalg.lstsq(shapes[:, kept] / took[:, None], np.ones(len(took)), rcond=None)
        found = np.zeros(3)
        found[kept] = part
        error = float(np.square(shapes @ found / took - 1).sum())
        if (found >= 0).all() and error < best[0]:
            best = (error, found)
    return dict(zip(("call", "window", "audio"), (round(float(one), 4) for one in best[1]), strict=True))


def short(samples: Samples, costs: dict[str, float], rounds: int) -> float:
    """Return what the command takes on a short recording beside the model's own time: start, load and end."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "short.wav"
        write(path, samples[: SHORT_SECONDS * SAMPLE_RATE])
        took = statistics.median(ours(path)[1] for _ in range(rounds))
        found = survey(path, wiring.media(), wiring.detector(), Settings())
    work = costs["call"] + costs["window"] + costs["audio"] * sum(found.recording.chunks[0].windows)
    return max(0.0, took - work - found.took)


def assembling(path: Path) -> float:
    """Return the seconds that putting a transcript together, and writing all formats, takes for each chunk."""
    with tempfile.TemporaryDirectory() as directory:
        out, settings = Path(directory), Settings(language="en")
        with Embedded(out / ".longscribe", settings, wiring.machine(settings)) as work:
            job_id = work.submit(path)
            work.start()
            watch(work, {job_id: path}, out)
            job, chunks = work.jobs.job(job_id), list(work.jobs.chunks(job_id))
        began = time.perf_counter()
        made = assemble(job, chunks, job.language)
        for name in FORMATS:
            render(made, name)
        return (time.perf_counter() - began) / len(chunks)


def predicted(found: Survey, measured: dict[str, Any]) -> float:
    """Return the seconds that the command will take on a surveyed recording."""
    costs, model = measured["costs"], measured["engine"]
    worker = Worker(
        start=measured["start_seconds"],
        call=costs["call"],
        window=costs["window"],
        audio=costs["audio"],
        lanes=model["lanes"],
        batch=model["batch"],
    )
    rate = found.took / found.recording.seconds
    deployment = Deployment(
        chunker=Chunker(max(0.0, measured["start_seconds"] - model["load_seconds"]), 0.0, rate),
        worker=worker,
        assembler=Assembler(0.0, 0.0, measured["assembling_seconds_a_chunk"]),
        workers=1,
        shared=SHARED,
    )
    return simulate(deployment, [found.recording]).seconds


def check(path: Path, measured: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Predict, then run the command, and return both."""
    found = survey(path, wiring.media(), wiring.detector(), Settings())
    expected = predicted(found, measured)
    took = [round(ours(path)[1], 2) for _ in range(rounds)]
    error = 100 * (expected / statistics.median(took) - 1)
    print(f"{path.stem:24} predicted {expected:7.1f} s   measured {took}   {error:+.1f} %", flush=True)
    return {
        "recording": path.stem,
        "seconds_of_audio": round(found.recording.seconds, 1),
        "windows": sum(len(chunk.windows) for chunk in found.recording.chunks),
        "predicted_seconds": round(expected, 2),
        "measured_seconds": took,
        "error_percent": round(error, 1),
    }


def measure(calibration: Path, recordings: Sequence[Path], rounds: int) -> dict[str, Any]:
    """Measure the constants, check them on the recordings, and return the figures."""
    samples = read(calibration)
    began = os.getloadavg()[0]
    keep_memory()
    model = engine(samples, rounds)
    costs = fitted(model["rows"])
    measured = {
        "date": datetime.now(UTC).date().isoformat(),
        "model": "base, int8",
        "cores": len(os.sched_getaffinity(0)),
        "calibrated_on": calibration.stem,
        "engine": model,
        "costs": costs,
        "start_seconds": round(short(samples, costs, rounds), 2),
        "assembling_seconds_a_chunk": round(assembling(calibration), 4),
    }
    print(json.dumps(measured, indent=1), flush=True)
    rows = [check(path, measured, rounds) for path in recordings]
    with tempfile.TemporaryDirectory() as directory:
        part = Path(directory) / f"{recordings[0].stem}, 10 minutes.wav"
        write(part, read(recordings[0])[: 600 * SAMPLE_RATE])
        rows.append(check(part, measured, rounds))
    return {**measured, "load": [round(began, 1), round(os.getloadavg()[0], 1)], "checks": rows}


def constants() -> dict[str, Any]:
    """Return the plan's measured constants, each with the figures it comes from."""
    planning, chunking, cloud, missed = (
        json.loads((FIGURES / f"{name}.json").read_text())
        for name in ("planning", "chunking", "cloud", "missed_speech")
    )
    clean = next(row for row in missed["rows"] if row["recording"] == "read-25min, clean")
    long = chunking[0]
    costs = planning["costs"]
    full = costs["window"] + 30 * costs["audio"]
    return {
        "chunker_first_seconds": long["first_chunk_seconds"],
        "chunker_seconds_an_hour": round(long["seconds"] / long["hours"], 3),
        "assembler_finish_seconds": statistics.median(cloud["last_step_seconds"]),
        "assembler_seconds_a_chunk": planning["assembling_seconds_a_chunk"],
        "worker_overhead": cloud["overhead_percent"] / 100,
        "load_seconds_a_gigabyte": round(planning["engine"]["load_seconds"] / BASE_GIGABYTES, 2),
        "padding_share": round(costs["window"] / full, 3),
        "speech_share": round(clean["windows"] * clean["mean_fill_seconds"] / cloud["recording_seconds"], 3),
        "window_seconds": clean["mean_fill_seconds"],
    }


BASE_GIGABYTES = 0.145
"""Whisper base as published, 145,217,532 bytes."""


def main() -> None:
    """Measure, print, write JSON; or write the constants."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    directory = Path(os.environ.get("LONGSCRIBE_TEST_AUDIO", "."))
    parser.add_argument("recordings", nargs="*", type=Path, default=[directory / "read-25min.flac"])
    parser.add_argument("--calibrate", type=Path, default=directory / "read-4min.flac")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.recordings == [Path("constants")]:
        MEASURED.write_text(json.dumps(constants(), indent=1) + "\n")
        return
    figures = measure(options.calibrate, options.recordings, options.rounds)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
