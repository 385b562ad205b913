"""What the tests' child processes do. They are killed, or run out of disk, so that nothing of the test's own is."""

import multiprocessing
import os
import resource
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from longscribe.adapters.local.files import Files
from longscribe.adapters.local.queue import SqliteQueue, Subscription
from longscribe.errors import LongscribeError
from tests.contract.clocks import ManualClock

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.contract.children"])

SUBSCRIPTIONS = (Subscription("tasks", "tasks", 60.0),)


class Child:
    """A process that reports through a pipe until it ends or is killed."""

    def __init__(self, work: Callable[..., None], *arguments: object) -> None:
        self._reports, theirs = CONTEXT.Pipe(duplex=False)
        self._process = CONTEXT.Process(target=work, args=(theirs, *arguments))
        self._process.start()
        theirs.close()

    def first(self) -> object:
        """Wait for one report."""
        return self._reports.recv()

    def kill(self) -> list[object]:
        """Kill it with SIGKILL; return what it had reported."""
        self._process.kill()
        return self.rest()

    def rest(self) -> list[object]:
        """Return its reports until it ends."""
        reports = []
        with suppress(EOFError, OSError):  # its end, or a report cut short by the kill
            while True:
                reports.append(self._reports.recv())
        self._process.join()
        self._reports.close()
        return reports


def replace_for_ever(reports: Connection, root: Path, size: int) -> None:
    files = Files({"bucket": root})
    for number in range(1_000_000):
        files.replace("bucket", "a.bin", bytes([number % 251]) * size)
        files.create("bucket", f"made/{number}.bin", bytes([number % 251]) * size)
        reports.send(number)


def create_all(reports: Connection, root: Path, mark: int, count: int) -> None:
    files = Files({"bucket": root})
    reports.send([files.create("bucket", f"{number}.bin", bytes([mark]) * 9_000) for number in range(count)])


def write_without_space(reports: Connection, root: Path, limit: int) -> None:
    files = Files({"bucket": root})
    old = files.create("bucket", "old.bin", b"old")
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for write in (files.create, files.replace):
        for name in ("old.bin", "new.bin"):
            try:
                reports.send((write.__name__, name, write("bucket", name, b"x" * (limit + 1)) == old))
            except LongscribeError as error:
                reports.send((write.__name__, name, (type(error).__name__, str(error))))


def read_without_rights(reports: Connection, directory: Path, name: str) -> None:
    if os.geteuid() == 0:  # root may read everything
        os.setgid(65534)
        os.setuid(65534)
    for call in (
        lambda: Files({}).stat(str(directory), name),
        lambda: list(Files({}).names(str(directory))),
        lambda: Files({"bucket": directory}).create("bucket", "new.bin", b""),
        lambda: list(Files({"bucket": directory}).names("bucket")),
        lambda: SqliteQueue(directory / "queue.sqlite", SUBSCRIPTIONS, ManualClock()),
        lambda: SqliteQueue(directory / "deeper" / "queue.sqlite", SUBSCRIPTIONS, ManualClock()),
    ):
        try:
            call()
            reports.send("no error")
        except LongscribeError as error:
            reports.send((type(error).__name__, str(error)))


def publish_for_ever(reports: Connection, path: Path, first: int) -> None:
    queue = SqliteQueue(path, SUBSCRIPTIONS, ManualClock())
    for number in range(first, first + 1_000_000):
        queue.publish("tasks", b"%d" % number * 500)
        reports.send(number)


def acknowledge_for_ever(reports: Connection, path: Path) -> None:
    queue = SqliteQueue(path, SUBSCRIPTIONS, ManualClock())
    while deliveries := queue.pull("tasks", 4):
        for delivery in deliveries:
            queue.acknowledge("tasks", [delivery.lease])
            reports.send(delivery.data)


def publish_and_pull(reports: Connection, path: Path, mark: int, count: int) -> None:
    """Open a file that may not be there yet, at the same moment as others do."""
    queue = SqliteQueue(path, SUBSCRIPTIONS, ManualClock())
    taken = []
    for number in range(count):
        queue.publish("tasks", b"%d.%d" % (mark, number))
        deliveries = queue.pull("tasks", 2)
        queue.acknowledge("tasks", [delivery.lease for delivery in deliveries])
        taken += [delivery.data for delivery in deliveries]
    queue.close()
    reports.send(taken)


def publish_without_space(reports: Connection, path: Path, limit: int) -> None:
    queue = SqliteQueue(path, SUBSCRIPTIONS, ManualClock())
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    published = 0
    try:
        while True:
            queue.publish("tasks", b"%d" % published * 500)
            published += 1
    except LongscribeError as error:
        reports.send((type(error).__name__, str(error)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    queue.publish("tasks", b"room again")
    reports.send(published)
