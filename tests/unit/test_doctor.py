"""The doctor: a fault in each place is found and told with what to mend."""

import dataclasses
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from longscribe.adapters import checks
from longscribe.adapters.local import lock
from longscribe.adapters.models import locate
from longscribe.core import topics
from longscribe.documents import JobState
from longscribe.errors import BadInput, Busy, Permanent
from longscribe.messages import UploadEvent
from longscribe.operating.doctor import Finding, Verdict, diagnose, store_checks
from longscribe.operating.ports import Worker
from longscribe.stages import chunker
from tests.operations import ADVICE, WORKER, operations
from tests.standins import Bench, job_id, spoken


def found(bench: Bench, worker: Any = None) -> dict[str, Finding]:
    report = diagnose(store_checks(operations(bench, worker)))
    return {finding.check: finding for finding in report.findings}


@pytest.fixture
def event(bench: Bench) -> UploadEvent:
    made = bench.upload(spoken(60))
    chunker.chunk(made, bench.chunker())
    return made


def test_the_worst_verdict_counts_and_an_error_is_a_failure() -> None:
    def fail() -> Any:
        raise Permanent("The store is damaged.")

    report = diagnose([("one", lambda: (Verdict.OK, "well", None)), ("two", lambda: (Verdict.WARN, "ill", "rest"))])
    assert report.verdict is Verdict.WARN
    report = diagnose([("one", fail), ("two", lambda: (Verdict.OK, "well", None))])
    assert report.verdict is Verdict.FAIL
    assert report.findings[0] == Finding(check="one", verdict=Verdict.FAIL, found="The store is damaged")
    assert diagnose([]).verdict is Verdict.OK


def test_a_store_that_is_well(bench: Bench, event: UploadEvent) -> None:
    bench.work()
    bench.assemble()
    report = found(bench)
    assert {finding.verdict for finding in report.values()} == {Verdict.OK}
    assert report["documents"].found == f"1 jobs and {len(bench.chunks(event))} chunks can be read"


def test_pending_chunks_without_a_message_are_told(bench: Bench, event: UploadEvent) -> None:
    assert found(bench)["queue"].verdict is Verdict.OK
    bench.drop(topics.CHUNKS_HIGH)
    bench.drop(topics.RESULTS)
    assert found(bench)["queue"].verdict is Verdict.WARN


def test_where_no_backlog_is_told_workers_are_looked_at(bench: Bench, event: UploadEvent) -> None:
    def workers(worker: Worker | None) -> Finding:
        ops = dataclasses.replace(operations(bench, worker), backlog=None, patience=600.0)
        report = {finding.check: finding for finding in diagnose(store_checks(ops)).findings}
        assert "queue" not in report
        return report["workers"]

    count = len(bench.chunks(event))
    finding = workers(WORKER)
    assert (finding.verdict, finding.found) == (
        Verdict.OK,
        f"process 7 is at work here, with the model base; {count} chunks wait",
    )
    assert "chunks wait not that long" in workers(None).found
    bench.clock.sleep(600)
    finding = workers(None)
    assert (finding.verdict, finding.mend) == (Verdict.WARN, ADVICE)
    assert finding.found == f"{count} chunks wait and no worker has pulled for 10 minutes"
    bench.work()
    bench.assemble()
    finding = workers(None)
    assert (finding.verdict, finding.found) == (
        Verdict.OK,
        "no worker has pulled for 10 minutes, and no chunk waits",
    )


def test_stuck_jobs_are_told(bench: Bench, event: UploadEvent) -> None:
    bench.jobs.create_job(replace(bench.job(event), job_id="other", state=JobState.CHUNKING))
    finding = found(bench)["jobs"]
    assert finding.verdict is Verdict.WARN
    assert job_id(event) in finding.found or "other" in finding.found
    assert "(and 1 more)" in finding.found


