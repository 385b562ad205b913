"""What `longscribe plan` reckons with, measured; and its simulation checked against real runs on this machine.

    python -m benchmarks.planning [RECORDING…] [--calibrate RECORDING] [--rounds 3] [--json OUT.json]
    python -m benchmarks.planning constants

Recordings are 16 kHz FLAC; the directory that LONGSCRIBE_TEST_AUDIO names holds the default ones: the engine is
measured on ``read-4min.flac``, and what that predicts for the recordings, ``read-25min.flac`` by default as a whole
and its first 10 minutes, is compared with the whole command, model load included. Whisper base, int8, on a CPU.
``--rounds`` times, medians. Fails, once the figures are written, if a prediction is more than 15 % off.

Costs are measured in processor seconds: with a core for each lane they are what a lane takes on a quiet machine,
and other work on the machine changes them little. So two things are predicted and compared: the command's processor
seconds, which tells something on a busy machine too, and its wall time, which does so on a quiet one only.

*constants* writes ``src/longscribe/planning/measured.json``, the plan's measured constants, from the
figures in ``docs/figures/``; a test compares the two.
"""

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engine import planned
from benchmarks.figures import today
from benchmarks.missed_speech import read
from benchmarks.pipeline import ours, write
from longscribe import wiring
from longscribe.adapters.hardware import CPU_BATCH
from longscribe.adapters.memory import keep_memory
from longscribe.adapters.models import locate
from longscribe.adapters.whisper import Whisper
from longscribe.core.assembly import assemble
from longscribe.core.limits import LEASES, SAMPLE_RATE
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

SHAPES = ((1, 1.0), (2, 1.0), (3, 1.0), (CPU_BATCH, 1.0), (CPU_BATCH, 0.5))
"""Windows in a call, and the share of each that is kept."""

SHARED = 0.5
"""Of the processors the chunker takes while it cuts, as many processes of it as there are lanes."""

ERROR_PERCENT = 15.0
"""How far a prediction may be off."""

SHORT_SECONDS = 10


def engine(samples: Samples, rounds: int) -> dict[str, Any]:
    """Load the model and measure calls of several shapes; return processor seconds of a lane."""
    path, loads = locate("base", wiring.models()), []
    for _ in range(rounds):
        began = spent()
        whisper = Whisper(path, "base")
        loads.append(spent() - began)
    audio = [WindowAudio(samples, "en", (), 1) for _, samples in planned(samples)][:CPU_BATCH]
    rows = []
    with ThreadPoolExecutor(whisper.lanes) as lanes:

        def together(windows: Sequence[WindowAudio]) -> float:
            """Keep all lanes at work, and return the processor seconds of one."""
            began = spent()
            list(lanes.map(whisper.recognise, [windows] * whisper.lanes))
            return (spent() - began) / whisper.lanes

        together(audio[:1])
        for count, share in SHAPES:
            windows = [_part(window, share) for window in itertools.islice(itertools.cycle(audio), count)]
            took = [together(windows) for _ in range(rounds)]
            rows.append(
                {
                    "windows": count,
                    "audio_seconds": round(sum(len(one.samples) for one in windows) / SAMPLE_RATE, 2),
                    "seconds": round(statistics.median(took), 3),
                }
            )
    return {
        "load_seconds": round(statistics.median(loads), 2),
        "lanes": whisper.lanes,
        "batch": whisper.batch,
        "rows": rows,
    }


def spent() -> float:
    """Return the processor seconds of this process and of the children it has waited for."""
    return sum(os.times()[:4])


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


def processor(path: Path) -> tuple[float, float]:
    """Run the command; return its wall time and its processor seconds."""
    began = spent()
    _, wall = ours(path)
    return wall, spent() - began


def listened(path: Path) -> tuple[Survey, float]:
    """Return what is in a recording, and the processor seconds that finding out took."""
    began = spent()
    found = survey(path, wiring.media(), wiring.detector(), Settings())
    return found, spent() - began


