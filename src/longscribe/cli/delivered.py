"""Transcripts as people find them: where a job's were put, and which of those are still its own."""

from collections.abc import Iterator
from pathlib import Path

from longscribe import wiring
from longscribe.documents import Job
from longscribe.errors import Gone
from longscribe.operating.ports import Operations


def folder(directory: Path, job: Job) -> Path:
    """Return where a job's transcripts are put: those of an upload under ``transcripts``, in the same folders."""
    if job.recording.bucket == wiring.UPLOADS_BUCKET:
        return (directory / "transcripts" / job.recording.name).parent
    return directory


def files(directory: Path, job: Job) -> list[Path]:
    """Return the paths of a job's transcripts, whether they are there or not."""
    stem = Path(job.recording.name).stem
    return [folder(directory, job) / f"{stem}.{kind}" for kind in job.settings.formats]


def unchanged(directory: Path, job: Job, ops: Operations) -> Iterator[Path]:
    """Yield those that hold what was written for the job: not what a person edited, or another job overwrote."""
    written = {ref.name.rsplit(".", 1)[-1]: ref for ref in job.transcripts}
    for path in files(directory, job):
        try:
            if path.read_bytes() == ops.blobs.read(written[path.suffix[1:]]):
                yield path
        except (OSError, KeyError, Gone):
            continue
