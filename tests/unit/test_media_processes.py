"""A decoder that is not let run is not taken for one that hangs."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from longscribe.adapters.media import pipeline, processes
from longscribe.adapters.media.av_media import AvMedia
from longscribe.adapters.media.processes import PATIENCE_SECONDS, Child, ChildLost, processor_seconds, state
from longscribe.adapters.media.read_ahead import BLOCK_BYTES, FIRST_BLOCK_BYTES
from longscribe.adapters.media.wire import DEMUX_ARGUMENTS, READ_ARGUMENTS, Tag
from longscribe.core.limits import SAMPLE_RATE
from longscribe.errors import BadInput
from tests.unit.test_media import LONG_SECONDS, long_recording

TICKS = os.sysconf("SC_CLK_TCK")


def test_what_a_process_does_is_read_from_proc(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "stat").write_text(f"7 (a) b) R {'1 ' * 10}{TICKS * 2} {TICKS} 0 0\n")
    assert state(7, tmp_path) == "R"
    assert processor_seconds(7, tmp_path) == 3.0


def test_without_proc_nothing_is_known(tmp_path: Path) -> None:
    assert state(7, tmp_path) == "?"
    assert processor_seconds(7, tmp_path) == 0.0


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PROMPT_SECONDS", 0.1)
    monkeypatch.setattr(processes, "PATIENCE_SECONDS", 0.3)


def test_a_sleeping_child_is_lost(impatient: None) -> None:
    child = Child()
    try:
        while state(child.pid) != "S":  # started, and waiting for us
            time.sleep(0.05)
        with pytest.raises(ChildLost, match="no progress"):
            child.receive()
    finally:
        child.close()


def test_a_child_that_was_not_let_run_is_waited_for(impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    child = Child()
    os.kill(child.pid, signal.SIGSTOP)
    monkeypatch.setattr(processes, "state", lambda pid: "R")  # it would run if it were let
    starter = subprocess.Popen(
        [sys.executable, "-c", f"import os, time; time.sleep(2); os.kill({child.pid}, {signal.SIGCONT.value})"]
    )
    try:
        child.send(Tag.DEMUX, DEMUX_ARGUMENTS.pack(10, 0))
        assert child.receive()[0] is Tag.READ
    finally:
        child.close()
        starter.wait()


def test_a_busy_child_is_lost_once_it_had_its_time(impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    used = iter((0.0, 1.0, 6.0))
    monkeypatch.setattr(processes, "state", lambda pid: "R")
    monkeypatch.setattr(processes, "processor_seconds", lambda pid: next(used))
    child = Child()
    try:
        with pytest.raises(ChildLost, match="no progress"):
            child.receive()
    finally:
        child.close()
    assert next(used, None) is None


class Scanning:
    """A demuxer that takes a second before each of thirty reads of 2 MiB, and has found its place then."""

    pid = os.getpid()
    now = 0.0

    def __init__(self) -> None:
        self._reads = iter(range(30))

    def send(self, tag: Tag, data: bytes) -> None:
        pass

    def receive(self) -> tuple[Tag, bytes]:
        Scanning.now += 1.0
        number = next(self._reads, None)
        if number is None:
            return Tag.END, b""
        return Tag.READ, READ_ARGUMENTS.pack(FIRST_BLOCK_BYTES + number % 10 * BLOCK_BYTES, BLOCK_BYTES)

    def starved(self, before: float) -> bool:
        return False

    def close(self) -> None:
        pass


def decoded(size: int, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    monkeypatch.setattr(pipeline, "Child", Scanning)
    monkeypatch.setattr(pipeline, "time", SimpleNamespace(monotonic=lambda: Scanning.now))
    decoding = pipeline.Pipeline(lambda start, end: bytes(end - start), size, first=5, workers=0)
    try:
        return list(decoding)
    finally:
        decoding.close()


def test_a_demuxer_that_looks_for_its_place_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert PATIENCE_SECONDS < 30
    assert decoded(31 * BLOCK_BYTES, monkeypatch) == []


def test_a_demuxer_that_hangs_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    demuxers: list[Child] = []

    class Noted(Child):
        def send(self, tag: Tag, *parts: bytes) -> None:
            demuxers.extend([self] if tag is Tag.DEMUX else [])
            super().send(tag, *parts)

    monkeypatch.setattr(pipeline, "Child", Noted)
    data, found = long_recording(), []
    with AvMedia().decode(lambda start, end: data[start:end], len(data)) as ranges:
        found.append(next(ranges))
        os.kill(demuxers[0].pid, signal.SIGSTOP)
        monkeypatch.setattr(processes, "PROMPT_SECONDS", 0.1)
        monkeypatch.setattr(processes, "PATIENCE_SECONDS", 0.3)
        found += ranges
    assert len(demuxers) == 1
    assert sum(len(one.samples) for one in found) == LONG_SECONDS * SAMPLE_RATE
    assert found[-1].missing[-1].reason == "the file is damaged here"


def test_one_that_reads_in_circles_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="no progress"):
        decoded(11 * BLOCK_BYTES, monkeypatch)
