"""Structured logs: one JSON object a line, as Cloud Logging reads them, and nothing of what people said or named.

Only the fields of `Fields` can be logged: ids, counts, times and states of our own. Object names, metadata, text
and the words of errors (which may quote them) never are: of an error its kind and the place where it was raised.
"""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TextIO, TypedDict, Unpack


class Severity(StrEnum):
    """How much it matters, in Cloud Logging's words."""

    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class Fields(TypedDict, total=False):
    """What may be logged; None is left out."""

    job: str | None  #: its id
    chunk: int | None
    run: int | None
    attempt: int
    state: str  #: of a job
    outcome: str  #: what became of a message
    count: int
    seconds: float
    speed: float | None  #: × real time
    waiting: int  #: chunks
    instances: int | None
    model: str
    device: str
    worker: str
    error: str  #: the kind of an error
    where: str  #: module and line that raised it


_NAMES = tuple(Fields.__annotations__)


class Log:
    """Writes lines for one component."""

    def __init__(self, component: str, now: Callable[[], float], stream: TextIO | None = None) -> None:
        """``now`` gives seconds since 1970; ``stream`` is stdout if none is given."""
        self._component = component
        self._now = now
        self._stream = stream

    def __call__(self, message: str, severity: Severity = Severity.INFO, **fields: Unpack[Fields]) -> None:
        """Write one line; ``message`` is a constant of ours."""
        line = {
            "severity": severity,
            "time": datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds"),
            "component": self._component,
            "message": message,
            **{
                name: value
                for name, value in fields.items()
                if name in Fields.__annotations__ and value is not None
            },
        }
        stream = self._stream or sys.stdout
        stream.write(f"{json.dumps(line)}\n")  # in one piece: other threads log too
        stream.flush()

    def failure(
        self,
        message: str,
        failed: BaseException,
        severity: Severity = Severity.WARNING,
        **fields: Unpack[Fields],
    ) -> None:
        """Write one line about an error, without its words."""
        fields["error"] = type(failed).__name__
        fields["where"] = _where(failed)
        self(message, severity, **fields)


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "unknown"
    return f"{Path(trace.tb_frame.f_code.co_filename).stem}:{trace.tb_lineno}"
