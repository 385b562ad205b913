"""The operator's commands in processes of their own, beside whoever works in the store and without."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from longscribe import wiring
from longscribe.documents import Chunk, Job
from tests.e2e.commands import run, sentences, start, with_tones
from tests.e2e.test_serve import serving
from tests.standins import spoken, words

LONGSCRIBE = [sys.executable, "-c", "from longscribe.cli import main; main()"]

COUNT = 60


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def recording(path: Path, count: int = COUNT, first: int = 0) -> Path:
    path.write_bytes(spoken(count, first).tobytes())
    return path


def command(out: Path, *arguments: object, seconds: float = 0.0) -> list[str]:
    return with_tones(out.parent / "log", seconds, *arguments)


def said(out: Path, *arguments: object, code: int = 0, **variables: str) -> str:
    done = run(command(out, *arguments), env={**os.environ, **variables})
    assert done.returncode == code, done.stderr
    return done.stdout


def asked(out: Path, *arguments: object, code: int = 0, **variables: str) -> Any:
    return json.loads(said(out, *arguments, "--json", code=code, **variables))


def transcribe(out: Path, talk: Path, code: int = 0, **variables: str) -> None:
    options = ("--out", out, "--language", "en", "--chunk-length", 10)
    said(out, "transcribe", talk, *options, code=code, **variables)


def begin(out: Path, talk: Path, seconds: float, **variables: str) -> "subprocess.Popen[str]":
    options = ("--out", out, "--language", "en", "--chunk-length", 10)
    return start(command(out, "transcribe", talk, *options, seconds=seconds), env={**os.environ, **variables})


def stored(out: Path) -> list[tuple[Job, list[Chunk]]]:
    stores = wiring.local_stores(out / ".longscribe")
    try:
        return [(job, list(stores.jobs.chunks(job.job_id))) for job in stores.jobs.jobs()]
    finally:
        stores.close()


def audio(out: Path) -> list[Path]:
    return list((out / ".longscribe" / "chunks").rglob("*.flac"))


def wait_for(condition: Callable[[], bool], process: "subprocess.Popen[str]", seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def held(out: Path) -> Path:
    """There once a window waits."""
    return out.parent / "log.held"


def let_go(out: Path) -> None:
    (out.parent / "log.go").touch()


def heard(out: Path) -> list[str]:
    log = out.parent / "log"
    return log.read_text().splitlines() if log.exists() else []


def test_rerun_when_nobody_is_at_work_does_the_work_and_writes_the_files(tmp_path: Path, out: Path) -> None:
    transcribe(out, recording(tmp_path / "talk.pcm"))
    count = len(heard(out))
    (out / "talk.txt").write_text("spoilt")
    found = asked(out, "rerun", "talk.pcm", "--dir", out, "--chunk", 1, "--chunk", 3, "--model", "small")
    assert (found["chunks"], found["model"], found["state"], found["worker"]) == ([1, 3], "small", "complete", None)
    assert len(heard(out)) == count + 2
    assert (out / "talk.txt").read_text().split() == words(COUNT)
    assert json.loads((out / "talk.json").read_text())["provenance"]["models"] == ["base", "small"]
    assert audio(out) == []


def test_rerun_is_queued_for_who_is_at_work(tmp_path: Path, out: Path) -> None:
    transcribe(out, recording(tmp_path / "talk.pcm"))
    other = begin(out, recording(tmp_path / "other.pcm", 100, first=100), 0.0, HOLD="w110")
    wait_for(held(out).exists, other)
    queued = asked(out, "rerun", "talk.pcm", "--dir", out, "--chunk", 2)
    assert queued["state"] == "transcribing"
    assert queued["worker"]["name"] == f"process {other.pid}"
    wait_for(lambda: asked(out, "status", "talk.pcm", "--dir", out)["state"] == "complete", other)
    (out / "talk.txt").unlink()
    ended = asked(out, "rerun", "talk.pcm", "--dir", out, "--chunk", 1, "--wait")
    assert (ended["chunks"], ended["state"]) == ([1], "complete")
    assert (out / "talk.txt").read_text().split() == words(COUNT)
    refused = run(command(out, "rerun", "talk.pcm", "--dir", out, "--model", "small"))
    assert other.poll() is None
    assert refused.returncode == 2
    assert "holds" not in refused.stdout
    (sentence,) = sentences(refused.stderr)
    assert "at work here with the model 'base' and would refuse 'small'" in sentence
    let_go(out)
    _, stderr = other.communicate(timeout=60)
    assert other.returncode == 0, stderr
    assert (out / "other.txt").read_text().split() == words(100, first=100)
    runs = {chunk.task.run for job, chunks in stored(out) if job.recording.name == "talk.pcm" for chunk in chunks}
    assert runs == {1, 2}


def test_waiting_ends_when_who_was_at_work_is_killed_and_the_same_command_goes_on(
    tmp_path: Path, out: Path
) -> None:
    transcribe(out, recording(tmp_path / "talk.pcm"))
    other = begin(out, recording(tmp_path / "other.pcm", 50, first=100), 0.0, HOLD="all")
    wait_for(held(out).exists, other)
    waiting = start(command(out, "rerun", "talk.pcm", "--dir", out, "--wait"))
    wait_for(lambda: any(chunk.task.run == 2 for _, chunks in stored(out) for chunk in chunks), waiting)
    other.kill()
    other.communicate()
    _, stderr = waiting.communicate(timeout=60)
    assert waiting.returncode == 1
    assert "the same command goes on from here" in stderr
    transcribe(out, tmp_path / "other.pcm")  # else its chunks would be taken by the rerun, which is no harm
    found = asked(out, "rerun", "talk.pcm", "--dir", out)
    assert found["state"] == "complete"
    assert (out / "talk.txt").read_text().split() == words(COUNT)


def test_another_model_is_not_loaded_while_it_would_lose_chunks_of_another_job(tmp_path: Path, out: Path) -> None:
    transcribe(out, recording(tmp_path / "talk.pcm"))
    other = begin(out, recording(tmp_path / "other.pcm", 50, first=100), 0.0, HOLD="all")
    wait_for(held(out).exists, other)
    other.kill()
    other.communicate()
    refused = run(command(out, "rerun", "talk.pcm", "--dir", out, "--model", "small"))
    assert refused.returncode == 2
    assert "is not finished and asks for another model" in refused.stderr
    assert "nobody is at work here" in said(out, "status", "--dir", out)


@pytest.mark.parametrize("how", ["cancel", "delete"])
def test_a_job_ended_while_it_is_cut_stops_soon_and_leaves_nothing_running(
    tmp_path: Path, out: Path, how: str
) -> None:
    talk = recording(tmp_path / "talk.pcm", 3_000)
    process = begin(out, talk, 0.3, DECODING="0.6")
    wait_for((out / ".longscribe" / "jobs.sqlite").exists, process)
    wait_for(lambda: bool(stored(out)) and len(stored(out)[0][1]) > 3, process)
    said(out, how, "talk.pcm", "--dir", out, *(["--yes"] if how == "delete" else []))
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in stderr
    assert audio(out) == []
    assert talk.exists()
    assert not (out / "talk.txt").exists()
    jobs = stored(out)
    if how == "delete":
        assert jobs == []
        assert "There is no job" in stderr or "cancelled" in stderr  # whichever it came to see
    else:
        ((job, chunks),) = jobs
        assert "cancelled" in stderr
        assert job.seal is None
        assert chunks[-1].task.end < 0.9 * talk.stat().st_size / 2
    transcribed = len(heard(out))
    assert asked(out, "status", "--dir", out)["worker"] is None
    assert len(heard(out)) == transcribed


def test_deleted_during_the_work_nothing_comes_back(tmp_path: Path, out: Path) -> None:
    talk, other = recording(tmp_path / "talk.pcm", 150), recording(tmp_path / "other.pcm", 150, first=170)
    options = ("--out", out, "--language", "en", "--chunk-length", 10)
    process = start(command(out, "transcribe", talk, other, *options), env={**os.environ, "HOLD": "w020"})
    wait_for(held(out).exists, process)
    found = asked(out, "delete", "talk.pcm", "--dir", out, "--yes")
    let_go(out)
    assert (found["upload"], found["files"]) == (False, [])
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1, stderr
    assert (out / "other.txt").read_text().split() == words(150, first=170)
    assert not (out / "talk.txt").exists()
    assert [job.recording.name for job, _ in stored(out)] == ["other.pcm"]
    assert audio(out) == []
    assert talk.exists()


def test_delete_takes_the_files_it_wrote_and_keeps_what_was_edited(tmp_path: Path, out: Path) -> None:
    talk = recording(tmp_path / "talk.pcm")
    transcribe(out, talk)
    (out / "talk.txt").write_text("my own words\n")
    asking = run(command(out, "delete", "talk.pcm", "--dir", out), stdin=subprocess.DEVNULL)
    assert asking.returncode == 2
    assert "give --yes" in asking.stderr
    told = said(out, "delete", "talk.pcm", "--dir", out, "--yes")
    assert "talk.txt is not as it was written" in told
    assert f"The recording in {tmp_path} is kept." in told
    assert sorted(path.name for path in out.iterdir()) == [".longscribe", "talk.txt"]
    assert talk.exists()
    assert said(out, "status", "--dir", out).startswith("There are no jobs.")


def test_a_poison_chunk_is_listed_and_healed_by_replay_and_diff_shows_what_came(tmp_path: Path, out: Path) -> None:
    transcribe(out, recording(tmp_path / "talk.pcm"), code=3, POISON="w030")
    (letter,) = asked(out, "dead-letters", "--dir", out)["letters"]
    assert (letter["name"], letter["attempts"], letter["run"]) == ("talk.pcm", 5, 1)
    still = asked(out, "dead-letters", "--replay", "--dir", out, code=3, POISON="w030")
    assert still["jobs"][0]["state"] == "partial"
    assert "w030" not in (out / "talk.txt").read_text()
    healed = asked(out, "dead-letters", "--replay", "--dir", out)
    assert (healed["jobs"][0]["chunks"], healed["jobs"][0]["state"]) == ([letter["chunk"]], "complete")
    assert (out / "talk.txt").read_text().split() == words(COUNT)
    assert said(out, "dead-letters", "--dir", out) == "No chunk was given up.\n"
    assert asked(out, "dead-letters", "--replay", "--dir", out) == {"jobs": []}
    changed = said(out, "diff", "talk.pcm", "--dir", out)
    assert "+ " in changed
    assert "w030" in changed
    assert "\x1b" not in changed
    found = asked(out, "diff", "talk.pcm", "--dir", out)
    assert "w030" in " ".join(hunk["after"] for hunk in found["hunks"])
    assert found["missing_before"] > 5 > found["missing_after"] == 0


def test_watch_prints_the_text_in_order_while_it_comes(tmp_path: Path, out: Path) -> None:
    process = begin(out, recording(tmp_path / "talk.pcm", 150), 0.0, HOLD="w120")
    wait_for(held(out).exists, process)
    watching = start(command(out, "watch", "talk.pcm", "--dir", out, "--json"))
    assert watching.stdout is not None
    first = json.loads(watching.stdout.readline())
    assert stored(out)[0][0].state == "transcribing"
    let_go(out)
    rest = watching.stdout.read()
    _, stderr = watching.communicate(timeout=60)
    process.communicate(timeout=60)
    assert watching.returncode == 0, stderr
    *lines, end = map(json.loads, rest.splitlines())
    assert " ".join(line["text"] for line in [first, *lines]).split() == words(150)
    assert (end["state"], end["reason"]) == ("complete", None)
    shown = said(out, "watch", "talk.pcm", "--dir", out)
    assert shown.splitlines()[0].startswith("0:00:00  w000 ")


@pytest.mark.parametrize(("typed", "offered"), [("", "id"), ("{id}", "id"), ("ta", "name"), ("zz", "")])
def test_a_shell_completes_jobs(tmp_path: Path, out: Path, typed: str, offered: str) -> None:
    transcribe(out, recording(tmp_path / "talk.pcm"))
    ((job, _),) = stored(out)
    line = f"longscribe status --dir {out} {typed.format(id=job.job_id[:3])}"
    done = run(
        [str(Path(sys.executable).with_name("longscribe"))],
        env={
            **os.environ,
            "_LONGSCRIBE_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
        },
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == {"id": [job.job_id], "name": ["talk.pcm"], "": []}[offered]


def test_completion_without_a_store_offers_nothing_and_makes_nothing(tmp_path: Path) -> None:
    done = run(
        [str(Path(sys.executable).with_name("longscribe"))],
        env={
            **os.environ,
            "_LONGSCRIBE_COMPLETE": "complete_bash",
            "COMP_WORDS": f"longscribe status --dir {tmp_path} ",
            "COMP_CWORD": "4",
        },
    )
    assert (done.returncode, done.stdout.strip()) == (0, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["status"], ["cancel", "x"], ["dead-letters"], ["diff", "x"]])
def test_a_directory_without_a_store_is_told(tmp_path: Path, words: list[str]) -> None:
    done = run(command(tmp_path, *words, "--dir", tmp_path))
    assert done.returncode == 2
    (sentence,) = sentences(done.stderr)
    assert "holds no .longscribe; name the directory" in sentence
    assert list(tmp_path.iterdir()) == []


def test_rerun_beside_a_service_and_after_it(tmp_path: Path) -> None:
    root = tmp_path / "served"
    with serving(root) as service:
        service.drop("talk.m4a", spoken(COUNT))
        service.drop("talk.wav", spoken(40, first=100))
        service.wait("transcripts/talk.txt", "transcripts/talk.wav.txt")
        (root / "transcripts" / "talk.wav.txt").write_text("spoilt")
        ended = asked(root, "rerun", "talk.wav", "--dir", root, "--chunk", 0, "--wait")
        assert (ended["chunks"], ended["worker"]["name"]) == ([0], f"process {service.process.pid}")
        assert service.text("talk.wav") == words(40, first=100)
        (root / "transcripts" / "talk.txt").unlink()
        assert asked(root, "rerun", "talk.m4a", "--dir", root)["state"] == "transcribing"
        service.wait("transcripts/talk.txt")
        service.until(lambda: audio(root) == [])
    (root / "transcripts" / "talk.wav.txt").unlink()
    assert asked(root, "rerun", "talk.wav", "--dir", root)["worker"] is None
    assert (root / "transcripts" / "talk.wav.txt").read_text().split() == words(40, first=100)
    assert (root / "transcripts" / "talk.txt").read_text().split() == words(COUNT)


def test_an_upload_that_is_deleted_or_cancelled_does_not_come_back(tmp_path: Path) -> None:
    root = tmp_path / "served"
    with serving(root) as service:
        service.drop("a.m4a", spoken(10), language="en")
        service.drop("b.m4a", spoken(10, first=50))
        service.wait("transcripts/a.vtt", "transcripts/b.vtt")
        service.until(lambda: audio(root) == [])
        gone = asked(root, "delete", "a.m4a", "--dir", root, "--yes")
        assert gone["upload"] is True
        assert len(gone["files"]) == 4
    with serving(root, seconds=2.0) as service:
        service.drop("c.m4a", spoken(600))
        service.until(lambda: any(job.recording.name == "c.m4a" for job, _ in stored(root)))
        assert asked(root, "cancel", "c.m4a", "--dir", root)["state"] == "cancelled"
        service.hears("c.m4a: cancelled")
    with serving(root) as service:
        service.drop("d.m4a", spoken(10, first=90))
        service.wait("transcripts/d.txt")
        service.until(lambda: audio(root) == [])
    states = {job.recording.name: str(job.state) for job, _ in stored(root)}
    assert states == {"b.m4a": "complete", "c.m4a": "cancelled", "d.m4a": "complete"}
    assert sorted(path.name for path in (root / "uploads").iterdir()) == ["b.m4a", "c.m4a", "d.m4a"]
    assert {path.stem for path in (root / "transcripts").iterdir()} == {"b", "d"}


def test_a_directory_and_a_project_are_one_too_many(tmp_path: Path) -> None:
    done = run([*LONGSCRIBE, "status", "--dir", str(tmp_path), "--project", "p"])
    assert (done.returncode, sentences(done.stderr)) == (
        2,
        ["longscribe: Give --dir for a directory, or --project for Google Cloud, not both."],
    )


def test_the_cloud_without_its_packages_says_how_to_get_them() -> None:
    code = "import sys; sys.modules['google.auth'] = None; from longscribe.cli import main; main()"
    done = run([sys.executable, "-c", code, "status", "--project", "p"])
    assert (done.returncode, sentences(done.stderr)) == (
        2,
        ["longscribe: Project 'p' takes Google Cloud's packages: run make operator in its clone."],
    )


def test_the_cloud_without_credentials_says_how_to_log_in(tmp_path: Path) -> None:
    bare = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "NO_GCE_CHECK": "true"}
    done = run([*LONGSCRIBE, "status", "--project", "p"], env=bare)
    (sentence,) = sentences(done.stderr)
    assert (done.returncode, "gcloud auth application-default login" in sentence) == (1, True), sentence
    done = run([*LONGSCRIBE, "doctor", "--project", "p"], env=bare)
    assert (done.returncode, "fail" in done.stdout, "Traceback" in done.stderr) == (1, True, False)


def test_a_seek_is_for_the_cloud(tmp_path: Path) -> None:
    bare = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = run([*LONGSCRIBE, "seek-preview", "--since", "2026-11-26T08:00"], env=bare)
    assert (done.returncode, len(sentences(done.stderr))) == (2, 1)
    assert "give --project" in done.stderr


def test_a_receipt_tells_what_a_job_used_and_that_it_cost_nothing_here(tmp_path: Path) -> None:
    out = tmp_path / "out"
    recording = tmp_path / "talk.pcm"
    recording.write_bytes(spoken(40).tobytes())
    made = run(with_tones(tmp_path / "log", 0, "transcribe", recording, "--language", "en", "--out", out))
    assert made.returncode == 0, made.stderr
    asked = [*LONGSCRIBE, "receipt", "talk.pcm", "--dir", str(out)]
    told = json.loads(run([*asked, "--json"]).stdout)
    written = json.loads((out / "talk.json").read_text())["receipt"]
    assert told["stored"]
    assert told["receipt"] == written
    assert written["recording_bytes"] == recording.stat().st_size
    assert written["cost"] is None
    assert 0 < written["chunker_seconds"] < 60
    assert written["chunk_bytes"] > 10_000
    assert "nothing: it ran on your own machine" in run(asked).stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "Give a recording, or --hours"),
        (["talk.pcm", "--hours", "1"], "Give a recording, or --hours"),
        (["--hours", "1", "--gpus", "0"], "--gpus is 0; give 1 to 1,000"),
        (["--hours", "0"], "--hours is 0; a recording has up to 48 hours"),
        (["--hours", "49"], "--hours is 49; a recording has up to 48 hours"),
        (["--hours", "1", "--gpu", "l4", "--spot"], "Cloud Run has no spot instances"),
        (["nowhere.m4a"], "There is no file"),
    ],
)
def test_a_plan_that_cannot_be_made_is_told_in_one_sentence(arguments: list[str], why: str) -> None:
    done = run([*LONGSCRIBE, "plan", *arguments])
    assert (done.returncode, done.stdout) == (2, "")
    assert why in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_plan_of_hours_names_what_it_rests_on() -> None:
    done = run([*LONGSCRIBE, "plan", "--hours", "6.8", "--gpus", "6", "--spot"])
    for said in (
        "measured:",
        "measured in part:",
        "quoted:",
        "assumed:",
        "2018-07-06",
        "per GPU hour",
        "The reconciler",
    ):
        assert said in done.stdout
    told = [line for line in done.stdout.splitlines() if "$" in line or "minutes, likely" in line]
    assert len(told) == 8  # two times, the cost and its five parts
    assert all("(simulated)" in line for line in told)


def test_a_plan_in_json_says_what_is_simulated() -> None:
    told = json.loads(run([*LONGSCRIBE, "plan", "--hours", "1", "--json"]).stdout)
    assert told["simulated"] == ["cold_minutes", "warm_minutes", "cost"]
    assert set(told["simulated"]) <= set(told)
