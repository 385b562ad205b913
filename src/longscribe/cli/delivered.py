"""Transcripts as people find them: where a job's were put, and which of those are still its own."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from longscribe import wiring
from longscribe.adapters.local.deliveries import Deliveries
from longscribe.cli.store import HOME
from longscribe.core.rendering import render
from longscribe.core.transcript import Transcript
from longscribe.documents import Job
from longscribe.errors import Gone
from longscribe.operating.ports import Operations
from longscribe.serving import DELIVERIES
from longscribe.watching import write_whole


def files(directory: Path, job: Job) -> dict[str, Path]:
    """Return where a job's transcripts are put, by format, whether they are there or not.

    Those of an upload that `serve` has not delivered yet have no place: it gives them one.
    """
    base: str | None = Path(job.recording.name).stem
    if job.recording.bucket == wiring.UPLOADS_BUCKET:
        with closing(Deliveries(directory / HOME / DELIVERIES)) as deliveries:
            base = deliveries.base(job.recording.name)
        directory = directory / "transcripts"
    return {} if base is None else {kind: directory / f"{base}.{kind}" for kind in job.settings.formats}


def put(directory: Path, job: Job, transcript: Transcript) -> None:
    """Write a job's transcript where it was. Raises `NoSpace` and `BadInput`."""
    for kind, path in files(directory, job).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, render(transcript, kind))


def unchanged(directory: Path, job: Job, ops: Operations) -> Iterator[Path]:
    """Yield those that hold what was written for the job: not what a person edited, or another job overwrote."""
    written = {ref.name.rsplit(".", 1)[-1]: ref for ref in job.transcripts}
    for kind, path in files(directory, job).items():
        try:
            if path.read_bytes() == ops.blobs.read(written[kind]):
                yield path
        except (OSError, KeyError, Gone):
            continue
