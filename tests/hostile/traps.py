"""What a hostile file would like to reach: a server that notes every connection, files that note every opening."""

import contextlib
import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.hostile.recordings import recording

IN_OPEN = 0x20
"""inotify(7): a file in the watched directory was opened."""

_EVENT = struct.Struct("iIII")

SECRET = b"canary in a file that is not the recording"


@dataclass(frozen=True)
class Traps:
    """Where they are."""

    port: int  #: on 127.0.0.1, where something listens
    text: str  #: path of a text file
    sound: str  #: path of a recording

    @property
    def url(self) -> str:
        """What a playlist would fetch."""
        return f"http://127.0.0.1:{self.port}/part.ts"


class Set:
    """The traps, and what went into them."""

    def __init__(self, directory: Path) -> None:
        text, sound = directory / "secret.txt", directory / "other.wav"
        text.write_bytes(SECRET)
        sound.write_bytes(recording("wav", 2))
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.setblocking(False)
        self.traps = Traps(self._server.getsockname()[1], str(text), str(sound))
        libc = ctypes.CDLL(None, use_errno=True)
        self._watch = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._watch < 0 or libc.inotify_add_watch(self._watch, os.fsencode(directory), IN_OPEN) < 0:
            raise OSError(ctypes.get_errno(), "inotify")

    def sprung(self) -> list[str]:
        """Return what was reached since the last call."""
        return [*self._connections(), *self._openings()]

    def _connections(self) -> Iterator[str]:
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, peer = self._server.accept()
                connection.close()
                yield f"connection from {peer}"

    def _openings(self) -> Iterator[str]:
        with contextlib.suppress(BlockingIOError):
            while True:
                events, at = os.read(self._watch, 4096), 0
                while at < len(events):
                    length = _EVENT.unpack_from(events, at)[3]
                    at += _EVENT.size
                    if length:  # else the folder itself: another test run lists it when it tidies up
                        yield f"opening of {events[at : at + length].rstrip(bytes(1)).decode()}"
                    at += length

    def close(self) -> None:
        """Take them away."""
        self._server.close()
        os.close(self._watch)