def short(samples: Samples, costs: dict[str, float], rounds: int) -> float:
    """Return what the command takes on a short recording beside the model and the chunker: start, load and end."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "short.wav"
        write(path, samples[: SHORT_SECONDS * SAMPLE_RATE])
        took = statistics.median(processor(path)[1] for _ in range(rounds))
        found, cutting = listened(path)
    work = costs["call"] + costs["window"] + costs["audio"] * sum(found.recording.chunks[0].windows)
    return max(0.0, took - work - cutting)


def assembling(path: Path) -> float:
    """Return the seconds that merging and rendering a transcript takes for each of its chunks."""
    with tempfile.TemporaryDirectory() as directory:
        out, settings = Path(directory), Settings(language="en")
        with Embedded(out / ".longscribe", settings, wiring.machine(settings)) as work:
            job_id = work.submit(path)
            work.start()
            watch(work, {job_id: path}, out)
            job, chunks = work.jobs.job(job_id), list(work.jobs.chunks(job_id))
        began = spent()
        made = assemble(job, chunks, job.language)
        for name in FORMATS:
            render(made, name)
        return (spent() - began) / len(chunks)


def predicted(found: Survey, cutting: float, measured: dict[str, Any]) -> tuple[float, float]:
    """Return the wall time, on a quiet machine, and the processor seconds that the command will take.

    ``cutting``: processor seconds of the chunker, which decodes in as many processes as there are lanes.
    """
    costs, model = measured["costs"], measured["engine"]
    start, ready = measured["start_seconds"] - model["load_seconds"], measured["start_seconds"]
    deployment = Deployment(
        chunker=Chunker(max(0.0, start), 0.0, cutting / model["lanes"] / found.recording.seconds),
        worker=Worker(
            ready,
            **costs,
            lanes=model["lanes"],
            at_once=model["lanes"],
            batch=model["batch"],
            leases=LEASES * model["lanes"],
        ),
        assembler=Assembler(0.0, 0.0, measured["assembling_seconds_a_chunk"]),
        workers=1,
        shared=SHARED,
    )
    wall = simulate(deployment, [found.recording])
    work = simulate(replace(deployment, shared=0.0), [found.recording])
    ending = measured["assembling_seconds_a_chunk"] * len(found.recording.chunks)
    return wall.seconds, work.busy + cutting + ready + ending


def check(path: Path, measured: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Predict, then run the command, and return both."""
    found, cutting = listened(path)
    expected = predicted(found, cutting, measured)
    took = [processor(path) for _ in range(rounds)]
    real = [statistics.median(one[number] for one in took) for number in range(2)]
    errors = [round(100 * (one / other - 1), 1) for one, other in zip(expected, real, strict=True)]
    print(f"{path.stem:24} predicted {expected}   measured {took}   {errors} %", flush=True)
    return {
        "recording": path.stem,
        "seconds_of_audio": round(found.recording.seconds, 1),
        "windows": sum(len(chunk.windows) for chunk in found.recording.chunks),
        "predicted_seconds": round(expected[0], 2),
        "measured_seconds": [round(wall, 2) for wall, _ in took],
        "error_percent": errors[0],
        "predicted_processor_seconds": round(expected[1], 2),
        "measured_processor_seconds": [round(work, 2) for _, work in took],
        "processor_error_percent": errors[1],
    }


def measure(calibration: Path, recordings: Sequence[Path], rounds: int) -> dict[str, Any]:
    """Measure the constants, check them on the recordings, and return the figures."""
    samples = read(calibration)
    began = os.getloadavg()[0]
    keep_memory()
    model = engine(samples, rounds)
    costs = fitted(model["rows"])
    measured = {
        "date": today(),
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


def missed(figures: dict[str, Any]) -> list[str]:
    """Return a sentence for each prediction that is too far off."""
    return [
        f"{row['recording']}: {name.replace('_', ' ')} {row[name]:+g}, over {ERROR_PERCENT:g}."
        for row in figures["checks"]
        for name in ("error_percent", "processor_error_percent")
        if abs(row[name]) > ERROR_PERCENT
    ]


def constants() -> dict[str, Any]:
    """Return the plan's measured constants, each with the figures it comes from."""
    planning, chunking, cloud, speech = (
        json.loads((FIGURES / f"{name}.json").read_text())
        for name in ("planning", "chunking", "cloud", "missed_speech")
    )
    clean = next(row for row in speech["rows"] if row["recording"] == "read-25min, clean")
    long = next(row for row in chunking["rows"] if row["recording"] == "6.8 hours.m4a")
    costs = planning["costs"]
    full = costs["window"] + 30 * costs["audio"]
    return {
        "chunker_first_seconds": long["first_chunk_seconds"],
        "chunker_seconds_an_hour": round(long["seconds"] / long["hours"], 3),
        "assembler_finish_seconds": round(statistics.median(cloud["last_step_seconds"]), 3),
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
    if wrong := missed(figures):
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
