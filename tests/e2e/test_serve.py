"""A watched folder: what is dropped into it appears transcribed, whatever happens to the process on the way."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from longscribe import embedded, wiring
from longscribe.adapters.local.deliveries import Deliveries
from longscribe.core import topics
from longscribe.core.settings import Settings
from longscribe.documents import Job, JobState
from longscribe.embedded import Embedded
from longscribe.messages import UploadEvent, encode
from longscribe.ports import Decoded, RangeReader, Samples
from longscribe.serving import Serving
from longscribe.stages import assembler
from tests.canaries import CANARIES
from tests.e2e.commands import ROOT, run, sentences, tone_machine, transcripts, with_tones
from tests.standins import PcmMedia, spoken, words
from tests.tiers import units

PATIENCE = 60
LONGSCRIBE = str(Path(sys.executable).with_name("longscribe"))
OPTIONS = ("--language", "en", "--chunk-length", "10", "--settle", "0.3")


class Service:
    """``longscribe serve`` in a process of its own, on a folder."""

    def __init__(self, root: Path, seconds: float, options: tuple[str, ...], command: list[str] | None) -> None:
        self.root = root
        self.uploads = root / "uploads"
        self.log = root / "log"
        self.uploads.mkdir(parents=True, exist_ok=True)
        self._said = root / f"said-{time.monotonic_ns()}"
        with self._said.open("wb") as said:
            self.process = subprocess.Popen(
                command or with_tones(self.log, seconds, "serve", root, *options), cwd=ROOT, stderr=said
            )

    @property
    def stderr(self) -> str:
        """All that was said so far."""
        return self._said.read_text()

    def drop(self, name: str, data: Samples | bytes, age: float = 60.0, **settings: str) -> Path:
        """Move a recording into the folder, its settings first."""
        path = self.uploads / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if settings:
            path.with_name(f"{path.name}.settings.json").write_text(json.dumps(settings))
        partial = self.root / "being written"
        partial.write_bytes(data if isinstance(data, bytes) else data.tobytes())
        os.utime(partial, (time.time() - age, time.time() - age))
        partial.replace(path)
        return path

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"it never came: {self.stderr}"
            assert self.process.poll() is None, self.stderr
            time.sleep(0.02)

    def hears(self, line: str, times: int = 1) -> None:
        """Until this was said."""
        self.until(lambda: self.stderr.count(line) >= times)

    def wait(self, *names: str) -> None:
        """Until these files are there, seen from the root."""
        self.until(lambda: all((self.root / name).exists() for name in names))

    def text(self, base: str) -> list[str]:
        return (self.root / "transcripts" / f"{base}.txt").read_text().split()

    def heard(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the process; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=20)


@contextmanager
def serving(
    root: Path, seconds: float = 0.0, options: tuple[str, ...] = OPTIONS, command: list[str] | None = None
) -> Iterator[Service]:
    service = Service(root, seconds, options, command)
    try:
        yield service
    finally:
        if service.process.poll() is None:
            code = service.end()
            assert code == 0, service.stderr
        CANARIES.hear(service.stderr)
        assert "Traceback" not in service.stderr, service.stderr


@contextmanager
def stores(root: Path) -> Iterator[wiring.LocalStores]:
    """What another process sees of the state."""
    with closing(wiring.local_stores(root / ".longscribe")) as opened:
        yield opened


def jobs(root: Path) -> dict[str, Job]:
    with stores(root) as opened:
        return {job.recording.name: job for job in opened.jobs.jobs()}


def files(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_what_is_dropped_appears_transcribed(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        service.drop("a.m4a", spoken(30))
        service.drop("interviews/b c.wav", spoken(20, first=50))
        service.hears("→ transcripts/", times=2)
        assert len(files(tmp_path / "transcripts")) == 8
        assert service.text("a") == words(30)
        assert service.text("interviews/b c") == words(20, first=50)
        with stores(tmp_path) as opened:
            service.until(lambda: not list(opened.blobs.names(wiring.CHUNKS_BUCKET)))  # no audio stays behind
    assert files(service.uploads) == {"a.m4a", "interviews/b c.wav"}
    assert "a.m4a: taken, " in service.stderr
    assert re.search(r"a.m4a: 0.\d min in 0.\d min \(\d+.\d×\) → ", service.stderr)
    assert "→ transcripts/a.json, transcripts/a.srt, transcripts/a.vtt, transcripts/a.txt\n" in service.stderr
    assert sentences(service.stderr)[-1].startswith("longscribe: Stopped; started again")
    job = jobs(tmp_path)["interviews/b c.wav"]
    assert job.recording.bucket == "uploads"


def test_what_is_moved_there_whole_is_not_watched_first(tmp_path: Path) -> None:
    with serving(tmp_path, options=("--settle", "1000")) as service:
        service.drop("a.m4a", spoken(10), age=2000)
        service.wait("transcripts/a.txt")


def test_nothing_of_a_slow_copy_is_touched(tmp_path: Path) -> None:
    data = spoken(40).tobytes()
    with serving(tmp_path, options=("--language", "en", "--settle", "1")) as service:
        held = (service.uploads / "held.m4a").open("wb")
        held.write(data[:200_000])
        held.flush()
        again = service.uploads / "again.m4a"
        service.drop("other.m4a", spoken(10))
        for position in range(0, len(data), 100_000):  # opened anew for each piece, but never still for long
            with again.open("ab") as file:
                file.write(data[position : position + 100_000])
            time.sleep(0.1)
        service.wait("transcripts/other.txt", "transcripts/again.txt")
        time.sleep(2.0)  # longer than the settling time
        assert set(jobs(tmp_path)) == {"other.m4a", "again.m4a"}
        held.write(data[200_000:])
        held.close()
        service.wait("transcripts/held.txt")
        assert service.text("held") == service.text("again") == words(40)
    assert service.stderr.count(": taken") == 3


def test_what_copiers_and_people_leave_is_passed_over(tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / "secret.m4a").write_bytes(spoken(10).tobytes())
    with serving(tmp_path) as service:
        for name in (".hidden.m4a", "a.m4a.part", "b.crdownload", ".sync/c.m4a"):
            service.drop(name, spoken(10))
        (service.uploads / "link").symlink_to(outside)
        (service.uploads / "link.m4a").symlink_to(outside / "secret.m4a")
        os.mkfifo(service.uploads / "pipe.m4a")
        service.drop("done.m4a", spoken(10))
        service.wait("transcripts/done.txt")
        (service.uploads / "a.m4a.part").rename(service.uploads / "a.m4a")
        service.wait("transcripts/a.txt")
    assert set(jobs(tmp_path)) == {"a.m4a", "done.m4a"}


def test_settings_come_from_the_file_beside_the_recording(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        service.drop("a.m4a", spoken(10), language="de", formats="txt,json", **{"word-times": "true"})
        service.wait("transcripts/a.json")
        document = json.loads((tmp_path / "transcripts" / "a.json").read_text())
        service.until((tmp_path / "transcripts" / "a.txt").exists)
    assert document["language"] == "de"
    assert document["settings"]["word_times"] is True
    assert document["settings"]["chunk_seconds"] == 10.0  # the command's
    assert document["recording"] == {"bucket": "uploads", "name": "a.m4a"}
    assert files(tmp_path / "transcripts") == {"a.txt", "a.json"}


BAD_SIDECARS = {
    "unknown": ('{"colour": "red"}', "Unknown setting 'colour'"),
    "wrong": ('{"language": "klingon"}', "Unknown language 'klingon'"),
    "broken": ('{"language": ', "cannot be read"),
    "typed": ('{"word_times": true}', "all strings"),
    "model": ('{"model": "small"}', "leave that out, or start longscribe serve with --model small"),
    "compute": ('{"compute_type": "int8"}', "with --compute-type int8"),
}


def test_bad_recordings_and_settings_are_refused_alone(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        for name, (sidecar, _) in BAD_SIDECARS.items():
            (service.uploads / f"{name}.m4a.settings.json").write_text(sidecar)
            service.drop(f"{name}.m4a", spoken(5))
        service.drop("noise.m4a", b"BAD")
        service.drop("x" * 245, spoken(5))
        service.drop("good.m4a", spoken(30))
        service.wait("transcripts/good.txt", "uploads/noise.m4a.error.txt")
        for name, (_, sentence) in BAD_SIDECARS.items():
            service.wait(f"uploads/{name}.m4a.error.txt")
            (said,) = (service.uploads / f"{name}.m4a.error.txt").read_text().splitlines()
            assert sentence in said
            assert jobs(tmp_path)[f"{name}.m4a"].state is JobState.FAILED
        assert (service.uploads / "noise.m4a.error.txt").read_text() == "It is no audio; give a recording.\n"
        # Mended, and given again:
        (service.uploads / "wrong.m4a.settings.json").write_text('{"language": "de"}')
        os.utime(service.uploads / "wrong.m4a", (1, 1))
        service.drop("noise.m4a", spoken(5))
        service.wait("transcripts/wrong.txt", "transcripts/noise.txt")
        service.until(lambda: not (service.uploads / "noise.m4a.error.txt").exists())
        service.until(lambda: not (service.uploads / "wrong.m4a.error.txt").exists())
    assert "xxx: refused: The recording's name is too long" in service.stderr
    assert files(tmp_path / "transcripts") == {
        f"{name}.{kind}" for name in ("good", "wrong", "noise") for kind in ("txt", "srt", "vtt", "json")
    }


def test_whatever_becomes_of_a_recording_nothing_said_tells_of_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names of files, and a setting that cannot be honoured: these people have to be told."""
    monkeypatch.setenv("POISON", "w007")  # an error whose words are what was said
    with serving(tmp_path) as service:
        service.drop("heard.m4a", spoken(30, first=50), vocabulary="canaryterm, canary-phrase")
        service.drop("poisoned.m4a", spoken(40), vocabulary="canaryterm")
        service.drop("noise.m4a", b"BAD canarybytes", vocabulary="canaryterm")
        service.drop("wrong.m4a", spoken(5), language="klingon", vocabulary="canaryterm")
        service.drop("model.m4a", spoken(5), model="small", vocabulary="canaryterm")
        service.until(lambda: len(jobs(tmp_path)) == 5 and all(job.state.ended for job in jobs(tmp_path).values()))
        service.hears("poisoned.m4a: missing ")
        service.hears("heard.m4a: 0.")
    assert {name: job.state for name, job in jobs(tmp_path).items()} == {
        "heard.m4a": JobState.COMPLETE,
        "poisoned.m4a": JobState.PARTIAL,
        "noise.m4a": JobState.FAILED,
        "wrong.m4a": JobState.FAILED,
        "model.m4a": JobState.FAILED,
    }
    assert service.text("heard") == words(30, first=50)
    assert "tried again after: RuntimeError\n" in service.stderr
    assert "canary" not in service.stderr
    assert not [said for said in words(90) if said in service.stderr]


