"""The worker as a service: the pull loop, a health endpoint, an orderly end.

Nothing relies on that end: a worker that is killed loses its leases, no more. But one that is asked to stop gives
them back at once, and one whose memory has grown is exchanged for a fresh one between two chunks. One that is stuck
ends by itself: not every platform asks for its health.
"""

import os
import signal
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType

from longscribe.core import limits
from longscribe.documents import Worker
from longscribe.errors import Transient
from longscribe.messages import ChunkResult, ChunkTask
from longscribe.observe import Log, Severity
from longscribe.ports import Clock
from longscribe.pulling import PullLoop
from longscribe.stages.worker import WorkerPorts

GRACE_SECONDS = 8.0
"""What a stopping worker gives its batches: the platform kills it after 10 s."""

WATCH_SECONDS = 5.0
"""Between two looks at the memory."""

AWAY_SECONDS = 5.0
"""Until a queue that failed is asked again."""

REPORT_SECONDS = 60.0
"""Between two reports to the documents: one write each."""

STUCK_SECONDS = 300.0
"""After this long without a pull or a finished batch the worker is stuck, and ends: the longest batch takes a few
seconds on a GPU, and minutes of a large model on a CPU."""

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Working:
    """Runs a pull loop until it is told to end."""

    def __init__(
        self,
        ports: WorkerPorts,
        clock: Clock,
        log: Log,
        memory_bytes: int,
        resident: Callable[[], int] | None = None,
        leases: int = limits.LEASES,
    ) -> None:
        """Exchange the process when ``resident`` (its own memory, in bytes) exceeds ``memory_bytes``."""
        self._ports = ports
        self._clock = clock
        self._began = clock.now()
        self._log = log
        self._memory_bytes = memory_bytes
        self._resident = resident or resident_bytes
        self._ending = threading.Event()
        self._leases = leases
        self._loop = self._new_loop()
        self._died: BaseException | None = None
        self._draining = False

    def end(self, *_: int | FrameType | None) -> None:
        """Ask `run` to return within `GRACE_SECONDS`: a signal handler."""
        self._ending.set()

    @property
    def well(self) -> bool:
        """Whether chunks are pulled, or a batch has ended, in the last minutes."""
        return self._clock.now() - self._loop.progressed < STUCK_SECONDS

    def run(self) -> int:
        """Work; return the process's exit code."""
        thread = threading.Thread(target=self._work, name="pull-loop", daemon=True)
        thread.start()
        reported = 0.0
        while thread.is_alive() and not self._ending.wait(WATCH_SECONDS):
            if self._clock.now() - reported >= REPORT_SECONDS:
                reported = self._clock.now()
                self._report()
            if not self.well:
                self._log("Nothing moves any more: the worker ends for a fresh one", Severity.ERROR)
                self._loop.abandon()
                return 1
            if self._resident() > self._memory_bytes and not self._draining:
                self._log("The memory has grown: the worker ends for a fresh one")
                self._draining = True
                self._loop.drain()
        self._loop.stop()
        thread.join(GRACE_SECONDS)
        if thread.is_alive():
            self._log("The batches under way take too long: their chunks are given back")
            self._loop.abandon()
        if self._died is not None:
            self._log.failure("The worker died", self._died, Severity.ERROR)
        return 0 if self._died is None else 1

    def _work(self) -> None:
        while True:
            try:
                return self._loop.run()
            except Transient as error:  # Pub/Sub is away for a while; the model stays loaded
                self._failed(error)
                self._loop.abandon()
                self._ending.wait(AWAY_SECONDS)
                self._loop = self._new_loop()
                # Whoever asked meanwhile asked the old one.
                if self._draining or self._ending.is_set():
                    return None
            except BaseException as error:
                self._died = error
                return None

    def _new_loop(self) -> PullLoop:
        return PullLoop(self._ports, self._clock, self._failed, self._leases, self._heard)

    def _report(self) -> None:
        recogniser = self._ports.recogniser
        try:
            self._ports.jobs.report(
                Worker(self._ports.worker, recogniser.model, recogniser.device, self._loop.pulled, self._began)
            )
        except Exception as error:  # the next report comes in a minute
            self._failed(error)

    def _heard(self, task: ChunkTask, result: ChunkResult) -> None:
        provenance = result.provenance
        seconds = task.speech / limits.SAMPLE_RATE
        self._log(
            "A chunk was heard",
            job=task.job_id,
            chunk=task.index,
            run=task.run,
            attempt=provenance.attempt,
            seconds=round(seconds, 1),
            speed=round(seconds / provenance.device_seconds, 1) if provenance.device_seconds else None,
            worker=provenance.worker,
        )

    def _failed(self, error: Exception) -> None:
        self._log.failure("A step failed and is tried again", error, worker=self._ports.worker)


class Health:
    """Answers ``GET /healthz``: 200 while the worker is well, 503 when it is stuck."""

    def __init__(self, port: int, well: Callable[[], bool]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(404 if self.path != "/healthz" else 200 if well() else 503)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Keep probes out of the log."""

        self._server = ThreadingHTTPServer(("", port), Handler)
        self.port = self._server.server_address[1]

    def __enter__(self) -> "Health":
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def resident_bytes(statm: Path = Path("/proc/self/statm")) -> int:
    """Return how much memory this process holds (Linux)."""
    return int(statm.read_text().split()[1]) * PAGE_BYTES


def serve(working: Working, port: int) -> int:
    """Run until SIGTERM or Ctrl-C, answering for its health; return the exit code."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, working.end)
    with Health(port, lambda: working.well):
        return working.run()
