"""The reconciler as a service: one round over every job that is not at rest, for a timer and for a first chunk."""

from collections.abc import Callable

from longscribe.adapters.gcp.run import ChunkerJob
from longscribe.errors import LongscribeError
from longscribe.messages import UploadEvent
from longscribe.observe import Log, Severity
from longscribe.ports import Clock
from longscribe.services.events import Retry
from longscribe.stages.reconciler import ReconcilerPorts, reconcile


class Unscaled:
    """The pool of a deployment that sizes its workers by hand."""

    def size(self) -> int:
        """Return 0: nobody was asked for any."""
        return 0

    def resize(self, instances: int) -> None:
        """Leave the workers as they are."""


class Reconciling:
    """Looks after what nobody is working on."""

    def __init__(
        self,
        ports: ReconcilerPorts,
        clock: Clock,
        chunker: ChunkerJob | None,
        waiting: Callable[[], int],
        log: Log,
    ) -> None:
        """``chunker`` starts one for a recording again; ``waiting`` returns how many messages wait for workers."""
        self._ports = ports
        self._clock = clock
        self._chunker = chunker
        self._waiting = waiting
        self._log = log

    def tick(self) -> None:
        """Take one round. Raises `Retry` if nothing could be done at all."""
        try:
            done = reconcile(self._ports, self._clock.now(), self._count())
        except Exception as error:  # its words must not reach the platform's log
            self._log.failure("The jobs could not be looked at", error, Severity.ERROR)
        else:
            for deed in done.deeds:
                self._log("A job was brought on", job=deed.job_id, outcome=deed.action, count=deed.chunks)
            for trouble in done.troubles:
                self._log.failure("A job, or the pool, gave trouble", trouble.error, job=trouble.job_id)
            for job in done.chunkers:
                self._recut(UploadEvent(job.recording, job.size, {}), job.job_id)
            self._log("A round was taken", count=done.jobs, waiting=done.backlog.chunks, instances=done.instances)
            return
        raise Retry

    def _count(self) -> int:
        try:
            return self._waiting()
        except LongscribeError as error:  # then only the documents tell
            self._log.failure("The waiting messages could not be counted", error)
            return 0

    def _recut(self, event: UploadEvent, job_id: str) -> None:
        """Start a chunker again: its settings are frozen in the job."""
        if self._chunker is None:
            self._log("A chunker has died, and there is no job to go on with", Severity.WARNING, job=job_id)
            return
        try:
            self._chunker.start(event)
        except LongscribeError as error:  # the next rounds try it again
            self._log.failure("A chunker could not be started", error, job=job_id)
