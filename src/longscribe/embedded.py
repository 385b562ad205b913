"""All stages in one process: the embedded default. Threads run the stages; the caller watches.

State lies under one directory, the home, held by one process at a time::

    home/
    ├── lock            held while a process works here; leases of a dead one are void at once
    ├── jobs.sqlite     documents
    ├── queue.sqlite    messages
    ├── chunks/         audio of the chunks of unfinished jobs
    ├── transcripts/    what the assembler wrote
    └── served.sqlite   what `serve` has delivered, and under which names
"""

import dataclasses
import os
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Self

from longscribe import __version__, wiring
from longscribe.adapters.local import lock
from longscribe.attended import Attended, Unwanted
from longscribe.core import limits, topics
from longscribe.core.receipts import receipt
from longscribe.core.settings import Settings
from longscribe.core.transcript import Transcript
from longscribe.documents import Job, JobState
from longscribe.errors import BadInput, Gone, LongscribeError, NoSpace, Poison, Transient
from longscribe.follow import transcript
from longscribe.messages import ChunkTask, UploadEvent, decode, decode_result
from longscribe.ports import Blobs, Delivery, Queue
from longscribe.pulling import IDLE_SECONDS, PullLoop
from longscribe.stages import assembler, chunker, reconciler
from longscribe.stages.worker import WorkerPorts

HEAL_SECONDS = 1.0
"""Between two looks for jobs that nobody is working on."""

LOOK_SHARE = 50
"""A look at all jobs is followed by a rest of at least this many times its length: thousands cost 2 % of a core."""

CHUNKERS = 3
"""Recordings a service cuts at once. Each takes `LONGSCRIBE_DECODE_WORKERS` processes and one more."""

CUTTINGS = 3
"""Times a service tries to cut a recording whose cutting fails for no fault of its own."""


