"""Ours beside other ways to find where a recording can be cut: seconds and memory, on the same file.

    python -m benchmarks.cutters [--rounds 3] [--json OUT.json]

The recordings are made: m4a, 44.1 kHz, stereo; half an hour, for `pydub.silence.split_on_silence` must survive, and
6.8 hours for those that hold little of it at once. Every way is a process of its own, run in turn; medians count.
Ours is the whole chunker: decode, detect, plan, encode, store, queue. The others do less: none writes a chunk.

- *ffmpeg, decoding alone*: to nowhere, at the file's own rate
- *ffmpeg, to 16 kHz, mono*: what a detector can hear, to nowhere
- *ffmpeg silencedetect*: -30 dB, 0.5 s
- *faster-whisper's detector*: `decode_audio` and `get_speech_timestamps`, Silero over everything
- *split_on_silence*: on samples at 16 kHz, one channel, decoded before its time begins; -30 dBFS, 500 ms
"""

import argparse
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks import longfile
from benchmarks.figures import keep
from benchmarks.peers import peer

SHORT_HOURS, LONG_HOURS = 0.5, 6.8

QUIET_DB = -30
"""Below which ffmpeg and pydub hear silence: the recording's speech is louder, its noise is not."""
PAUSE_SECONDS = 0.5


def ours(path: Path) -> float:
    """Run our chunker; return its seconds."""
    from benchmarks.chunking import cut

    with tempfile.TemporaryDirectory() as home:
        return float(cut(path, Path(home))["seconds"])


def ffmpeg(path: Path, *filters: str) -> float:
    """Run ffmpeg's own program on ``path``, its output dropped."""
    began = time.perf_counter()
    command = [peer("ffmpeg"), "-nostdin", "-v", "error", "-i", path, "-vn", *filters, "-f", "null", "-"]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def resampled(path: Path) -> float:
    """Have ffmpeg decode to what a detector can hear."""
    return ffmpeg(path, "-ar", "16000", "-ac", "1", "-c:a", "pcm_s16le")


def silencedetect(path: Path) -> float:
    """Have ffmpeg find the silences."""
    return ffmpeg(path, "-af", f"silencedetect=noise={QUIET_DB}dB:d={PAUSE_SECONDS}")


def silero(path: Path) -> float:
    """Find speech as faster-whisper does."""
    from faster_whisper import decode_audio
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    began = time.perf_counter()
    get_speech_timestamps(decode_audio(str(path)), VadOptions())
    return time.perf_counter() - began


def split_on_silence(path: Path) -> float:
    """Split with pydub."""
    import numpy as np
    from faster_whisper import decode_audio
    from pydub import AudioSegment
    from pydub.silence import split_on_silence as split

    samples = (decode_audio(str(path)) * 32767).astype(np.int16)
    segment = AudioSegment(samples.tobytes(), sample_width=2, frame_rate=16_000, channels=1)
    began = time.perf_counter()
    split(segment, int(1000 * PAUSE_SECONDS), QUIET_DB)
    return time.perf_counter() - began


WAYS: dict[str, Callable[[Path], float]] = {
    "longscribe, the whole chunker": ours,
    "ffmpeg, decoding alone": ffmpeg,
    "ffmpeg, to 16 kHz, mono": resampled,
    "ffmpeg silencedetect": silencedetect,
    "faster-whisper's detector": silero,
    "pydub split_on_silence": split_on_silence,
}
STREAMING = list(WAYS)[:4]
"""Those whose memory does not grow with every sample."""


def alone(name: str, path: Path) -> tuple[float, float]:
    """Run one way in a process of its own; return its seconds and the largest of its processes in MB."""
    command = [sys.executable, "-m", "benchmarks.cutters", "--way", name, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, megabytes = done.stdout.split()[-2:]
    return float(seconds), float(megabytes)


def largest() -> float:
    """Return the peak of this process, or of the largest that it started, in MB."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(each).ru_maxrss for each in who) / 1000


def compare(hours: float, ways: Iterable[str], rounds: int) -> dict[str, Any]:
    """Make a recording and run ``ways`` on it, in turn; return a row for each."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "recording.m4a"
        # In another process: whoever is started inherits the peak of this one.
        maker = multiprocessing.get_context("spawn").Process(target=longfile.write, args=(path, hours))
        maker.start()
        maker.join()
        return {"hours": hours, "rows": in_turn(path, ways, rounds)}


def in_turn(path: Path, ways: Iterable[str], rounds: int) -> list[dict[str, Any]]:
    """Run ``ways`` ``rounds`` times in turn; return a row for each."""
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, taken in runs.items():
            taken.append(alone(name, path))
    return [
        {
            "name": name,
            "seconds": [round(seconds, 2) for seconds, _ in taken],
            "median_seconds": round(statistics.median(seconds for seconds, _ in taken), 2),
            "largest_process_mb": round(max(megabytes for _, megabytes in taken)),
        }
        for name, taken in runs.items()
    ]


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", nargs="?", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.way:
        seconds = WAYS[options.way](options.recording)
        print(seconds, largest())
        return
    lengths = [compare(SHORT_HOURS, WAYS, options.rounds), compare(LONG_HOURS, STREAMING, options.rounds)]
    for length in lengths:
        ours_took = length["rows"][0]["median_seconds"]
        print(f"| {length['hours']} hours | seconds | ours takes | largest process MB |\n|---|---|---|---|")
        for row in length["rows"]:
            share = ours_took / row["median_seconds"]
            print(f"| {row['name']} | {row['median_seconds']} | {share:.2f} × | {row['largest_process_mb']} |")
    if options.json:
        keep(options.json, {"cores": len(os.sched_getaffinity(0)), "lengths": lengths})


if __name__ == "__main__":
    main()
