"""Interrupted, the same command goes on: nothing finished is done again, and the transcript is the same."""

import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from longscribe.adapters.local.jobs import SqliteJobs
from longscribe.core.settings import Settings
from longscribe.documents import ChunkState
from longscribe.embedded import Embedded
from tests.e2e.commands import run, sentences, start, tone_machine, transcripts, with_tones
from tests.standins import SystemClock, spoken, words

COUNT = 200
SECONDS = 0.15
"""That each call of the recogniser takes: 16 to 20 chunks in about two seconds."""


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


def test_killed_at_random_moments(talk: Path, whole: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    moments = random.Random(3)
    kept: list[tuple[int, set[str]]] = []
    kills = 0
    for _ in range(6):
        before = len(heard(log))
        process = start(command(talk, tmp_path, log))
        if moments.random() < 0.7:  # at work; else while starting up
            wait_for(lambda before=before: len(heard(log)) > before, process)  # type: ignore[misc]
        time.sleep(moments.uniform(0, 0.4))
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        kept.append((len(heard(log)), finished(tmp_path)))
    assert kills >= 4
    done = run(command(talk, tmp_path, log))
    assert done.returncode == 0, done.stderr
    assert transcripts(tmp_path, "talk") == whole
    lines = heard(log)
    assert any(texts for _, texts in kept)
    for position, texts in kept:
        assert texts.isdisjoint(lines[position:])


def test_interrupted_with_ctrl_c(talk: Path, whole: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = start(command(talk, tmp_path, log))
    wait_for(lambda: len(heard(log)) >= 4, process)
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


def test_ended_politely_by_the_system(talk: Path, whole: dict[str, str], tmp_path: Path) -> None:
    process = start(command(talk, tmp_path, tmp_path / "log"))
    wait_for(lambda: len(heard(tmp_path / "log")) >= 2, process)
    process.terminate()
    process.communicate(timeout=10)
    assert process.returncode != 0
    assert run(command(talk, tmp_path, tmp_path / "log")).returncode == 0
    assert transcripts(tmp_path, "talk") == whole


def test_the_same_command_again_only_writes_the_files_again(
    talk: Path, whole: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    assert run(command(talk, tmp_path, log, 0.0)).returncode == 0
    count = len(heard(log))
    (tmp_path / "talk.srt").unlink()
    done = run(command(talk, tmp_path, log, 0.0))
    assert done.returncode == 0
    assert "Tried again" not in done.stderr
    assert len(heard(log)) == count
    assert transcripts(tmp_path, "talk") == whole


def test_force_transcribes_afresh(talk: Path, whole: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert run(command(talk, tmp_path, log, 0.0)).returncode == 0
    count = len(heard(log))
    assert run(command(talk, tmp_path, log, 0.0, "--force")).returncode == 0
    assert len(heard(log)) == 2 * count
    assert transcripts(tmp_path, "talk") == whole


@pytest.mark.parametrize("change", ["--force", "--vocabulary=Ada"])
def test_begun_afresh_after_an_interruption(talk: Path, whole: dict[str, str], tmp_path: Path, change: str) -> None:
    """Messages of the old job are still about, with audio that is gone: they must not harm the new one."""
    log = tmp_path / "log"
    process = start(command(talk, tmp_path, log))
    wait_for(lambda: len(heard(log)) >= 4, process)
    process.kill()
    process.communicate()
    done = run(command(talk, tmp_path, log, 0.02, change))
    assert done.returncode == 0, done.stderr
    assert "Tried again" not in done.stderr
    found = transcripts(tmp_path, "talk")
    assert {kind: found[kind] for kind in ("txt", "srt", "vtt")} == {
        kind: whole[kind] for kind in ("txt", "srt", "vtt")
    }
    assert set(found["txt"].split()) <= {text for line in heard(log) for text in line.split()}


def test_a_changed_recording_is_another_job(talk: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    own = tmp_path / "talk.pcm"
    own.write_bytes(spoken(30).tobytes())
    assert run(command(own, tmp_path, log, 0.0)).returncode == 0
    own.write_bytes(spoken(30, first=100).tobytes())
    assert run(command(own, tmp_path, log, 0.0)).returncode == 0
    assert (tmp_path / "talk.txt").read_text().split() == words(30, first=100)


def test_no_window_is_heard_twice_without_need(talk: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert run(command(talk, tmp_path, log, 0.05)).returncode == 0
    assert sorted(heard(log)) == sorted(set(heard(log)))


def test_two_processes_do_not_share_a_directory(talk: Path, tmp_path: Path) -> None:
    with Embedded(tmp_path / ".longscribe", Settings(), tone_machine()):
        second = run(command(talk, tmp_path, tmp_path / "log"))
    assert second.returncode == 1
    (sentence,) = sentences(second.stderr)
    assert "Another longscribe is at work in" in sentence
    assert not (tmp_path / "talk.txt").exists()
    assert run(command(talk, tmp_path, tmp_path / "log", 0.0)).returncode == 0
