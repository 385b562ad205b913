"""What a child that decodes cannot do, each tried from inside; and what it costs when it tries."""

import mmap
import multiprocessing
import os
import resource
import signal
import socket
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from longscribe.adapters.media import child as media_child
from longscribe.adapters.media import landlock

Attempt = Callable[[Path, int], object]
"""Given a folder that anybody may write to, and the parent's process id."""


def fork(folder: Path, parent: int) -> None:
    if not os.fork():
        os._exit(0)


def thread(folder: Path, parent: int) -> None:
    started = threading.Thread(target=lambda: None)
    started.start()
    started.join()


def connect(family: int, address: object) -> Attempt:
    return lambda folder, parent: socket.socket(family, socket.SOCK_STREAM).connect(address)


ATTEMPTS: dict[str, Attempt] = {
    # files
    "read a file": lambda folder, parent: (folder / "precious").read_bytes(),
    "read a device": lambda folder, parent: os.open("/dev/zero", os.O_RDONLY),
    "read its own memory": lambda folder, parent: os.open("/proc/self/mem", os.O_RDONLY),
    "read the parent's environment": lambda folder, parent: Path(f"/proc/{parent}/environ").read_bytes(),
    "list a folder": lambda folder, parent: list(folder.iterdir()),
    "write a file": lambda folder, parent: (folder / "new").write_bytes(b"x"),
    "make a folder": lambda folder, parent: (folder / "new").mkdir(),
    "make a link": lambda folder, parent: (folder / "link").symlink_to("precious"),
    "make a second name": lambda folder, parent: os.link(folder / "precious", folder / "second"),
    "make a pipe with a name": lambda folder, parent: os.mkfifo(folder / "fifo"),
    "delete a file": lambda folder, parent: (folder / "precious").unlink(),
    "rename a file": lambda folder, parent: (folder / "precious").rename(folder / "mine"),
    "cut a file short": lambda folder, parent: os.truncate(folder / "precious", 0),
    "delete a folder": lambda folder, parent: (folder / "empty").rmdir(),
    "make a file in memory": lambda folder, parent: os.memfd_create("x"),
    # network
    "connect": connect(socket.AF_INET, ("127.0.0.1", 9)),
    "connect by the newer protocol": connect(socket.AF_INET6, ("::1", 9)),
    "connect to a local socket": connect(socket.AF_UNIX, "/dev/log"),
    "make two sockets": lambda folder, parent: socket.socketpair(),
    "look a name up": lambda folder, parent: socket.getaddrinfo("localhost", 80),
    # processes
    "fork": fork,
    "start a thread": thread,
    "start a program": lambda folder, parent: os.posix_spawn("/bin/true", ["true"], {}),
    "become a program": lambda folder, parent: os.execv("/bin/true", ["true"]),  # noqa: S606
    "make a pipe": lambda folder, parent: os.pipe(),
    "take a descriptor twice": lambda folder, parent: os.dup(0),
    "end its parent": lambda folder, parent: os.kill(parent, signal.SIGTERM),
    "raise its priority": lambda folder, parent: os.nice(-5),
    "become root": lambda folder, parent: os.setuid(0),
    # memory
    "take 2 GB": lambda folder, parent: bytearray(2 * 2**30),
    "map 2 GB": lambda folder, parent: mmap.mmap(-1, 2 * 2**30),
    # the limits themselves
    **{
        f"raise {name}": lambda folder, parent, limit=limit: resource.setrlimit(limit, (2**40, 2**40))
        for name, limit in {
            "the memory": resource.RLIMIT_AS,
            "the time": resource.RLIMIT_CPU,
            "the open files": resource.RLIMIT_NOFILE,
            "the processes": resource.RLIMIT_NPROC,
            "the files' size": resource.RLIMIT_FSIZE,
            "the core": resource.RLIMIT_CORE,
        }.items()
    },
}

TAKES_LANDLOCK = {
    "delete a file",
    "rename a file",
    "cut a file short",
    "delete a folder",
    "make a folder",
    "make a link",
    "make a second name",
    "make a pipe with a name",
    "end its parent",
}
"""What needs no open file: the user's own rights stand against it where the kernel has no Landlock."""


def in_a_child(do: Callable[[], None]) -> int:
    """Run it in a process of its own; return its exit code, or the negative of the signal that ended it."""
    child = os.fork()
    if not child:
        try:
            do()
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def attempt(name: str, folder: Path, parent: int, send: Connection) -> None:
    told = b"done"
    media_child.confine()
    try:
        ATTEMPTS[name](folder, parent)
    except (OSError, MemoryError, ValueError, RuntimeError) as error:
        told = type(error).__name__.encode()
    os.write(send.fileno(), told)
    os._exit(0)


SMALL = multiprocessing.get_context("forkserver")
SMALL.set_forkserver_preload([__name__])
"""Its processes are as small as a media child: that of the tests may hold more memory than one is allowed."""


def attempted(name: str, folder: Path) -> str:
    """Try it in a confined process; return what came of it."""
    receive, send = SMALL.Pipe(duplex=False)
    process = SMALL.Process(target=attempt, args=(name, folder, os.getpid(), send))
    process.start()
    send.close()
    process.join()
    with receive:
        return os.read(receive.fileno(), 100).decode()


def landlock_works() -> bool:
    return in_a_child(lambda: os._exit(0 if landlock.give_up() else 1)) == 0


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which whoever reaches it may do anything."""
    made = tmp_path_factory.mktemp("open")
    made.chmod(0o777)
    (made / "precious").write_bytes(b"precious")
    (made / "precious").chmod(0o666)
    (made / "empty").mkdir(mode=0o777)
    for above in [*made.parents][:-1]:
        if above.stat().st_uid == os.getuid() and "pytest" in above.name:
            above.chmod(above.stat().st_mode | 0o011)
    return made


@pytest.mark.parametrize("name", ATTEMPTS)
def test_a_confined_child_cannot(name: str, folder: Path) -> None:
    if name in TAKES_LANDLOCK and not landlock_works():
        pytest.skip("this kernel has no Landlock")
    before = sorted(path.name for path in folder.iterdir())
    assert attempted(name, folder) not in ("done", "")
    assert sorted(path.name for path in folder.iterdir()) == before
    assert (folder / "precious").read_bytes() == b"precious"


def test_its_processor_time_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_child, "CPU_SECONDS", 1)

    def spin() -> None:
        media_child.confine()
        while True:
            pass

    assert in_a_child(spin) in (-signal.SIGXCPU, -signal.SIGKILL)
