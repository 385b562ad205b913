"""Upload → chunks: decode, find speech, cut in silence, and queue each chunk while cutting goes on."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from msgspec.structs import replace

from longscribe.audio import Held
from longscribe.core import ids, limits, topics
from longscribe.core.costing import Prices
from longscribe.core.cutting import CONTEXT, PlannedChunk, Planner
from longscribe.core.receipts import receipt
from longscribe.core.settings import Settings, from_metadata
from longscribe.core.speech import LEAD, Frames, frames
from longscribe.documents import Chunk, ChunkState, Job, JobState, Seal
from longscribe.errors import BadInput, Gone, OverLimit
from longscribe.messages import ChunkTask, Sealed, UploadEvent, encode
from longscribe.ports import Blobs, Clock, Decoded, Heard, Jobs, Media, Queue, Samples, SpeechDetector

DEPTH = 8
"""Chunks being written and queued at once, so that a slow store does not hold up the cutting."""


@dataclass(frozen=True)
class ChunkerPorts:
    """What the chunker needs."""

    blobs: Blobs
    queue: Queue
    jobs: Jobs
    media: Media
    detector: SpeechDetector
    clock: Clock
    executor: Executor  #: runs up to `DEPTH` writes side by side
    chunks_bucket: str
    defaults: Settings
    started: Callable[[], None] | None = None  #: called once the first chunk is queued
    prices: Prices | None = None  #: None: nothing is paid for


class Chunked(StrEnum):
    """What became of an upload event; each but the last is acknowledged."""

    SEALED = "sealed"
    KNOWN = "known"  #: the job was sealed or had ended before: a repeated event
    REFUSED = "refused"  #: the job failed, with the reason in its document
    STOPPED = "stopped"  #: the job was cancelled or deleted meanwhile, and nothing of it is left here
    UNFINISHED = "unfinished"  #: the time was up: the same call goes on where this one stopped


def chunk(event: UploadEvent, ports: ChunkerPorts, until: float | None = None) -> Chunked:
    """Cut one recording into chunks and queue them; go on after the last chunk if an earlier try died.

    Bad input, a recording that is gone among it, fails the job with its one sentence. `Transient` errors pass
    through: the event is to be delivered again. A job that is cancelled or deleted meanwhile is cut no further than
    the stretch in hand. At the time ``until`` (seconds since 1970) it stops, a decoded stretch late at most. When
    this returns, nothing is left running or unconfirmed.
    """
    job = open_job(event, ports.defaults, ports.jobs, ports.clock)
    if job.state is not JobState.CHUNKING:
        return Chunked.REFUSED if job.state is JobState.FAILED else Chunked.KNOWN
    began = ports.clock.now() - job.chunker_seconds
    writer = _Writer(job, ports)
    seal, reason = None, None
    try:
        with writer:
            seal = _cut(event, job, writer, ports, until)
    except BadInput as error:
        reason = str(error)
    state = _state(job.job_id, ports.jobs)
    if state in (None, JobState.CANCELLED):
        _clear(job.job_id, ports)
        return Chunked.STOPPED
    if state is not JobState.CHUNKING:  # another chunker was faster
        return Chunked.KNOWN
    took = round(ports.clock.now() - began, 3)
    if reason is not None:
        used = receipt(replace(job, chunker_seconds=took), list(ports.jobs.chunks(job.job_id)), ports.prices)
        ended = {"reason": reason, "chunker_seconds": took, "receipt": used}
        ports.jobs.move(job.job_id, JobState.CHUNKING, JobState.FAILED, **ended)
        return Chunked.REFUSED
    if seal is None:
        ports.jobs.amend(job, chunker_seconds=took)
        return Chunked.UNFINISHED
    ports.jobs.seal(job.job_id, replace(seal, chunker_seconds=took))
    # The last result may have come before the seal; this makes the assembler look.
    ports.queue.publish(topics.RESULTS, encode(Sealed(job.job_id)), job.job_id)
    return Chunked.SEALED


def job_id(event: UploadEvent) -> str:
    """Return the id of the job that an upload begins."""
    recording = event.recording
    return ids.job_id(recording.bucket, recording.name, recording.generation)


def _state(job_id: str, jobs: Jobs) -> JobState | None:
    """Return a job's state as it is now; None if it was deleted."""
    try:
        return jobs.job(job_id).state
    except Gone:
        return None


def _clear(job_id: str, ports: ChunkerPorts) -> None:
    """Remove what was written since the job was cancelled or deleted."""
    for name in list(ports.blobs.names(ports.chunks_bucket, f"{job_id}/")):
        ports.blobs.delete(ports.chunks_bucket, name)
    try:
        ports.jobs.job(job_id)
    except Gone:
        ports.jobs.delete_job(job_id)  # chunks may have been written behind the deletion


def open_job(event: UploadEvent, defaults: Settings, jobs: Jobs, clock: Clock, refusal: str | None = None) -> Job:
    """Return the recording's job: the stored one, or a new one, failed if its settings cannot be honoured.

    ``refusal`` is why the caller will not have it, in one sentence.
    """
    recording, now = event.recording, clock.now()
    state, reason, settings = JobState.CHUNKING, None, defaults
    try:
        if refusal is not None:
            raise BadInput(refusal)
        settings = from_metadata(event.metadata, defaults)
        if event.size > limits.MAX_RECORDING_BYTES:
            raise OverLimit(
                f"The recording has {event.size:,} bytes, over the limit of {limits.MAX_RECORDING_BYTES:,};"
                " cut it into parts."
            )
    except BadInput as error:
        state, reason = JobState.FAILED, str(error)
    return jobs.create_job(
        Job(
            job_id=job_id(event),
            recording=recording,
            size=event.size,
            settings=settings,
            state=state,
            created=now,
            updated=now,
            reason=reason,
        )
    )


