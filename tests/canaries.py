"""Looks through everything that is logged while tests run, for words of what was said, named or set.

Every line of `longscribe.observe.Log`, of Python's ``logging``, and all that functions and workers print on the
emulators is a log: no canary may be in it. What a command says on stderr is for the person whose recordings they
are: it names them, but never tells what was said in them. A canary fails the test that it was logged in, or right
after.
"""

import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, TextIO

import pytest

from longscribe import observe

SAID = r"\bw\d{3}\b|\b(?:breakfast|remembers|children)\b"
"""What the stand-ins say (`tests.standins.word`), and words of `tests.voices.SENTENCES` that we would not use."""

GIVEN = r"canary|\btalk\b|\binterview|\bNairobi\b|\bkubectl\b|\bGrace\b|unverwechselbar"
"""Names, settings and vocabulary of the recordings in tests."""


@dataclass(frozen=True)
class Line:
    """One that was logged, or said on a console."""

    source: str
    text: str
    forbidden: str = f"{SAID}|{GIVEN}"

    @property
    def canary(self) -> str | None:
        """The first one in it."""
        found = re.search(self.forbidden, self.text, re.IGNORECASE)
        return found[0] if found else None


class Canaries(logging.Handler):
    """A plugin of pytest that sees every line."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0
        self._lines: list[Line] = []
        self._files: dict[int, int] = {}  # how far each followed file was read, by a descriptor of ours

    def see(self, source: str, text: str) -> None:
        """Take some lines of a log."""
        self._lines += [Line(source, line) for line in text.splitlines()]

    def hear(self, said: str) -> None:
        """Take what a command said on stderr."""
        self._lines += [Line("stderr", line, SAID) for line in said.splitlines()]

    def follow(self, log: IO[bytes]) -> None:
        """Take whatever is written to a file from now on."""
        if not any(os.path.samestat(os.fstat(known), os.fstat(log.fileno())) for known in self._files):
            # It may be open for writing alone, and closed before it is looked at.
            self._files[os.open(f"/proc/self/fd/{log.fileno()}", os.O_RDONLY)] = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record of Python's own logging."""
        self.see(f"logger {record.name}", self.format(record))

    def taken(self) -> Iterator[Line]:
        """Yield what was logged since the last time."""
        for file, begun in self._files.items():
            printed = os.pread(file, os.fstat(file).st_size - begun, begun)
            whole = printed.rfind(b"\n") + 1  # the last line may still be being written
            self._files[file] = begun + whole
            self.see("printed", printed[:whole].decode(errors="replace"))
        while self._lines:
            self.total += 1
            yield self._lines.pop(0)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """Fail a test if a canary was logged in it."""
        lines = list(self.taken())
        if lines:
            item.user_properties.append(("lines logged", len(lines)))
        leaks = [line for line in lines if line.canary]
        if leaks:
            shown = "\n".join(f"{line.source}: {line.canary!r} in {line.text}" for line in leaks)
            pytest.fail(f"What nobody may log was logged:\n{shown}", pytrace=False)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say how much was looked through."""
        terminalreporter.write_line(f"{self.total} lines of logs looked through")


CANARIES = Canaries()


class _Seen:
    """A stream that shows what is written to it."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        CANARIES.see("log", text)
        (self._stream or sys.stdout).write(text)

    def flush(self) -> None:
        (self._stream or sys.stdout).flush()


def install(config: pytest.Config) -> None:
    """Begin to look."""
    config.pluginmanager.register(CANARIES)
    logging.getLogger().addHandler(CANARIES)
    begin = observe.Log.__init__

    def begun(log: observe.Log, component: str, now: Callable[[], float], stream: TextIO | None = None) -> None:
        begin(log, component, now, _Seen(stream))

    observe.Log.__init__ = begun
