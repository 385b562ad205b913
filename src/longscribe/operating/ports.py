"""What the operator's commands need of the world."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from longscribe.messages import BlobRef
from longscribe.ports import Blobs, Clock, Jobs, Queue
from longscribe.stages.assembler import AssemblerPorts


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """Who works off the queue."""

    name: str  #: such as ``process 4711``
    since: float  #: seconds since 1970
    model: str | None = None  #: that it holds; null where that is not known


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
    backlog: Callable[[str], int]  #: messages of a subscription that are not acknowledged
    delete_upload: Callable[[BlobRef], bool]  #: False, and no change, for what is a person's own or not there
    start_worker: str  #: how to have somebody work here, to follow "…, so"

    @property
    def assembler(self) -> AssemblerPorts:
        """What the assembler needs of these."""
        return AssemblerPorts(self.blobs, self.queue, self.jobs, self.transcripts_bucket)


def readable(name: str) -> str:
    """Return a recording's name without the lone surrogates that stand for bytes which are no text."""
    return name.encode("utf-8", "replace").decode()
