"""How fast the chunker cuts a long recording, and how much memory it and its decoders hold together.

    python -m benchmarks.chunking [RECORDING…] [--json OUT.json]

Without arguments it makes recordings of half an hour to 13.6 hours (m4a, 44.1 kHz, stereo) in a temporary
directory, one of 6.8 hours in noise, most of which both speech detectors have to hear, and two as mp3: FFmpeg holds
the index of an m4a, which names every packet, in memory.
The whole stage is measured: decode, detect, plan, encode, write, queue. Memory is summed over the process and its
children (PSS: shared pages counted once), sampled ten times a second.
"""

import argparse
import multiprocessing
import os
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import longfile
from benchmarks.figures import keep
from longscribe import wiring
from longscribe.adapters.media.av_media import AvMedia
from longscribe.adapters.memory import return_memory
from longscribe.adapters.silero import Silero
from longscribe.core.settings import Settings
from longscribe.documents import Chunk, Job
from longscribe.messages import UploadEvent
from longscribe.stages import chunker

MADE = (
    *((hours, "m4a", None) for hours in (0.5, 1.0, 2.0, 6.8, 13.6)),
    (6.8, "m4a", 10.0),
    *((hours, "mp3", None) for hours in (0.5, 13.6)),
)
"""Hours, format, and decibels from the noise, if any, up to the speech."""


class Memory(threading.Thread):
    """Samples the memory of this process and its children."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._over = threading.Event()

    def run(self) -> None:
        """Sample until stopped."""
        while not self._over.wait(0.1):
            self.peak = max(self.peak, sum(map(_pss, _family())))

    def stop(self) -> float:
        """Return the peak in MB."""
        self._over.set()
        self.join()
        return self.peak / 1000


def _family() -> list[int]:
    children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return [os.getpid(), *(int(pid) for file in children for pid in file.read_text().split())]


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it ended between the list and the look
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def measure(path: Path, home: Path) -> dict[str, Any]:
    """Chunk one recording, as the function would, and return the figures, those of memory included."""
    memory = Memory()
    memory.start()
    figures = cut(path, home)
    return {**figures, "peak_memory_mb": round(memory.stop())}


def cut(path: Path, home: Path) -> dict[str, Any]:
    """Chunk one recording, as the function would, and return its figures but for memory."""
    return_memory()
    stores = wiring.local_stores(home)
    workers = wiring.environment(os.environ).decode_workers
    found = stores.blobs.stat(str(path.parent.resolve()), path.name)
    began, cpu = time.monotonic(), os.times()
    with ThreadPoolExecutor(chunker.DEPTH) as executor:
        ports = chunker.ChunkerPorts(
            blobs=stores.blobs,
            queue=stores.queue,
            jobs=stores.jobs,
            media=AvMedia(workers),
            detector=wiring.detector(),
            clock=stores.clock,
            executor=executor,
            chunks_bucket=wiring.CHUNKS_BUCKET,
            defaults=Settings(),
        )
        outcome = chunker.chunk(UploadEvent(found.ref, found.size, {}), ports)
    took, after = time.monotonic() - began, os.times()
    (job,) = stores.jobs.jobs()
    chunks = list(stores.jobs.chunks(job.job_id))
    first = chunks[0].updated - job.created
    stores.close()
    if outcome is not chunker.Chunked.SEALED or job.seal is None:
        raise SystemExit(f"The recording was not chunked: {job.reason}")
    return {
        "recording": path.name,
        "hours": round(job.seal.samples / 16_000 / 3600, 2),
        "decode_workers": workers,
        "cores": len(os.sched_getaffinity(0)),
        "seconds": round(took, 1),
        "processor_seconds": round(sum(after[:4]) - sum(cpu[:4]), 1),
        "first_chunk_seconds": round(first, 2),
        "chunks": job.seal.chunks,
        "judged_by_silero_percent": _second(job, chunks),
    }


def afresh(path: Path, home: Path) -> dict[str, Any]:
    """Return `measure`'s figures, taken in a process of its own: memory that one recording left counts for none."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(measure, path, home).result()


def _second(job: Job, chunks: list[Chunk]) -> float:
    """Return the percentage of a sealed job's recording that the second detector judged."""
    assert job.seal is not None
    judged = [*(one for chunk in chunks for one in chunk.judged), *job.seal.judged]
    return round(
        100 * sum(one.end - one.start for one in judged if one.detector == Silero.name) / job.seal.samples, 1
    )


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description="Time and memory of the chunker.")
    parser.add_argument("recordings", nargs="*", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        recordings = options.recordings
        for hours, ending, snr in () if recordings else MADE:
            path = Path(directory) / f"{hours:g} hours{'' if snr is None else f', noise, {snr:g} dB'}.{ending}"
            longfile.write(path, hours, snr=snr)
            recordings = [*recordings, path]
        rows = [afresh(path, Path(directory) / f"home-{number}") for number, path in enumerate(recordings)]
    print("| recording | hours | seconds | processor s | peak memory MB | first chunk s | chunks | by Silero % |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['recording']} | {row['hours']} | {row['seconds']} | {row['processor_seconds']}"
            f" | {row['peak_memory_mb']} | {row['first_chunk_seconds']} | {row['chunks']}"
            f" | {row['judged_by_silero_percent']} |"
        )
    if options.json:
        keep(options.json, {"rows": rows})


if __name__ == "__main__":
    main()