class Embedded:
    """A home opened for work. Use as a context manager; `submit` recordings, `start`, and watch `jobs`.

    Recordings may be submitted at any time. If ``serving``, several are cut side by side, and what goes wrong with
    one fails its own job; otherwise it ends the work, for `check` to raise.
    """

    def __init__(self, home: Path, settings: Settings, machine: wiring.Machine, *, serving: bool = False) -> None:
        """Open ``home``. Raises `Busy` if another process works there, `BadInput` if it cannot be made."""
        self._settings = settings
        self._machine = machine
        self._serving = serving
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
        self._uncut: list[UploadEvent] = []
        self._arrived = threading.Condition()
        self._tries: Counter[str] = Counter()  # that failed, of cutting a job's recording
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
        event = UploadEvent(found.ref, found.size, {})
        job_id = chunker.job_id(event)
        if afresh or not self._goes_on(job_id):
            self.forget(job_id)
        self.take(event)
        return job_id

    def take(self, event: UploadEvent, refusal: str | None = None) -> Job:
        """Open the job of an upload, and queue it to be cut if it is not yet; ``refusal`` fails a new one.

        Whoever watches finds the job at once, though other recordings may be cut first.
        """
        job = chunker.open_job(event, self._settings, self.jobs, self._stores.clock, refusal)
        if job.state is JobState.CHUNKING:
            self._put(event)
        return job

    def _put(self, event: UploadEvent) -> None:
        with self._arrived:
            self._uncut.append(event)
            self._arrived.notify()

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

    def _check_models(self) -> None:
        """Raise `BadInput` if an unfinished job waits for another model: its chunks would be refused here."""
        for job in self.jobs.unfinished():
            waiting = {chunk.task.model for chunk in self.jobs.pending(job.job_id)}
            if job.state is JobState.CHUNKING:
                waiting.add(job.settings.model)
            if waiting - {self._settings.model}:
                raise BadInput(
                    f"Job {job.job_id} here is not finished and waits for the model {min(waiting)!r}: finish it"
                    f" with that model, or cancel it, before you work here with {self._settings.model!r}."
                )

    def start(self) -> None:
        """Start the stages. Raises `BadInput` if an unfinished job here waits for another model."""
        self._check_models()
        for name, work in (
            *(
                (f"chunker-{number}", partial(self._chunk, number))
                for number in range(CHUNKERS if self._serving else 1)
            ),
            ("worker", self._work),
            ("assembler", self._assemble),
            ("healer", self._heal),
        ):
            thread = threading.Thread(target=self._guarded, args=(work,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Ask the stages to stop; the batches under way are finished first."""
        self._stop.set()
        with self._arrived:
            self._arrived.notify_all()
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

    def _chunk(self, number: int) -> None:
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
            while (event := self._next(number)) is not None:
                self._cut(event, ports)

    def _next(self, number: int) -> UploadEvent | None:
        """Wait for a recording to cut; None when stopping.

        The first chunker takes the one that waits longest, the others the smallest: a short recording does not wait
        until several long ones are cut, nor a long one for ever.
        """
        with self._arrived:
            self._arrived.wait_for(lambda: self._stop.is_set() or self._uncut)
            if self._stop.is_set():
                return None
            event = self._uncut[0] if number == 0 else min(self._uncut, key=lambda event: event.size)
            self._uncut.remove(event)
            return event

    def _cut(self, event: UploadEvent, ports: chunker.ChunkerPorts) -> None:
        attended = Attended(ports.detector, lambda: not self._stop.is_set())
        try:
            chunker.chunk(event, dataclasses.replace(ports, detector=attended))
        except Unwanted:
            return
        except NoSpace:
            raise
        except Exception as error:  # one recording must not harm the others
            if not self._serving:
                raise
            self._noted(error)
            self._again(event, error)

    def _again(self, event: UploadEvent, error: Exception) -> None:
        """Let a recording be cut once more, unless that was tried often enough."""
        job_id = chunker.job_id(event)
        self._tries[job_id] += 1
        if self._tries[job_id] < CUTTINGS:
            self._stop.wait(HEAL_SECONDS)
            self._put(event)
        else:
            reason = f"The recording could not be cut ({_named(error)}); see whether it plays, and give it again."
            self._fail(job_id, reason)

    def _fail(self, job_id: str, reason: str) -> None:
        """End a job that cannot go on; one that was deleted meanwhile is forgotten altogether."""
        try:
            used = receipt(self.jobs.job(job_id), list(self.jobs.chunks(job_id)), None)
            for state in (JobState.CHUNKING, JobState.TRANSCRIBING, JobState.SETTLING):
                self.jobs.move(job_id, state, JobState.FAILED, reason=reason, receipt=used)
        except Gone:
            self.forget(job_id)

    def _heal(self) -> None:
        """Bring on the jobs that nobody is working on: what an earlier process, or another one, left half done."""
        rest = HEAL_SECONDS
        while not self._stop.wait(rest):
            began = time.monotonic()
            waiting = [job.job_id for job in self.jobs.unfinished()]
            # A message is acknowledged only after the one it causes was published: a job without any is left alone.
            worked_on = self._stores.queue.groups()
            for job_id in waiting:
                if job_id not in worked_on:
                    self._assembling(job_id, partial(reconciler.heal, job_id, self._assembler))
            rest = max(HEAL_SECONDS, LOOK_SHARE * (time.monotonic() - began))

    def _work(self) -> None:
        recogniser = self._machine.load_recogniser()
        ports = WorkerPorts(
            blobs=self.blobs,
            queue=self._queue,
            jobs=self.jobs,
            media=self._machine.media,
            recogniser=recogniser,
            worker=f"local-{os.getpid()}",
            version=__version__,
        )
        leases = limits.LEASES * recogniser.at_once
        self._loop = PullLoop(ports, self._stores.clock, self._noted, leases)
        if not self._stop.is_set():
            self._loop.run()

    def _noted(self, error: Exception) -> None:
        self.problems.append(_named(error))

    def _assemble(self) -> None:
        while not self._stop.is_set():
            results = self._queue.pull(topics.RESULTS, 16)
            self._take_each(topics.RESULTS, results, assembler.take_result)
            dead = [] if results else self._queue.pull(topics.DEAD_CHUNKS, 16)
            self._take_each(topics.DEAD_CHUNKS, dead, assembler.take_dead_letter)
            if not results and not dead:
                self._stop.wait(IDLE_SECONDS)

    def _take_each(
        self,
        topic: str,
        deliveries: Sequence[Delivery],
        take: Callable[[bytes, assembler.AssemblerPorts], object],
    ) -> None:
        for delivery in deliveries:
            try:
                job_id = _job_named(topic, delivery.data)
            except Poison as error:  # nobody can ever read it
                self._noted(error)
                done = True
            else:
                done = self._assembling(job_id, partial(take, delivery.data, self._assembler))
            if done:
                self._queue.acknowledge(topic, [delivery.lease])

    def _assembling(self, job_id: str, step: Callable[[], object]) -> bool:
        """Take one step with a job, unless stopping; in a service one that fails for good fails that job only."""
        while not self._stop.is_set():
            try:
                step()
            except Gone:  # it was deleted meanwhile
                pass
            except NoSpace:
                raise
            except Exception as error:
                if not self._serving:
                    raise
                self._noted(error)
                if isinstance(error, Transient):
                    self._stop.wait(HEAL_SECONDS)
                    continue
                self._fail(job_id, f"Its transcript could not be put together ({_named(error)}); report this.")
            return True
        return False


def _named(error: Exception) -> str:
    # Our own sentences only: a foreign error's words may quote what was said.
    return str(error) if isinstance(error, LongscribeError) else type(error).__name__


def _job_named(topic: str, data: bytes) -> str:
    return (decode_result(data) if topic == topics.RESULTS else decode(data, ChunkTask)).job_id


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