class _Writer:
    """Writes chunks side by side, each blob first, then document, then message; at the end waits for all."""

    def __init__(self, job: Job, ports: ChunkerPorts) -> None:
        self._job = job
        self._ports = ports
        self._under_way: deque[Future[None]] = deque()

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Wait for every one before the first failure is told.
        errors = [error for future in self._under_way if (error := future.exception()) is not None]
        if errors and kind is None:
            raise errors[0]

    def put(self, planned: PlannedChunk, first: int, samples: Samples) -> None:
        """Start writing a chunk whose audio begins at sample ``first``; wait if `DEPTH` are under way."""
        while len(self._under_way) >= DEPTH:
            self._under_way.popleft().result()
        encoded = self._ports.media.encode(samples)
        self._under_way.append(self._ports.executor.submit(self._write, planned, first, encoded))

    def _write(self, planned: PlannedChunk, first: int, encoded: bytes) -> None:
        ports, job = self._ports, self._job
        audio = ports.blobs.create(ports.chunks_bucket, ids.chunk_blob(job.job_id, planned.index), encoded)
        task = ChunkTask(
            job_id=job.job_id,
            index=planned.index,
            run=1,
            settings_hash=job.settings.hash(),
            audio=audio,
            audio_start=first,
            start=planned.start,
            end=planned.end,
            windows=planned.windows,
            speech=planned.speech,
            priority=topics.priority(planned.index, planned.speech, planned.end - planned.start),
            model=job.settings.model,
            language=job.settings.language,
        )
        ports.jobs.create_chunk(
            Chunk(
                task=task,
                silences=planned.silences,
                missing=planned.missing,
                audio_bytes=len(encoded),
                judged=planned.judged,
            )
        )
        ports.queue.publish(topics.topic(task.priority), encode(task), job.job_id)
        if planned.index == 0 and ports.started is not None:
            ports.started()


def _resume(job: Job, ports: ChunkerPorts) -> tuple[int, int]:
    """Return the next chunk's index and where it begins, after queueing again what may never have been queued."""
    written: list[Chunk] = []
    for stored in ports.jobs.chunks(job.job_id):
        if stored.task.index != len(written):
            break
        written.append(stored)
    # Only the last ones can have died between document and message; a worker drops a task it meets twice.
    for stored in written[-DEPTH:]:
        if stored.state is ChunkState.PENDING:
            ports.queue.publish(topics.topic(stored.task.priority), encode(stored.task), job.job_id)
    return len(written), written[-1].task.end if written else 0


def _cut(event: UploadEvent, job: Job, writer: _Writer, ports: ChunkerPorts, until: float | None) -> Seal | None:
    """Cut the recording to its end, or until the time is up or the job is wanted no more: then None."""

    def read(start: int, end: int) -> bytes:
        try:
            return ports.blobs.read(event.recording, start, end)
        except Gone:
            raise BadInput("The recording was deleted or overwritten before it was cut; upload it again.") from None

    index, start = _resume(job, ports)
    planner = Planner(job.settings.chunk_seconds, index, start)
    # One stretch more than the planner needs: its detector starts cold, so its verdicts must not count.
    origin = max(0, (start - CONTEXT) // limits.GRID - 1) * limits.GRID
    held, end, count = Held(origin), origin, index
    with (
        ports.media.decode(read, event.size, origin) as stretches,
        closing(listen(stretches, ports.detector)) as listened,
    ):
        for decoded, heard in listened:
            if _state(job.job_id, ports.jobs) is not JobState.CHUNKING:
                return None
            held.append(decoded)
            end = decoded.start + len(decoded.samples)
            for planned in planner.feed(heard, decoded.missing):
                _put(planned, held, writer)
                count = planned.index + 1
            held.drop_before(planner.needed)
            if until is not None and ports.clock.now() >= until:
                return None
    rest, silences, missing, judged = planner.finish(end)
    for planned in rest:
        _put(planned, held, writer)
        count = planned.index + 1
    return Seal(samples=end, chunks=count, silences=silences, missing=missing, judged=judged)


def _put(planned: PlannedChunk, held: Held, writer: _Writer) -> None:
    if planned.index >= limits.MAX_CHUNKS:
        raise OverLimit(
            f"The recording gives more than {limits.MAX_CHUNKS:,} chunks; choose a longer chunk length."
        )
    first = planned.windows[0].spans[0].start
    writer.put(planned, first, held.slice(first, planned.windows[-1].spans[-1].end))


def listen(stretches: Iterator[Decoded], detector: SpeechDetector) -> Generator[tuple[Decoded, Frames]]:
    """Yield each stretch with its frames; the detector is warmed by the end of the stretch before.

    The next stretch is listened to while one is cut: in noise, listening takes twice as long as all the rest. One
    thread does it, as every thread would keep memory of its own. Closing waits for it.
    """
    lead = np.empty(0, np.int16)
    ahead: deque[tuple[Decoded, Future[Heard]]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="listener") as listener:
        for decoded in stretches:
            audio = np.concatenate((lead, decoded.samples))
            ahead.append((decoded, listener.submit(detector.detect, audio, len(lead))))
            lead = decoded.samples[-LEAD:]
            while ahead and (len(ahead) > 1 or ahead[0][1].done()):
                yield _framed(*ahead.popleft())
        while ahead:
            yield _framed(*ahead.popleft())


def _framed(decoded: Decoded, heard: Future[Heard]) -> tuple[Decoded, Frames]:
    return decoded, frames(decoded.start, decoded.samples, heard.result())