def test_recordings_of_one_stem_do_not_overwrite_each_other(tmp_path: Path) -> None:
    with serving(tmp_path, seconds=0.2) as service:
        service.drop("a.m4a", spoken(40))
        service.until(lambda: "a.m4a" in jobs(tmp_path))
        service.drop("a.txt", b"BAD notes")  # never gets a name
        service.drop("a.wav", spoken(5, first=100))  # done first, but not first
        service.wait("transcripts/a.json", "transcripts/a.wav.json", "transcripts/a.txt", "transcripts/a.wav.txt")
        assert service.text("a") == words(40)
        assert service.text("a.wav") == words(5, first=100)
        service.end(signal.SIGKILL)
    with serving(tmp_path) as service:
        service.drop("a.m4a", spoken(5, first=200))
        service.drop("a.wav", spoken(5, first=300))
        service.drop("a.mp3", spoken(5, first=50))
        service.until(lambda: service.text("a") == words(5, first=200))
        service.until(lambda: service.text("a.wav") == words(5, first=300))
        service.wait("transcripts/a.mp3.txt")
        assert service.text("a.mp3") == words(5, first=50)


def test_overwritten_while_it_is_transcribed(tmp_path: Path) -> None:
    """The older content's transcript, though it may be done later, never replaces the newer one's."""
    with serving(tmp_path, seconds=2.0) as service:
        service.drop("a.m4a", spoken(300))
        service.until(lambda: [job.state for job in jobs(tmp_path).values()] == [JobState.TRANSCRIBING])
        service.drop("a.m4a", spoken(5, first=200))
        service.wait("transcripts/a.txt")
        with stores(tmp_path) as opened:
            service.until(lambda: all(job.state.ended for job in opened.jobs.jobs()))
            assert len(list(opened.jobs.jobs())) == 2
        service.hears("a.m4a: not delivered: a newer recording of this name has been transcribed")
        assert service.text("a") == words(5, first=200)


