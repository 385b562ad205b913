"""A folder that people put files into: listed and opened without following a link, and asked who still writes."""

import errno
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

_REMOTE = re.compile(r"nfs4?|cifs|smb3?|9p|ceph|afs|fuse.*")
# Kinds of file systems on which others may write without this machine knowing.


@dataclass(frozen=True)
class Mark:
    """What changes with a file's content."""

    size: int  #: bytes
    changed: int  #: nanoseconds since 1970
    inode: int


def mark(found: os.stat_result) -> Mark:
    """Return the mark of a file."""
    return Mark(found.st_size, found.st_mtime_ns, found.st_ino)


def listing(root: Path, on_error: Callable[[OSError], None]) -> Iterator[tuple[str, Mark]]:
    """Yield every plain file below ``root`` as its path from there, in no order.

    Links and what is neither file nor folder are passed over. A folder that cannot be read is told to ``on_error``;
    what vanished meanwhile is not there.
    """
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        try:
            with os.scandir(root / prefix) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(f"{prefix}{entry.name}/")
                    elif entry.is_file(follow_symlinks=False):
                        with suppress(FileNotFoundError):
                            yield f"{prefix}{entry.name}", mark(entry.stat(follow_symlinks=False))
        except FileNotFoundError:
            continue
        except OSError as error:
            on_error(error)


@contextmanager
def parent(root: Path, name: str) -> Iterator[tuple[int, str]]:
    """Lend the folder that ``name`` lies in, as a descriptor, and the last part of the name.

    No link below ``root`` is followed on the way. Raises `FileNotFoundError` for what is no path below ``root``.
    """
    *folders, last = name.split("/")
    if any(part in ("", ".", "..") for part in (*folders, last)) or not fits(name):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    descriptor = os.open(root, _DIRECTORY)
    try:
        for folder in folders:
            below = os.open(folder, _DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor, last
    finally:
        os.close(descriptor)


def fits(name: str) -> bool:
    """Return whether the system can take this text for a name at all."""
    try:
        return "\0" not in name and bool(os.fsencode(name))
    except UnicodeEncodeError:
        return False


def written(root: Path, name: str, seen: Mark, ask: bool) -> bool | None:
    """Return whether a file is open for writing, or no longer what was ``seen``; None where that cannot be told.

    If told to ``ask``, asks the kernel for a read lease, which it grants only while nobody writes. That needs
    Linux, a local file system, and a file of one's own (or the right ``CAP_LEASE``). Raises `OSError` for a file
    that cannot be opened.
    """
    with parent(root, name) as (folder, last):
        descriptor = os.open(last, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or mark(found) != seen:
                return True
            return _leased(descriptor) if ask else None
        finally:
            os.close(descriptor)


def _leased(descriptor: int) -> bool | None:
    if sys.platform != "linux":
        return None
    import fcntl
    import signal

    try:
        # Whoever opens the file for writing in this moment makes the kernel tell us, by a signal that is ignored.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    return False


def remote(device: int, mounts: str) -> bool:
    """Return whether a device is one that other machines write to; ``mounts`` is Linux's table of them.

    There a lease may be refused though nobody writes, or be granted though another machine does.
    """
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) > 2 and kind and fields[2] == wanted:
            return _REMOTE.fullmatch(kind[0]) is not None
    return False
