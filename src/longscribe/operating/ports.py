"""What the operator's commands need of the world."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec

from longscribe import documents
from longscribe.core.costing import Prices
from longscribe.messages import BlobRef
from longscribe.ports import Blobs, Clock, Jobs, Queue
from longscribe.stages.assembler import AssemblerPorts

AWAY_SECONDS = 600.0
"""After this long without a pull a worker on the cloud is taken to be gone: it reports each minute."""


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """Who works off the queue."""

    name: str  #: such as ``process 4711`` or ``3 workers``
    since: float  #: seconds since 1970
    model: str | None = None  #: that it holds; null where that is not known, or they differ

    @property
    def here(self) -> str:
        """Who is at work here, with the verb."""
        return f"{self.name} {'are' if self.name.endswith('workers') else 'is'} at work here"


def together(workers: Iterable[documents.Worker], now: float) -> Worker | None:
    """Return as one the workers that pulled in the ten minutes before ``now``; None if none did."""
    recent = [worker for worker in workers if now - worker.pulled < AWAY_SECONDS]
    if not recent:
        return None
    models = {worker.model for worker in recent}
    return Worker(
        name="1 worker" if len(recent) == 1 else f"{len(recent)} workers",
        since=min(worker.since for worker in recent),
        model=models.pop() if len(models) == 1 else None,
    )


@dataclass(frozen=True)
class Operations:
    """What the operator's commands need."""

    blobs: Blobs
    queue: Queue
    jobs: Jobs
    clock: Clock
    chunks_bucket: str
    transcripts_bucket: str
    attempts: int  #: deliveries before a chunk is dead-lettered
    worker: Callable[[], Worker | None]  #: who works here now
    delete_upload: Callable[[BlobRef], bool]  #: False, and no change, for what is a person's own or not there
    start_worker: str  #: how to have somebody work here, to follow "…:"
    restart_worker: str  #: what to do about somebody who brings nothing, to follow "…:"
    address: Callable[[BlobRef], str]  #: how a transcript is named to people
    backlog: Callable[[str], int] | None = None  #: a subscription's messages that are not acknowledged, if it tells
    prices: Prices | None = None  #: what the calls and workers cost here; None: nothing
    patience: float = 0.0  #: seconds that a chunk may wait before it is said that nobody is at work

    @property
    def nobody(self) -> str:
        """What is said where nobody is at work."""
        if not self.patience:
            return "nobody is at work here"
        return f"no worker has pulled for {self.patience / 60:.0f} minutes"

    @property
    def assembler(self) -> AssemblerPorts:
        """What the assembler needs of these."""
        return AssemblerPorts(self.blobs, self.queue, self.jobs, self.transcripts_bucket, self.prices)


def readable(name: str) -> str:
    """Return a recording's name without the lone surrogates that stand for bytes which are no text."""
    return name.encode("utf-8", "replace").decode()
