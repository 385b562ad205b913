"""All stages in one process: the embedded default. Three threads run the stages; the caller watches.

State lies under one directory, the home, held by one process at a time::

    home/
    ├── lock            held while a process works here; leases of a dead one are void at once
    ├── jobs.sqlite     documents
    ├── queue.sqlite    messages
    ├── chunks/         audio of the chunks of unfinished jobs
    └── transcripts/    what the assembler wrote
"""

import os
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Self

from longscribe import __version__, wiring
from longscribe.adapters.local import lock
from longscribe.core import ids, topics
from longscribe.core.settings import Settings
from longscribe.core.transcript import Transcript
from longscribe.documents import JobState
from longscribe.errors import BadInput, Gone, LongscribeError
from longscribe.follow import transcript
from longscribe.messages import UploadEvent
from longscribe.ports import Blobs, Queue
from longscribe.pulling import IDLE_SECONDS, PullLoop
from longscribe.stages import assembler, chunker, reconciler
from longscribe.stages.worker import WorkerPorts

HEAL_SECONDS = 1.0
"""Between two looks for jobs that nobody is working on."""


class Embedded:
    """A home opened for work. Use as a context manager; `submit` recordings, then `start`, then watch `jobs`."""

    def __init__(self, home: Path, settings: Settings, machine: wiring.Machine) -> None:
        """Open ``home``. Raises `Busy` if another process works there, `BadInput` if it cannot be made."""
        self._settings = settings
        self._machine = machine
        self._lock = lock.take(home, settings.model)
        try:
            self._stores = wiring.local_stores(home)
            self._stores.queue.void_leases()
        except BaseException:
            os.close(self._lock)
            raise
        self.jobs = self._stores.jobs
        self.blobs: Blobs = self._stores.blobs
        self._queue: Queue = self._stores.queue
        self._assembler = assembler.AssemblerPorts(self.blobs, self._queue, self.jobs, wiring.TRANSCRIPTS_BUCKET)
        self._events: list[UploadEvent] = []
        self._taken_up: list[str] = []
        self._threads: list[threading.Thread] = []
        self._stop = threading.Event()
        self._loop: PullLoop | None = None
        self._failure: BaseException | None = None
        self.problems: list[str] = []  #: what went wrong on the way and was tried again

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for thread in self._threads:
            thread.join()
        self._stores.close()
        os.close(self._lock)

    def submit(self, path: Path, *, afresh: bool = False) -> str:
        """Queue a recording; return its job's id.

        A job that was interrupted goes on where it stopped; one that has ended in a transcript stays as it is. One
        that failed, or was made with other settings, begins afresh, as all do if ``afresh``. Raises `BadInput` for
        a path that is no readable, non-empty file.
        """
        path = checked(path)
        found = self.blobs.stat(str(path.parent), path.name)
        recording = found.ref
        job_id = ids.job_id(recording.bucket, recording.name, recording.generation)
        if afresh or not self._goes_on(job_id):
            self.forget(job_id)
        event = UploadEvent(recording, found.size, {})
        # Whoever watches must find the job, though other recordings may be cut first.
        chunker.open_job(event, self._settings, self.jobs, self._stores.clock)
        self._events.append(event)
        return job_id

    def take_up(self, job_id: str) -> None:
        """Bring a stored job on, whatever an earlier process left of it; its recording is not cut."""
        self._taken_up.append(job_id)

    def _goes_on(self, job_id: str) -> bool:
        try:
            job = self.jobs.job(job_id)
        except Gone:
            return True
        return job.settings == self._settings and job.state not in (JobState.FAILED, JobState.CANCELLED)

    def forget(self, job_id: str) -> None:
        """Delete a job: its documents, its chunks' audio and its transcripts."""
        self.jobs.delete_job(job_id)
        self.drop_audio(job_id)
        for name in list(self.blobs.names(wiring.TRANSCRIPTS_BUCKET, f"{job_id}/")):
            self.blobs.delete(wiring.TRANSCRIPTS_BUCKET, name)

    def drop_audio(self, job_id: str) -> None:
        """Delete the audio of a job's chunks."""
        for name in list(self.blobs.names(wiring.CHUNKS_BUCKET, f"{job_id}/")):
            self.blobs.delete(wiring.CHUNKS_BUCKET, name)

    def start(self) -> None:
        """Start the stages on what was submitted."""
        for name, work in (("chunker", self._chunk), ("worker", self._work), ("assembler", self._assemble)):
            thread = threading.Thread(target=self._guarded, args=(work,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Ask the stages to stop; the batches under way are finished first."""
        self._stop.set()
        if self._loop is not None:
            self._loop.stop()

    def check(self) -> None:
        """Raise what ended a stage, if something did."""
        if self._failure is not None:
            raise self._failure

    def transcript(self, job_id: str) -> Transcript:
        """Return an ended job's transcript. Raises `BadInput` with the reason if the job failed."""
        return transcript(self.jobs, job_id)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # told to the watching thread by `check`
            self._failure = self._failure or error
            self.stop()

    def _chunk(self) -> None:
        with ThreadPoolExecutor(chunker.DEPTH, thread_name_prefix="chunk-writer") as executor:
            ports = chunker.ChunkerPorts(
                blobs=self.blobs,
                queue=self._queue,
                jobs=self.jobs,
                media=self._machine.media,
                detector=self._machine.detector,
                clock=self._stores.clock,
                executor=executor,
                chunks_bucket=wiring.CHUNKS_BUCKET,
                defaults=self._settings,
            )
            for event in self._events:
                if self._stop.is_set():
                    return
                chunker.chunk(event, ports)
        self._reconcile()

    def _reconcile(self) -> None:
        """Heal what an earlier process left half done, once nobody is working on it."""
        while not self._stop.is_set():
            # In flow order: a message is acknowledged only after the one it causes was published.
            flow = (topics.CHUNKS_HIGH, topics.CHUNKS_LOW, topics.DEAD_CHUNKS, topics.RESULTS)
            if not any(self._stores.queue.backlog(subscription) for subscription in flow):
                for job_id in (*map(_job_id, self._events), *self._taken_up):
                    with suppress(Gone):  # somebody deleted it
                        reconciler.heal(job_id, self._assembler)
            self._stop.wait(HEAL_SECONDS)

    def _work(self) -> None:
        ports = WorkerPorts(
            blobs=self.blobs,
            queue=self._queue,
            jobs=self.jobs,
            media=self._machine.media,
            recogniser=self._machine.load_recogniser(),
            worker=f"local-{os.getpid()}",
            version=__version__,
        )
        self._loop = PullLoop(ports, self._stores.clock, self._noted)
        if not self._stop.is_set():
            self._loop.run()

    def _noted(self, error: Exception) -> None:
        # Our own sentences only: a foreign error's words may quote what was said.
        self.problems.append(str(error) if isinstance(error, LongscribeError) else type(error).__name__)

    def _assemble(self) -> None:
        while not self._stop.is_set():
            results = self._queue.pull(topics.RESULTS, 16)
            for delivery in results:
                assembler.take_result(delivery.data, self._assembler)
                self._queue.acknowledge(topics.RESULTS, [delivery.lease])
            dead = [] if results else self._queue.pull(topics.DEAD_CHUNKS, 16)
            for delivery in dead:
                assembler.take_dead_letter(delivery.data, self._assembler)
                self._queue.acknowledge(topics.DEAD_CHUNKS, [delivery.lease])
            if not results and not dead:
                self._stop.wait(IDLE_SECONDS)


def _job_id(event: UploadEvent) -> str:
    return ids.job_id(event.recording.bucket, event.recording.name, event.recording.generation)


def checked(path: Path) -> Path:
    """Return the path of a readable, non-empty file, made absolute. Raises `BadInput`."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last: a zero byte in the name
        raise BadInput(f"There is no file {path}; check the path.") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be used ({error.strerror}); check the path and its permissions.") from None
    if not stat.S_ISREG(found.st_mode):
        raise BadInput(f"{path} is not a file; give a recording, not a directory or a device.")
    if not os.access(path, os.R_OK):
        raise BadInput(f"{path} cannot be read; change its permissions.")
    if found.st_size == 0:
        raise BadInput(f"{path} is empty; was it copied whole?")
    return path.resolve()
