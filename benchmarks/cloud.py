"""What the cloud path adds to the model's own time, on the emulators: latencies, and overhead over the bare engine.

    python -m benchmarks.cloud [RECORDING.flac] [--rounds 3] [--model base] [--json OUT.json]

The recording is 16 kHz mono; without one it is ``read-25min.flac`` in the directory that LONGSCRIBE_TEST_AUDIO
names, or ten minutes of synthetic speech. Needed: Java and the emulators of the gcloud SDK.

- *latency*: the worker's recogniser is a stand-in that takes no time, so that nothing but the pipeline is measured:
  from the end of the upload to the first ordered text in the documents, and from the last chunk result that the
  worker published to the final transcript.
- *overhead*: a real worker, started before; from the first chunk it leases to the last result it publishes, beside
  the bare engine on the same windows, its model loaded, on as many lanes. Run in turn, ``--rounds`` times; medians.
"""

import argparse
import io
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper import decode_audio
from google.pubsub_v1 import PullResponse

from benchmarks.engine import load, timed
from benchmarks.figures import keep
from local_cloud import deployment, emulators
from longscribe.adapters.models import locate
from longscribe.core.limits import SAMPLE_RATE
from longscribe.documents import ChunkState
from tests.cloud.people import PAUSE_SECONDS, Person, Upload, speech, until
from tests.cloud.proxies import GrpcProxy

STAND_IN = [sys.executable, "-m", "tests.cloud.hashing_worker"]
MODELS = Path(tempfile.gettempdir()) / "longscribe-models"
PATIENCE_SECONDS = 1_800.0

SELDOM_SECONDS = 5.0
"""Between two looks at a job whose overhead is measured: ten looks a second took 8 % of a core, the emulator's part
included."""


@dataclass
class Worked:
    """When a worker leased its chunks and published their results, in seconds since 1970."""

    leased: list[float] = field(default_factory=list)
    published: list[float] = field(default_factory=list)


@contextmanager
def noting(target: str) -> Iterator[tuple[Worked, str]]:
    """Stand between a worker and Pub/Sub; yields what is noted, and the address."""
    worked = Worked()

    def pulled(answer: bytes) -> None:
        if PullResponse.deserialize(answer).received_messages:
            worked.leased.append(time.time())

    with GrpcProxy(target, keep=False) as proxy:
        proxy.on_answer["Pull"] = pulled
        proxy.on_answer["Publish"] = lambda _: worked.published.append(time.time())
        yield worked, proxy.address


@dataclass(frozen=True)
class Run:
    """One recording through the local cloud; all in seconds."""

    first_text: float  #: from the end of its upload
    last_step: float  #: from the last result to the final transcript
    working: float  #: from the first lease to the last result
    whole: float  #: from the end of its upload to the final transcript


def run(person: Person, worked: Worked, data: bytes, name: str, pause: float = PAUSE_SECONDS) -> Run:
    """Upload a recording and wait for its transcript, looking for it after each ``pause``."""
    worked.leased.clear()
    worked.published.clear()
    upload = person.upload(name, data, language="en")
    uploaded = time.time()
    first = first_text(person, upload, pause) - uploaded
    job = person.ended(upload, PATIENCE_SECONDS, pause)
    assert job.state == "complete"
    return Run(
        first_text=first,
        last_step=job.updated - worked.published[-1],
        working=worked.published[-1] - worked.leased[0],
        whole=job.updated - uploaded,
    )


def first_text(person: Person, upload: Upload, pause: float) -> float:
    """Wait until a reader of the documents finds ordered text; return when."""

    def found() -> bool:
        chunks = person.chunks(upload) if person.job(upload) is not None else []
        return bool(chunks) and chunks[0].task.index == 0 and chunks[0].state is ChunkState.DONE

    until(found, PATIENCE_SECONDS, pause)
    return time.time()


def measure(data: bytes, rounds: int, model: str) -> dict[str, Any]:
    """Run everything in turn and return the figures."""
    samples = (decode_audio(io.BytesIO(data)) * 32768).clip(-32768, 32767).astype(np.int16)
    locate(model, MODELS)
    bare = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), load, ("ours", model))
    bare.submit(timed, samples[:SAMPLE_RATE]).result()
    variables = {"LONGSCRIBE_MODEL": model, "LONGSCRIBE_MODELS": str(MODELS)}
    engine: list[float] = []
    real: list[Run] = []
    with (
        tempfile.TemporaryFile() as log,
        emulators.running() as hosts,
        noting(hosts.pubsub) as (worked, address),
        deployment.running(hosts, log, variables, workers=0) as cloud,
    ):
        os.environ.update(cloud.hosts.environment())
        person = Person(cloud)
        stand_in = cloud.add_worker(STAND_IN, PUBSUB_EMULATOR_HOST=address)
        stand_in.wait()
        run(person, worked, data, "warm.flac")
        quick = [run(person, worked, data, f"quick-{number}.flac") for number in range(rounds)]
        stand_in.stop()
        cloud.workers.clear()
        cloud.add_worker(None, PUBSUB_EMULATOR_HOST=address).wait()
        run(person, worked, speech(20), "warm-too.flac")
        for number in range(rounds):
            engine.append(bare.submit(timed, samples).result().seconds)
            real.append(run(person, worked, data, f"real-{number}.flac", SELDOM_SECONDS))
    bare.shutdown()
    return figures(len(samples) / SAMPLE_RATE, quick, real, engine)


def figures(seconds: float, quick: list[Run], real: list[Run], engine: list[float]) -> dict[str, Any]:
    """Return what is written and printed."""
    alone = statistics.median(engine)
    working = statistics.median(one.working for one in real)
    return {
        "recording_seconds": round(seconds, 1),
        "rounds": len(quick),
        "first_text_seconds": [round(one.first_text, 2) for one in quick],
        "last_step_seconds": [round(one.last_step, 2) for one in quick],
        "engine_seconds": [round(one, 2) for one in engine],
        "worker_seconds": [round(one.working, 2) for one in real],
        "whole_seconds": [round(one.whole, 2) for one in real],
        "overhead_percent": round(100 * (working / alone - 1), 1),
    }


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    directory = os.environ.get("LONGSCRIBE_TEST_AUDIO")
    default = Path(directory) / "read-25min.flac" if directory else None
    parser.add_argument("recording", nargs="?", type=Path, default=default)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="base")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    data = options.recording.read_bytes() if options.recording else speech(600)
    began = os.getloadavg()[0]
    found = {
        "recording": options.recording.name if options.recording else "synthetic speech",
        "model": options.model,
        "cores": len(os.sched_getaffinity(0)),
        "load": [round(began, 1), round(os.getloadavg()[0], 1)],
        **measure(data, options.rounds, options.model),
    }
    first, last = (statistics.median(found[name]) for name in ("first_text_seconds", "last_step_seconds"))
    print(f"upload to first ordered text   {first:6.2f} s")
    print(f"last result to transcript      {last:6.2f} s")
    print(f"worker over the bare engine    {found['overhead_percent']:6.1f} %")
    if options.json:
        keep(options.json, found)


if __name__ == "__main__":
    main()
