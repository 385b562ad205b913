"""What the cloud path adds to the model's own time, on the emulators: latencies, and overhead over the bare engine.

    python -m benchmarks.cloud [RECORDING.flac] [--rounds 3] [--model base] [--json OUT.json]

The recording is 16 kHz mono; without one it is ``read-25min.flac`` in the directory that LONGSCRIBE_TEST_AUDIO
names, or ten minutes of synthetic speech. Needed: Java and the emulators of the gcloud SDK.

- *latency*: the worker's recogniser is a stand-in that takes no time, so that nothing but the pipeline is measured:
  from the end of the upload to the first ordered text in the documents, and from the last chunk result that the
  worker published to the final transcript.
- *overhead*: a real worker, its model loaded, is held until all chunks are queued, for the chunker has a machine of
  its own; then from its first lease to the last result it publishes. Beside it the bare engine on the same windows,
  on as many lanes. Run in turn, ``--rounds`` times; medians. In the wall time of the worker is what emulators and
  functions take of the same cores; its own processor time is without that.
"""

import argparse
import io
import multiprocessing
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from faster_whisper import decode_audio

from benchmarks.engine import batches
from benchmarks.figures import keep
from local_cloud import deployment, emulators
from local_cloud.deployment import Service
from longscribe.adapters.gcp.storage import GcsBlobs
from longscribe.adapters.media.av_media import AvMedia
from longscribe.adapters.media.processes import processor_seconds
from longscribe.adapters.memory import keep_memory
from longscribe.adapters.models import locate
from longscribe.adapters.whisper import Whisper
from longscribe.core.limits import SAMPLE_RATE
from longscribe.documents import ChunkState, JobState
from longscribe.messages import encode
from longscribe.ports import WindowAudio
from longscribe.stages.worker import Prepared, WorkerPorts, prepare
from tests.cloud.people import Person, Upload, speech, until
from tests.cloud.proxies import GrpcProxy

STAND_IN = [sys.executable, "-m", "tests.cloud.hashing_worker"]
MODELS = Path(tempfile.gettempdir()) / "longscribe-models"
PATIENCE_SECONDS = 1_800.0

SELDOM_SECONDS = 5.0
"""Between two looks at a job whose overhead is measured: ten looks a second took 8 % of a core, the emulator's part
included."""


@contextmanager
def noting(target: str) -> Iterator[tuple[list[float], str]]:
    """Stand between a worker and Pub/Sub; yields when it published (seconds since 1970), and the address."""
    published: list[float] = []
    with GrpcProxy(target, keep=False) as proxy:
        proxy.on_answer["Publish"] = lambda _: published.append(time.time())
        yield published, proxy.address


@dataclass(frozen=True)
class Latency:
    """A recording heard by a worker that takes no time; in seconds."""

    first_text: float  #: from the end of its upload
    last_step: float  #: from the last result to the final transcript


@dataclass(frozen=True)
class Worked:
    """The same windows, once by a worker and once by the bare engine."""

    seconds: float
    processor: float  #: seconds, of all its threads


def latency(person: Person, published: list[float], data: bytes, name: str) -> Latency:
    """Upload a recording and wait for its text."""
    published.clear()
    upload = person.upload(name, data, language="en")
    uploaded = time.time()
    first = first_text(person, upload) - uploaded
    job = person.ended(upload, PATIENCE_SECONDS)
    assert job.state is JobState.COMPLETE
    return Latency(first, job.updated - published[-1])


def first_text(person: Person, upload: Upload) -> float:
    """Wait until a reader of the documents finds ordered text; return when."""

    def found() -> bool:
        chunks = person.chunks(upload) if person.job(upload) is not None else []
        return bool(chunks) and chunks[0].task.index == 0 and chunks[0].state is ChunkState.DONE

    until(found, PATIENCE_SECONDS)
    return time.time()


