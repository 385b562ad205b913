"""The parent's hold on its children: started bare, talked to under a deadline, always killed and reaped."""

import os
import select
import subprocess
import sys
from pathlib import Path

from longscribe.adapters.media.wire import FRAME, MAX_PAYLOAD, Payload, Tag

PATIENCE_SECONDS = 20.0
"""How long a child may work without taking or giving a byte; some 1,000 times what a range's packets take."""

PROMPT_SECONDS = 1.0
"""Most waits end before; only of a longer one is it asked what the child does."""

STARVED_SECONDS = 5.0
"""Processor time below which a child that wants to run and shows nothing was not let run: the machine is busy. To
start takes it a second or two."""


class ChildLost(Exception):
    """The child died, hung or talks nonsense; the text says which."""


class ChildHung(ChildLost):
    """The child made no progress, and would make none another time."""

    def __init__(self) -> None:
        super().__init__(f"the decoder made no progress for {PATIENCE_SECONDS:g} s")


class Child:
    """One decoding process. One thread owns it; only `kill` may be called by others."""

    def __init__(self) -> None:
        # No variable of ours reaches it but where Python finds its modules.
        environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONDONTWRITEBYTECODE": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "longscribe.adapters.media.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd="/",
            bufsize=0,
        )
        if not (self._process.stdin and self._process.stdout):
            raise ChildLost("the decoder has no pipes")
        self._in, self._out = self._process.stdin, self._process.stdout
        os.set_blocking(self._in.fileno(), False)
        os.set_blocking(self._out.fileno(), False)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def send(self, tag: Tag, *parts: Payload) -> None:
        """Send one message. Raises `ChildLost`."""
        for part in (FRAME.pack(tag, sum(len(part) for part in parts)), *parts):
            view = memoryview(part)
            while view:
                self._await(self._in.fileno(), select.POLLOUT)
                try:
                    view = view[os.write(self._in.fileno(), view) :]
                except BlockingIOError:  # pragma: no cover - a poll that promised too much
                    continue
                except BrokenPipeError:
                    raise ChildLost(self._epitaph()) from None

    def receive(self) -> tuple[Tag, Payload]:
        """Wait for one message. Raises `ChildLost`."""
        tag, length = FRAME.unpack(self._exactly(FRAME.size))
        if length > MAX_PAYLOAD:
            raise ChildLost("the decoder sent nonsense")
        try:
            return Tag(tag), self._exactly(length)
        except ValueError:
            raise ChildLost("the decoder sent nonsense") from None

    def kill(self) -> None:
        """End the process now."""
        self._process.kill()

    def close(self) -> None:
        """End the process and reap it."""
        self._process.kill()
        self._process.wait()
        self._in.close()
        self._out.close()

    def _exactly(self, length: int) -> bytearray:
        buffer = bytearray(length)
        view, got = memoryview(buffer), 0
        while got < length:
            self._await(self._out.fileno(), select.POLLIN)
            count = os.readv(self._out.fileno(), [view[got:]])
            if not count:
                raise ChildLost(self._epitaph())
            got += count
        return buffer

    def _await(self, descriptor: int, event: int) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        if poll.poll(PROMPT_SECONDS * 1000):
            return
        before = processor_seconds(self.pid)
        while not poll.poll(PATIENCE_SECONDS * 1000):
            if state(self.pid) not in "RD" or not self.starved(before):
                raise ChildHung

    def starved(self, before: float) -> bool:
        """Return whether it was hardly let run since it had used ``before`` seconds of processor time."""
        return processor_seconds(self.pid) - before < STARVED_SECONDS

    def _epitaph(self) -> str:
        try:
            status = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return "the decoder closed its pipe"
        return f"the decoder was ended by signal {-status}" if status < 0 else "the decoder gave up"


def state(pid: int, proc: Path = Path("/proc")) -> str:
    """Return the letter for what a process does: R wants to run, D waits for a disk; ? where there is no /proc."""
    fields = _stat(pid, proc)
    return fields[0] if fields else "?"


def processor_seconds(pid: int, proc: Path = Path("/proc")) -> float:
    """Return how long a process has run on a processor, 0.0 where there is no /proc."""
    fields = _stat(pid, proc)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def _stat(pid: int, proc: Path) -> list[str]:
    """Return the fields of a process's stat (man 5 proc) from its state on."""
    try:
        return (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
