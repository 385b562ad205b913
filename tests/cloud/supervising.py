"""The platform's part in a death: it starts what died again."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from local_cloud.deployment import Service


@contextmanager
def supervised(service: Service) -> Iterator[list[int]]:
    """Start a service again whenever it dies, as the platform does; yields one entry for each time."""
    starts: list[int] = []
    stopping = threading.Event()

    def watch() -> None:
        while not stopping.wait(0.1):
            if not service.alive:
                starts.append(service.start().pid)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield starts
    finally:
        stopping.set()
        thread.join()
