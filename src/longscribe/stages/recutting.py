"""Chunk audio that was deleted, made again from the recording: their documents say where to cut."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from longscribe.audio import Held
from longscribe.core import ids
from longscribe.core.limits import GRID
from longscribe.documents import Job
from longscribe.errors import BadInput, Gone
from longscribe.messages import BlobRef, ChunkTask
from longscribe.ports import Blobs, Media


def recut(job: Job, tasks: Iterable[ChunkTask], blobs: Blobs, media: Media, bucket: str) -> dict[int, BlobRef]:
    """Return where the audio of each task's chunk is, by index; make it again, bit for bit, where it is not there.

    Raises `BadInput` if it has to be made again and the recording is gone or was changed, `NoSpace`.
    """
    found: dict[int, BlobRef] = {}
    lost: list[ChunkTask] = []
    for task in sorted(tasks, key=lambda task: task.index):
        try:
            found[task.index] = blobs.stat(bucket, ids.chunk_blob(job.job_id, task.index)).ref
        except Gone:
            lost.append(task)
    try:
        for stretch in _apart(lost):
            for task, encoded in _cut(job, stretch, blobs, media):
                name = ids.chunk_blob(job.job_id, task.index)
                found[task.index] = blobs.create(bucket, name, encoded)
    except Gone:
        raise BadInput(
            f"The recording of job {job.job_id} is gone or was changed, so its audio cannot be cut again;"
            " put it back as it was, or transcribe it afresh."
        ) from None
    return found


def _apart(tasks: Iterable[ChunkTask]) -> Iterator[list[ChunkTask]]:
    """Yield the tasks in groups between which at least one whole stretch need not be decoded."""
    group: list[ChunkTask] = []
    for task in tasks:
        if group and task.audio_start // GRID > _end(group[-1]) // GRID + 1:
            yield group
            group = []
        group.append(task)
    if group:
        yield group


def _cut(job: Job, tasks: Sequence[ChunkTask], blobs: Blobs, media: Media) -> Iterator[tuple[ChunkTask, bytes]]:
    def read(start: int, end: int) -> bytes:
        return blobs.read(job.recording, start, end)

    waiting = deque(tasks)
    origin = tasks[0].audio_start // GRID * GRID
    held = Held(origin)
    with media.decode(read, job.size, origin) as stretches:
        for decoded in stretches:
            held.append(decoded)
            end = decoded.start + len(decoded.samples)
            while waiting and _end(waiting[0]) <= end:
                task = waiting.popleft()
                yield task, media.encode(held.slice(task.audio_start, _end(task)))
            if not waiting:
                return
            held.drop_before(min(waiting[0].audio_start, end))
    raise Gone("The recording ends before its chunks do.")


def _end(task: ChunkTask) -> int:
    return task.windows[-1].spans[-1].end