def work(
    person: Person, worker: Service, published: list[float], data: bytes, name: str
) -> tuple[Worked, list[WindowAudio]]:
    """Let a worker hear a recording once it is cut; return what that took, and the windows it heard."""
    published.clear()
    os.kill(worker.pid, signal.SIGSTOP)
    upload = person.upload(name, data, language="en")
    until(lambda: (job := person.job(upload)) is not None and job.state is not JobState.CHUNKING, PATIENCE_SECONDS)
    heard = windows(person, upload)
    began, used = time.time(), processor_seconds(worker.pid)
    os.kill(worker.pid, signal.SIGCONT)
    job = person.ended(upload, PATIENCE_SECONDS, SELDOM_SECONDS)
    assert job.state is JobState.COMPLETE
    return Worked(published[-1] - began, processor_seconds(worker.pid) - used), heard


def windows(person: Person, upload: Upload) -> list[WindowAudio]:
    """Return what a worker makes of a recording's chunks before its model hears them."""
    recogniser = SimpleNamespace(model=person.jobs.job(upload.job_id).settings.model, knows=lambda _: True)
    ports = WorkerPorts(
        GcsBlobs(person.storage), person.cloud.queue(), person.jobs, AvMedia(), cast(Any, recogniser), "", ""
    )
    prepared = [prepare(encode(chunk.task), ports) for chunk in person.chunks(upload)]
    return [window for one in prepared for window in cast(Prepared, one).windows]


_engine: Whisper


def load(model: str) -> None:
    """Make this process the bare engine."""
    global _engine  # noqa: PLW0603 -- what a pool's initializer leaves for its tasks
    keep_memory()
    _engine = Whisper(locate(model, MODELS), model)
    _engine.warm_up()


def hear(heard: list[WindowAudio]) -> Worked:
    """Hear windows in this process, on all lanes."""
    began, used = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(_engine.lanes) as lanes:
        list(lanes.map(_engine.recognise, batches(heard, _engine)))
    return Worked(time.perf_counter() - began, time.process_time() - used)


def measure(data: bytes, rounds: int, model: str) -> dict[str, Any]:
    """Run everything in turn and return the figures."""
    locate(model, MODELS)
    bare = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), load, (model,))
    variables = {"LONGSCRIBE_MODEL": model, "LONGSCRIBE_MODELS": str(MODELS)}
    engine: list[Worked] = []
    worked: list[Worked] = []
    with (
        tempfile.TemporaryFile() as log,
        emulators.running() as hosts,
        noting(hosts.pubsub) as (published, address),
        deployment.running(hosts, log, variables, workers=0) as cloud,
    ):
        os.environ.update(cloud.hosts.environment())
        person = Person(cloud)
        stand_in = cloud.add_worker(STAND_IN, PUBSUB_EMULATOR_HOST=address)
        stand_in.wait()
        latency(person, published, data, "warm.flac")
        quick = [latency(person, published, data, f"quick-{number}.flac") for number in range(rounds)]
        stand_in.stop()
        cloud.workers.clear()
        worker = cloud.add_worker(None, PUBSUB_EMULATOR_HOST=address)
        worker.wait()
        _, few = work(person, worker, published, speech(20), "warm-too.flac")
        bare.submit(hear, few).result()
        for number in range(rounds):
            by_worker, heard = work(person, worker, published, data, f"real-{number}.flac")
            worked.append(by_worker)
            engine.append(bare.submit(hear, heard).result())
    bare.shutdown()
    return {
        "recording_seconds": round(len(decode_audio(io.BytesIO(data))) / SAMPLE_RATE, 1),
        "rounds": rounds,
        "windows": len(heard),
        "first_text_seconds": [round(one.first_text, 2) for one in quick],
        "last_step_seconds": [round(one.last_step, 2) for one in quick],
        **compared("seconds", "", worked, engine),
        **compared("processor", "_processor", worked, engine),
    }


def compared(attribute: str, mark: str, worker: list[Worked], engine: list[Worked]) -> dict[str, Any]:
    """Return the overhead in wall or processor time, and the seconds whose medians it compares."""
    there, alone = ([round(float(getattr(one, attribute)), 2) for one in some] for some in (worker, engine))
    return {
        f"engine{mark}_seconds": alone,
        f"worker{mark}_seconds": there,
        f"overhead{mark}_percent": round(100 * (statistics.median(there) / statistics.median(alone) - 1), 1),
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
    print(f"the same in processor time     {found['overhead_processor_percent']:6.1f} %")
    if options.json:
        keep(options.json, found)


if __name__ == "__main__":
    main()