def test_a_transcript_that_somebody_deleted_stays_deleted(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        service.drop("a.m4a", spoken(10))
        service.hears("→ transcripts/a.json")
        (tmp_path / "transcripts" / "a.txt").unlink()
    with serving(tmp_path) as service:
        service.drop("b.m4a", spoken(10))
        service.wait("transcripts/b.txt")
        assert not (tmp_path / "transcripts" / "a.txt").exists()
    assert "a.m4a" not in service.stderr


def test_killed_between_a_jobs_end_and_its_delivery(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        service.wait("transcripts", ".longscribe/served.sqlite")
        (tmp_path / "transcripts").rmdir()
        (tmp_path / "transcripts").write_bytes(b"")  # a file: nothing can be delivered
        service.drop("a.m4a", spoken(10))
        service.hears("a.m4a: not delivered yet: ")
        service.end(signal.SIGKILL)
    assert jobs(tmp_path)["a.m4a"].state is JobState.COMPLETE
    (tmp_path / "transcripts").unlink()
    (service.uploads / "a.m4a").unlink()
    with serving(tmp_path) as service:
        service.wait("transcripts/a.txt", "transcripts/a.vtt")
        assert service.text("a") == words(10)


MANY = {"a.m4a": (90, 0), "a.wav": (40, 100), "sub/b.m4a": (60, 150), "c.m4a": (5, 300)}
BASES = ("a", "a.wav", "sub/b", "c")
KILLS = 10
EXPECTED = {f"{base}.{kind}" for base in BASES for kind in ("txt", "srt", "vtt", "json")}


@pytest.fixture
def masters(tmp_path: Path) -> Path:
    for name, (count, first) in MANY.items():
        path = tmp_path / "masters" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(spoken(count, first).tobytes())
    return tmp_path / "masters"


def put(masters: Path, root: Path, name: str) -> None:
    """Give the very same file: its job has the same id in every folder."""
    target = root / "uploads" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    os.link(masters / name, target)


def same(root: Path) -> dict[str, dict[str, str]]:
    return {base: transcripts(root / "transcripts", base) for base in BASES}


def test_killed_at_random_moments(
    tmp_path: Path, masters: Path, record_property: Callable[[str, object], None]
) -> None:
    """Ten kills while four recordings are taken, transcribed and delivered: the transcripts are the quiet run's."""
    quiet = tmp_path / "quiet"
    with serving(quiet) as service:
        for name in MANY:
            put(masters, quiet, name)
            service.until(lambda name=name: name in jobs(quiet))  # type: ignore[misc]
        service.hears("→", times=len(MANY))
    for seed in units(1):
        killed_at_random_moments(masters, quiet, tmp_path / f"killed-{seed}", seed)
        record_property("kills", KILLS)


def killed_at_random_moments(masters: Path, quiet: Path, killed: Path, seed: int) -> None:
    """Kill the service on one folder, and let it end."""
    moments = random.Random(seed)
    waiting = list(MANY)
    for turn in range(KILLS):
        with serving(killed, seconds=0.2) as service:
            before = len(service.heard())
            service.wait(".longscribe/jobs.sqlite")
            if waiting and turn % 2 == 0:
                put(masters, killed, waiting.pop(0))
            wanted = before + (moments.random() < 0.6)
            end = time.monotonic() + 2
            while len(service.heard()) < wanted and time.monotonic() < end:
                time.sleep(0.005)
            time.sleep(moments.uniform(0, 0.8))
            assert service.end(signal.SIGKILL) == -signal.SIGKILL, service.stderr
        for name in files(killed / "transcripts") & EXPECTED:
            if not name.endswith("json"):
                assert (killed / "transcripts" / name).read_text() == (quiet / "transcripts" / name).read_text()
    with serving(killed) as service:
        service.hears("watching")  # there may be nothing left to do, and it can be stopped only from here on
        service.until(lambda: files(killed / "transcripts") >= EXPECTED)
        service.until(lambda: not list((killed / ".longscribe" / "chunks").rglob("*.flac")))
    assert files(killed / "transcripts") == files(quiet / "transcripts") == EXPECTED
    assert same(killed) == same(quiet)


def test_a_short_recording_does_not_wait_for_a_long_one(tmp_path: Path) -> None:
    with serving(tmp_path, seconds=0.4) as service:
        for number in range(5):  # more than are cut at once
            service.drop(f"long{number}.m4a", spoken(600))
        service.until(lambda: len(service.heard()) > 8)
        service.drop("short.m4a", spoken(20, first=100))
        service.wait("transcripts/short.txt")
        heard = len(service.heard())
        assert service.text("short") == words(20, first=100)
        assert files(tmp_path / "transcripts") <= {f"short.{kind}" for kind in ("txt", "srt", "vtt", "json")}
        with stores(tmp_path) as opened:
            cut = sum(1 for job in opened.jobs.jobs() for _ in opened.jobs.chunks(job.job_id))
    assert heard < cut / 2


def rerun(root: Path, name: str, samples: Samples) -> None:
    """What an operator's command does, from another process: each chunk anew, under its next run."""
    with stores(root) as opened:
        (job,) = [job for job in opened.jobs.jobs() if job.recording.name == name]
        tasks = []
        for chunk in list(opened.jobs.chunks(job.job_id)):
            task = chunk.task
            last = task.windows[-1].spans[-1].end
            audio = PcmMedia().encode(samples[task.audio_start : last])
            ref = opened.blobs.create(task.audio.bucket, task.audio.name, audio)
            tasks.append(replace(task, run=task.run + 1, audio=ref))
            assert opened.jobs.requeue(tasks[-1])
        assert opened.jobs.move(job.job_id, job.state, JobState.TRANSCRIBING) is not None
        for task in tasks:
            opened.queue.publish(topics.topic(task.priority), encode(task), job.job_id)


@pytest.mark.parametrize("lost", [False, True], ids=["", "its messages lost"])
def test_rerun_by_another_process(tmp_path: Path, lost: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if lost:
        monkeypatch.setattr("longscribe.adapters.local.queue.SqliteQueue.publish", lambda *_: None)
    with serving(tmp_path) as service:
        service.drop("a.m4a", spoken(40))
        service.hears("→ transcripts/a.json")
        rerun(tmp_path, "a.m4a", spoken(40, first=161))  # other words, the same pauses
        service.hears("→ transcripts/a.json", times=2)
        assert service.text("a") == words(40, first=161)


def test_jobs_cancelled_or_deleted_by_another_process(tmp_path: Path) -> None:
    with serving(tmp_path, seconds=0.3) as service:
        service.drop("cancelled.m4a", spoken(600))
        service.drop("deleted.m4a", spoken(600))
        service.until(lambda: [job.state for job in jobs(tmp_path).values()] == [JobState.TRANSCRIBING] * 2)
        with stores(tmp_path) as opened:
            found = {job.recording.name: job for job in opened.jobs.jobs()}
            opened.jobs.move(found["cancelled.m4a"].job_id, JobState.TRANSCRIBING, JobState.CANCELLED)
            opened.blobs.delete("uploads", "deleted.m4a")
            opened.jobs.delete_job(found["deleted.m4a"].job_id)
        service.drop("good.m4a", spoken(10))
        service.wait("transcripts/good.txt")
        service.until(lambda: set(jobs(tmp_path)) == {"cancelled.m4a", "good.m4a"})
        time.sleep(1.0)
    assert not (service.uploads / "deleted.m4a").exists()
    assert "cancelled.m4a: cancelled\n" in service.stderr
    assert {name.split(".")[0] for name in files(tmp_path / "transcripts")} == {"good"}


def test_another_model_begins_unfinished_recordings_afresh(tmp_path: Path) -> None:
    with serving(tmp_path, seconds=0.6) as service:
        service.drop("a.m4a", spoken(600))
        service.until(lambda: len(service.heard()) > 4)
        service.end(signal.SIGKILL)
    with serving(tmp_path, seconds=5.0) as service:
        service.hears("a.m4a: goes on")
        assert service.end() == 0
    with serving(tmp_path, options=(*OPTIONS, "--model", "small")) as service:
        service.wait("transcripts/a.json")
        service.until((tmp_path / "transcripts" / "a.txt").exists)
        document = json.loads((tmp_path / "transcripts" / "a.json").read_text())
        assert service.text("a") == words(600)
    assert document["provenance"]["models"] == ["small"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_at_once(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path, seconds=20.0) as service:
        service.drop("a.m4a", spoken(40))
        service.until(lambda: "a.m4a" in jobs(tmp_path))
        began = time.monotonic()
        assert service.end(number) == 0
        assert time.monotonic() - began < 4
    assert sentences(service.stderr)[-1].startswith("longscribe: Stopped")


def test_a_folder_has_one_service(tmp_path: Path) -> None:
    with Embedded(tmp_path / ".longscribe", Settings(), tone_machine()):
        second = run(with_tones(tmp_path / "log", 0.0, "serve", tmp_path))
    assert second.returncode == 1
    assert "Another longscribe is at work in" in sentences(second.stderr)[-1]


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run(with_tones(tmp_path / "log", 0.0, "serve", tmp_path / "file"))
    assert done.returncode == 2
    assert "cannot be made" in sentences(done.stderr)[-1]
    assert (
        sentences(run(with_tones(tmp_path / "log", 0.0, "serve", tmp_path, "--language", "x")).stderr)[-1][-1]
        == "."
    )


def test_a_full_disk_is_waited_out(tmp_path: Path) -> None:
    full = tmp_path / "log.full"
    with serving(tmp_path) as service:
        full.touch()
        service.drop("a.m4a", spoken(30))
        service.hears("The disk is full; free some space. The work goes on by itself once there is room.")
        full.unlink()
        service.wait("transcripts/a.txt")
        assert service.text("a") == words(30)


class Gate(PcmMedia):
    """Media whose second stretch waits, and then is read, or fails."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()
        self.opened = threading.Event()
        self.fails = False

    def _stretches(self, read: RangeReader, length: int, start: int) -> Iterator[Decoded]:
        for stretch in super()._stretches(read, length, start):
            if stretch.start:
                self.reached.set()
                assert self.opened.wait(20)
                if self.fails:
                    raise RuntimeError("canary")
            yield stretch


CHANGED = "a.m4a: refused: The recording was deleted or overwritten before it was cut; upload it again."


@pytest.mark.parametrize(
    ("what", "last"),
    [
        ("deleted", CHANGED),
        ("changed", CHANGED),
        ("job cancelled", "a.m4a: cancelled"),
        ("job deleted", None),
        ("fails", "a.m4a: refused: The recording could not be cut (RuntimeError); "),
    ],
)
def test_while_a_recording_is_being_cut(
    tmp_path: Path, what: str, last: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "HEAL_SECONDS", 0.05)
    talk = tmp_path / "uploads" / "a.m4a"
    talk.parent.mkdir()
    talk.write_bytes(spoken(600).tobytes())
    os.utime(talk, (1, 1))
    settings = Settings(language="en", chunk_seconds=10.0)
    home = tmp_path / ".longscribe"
    media, lines = Gate(), list[str]()
    with (
        Embedded(home, settings, tone_machine(media=media), serving=True) as work,
        closing(Deliveries(home / "served.sqlite")) as deliveries,
    ):
        watched = Serving(tmp_path, settings, work, deliveries, 0.1, lines.append)
        work.start()
        watched.look()
        (job,) = work.jobs.jobs()
        assert media.reached.wait(20)
        media.fails = what == "fails"
        if what == "deleted":
            talk.unlink()
        elif what == "changed":
            talk.write_bytes(spoken(5).tobytes())
        elif what == "job cancelled":
            work.jobs.move(job.job_id, JobState.CHUNKING, JobState.CANCELLED)
        elif what == "job deleted":
            work.jobs.delete_job(job.job_id)
        media.opened.set()
        end = time.monotonic() + 20
        while list(work.jobs.chunks(job.job_id)) if last is None else not any(last in line for line in lines):
            assert time.monotonic() < end, lines
            work.check()
            watched.look()
            time.sleep(0.02)
        time.sleep(0.2)
        assert list(work.blobs.names(wiring.CHUNKS_BUCKET, f"{job.job_id}/")) == []
        known = {found.job_id for found in work.jobs.jobs()}
    assert (job.job_id in known) is (last is not None)
    assert (tmp_path / "uploads" / "a.m4a.error.txt").exists() is (what == "fails")
    assert "canary" not in "".join(lines)
    assert media.open == 0


def test_a_job_that_cannot_be_put_together_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finish = assembler.finish

    def fail(job: Job, ports: assembler.AssemblerPorts) -> assembler.Assembled:
        if job.recording.name == "bad.m4a":
            raise ValueError("canary")
        return finish(job, ports)

    monkeypatch.setattr(assembler, "finish", fail)
    home = tmp_path / ".longscribe"
    with Embedded(home, Settings(language="en"), tone_machine(), serving=True) as work:
        (tmp_path / "uploads").mkdir()
        found = {}
        for name in ("bad.m4a", "good.m4a"):
            (tmp_path / "uploads" / name).write_bytes(spoken(10).tobytes())
            info = work.blobs.stat(wiring.UPLOADS_BUCKET, name)
            found[name] = work.take(UploadEvent(info.ref, info.size, {})).job_id
        work.start()
        end = time.monotonic() + 20
        while not all(work.jobs.job(job_id).state.ended for job_id in found.values()):
            assert time.monotonic() < end
            work.check()
            time.sleep(0.02)
        bad, good = (work.jobs.job(found[name]) for name in ("bad.m4a", "good.m4a"))
    assert bad.state is JobState.FAILED
    assert bad.reason == "Its transcript could not be put together (ValueError); report this."
    assert good.state is JobState.COMPLETE


@pytest.mark.parametrize("topic", [topics.RESULTS, topics.DEAD_CHUNKS])
def test_a_message_that_nobody_can_read_is_dropped(tmp_path: Path, topic: str) -> None:
    with Embedded(tmp_path / "home", Settings(language="en"), tone_machine()) as work:
        with closing(wiring.local_stores(tmp_path / "home")) as opened:
            opened.queue.publish(topic, b"no message")
            work.start()
            end = time.monotonic() + 20
            while opened.queue.backlog(topic):
                assert time.monotonic() < end
                work.check()
                time.sleep(0.02)
    assert "drop it" in work.problems[0]


def test_help_has_an_example() -> None:
    shown = run([LONGSCRIBE, "serve", "--help"])
    assert shown.returncode == 0
    assert "Example: longscribe serve" in shown.stdout


def test_real_speech(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hibari import Hibari

    voice = Hibari()
    said = "The lighthouse keeper wrote down every ship that passed the northern cape."
    samples = (np.asarray(voice(said), np.float64).clip(-1, 1) * 32_767).astype("<i2")
    monkeypatch.setenv("LONGSCRIBE_MODELS", str(models))
    command = [LONGSCRIBE, "serve", str(tmp_path), "--model", "tiny.en"]
    with serving(tmp_path, command=command) as service:
        (service.uploads / "keeper.wav.settings.json").write_text('{"language": "en"}')
        with wave.open(str(service.uploads / "keeper.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(voice.sample_rate)
            file.writeframes(samples.tobytes())
        service.drop("notes.m4a", b"This is no audio.")
        service.wait("transcripts/keeper.txt", "uploads/notes.m4a.error.txt")
        text = (tmp_path / "transcripts" / "keeper.txt").read_text()
    spoken_words = {word.strip(",.").lower() for word in said.split()}
    assert len(spoken_words & {word.strip(",.").lower() for word in text.split()}) >= 0.85 * len(spoken_words)
