"""A worker whose recogniser is a stand-in: each window's one word is a digest of its samples.

So the transcript tells whether every window was heard once, whole and in order, at no cost. Everything else is the
real worker. ``SECONDS`` in the environment is what each window takes; a window whose digest begins with what
``POISON`` says kills the process, as a crash in native code would; ``SALT`` changes all digests, as another version
of a model would; ``LEASE`` is how many seconds a lease lasts.
"""

import hashlib
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence

from longscribe import wiring_cloud
from longscribe.adapters.media.av_media import AvMedia
from longscribe.core import limits
from longscribe.core.limits import SAMPLE_RATE
from longscribe.messages import WindowResult, Word
from longscribe.observe import Log
from longscribe.ports import WindowAudio
from longscribe.services.working import Working, serve
from longscribe.stages.worker import WorkerPorts


class Hashing:
    """The recogniser."""

    compute_type = "none"
    device = "cpu"
    lanes = 2
    at_once = 2
    batch = 4

    def __init__(self, model: str, variables: Mapping[str, str]) -> None:
        self.model = model
        self._seconds = float(variables.get("SECONDS", "0"))
        self._poison = variables.get("POISON", "")
        self._salt = variables.get("SALT", "").encode()

    def knows(self, language: str) -> bool:
        return True

    def recognise(self, windows: Sequence[WindowAudio]) -> list[WindowResult]:
        time.sleep(self._seconds * len(windows))
        heard = []
        for window in windows:
            digest = hashlib.sha256(self._salt + window.samples.tobytes()).hexdigest()[:12]
            if self._poison and digest.startswith(self._poison):
                os.kill(os.getpid(), signal.SIGKILL)
            end = min(len(window.samples), SAMPLE_RATE)
            heard.append(WindowResult((Word(0, end, f" {digest}", 0.9),), window.language or "en", 0.99, -0.1))
        return heard


def main() -> int:
    limits.LEASE_SECONDS = float(os.environ.get("LEASE", limits.LEASE_SECONDS))
    read = wiring_cloud.environment(os.environ)
    there = wiring_cloud.stores(read)
    recogniser = Hashing(read.model, os.environ)
    ports = WorkerPorts(there.blobs, there.queue, there.jobs, AvMedia(), recogniser, f"hash-{os.getpid()}", "test")
    return serve(Working(ports, there.clock, Log("worker", there.clock.now), 2**60), read.health_port)


if __name__ == "__main__":
    sys.exit(main())
