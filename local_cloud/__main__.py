"""``make cloud``: the whole of it on this machine, until Ctrl-C."""

import os
import signal
import sys
import threading
from pathlib import Path

from local_cloud import deployment, emulators

MODEL = "base"
"""Comes from the package registry; ``make demo`` has put it together already."""


def main() -> int:
    """Print the variables and ``ready``, and run until stopped; return the exit code."""
    lacking = emulators.missing()
    if lacking:
        sys.stderr.write(f"The local cloud needs {'; '.join(lacking)}.\n")
        return 1
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    models = os.environ.get("LONGSCRIBE_MODELS") or str(cache / "longscribe")
    extra = {"LONGSCRIBE_MODEL": MODEL, "LONGSCRIBE_MODELS": models}
    with emulators.running() as hosts, deployment.running(hosts, sys.stderr.buffer, extra) as cloud:
        for name, value in cloud.environment().items():
            print(f"export {name}={value}")
        print("ready", flush=True)
        stopped.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
