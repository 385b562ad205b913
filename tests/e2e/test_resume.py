"""Interrupted, the same command goes on: nothing finished is done again, and the transcript is the same."""

import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from longscribe.adapters.local.jobs import SqliteJobs
from longscribe.core.limits import LEASE_SECONDS
from longscribe.core.settings import Settings
from longscribe.documents import ChunkState
from longscribe.embedded import Embedded
from tests.e2e.commands import run, sentences, start, tone_machine, transcripts, with_tones
from tests.e2e.conftest import Command, Finished
from tests.standins import SystemClock, ToneRecogniser, spoken, words
from tests.tiers import units

COUNT = 400
SECONDS = 0.4
"""That each call of the recogniser takes: 32 to 40 chunks, eight at once, in about two seconds."""


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("uploads") / "talk.pcm"
    path.write_bytes(spoken(COUNT).tobytes())
    return path


@pytest.fixture(scope="module")
def whole(talk: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The transcript of a run that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole")
    done = run(command(talk, out, out / "log", 0.0))
    assert done.returncode == 0, done.stderr
    found = transcripts(out, "talk")
    assert found["txt"].split() == words(COUNT)
    return found


def command(talk: Path, out: Path, log: Path, seconds: float = SECONDS, *more: str) -> list[str]:
    return with_tones(
        log, seconds, "transcribe", talk, "--out", out, "--language", "en", "--chunk-length", 10, *more
    )


def heard(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def finished(out: Path) -> set[str]:
    """The text of every chunk whose result is stored."""
    path = out / ".longscribe" / "jobs.sqlite"
    if not path.exists():
        return set()
    jobs = SqliteJobs(path, SystemClock())
    try:
        return {
            "".join(window.text for window in chunk.result.windows).strip()
            for job in jobs.jobs()
            for chunk in jobs.chunks(job.job_id)
            if chunk.state is ChunkState.DONE and chunk.result is not None
        }
    finally:
        jobs.close()


def wait_for(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + 20
    while not condition() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.005)


def test_killed_at_random_moments(
    talk: Path, whole: dict[str, str], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    for seed in units(1):
        kills, slowest = killed_at_random_moments(talk, whole, tmp_path / str(seed), seed)
        record_property("kills", kills)
        record_property("most seconds from a start to the next window heard", slowest)


def killed_at_random_moments(talk: Path, whole: dict[str, str], out: Path, seed: int) -> tuple[int, float]:
    """Kill the command five times and let it end; return how many died of it, and how long a resumption took."""
    out.mkdir()
    log = out / "log"
    moments = random.Random(seed)
    kept: list[tuple[int, set[str]]] = []
    kills, slowest = 0, 0.0
    for number in range(5):
        before = len(heard(log))
        process = start(command(talk, out, log))
        began = time.monotonic()
        if moments.random() < 0.7:  # at work; else while starting up
            wait_for(lambda before=before: len(heard(log)) > before, process)  # type: ignore[misc]
            slowest = max(slowest, time.monotonic() - began)
        if number == 3:  # one of them has something to lose
            wait_for(lambda: bool(finished(out)), process)
        time.sleep(moments.uniform(0, 0.4))
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        kept.append((len(heard(log)), finished(out)))
    assert kills >= 3
    assert slowest < LEASE_SECONDS + 5
    done = run(command(talk, out, log))
    assert done.returncode == 0, done.stderr
    assert transcripts(out, "talk") == whole
    lines = heard(log)
    assert any(texts for _, texts in kept)
    for position, texts in kept:
        assert texts.isdisjoint(lines[position:])
    return kills, slowest


def test_interrupted_with_ctrl_c(talk: Path, whole: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = start(command(talk, tmp_path, log))
    wait_for(lambda: bool(finished(tmp_path)), process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "the same command goes on from here" in stderr
    assert "Traceback" not in stderr
    assert not (tmp_path / "talk.txt").exists()
    stored = finished(tmp_path)
    position = len(heard(log))
    done = run(command(talk, tmp_path, log))
    assert done.returncode == 0, done.stderr
    assert stored
    assert stored.isdisjoint(heard(log)[position:])
    assert transcripts(tmp_path, "talk") == whole


@pytest.fixture
def again(longscribe: Command, recogniser: ToneRecogniser, tones: None, talk: Path, tmp_path: Path) -> Command:
    """The same command in this process, which is quicker to start."""
    recogniser.log = tmp_path / "log"

    def run(*more: str, recording: Path = talk) -> Finished:
        return longscribe(
            "transcribe", recording, "--out", tmp_path, "--language", "en", "--chunk-length", 10, *more
        )

    return run


def test_the_same_command_again_only_writes_the_files_again(
    again: Command, whole: dict[str, str], tmp_path: Path
) -> None:
    assert again().code == 0
    count = len(heard(tmp_path / "log"))
    (tmp_path / "talk.srt").unlink()
    done = again()
    assert done.code == 0
    assert "Tried again" not in done.stderr
    assert len(heard(tmp_path / "log")) == count
    assert transcripts(tmp_path, "talk") == whole


def test_force_transcribes_afresh(again: Command, whole: dict[str, str], tmp_path: Path) -> None:
    assert again().code == 0
    count = len(heard(tmp_path / "log"))
    assert again("--force").code == 0
    assert len(heard(tmp_path / "log")) == 2 * count
    assert transcripts(tmp_path, "talk") == whole


@pytest.mark.parametrize("change", ["--force", "--vocabulary=Ada"])
def test_begun_afresh_after_an_interruption(
    again: Command, talk: Path, whole: dict[str, str], tmp_path: Path, change: str
) -> None:
    """Messages of the old job are still about, with audio that is gone: they must not harm the new one."""
    log = tmp_path / "log"
    process = start(command(talk, tmp_path, log))
    wait_for(lambda: len(heard(log)) >= 4, process)
    process.kill()
    process.communicate()
    log.unlink()
    done = again(change)
    assert done.code == 0, done.stderr
    assert "Tried again" not in done.stderr
    found = transcripts(tmp_path, "talk")
    for kind in ("txt", "srt", "vtt"):
        assert found[kind] == whole[kind]


def test_a_changed_recording_is_another_job(again: Command, tmp_path: Path) -> None:
    own = tmp_path / "talk.pcm"
    own.write_bytes(spoken(30).tobytes())
    assert again(recording=own).code == 0
    own.write_bytes(spoken(30, first=100).tobytes())
    assert again(recording=own).code == 0
    assert (tmp_path / "talk.txt").read_text().split() == words(30, first=100)


def test_no_window_is_heard_twice_without_need(again: Command, recogniser: ToneRecogniser, tmp_path: Path) -> None:
    recogniser.seconds = 0.05
    assert again().code == 0
    lines = heard(tmp_path / "log")
    assert sorted(lines) == sorted(set(lines))


def test_two_processes_do_not_share_a_directory(talk: Path, tmp_path: Path) -> None:
    with Embedded(tmp_path / ".longscribe", Settings(), tone_machine()):
        second = run(command(talk, tmp_path, tmp_path / "log"))
    assert second.returncode == 1
    (sentence,) = sentences(second.stderr)
    assert "Another longscribe is at work in" in sentence
    assert not (tmp_path / "talk.txt").exists()
