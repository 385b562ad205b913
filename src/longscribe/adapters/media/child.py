"""The program that meets hostile media: ``python -m longscribe.adapters.media.child``.

It runs in a process of its own, with an empty environment, and after its imports it can open nothing: no file, no
socket, no program; nor, where the kernel has Landlock, delete or rename a file or signal a process. All it has are
its two pipes. It ends when its parent does, for then its pipe ends.
"""

import os
import resource
import signal
from contextlib import suppress

from longscribe.adapters.media import decoding, demuxing, landlock
from longscribe.adapters.media.wire import FRAME, MAX_PAYLOAD, Payload, Tag

MEMORY_BYTES = 768 * 2**20
"""Address space, FFmpeg's libraries included (about 250 MB); promise: parent and children stay under 1 GiB."""

NOBODY = 65_534
"""The user and group that own nothing."""

CPU_SECONDS = 3600
"""A backstop behind the parent's deadlines: 48 hours of audio take some two minutes."""


class Pipes:
    """The child's end: stdin and stdout."""

    def send(self, tag: Tag, *parts: Payload | memoryview) -> None:
        """Send one message; raises `BrokenPipeError` when the parent is gone."""
        for part in (FRAME.pack(tag, sum(len(part) for part in parts)), *parts):
            view = memoryview(part)
            while view:
                view = view[os.write(1, view) :]

    def receive(self) -> tuple[Tag, Payload]:
        """Wait for one message. Raises `EOFError` when the parent is gone."""
        tag, length = FRAME.unpack(self._exactly(FRAME.size))
        if length > MAX_PAYLOAD:
            raise EOFError
        return Tag(tag), self._exactly(length)

    def _exactly(self, length: int) -> bytearray:
        buffer = bytearray(length)
        view, got = memoryview(buffer), 0
        while got < length:
            count = os.readv(0, [view[got:]])
            if not count:
                raise EOFError
            got += count
        return buffer


def confine() -> None:
    """Give up, for good, everything that decoding does not need."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the whole group; the parent decides
    landlock.give_up()  # before the limits: for a moment it takes an open file
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    if os.getuid() == 0:
        with suppress(PermissionError):  # root without the right to become another: it may not raise limits either
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)


def main() -> None:
    """Serve the parent until it is gone."""
    decoding.warm_up()
    confine()
    pipes = Pipes()
    try:
        tag, payload = pipes.receive()
        if tag is Tag.DEMUX:
            demuxing.serve(pipes, payload)
        else:
            decoding.serve(pipes, tag, payload)
    except (EOFError, BrokenPipeError):
        return


if __name__ == "__main__":
    main()