def test_a_clock_that_went_back_is_told(bench: Bench, event: UploadEvent) -> None:
    bench.clock.sleep(-60)
    finding = found(bench)["clock"]
    assert (finding.verdict, finding.found) == (Verdict.FAIL, "a job was written 60 s from now")


def test_this_machine_runs_the_tests_and_so_is_well(tmp_path: Path) -> None:
    report = diagnose(checks.machine_checks("base", tmp_path))
    assert report.verdict is not Verdict.FAIL
    told = {finding.check: finding.found for finding in report.findings}
    assert "FFmpeg" in told["media"]
    assert "put together from its packages" in told["model"]


def test_what_is_not_installed_or_too_old_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks._installed("no-such-package")[0] is Verdict.FAIL
    monkeypatch.setattr("av.__version__", "17.1.0")
    assert checks.media()[0] is Verdict.FAIL
    monkeypatch.setattr(checks, "OLDEST_PYTHON", (99, 0))
    assert checks.python()[0] is Verdict.FAIL


def test_a_model_is_present_damaged_packaged_or_elsewhere(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    models = tmp_path_factory.mktemp("models")
    kept = locate("tiny.en", models)
    assert checks.whisper("tiny.en", models) == (Verdict.OK, f"tiny.en in {kept}", None)
    copy = shutil.copytree(kept, tmp_path / "tiny.en")
    with (copy / "model.bin").open("r+b") as file:
        file.seek(1_000)
        file.write(b"damage")
    verdict, told, mend = checks.whisper("tiny.en", tmp_path)
    assert (verdict, "model.bin" in told, "delete" in (mend or "")) == (Verdict.FAIL, True, True)
    assert checks.whisper(str(copy), tmp_path)[0] is Verdict.OK  # a directory of one's own has no published sums
    (copy / "model.bin").unlink()
    assert checks.whisper("tiny.en", tmp_path)[0] is Verdict.OK
    assert checks.whisper("large-v3", tmp_path)[0] is Verdict.WARN


def test_a_file_of_a_model_that_is_gone_is_damage(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "model.bin").write_bytes(b"")
    verdict, told, _ = checks.whisper("base", tmp_path)
    assert verdict is Verdict.FAIL
    assert "config.json" in told


def test_little_memory_and_disk_are_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "LEAST_MEMORY", 2**60)
    monkeypatch.setattr(checks, "LEAST_DISK", 2**60)
    assert checks.memory()[0] is checks.disk(tmp_path)[0] is Verdict.WARN
    assert checks._available(tmp_path / "nowhere") is None
    monkeypatch.setattr(checks, "_available", lambda: None)
    assert "GiB" in checks.memory()[1]


def test_a_home_that_cannot_be_written_fails(tmp_path: Path) -> None:
    assert checks.writable(tmp_path)[0] is Verdict.OK
    assert checks.writable(tmp_path / "nowhere")[0] is Verdict.FAIL


def test_the_lock_tells_who_holds_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert lock.holder(home) is None
    held = lock.take(home, "small")
    holder = lock.holder(home)
    assert holder is not None
    assert (holder.pid, holder.model) == (os.getpid(), "small")
    assert "with the model small" in checks.locked(home)[1]
    with pytest.raises(Busy):
        lock.take(home, "base")
    os.ftruncate(held, 0)
    assert lock.holder(home) == lock.Holder(0, 0.0, "")
    os.close(held)
    assert lock.holder(home) is None
    assert checks.locked(home)[1] == "nobody is at work here"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / lock.NAME).symlink_to(tmp_path / "other" / lock.NAME)
    with pytest.raises(BadInput, match="cannot be read"):
        lock.holder(tmp_path / "other")


def test_asking_who_is_at_work_does_not_keep_anybody_out(tmp_path: Path) -> None:
    os.close(lock.take(tmp_path, "base"))
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            lock.holder(tmp_path)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(200):
            os.close(lock.take(tmp_path, "base"))
    finally:
        stop.set()
        asking.join()
