"""What is said to somebody who follows a job that nobody brings on."""

import time

from longscribe.cli.common import complain
from longscribe.documents import Job
from longscribe.operating.ports import Operations
from longscribe.operating.status import notice

LOOKS = 10
"""In the time that a chunk may wait for a worker; each look reads all of the job's chunks."""


class Notices:
    """Says once, on stderr, that nobody brings a job on."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._next = 0.0
        self._told = False

    def look(self, job: Job) -> None:
        """Say so if it is time to look, and so it is."""
        if self._told or time.monotonic() < self._next:
            return
        ops = self._operations
        self._next = time.monotonic() + ops.patience / LOOKS
        worker = ops.worker()
        if worker is None:
            sentence = notice(job, list(ops.jobs.chunks(job.job_id)), worker, ops)
            if sentence is not None:
                complain(sentence)
                self._told = True
