"""How much speech the detector and the planner lose, how much silence they keep, and how full the windows are.

    python -m benchmarks.missed_speech RECORDING.flac… [--json OUT.json] [--chunk-seconds 116]

Beside each recording lies a ``.json`` with its ``segments`` (start and end in seconds). Without arguments: all such
pairs in the directory that LONGSCRIBE_TEST_AUDIO names. Each is measured clean, 30 dB too low, and in seeded noise
of several kinds, so many decibels below the mean speech level. A frame of 10 ms is speech if it is inside a segment
and above -45 dBFS in the clean recording, or in a pause of up to 300 ms between two such frames.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks.figures import keep
from longscribe.adapters.silero import Silero
from longscribe.core import speech
from longscribe.core.cutting import PlannedChunk, Planner
from longscribe.core.limits import FRAME, GRID, SAMPLE_RATE
from longscribe.core.settings import Settings
from longscribe.ports import SpeechDetector
from longscribe.wiring import detector

THRESHOLD = -45.0
PAUSE = 30
NOISES = (("pink", 20), ("pink", 10), ("pink", 5), ("pink", 0), ("white", 10), ("swelling", 10), ("late", 10))
"""Kind, and decibels below the mean speech level."""


def read(path: Path) -> np.ndarray:
    """Return a recording as 16-bit mono at 16 kHz."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    with av.open(str(path)) as container:
        parts = [out.to_ndarray()[0] for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    return np.concatenate([*parts, *(out.to_ndarray()[0] for out in resampler.resample(None))])


def truth(samples: np.ndarray, segments: list[dict[str, Any]]) -> np.ndarray:
    """Return which frames hold speech."""
    loud = speech.levels(samples) > THRESHOLD
    spoken = np.zeros(len(loud), np.bool_)
    for segment in segments:
        first, last = int(segment["start"] * 100), int(np.ceil(segment["end"] * 100))
        part = loud[first:last].copy()
        for start, end in zip(*speech.runs(~part), strict=True):
            if start > 0 and end < len(part) and end - start <= PAUSE:
                part[start:end] = True
        spoken[first:last] |= part
    return spoken


def pink(count: int, seed: int = 1) -> np.ndarray:
    """Return pink noise of unit power."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=count))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, count)
    return noise / noise.std()


def noise(kind: str, count: int) -> np.ndarray:
    """Return noise of unit power: pink, white, pink that swells every seven seconds, or pink from the middle on."""
    if kind == "white":
        return np.random.default_rng(1).normal(size=count)
    made = pink(count)
    if kind == "swelling":
        made *= 1 + 0.9 * np.sin(2 * np.pi * np.arange(count) / SAMPLE_RATE / 7)
        made /= made.std()
    if kind == "late":
        made[: count // 2] = 0
    return made


def variants(samples: np.ndarray, spoken: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the recording as it is, quiet and noisy."""
    yield "clean", samples
    yield "30 dB too low", np.rint(samples * 10 ** (-30 / 20)).astype(np.int16)
    heard = samples.astype(np.float64)[np.repeat(spoken, FRAME)[: len(samples)]]
    for kind, snr in NOISES:
        added = noise(kind, len(samples)) * np.sqrt(np.square(heard).mean()) * 10 ** (-snr / 20)
        noisy = np.clip(np.rint(samples + added), -32768, 32767).astype(np.int16)
        yield f"{kind} noise, {snr} dB", noisy


def plan(
    samples: np.ndarray, chunk_seconds: float, ears: SpeechDetector
) -> tuple[list[PlannedChunk], float, float]:
    """Return the chunks, and the seconds the detector and the planner took."""
    planner = Planner(chunk_seconds)
    chunks: list[PlannedChunk] = []
    times = [0.0, 0.0]
    for start in range(0, len(samples), GRID):
        lead = min(start, speech.LEAD)
        began = time.process_time()
        heard = ears.detect(samples[start - lead : start + GRID], lead)
        listened = time.process_time()
        chunks += planner.feed(speech.frames(start, samples[start : start + GRID], heard))
        times[0] += listened - began
        times[1] += time.process_time() - listened
    began = time.process_time()
    chunks += planner.finish(len(samples))[0]
    return chunks, times[0], times[1] + time.process_time() - began


def measure(
    name: str, samples: np.ndarray, spoken: np.ndarray, chunk_seconds: float, ears: SpeechDetector
) -> dict[str, Any]:
    """Return the figures of one recording."""
    chunks, detecting, planning = plan(samples, chunk_seconds, ears)
    judged = [one for chunk in chunks for one in chunk.judged]
    second = sum(one.end - one.start for one in judged if one.detector == Silero.name)
    windows = [window for chunk in chunks for window in chunk.windows]
    kept = np.zeros(len(spoken), np.bool_)
    for window in windows:
        for span in window.spans:
            kept[span.start // FRAME : -(-span.end // FRAME)] = True
    hours = len(samples) / SAMPLE_RATE / 3600
    fills = [window.samples / SAMPLE_RATE for window in windows]
    return {
        "recording": name,
        "speech_seconds": round(float(spoken.sum()) / 100, 1),
        "missed_percent": round(100 * float((spoken & ~kept).sum() / spoken.sum()), 4),
        "silence_kept_percent": round(100 * float((kept & ~spoken).sum() / (~spoken).sum()), 1),
        "judged_by_silero_percent": round(100 * second / max(1, sum(one.end - one.start for one in judged)), 1),
        "detector_seconds_an_hour": round(detecting / hours, 2),
        "planner_seconds_an_hour": round(planning / hours, 3),
        "chunks": len(chunks),
        "windows": len(windows),
        "mean_fill_seconds": round(float(np.mean(fills)), 2) if fills else 0.0,
        "fill_but_last_seconds": round(float(np.mean(fills[:-1])), 2) if fills[1:] else 0.0,
        "cuts_through_speech": sum(window.spans[-1].end > window.end for window in windows),
    }


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description="Speech missed, silence kept, windows filled.")
    parser.add_argument("recordings", nargs="*", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--chunk-seconds", type=float, default=Settings().chunk_seconds)
    options = parser.parse_args()
    recordings = options.recordings
    if not recordings and (directory := os.environ.get("LONGSCRIBE_TEST_AUDIO")):
        recordings = sorted(p for p in Path(directory).glob("*.flac") if p.with_suffix(".json").exists())
    if not recordings:
        parser.error("Name a recording, or a directory of them in LONGSCRIBE_TEST_AUDIO.")
    rows, ears = [], detector()
    for path in recordings:
        samples = read(path)
        spoken = truth(samples, json.loads(path.with_suffix(".json").read_text())["segments"])
        for variant, audio in variants(samples, spoken):
            rows.append(measure(f"{path.stem}, {variant}", audio, spoken, options.chunk_seconds, ears))
    print(
        "| recording | missed % | silence kept % | by Silero % | detector s/h | planner s/h | windows | fill s"
        " | forced cuts |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['recording']} | {row['missed_percent']:.3f} | {row['silence_kept_percent']:.0f}"
            f" | {row['judged_by_silero_percent']:.0f}"
            f" | {row['detector_seconds_an_hour']:.2f} | {row['planner_seconds_an_hour']:.3f} | {row['windows']}"
            f" | {row['mean_fill_seconds']:.1f} | {row['cuts_through_speech']} |"
        )
    if options.json:
        keep(options.json, {"detector": ears.name, "rows": rows})


if __name__ == "__main__":
    main()
