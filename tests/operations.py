"""The operator's commands on a bench."""

from longscribe.core.limits import MAX_ATTEMPTS_EMBEDDED
from longscribe.errors import Gone
from longscribe.messages import BlobRef
from longscribe.operating.ports import Operations, Worker
from tests.standins import Bench

WORKER = Worker(name="process 7", since=0.0, model="base")
ADVICE = "start one"


def operations(bench: Bench, worker: Worker | None = WORKER) -> Operations:
    """What the commands need, on a bench's stores; a recording named ``upload…`` is no person's own."""

    def delete_upload(recording: BlobRef) -> bool:
        if not recording.name.startswith("upload"):
            return False
        try:
            bench.blobs.stat(recording.bucket, recording.name)
        except Gone:
            return False
        (bench.home / recording.name).unlink()
        return True

    return Operations(
        blobs=bench.blobs,
        queue=bench.queue,
        jobs=bench.jobs,
        clock=bench.clock,
        chunks_bucket="chunks",
        transcripts_bucket="transcripts",
        attempts=MAX_ATTEMPTS_EMBEDDED,
        worker=lambda: worker,
        delete_upload=delete_upload,
        start_worker=ADVICE,
        restart_worker="start another",
        address=lambda ref: ref.name,
        backlog=bench.queue.backlog,
    )
