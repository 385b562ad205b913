"""The reconciler as a service: for a timer a round over all jobs not at rest, for a first chunk a worker."""

from collections.abc import Callable, Iterable

from longscribe.adapters.gcp.run import ChunkerJob
from longscribe.core import limits
from longscribe.core.uploads import COMPLAINT
from longscribe.errors import Gone, LongscribeError
from longscribe.messages import UploadEvent
from longscribe.observe import Log, Severity
from longscribe.ports import BlobInfo, Clock
from longscribe.services.events import Retry
from longscribe.stages.chunker import job_id
from longscribe.stages.reconciler import ReconcilerPorts, reconcile, wake


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
        written: Callable[[float, float], Iterable[BlobInfo]],
        log: Log,
    ) -> None:
        """``chunker`` starts one for a recording again; ``waiting`` returns how many messages wait for workers.

        ``written`` returns the uploads from one time to another.
        """
        self._ports = ports
        self._clock = clock
        self._chunker = chunker
        self._waiting = waiting
        self._written = written
        self._looked = 0.0
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
                self._cut("A chunker has died", UploadEvent(job.recording, job.size, {}))
            self._find_missed()
            self._log("A round was taken", count=done.jobs, waiting=done.backlog.chunks, instances=done.instances)
            return
        raise Retry

    def wake(self) -> None:
        """Start a worker if there is none: a recording's first chunk waits, and a round costs reads for each job.

        Raises `Retry`.
        """
        try:
            if wake(self._ports.pool):
                self._log("A worker was asked for", instances=1)
            return
        except Exception as error:  # its words must not reach the platform's log
            self._log.failure("A worker could not be asked for", error)
        raise Retry

    def _count(self) -> int:
        try:
            return self._waiting()
        except LongscribeError as error:  # then only the documents tell
            self._log.failure("The waiting messages could not be counted", error)
            return 0

    def _find_missed(self) -> None:
        """Start a chunker for uploads whose event was lost: those without a job, now and then looked for."""
        now = self._clock.now()
        if now - self._looked < limits.MISSED_SECONDS:
            return
        self._looked = now
        try:
            for found in self._written(now - limits.MISSED_FOR_SECONDS, now - limits.MISSED_SECONDS):
                event = UploadEvent(found.ref, found.size, dict(found.metadata))
                if not found.ref.name.endswith(COMPLAINT) and not self._known(event):
                    self._cut("An upload's event was lost", event)
        except Exception as error:  # its words must not reach the platform's log
            self._log.failure("The uploads could not be looked at", error)

    def _known(self, event: UploadEvent) -> bool:
        try:
            self._ports.assembler.jobs.job(job_id(event))
        except Gone:
            return False
        return True

    def _cut(self, why: str, event: UploadEvent) -> None:
        """Start a chunker; the settings of a job that is there already are frozen in it."""
        self._log(why, Severity.WARNING, job=job_id(event))
        if self._chunker is None:
            self._log("There is no job that could cut the recording", Severity.WARNING, job=job_id(event))
            return
        try:
            self._chunker.start(event)
        except LongscribeError as error:  # the next rounds try it again
            self._log.failure("A chunker could not be started", error, job=job_id(event))
