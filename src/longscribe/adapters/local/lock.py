"""The home's lock: one process works in a home at a time, and others can tell who it is."""

import fcntl
import os
import time
from pathlib import Path

import msgspec

from longscribe.errors import BadInput, Busy

NAME = "lock"

_TRIES, _PAUSE = 10, 0.02
# Whoever asks who is at work holds the lock for a moment.


class Holder(msgspec.Struct, frozen=True):
    """The process at work in a home."""

    pid: int
    since: float  #: seconds since 1970
    model: str  #: that it holds


def take(home: Path, model: str) -> int:
    """Take the home for this process; return the lock's descriptor: closed, as at the process's end, it is free.

    Raises `BadInput` for a home that cannot be made, `Busy` if another process is at work there.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(home / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BadInput(
            f"{home} cannot be written ({error.strerror}); choose another directory with --out."
        ) from None
    if not _locked(descriptor, fcntl.LOCK_EX, _TRIES):
        os.close(descriptor)
        raise Busy(f"Another longscribe is at work in {home}; wait for it, or choose another --out.") from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, msgspec.json.encode(Holder(os.getpid(), time.time(), model)), 0)
    return descriptor


def holder(home: Path) -> Holder | None:
    """Return who is at work in a home; None if nobody is."""
    try:
        descriptor = os.open(home / NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInput(f"{home / NAME} cannot be read ({error.strerror}); check its permissions.") from None
    try:
        if _locked(descriptor, fcntl.LOCK_SH, 1):
            return None
        return msgspec.json.decode(os.pread(descriptor, 65_536, 0), type=Holder)
    except msgspec.MsgspecError:  # it has the lock and has not told yet, or is of another version
        return Holder(0, 0.0, "")
    finally:
        os.close(descriptor)


def _locked(descriptor: int, kind: int, tries: int) -> bool:
    for left in reversed(range(tries)):
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except OSError:
            if left:
                time.sleep(_PAUSE)
        else:
            return True
    return False
