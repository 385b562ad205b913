"""What becomes of a hostile file: decoded, in part or refused; and what it cost."""

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from longscribe.adapters.media import pipeline
from longscribe.adapters.media.av_media import AvMedia
from longscribe.adapters.media.processes import Child
from longscribe.core.limits import GRID, MAX_RECORDING_SECONDS, SAMPLE_RATE
from longscribe.errors import BadInput
from longscribe.ports import Decoded
from tests.hostile.recordings import reader

CLASSIFIED_SECONDS = 30.0
MEMORY_BYTES = 2**30
"""What is promised of a file that means harm."""

LOOK_SECONDS = 0.01
"""Between two looks at the children's memory: less than it takes to fill 50 MB."""

SENTENCE = re.compile(r"[^\n]+[;,] [^\n]+\.")
"""What is wrong, and what to do."""


class Outcome(Enum):
    """How a file is classified."""

    WHOLE = "decoded whole"
    PARTIAL = "decoded, what is missing named"
    REFUSED = "refused"


@dataclass(frozen=True)
class Examined:
    """One file."""

    outcome: Outcome
    told: str  #: the refusal, or the reasons for what is missing
    seconds: float  #: from the start until all was decoded or refused
    memory: int  #: bytes that its media children held together, at most
    length: int = 0  #: seconds of the recording that were decoded or named as missing
    heard: bool = False  #: whether any sound came out


class _Memory(threading.Thread):
    """Watches how much memory the media children hold together: the sum of each one's own highest mark."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.children: set[Child] = set()
        self.most = 0
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(LOOK_SECONDS):
            self.most = max(self.most, sum(map(_highest, list(self.children))))

    def end(self) -> None:
        self._done.set()
        self.join()


def _highest(child: Child) -> int:
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{child.pid}/status").read_text()
        if found := re.search(r"VmHWM:\s+(\d+) kB", status):
            return int(found[1]) * 1024
    return 0


@contextlib.contextmanager
def _watched(memory: _Memory) -> Iterator[None]:
    class Watched(Child):
        def __init__(self) -> None:
            super().__init__()
            memory.children.add(self)

        def close(self) -> None:
            memory.children.discard(self)
            super().close()

    memory.start()
    pipeline.Child = Watched  # type: ignore[attr-defined]
    try:
        yield
    finally:
        pipeline.Child = Child  # type: ignore[attr-defined]
        memory.end()


def examine(data: bytes) -> Examined:
    """Decode a file, check what holds for any, and keep none of its sound."""
    memory = _Memory()
    began = time.monotonic()
    end, heard, reasons, refused = 0, False, set[str](), ""
    with _watched(memory):
        try:
            with AvMedia().decode(reader(data), len(data)) as ranges:
                for one in ranges:
                    assert one.start == end
                    assert 0 < len(one.samples) <= GRID
                    _check(one)
                    end += len(one.samples)
                    heard = heard or bool(one.samples.any())
                    reasons |= {loss.reason for loss in one.missing}
        except BadInput as refusal:
            refused = str(refusal)
    seconds = time.monotonic() - began
    if refused:
        assert SENTENCE.fullmatch(refused), refused
        assert end == 0 or re.search("lasts|over and over", refused), "nothing that was given is taken back"
    assert end <= MAX_RECORDING_SECONDS * SAMPLE_RATE + GRID
    outcome = Outcome.REFUSED if refused else Outcome.PARTIAL if reasons else Outcome.WHOLE
    told = refused or "; ".join(sorted(reasons))
    return Examined(outcome, told, seconds, memory.most, end // SAMPLE_RATE, heard)


def _check(one: Decoded) -> None:
    """Check that losses lie in their range, in order, and hold no sound."""
    bounds = [bound for loss in one.missing for bound in (loss.start, loss.end)]
    assert bounds == sorted(bounds)
    assert all(one.start <= bound <= one.start + len(one.samples) for bound in bounds)
    for loss in one.missing:
        assert loss.start < loss.end
        assert not one.samples[loss.start - one.start : loss.end - one.start].any()
