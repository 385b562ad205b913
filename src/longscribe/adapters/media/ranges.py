"""One range of a recording on its way through a decoder, seen from the parent."""

import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from struct import error as StructError  # noqa: N812

import numpy as np

from longscribe.adapters.media.processes import Child, ChildLost
from longscribe.adapters.media.wire import DONE_ARGUMENTS, LOSS, RESULT_ARGUMENTS, Loss, Payload, Tag
from longscribe.core.limits import GRID
from longscribe.messages import Missing
from longscribe.ports import Decoded

INBOX_BYTES = 8 * 2**20
"""Packets that wait for one decoder: a whole range of compressed audio (two minutes at 500 kbit/s)."""

REASONS = {
    Loss.GAP: "the file holds no readable audio here",
    Loss.DAMAGED: "the file is damaged here",
    Loss.TRUNCATED: "the file is cut off before its end",
    Loss.CUT: "the file is cut off here, and does not tell how much is gone",
    Loss.JOINED: "another recording is joined to it; split the file",
}


@dataclass(frozen=True)
class Result:
    """One decoded range, and how much of it really came out of the decoder."""

    decoded: Decoded
    heard: int  #: samples at the source's rate


class Inbox:
    """Messages on their way to one decoder, bounded in bytes."""

    def __init__(self) -> None:
        self._messages: deque[tuple[Tag, Payload]] = deque()
        self._bytes = 0
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    def put(self, tag: Tag, payload: Payload) -> None:
        """Add a message; wait while the inbox is full."""
        with self._changed:
            self._changed.wait_for(lambda: self._error or self._bytes < INBOX_BYTES)
            self._messages.append((tag, payload))
            self._bytes += len(payload)
            self._changed.notify_all()

    def get(self) -> tuple[Tag, Payload]:
        """Take the oldest message; wait for it. Raises the error that the inbox was closed with."""
        with self._changed:
            self._changed.wait_for(lambda: self._error or self._messages)
            if self._error:
                raise self._error
            tag, payload = self._messages.popleft()
            self._bytes -= len(payload)
            self._changed.notify_all()
            return tag, payload

    def close(self, error: BaseException) -> None:
        """Wake whoever waits: there is nothing more to come."""
        with self._changed:
            self._error = error
            self._changed.notify_all()


@dataclass(eq=False)
class Job:
    """One range: its packets come in, its samples go out."""

    index: int
    inbox: Inbox = field(default_factory=Inbox)
    outcome: "Future[Result]" = field(default_factory=Future)
    end: int | None = None  #: the range's end, once all of its messages were taken

    def take(self) -> tuple[Tag, Payload]:
        """Take the oldest message, and note where the range ends if it is the last."""
        tag, payload = self.inbox.get()
        if tag is Tag.DONE:
            self.end = DONE_ARGUMENTS.unpack(payload)[1]
        return tag, payload

    @property
    def start(self) -> int:
        """The range's first sample at 16 kHz."""
        return self.index * GRID


def decode_range(child: Child, job: Job) -> Result:
    """Let ``child`` decode the range. Raises `ChildLost`."""
    while job.end is None:
        child.send(*job.take())
    end = job.end
    tag, payload = child.receive()
    if tag is not Tag.RESULT:
        raise ChildLost("the decoder sent nonsense")
    try:
        return _result(payload, job.start, end)
    except (StructError, ValueError):
        raise ChildLost("the decoder sent nonsense") from None


def lose_range(job: Job, why: str) -> Result:
    """Return the range as missing, once its packets, of which nobody has use, have passed.

    They may have passed already: a decoder dies at the last of them, too.
    """
    while job.end is None:
        job.take()
    end = job.end
    missing = (Missing(job.start, end, why),) if end > job.start else ()
    return Result(Decoded(job.start, np.zeros(end - job.start, np.int16), missing), 0)


def _result(payload: Payload, start: int, end: int) -> Result:
    """Read what a child sent, believing none of it."""
    heard, count = RESULT_ARGUMENTS.unpack_from(payload)
    at = RESULT_ARGUMENTS.size
    missing, reached = [], start
    for _ in range(count):
        lost_from, lost_to, loss = LOSS.unpack_from(payload, at)
        at += LOSS.size
        if not reached <= lost_from < lost_to <= end:
            raise ValueError
        missing.append(Missing(lost_from, lost_to, REASONS[Loss(loss)]))
        reached = lost_to
    # Zeros cost no memory while nobody writes to them.
    samples = np.frombuffer(payload, "<i2", offset=at) if heard else np.zeros(end - start, np.int16)
    if len(samples) != end - start:
        raise ValueError
    return Result(Decoded(start, samples, tuple(missing)), heard)
