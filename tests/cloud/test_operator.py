"""The operator's commands on the cloud's stores, by the command line, chosen by the environment."""

import json
import re
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.pubsub_v1 import PushConfig

from local_cloud.deployment import ROOT, LocalCloud
from longscribe import cli, wiring_cloud
from longscribe.cli.store import Store
from longscribe.core import topics
from longscribe.core.limits import MAX_ATTEMPTS_CLOUD
from longscribe.core.uploads import COMPLAINT
from longscribe.documents import ChunkState, JobState, Worker
from longscribe.operating import ports
from tests.cloud.conftest import HASHING, Quiet
from tests.cloud.people import Person, Upload, speech, until
from tests.e2e.conftest import Finished

Command = Callable[..., Finished]

NAME = "canaryname talk.flac"
PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


@pytest.fixture
def longscribe(
    person: Person, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Command:
    """The command line, in the environment that `make cloud` prints."""
    for name, value in person.cloud.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(Store, "poll_seconds", 0.1)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Finished:
        monkeypatch.setattr("sys.argv", ["longscribe", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return Finished(int(ended.value.code or 0), said.err, said.out)

    return run


def answered(longscribe: Command, *arguments: object) -> dict[str, Any]:
    done = longscribe(*arguments, "--json")
    assert done.code == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def forget_workers(person: Person) -> None:
    """Let the workers of the tests before, and of this one, have pulled long ago."""
    for worker in list(person.jobs.workers()):
        person.jobs.report(Worker(worker.name, worker.model, worker.device, worker.pulled - 700, worker.since))


@pytest.fixture
def alone(person: Person) -> Iterator[None]:
    forget_workers(person)
    yield
    forget_workers(person)


@pytest.fixture
def done(local: LocalCloud, person: Person, alone: None) -> Upload:
    """An upload that was transcribed by a worker which is gone."""
    local.add_worker(HASHING)
    upload = person.upload(NAME, speech(60), language="en", chunk_seconds="28")
    assert person.ended(upload).state is JobState.COMPLETE
    for worker in local.workers:
        worker.stop()
    local.workers.clear()
    forget_workers(person)
    return upload


def test_status_and_watch_tell_of_a_job_and_its_text(longscribe: Command, person: Person, done: Upload) -> None:
    text = person.transcript(person.jobs.job(done.job_id))["txt"]
    overview = longscribe("status")
    assert (overview.code, done.job_id[:8] in overview.stdout, NAME in overview.stdout) == (0, True, True)
    assert "Nobody is at work here." in overview.stdout
    told = answered(longscribe, "status", NAME, "--project", person.cloud.project)
    assert told["transcripts"][0].startswith(f"gs://{person.cloud.transcripts}/{done.job_id}/")
    watched = longscribe("watch", done.job_id[:8])
    assert watched.code == 0
    words = [word for line in watched.stdout.splitlines() for word in line.split()[1:]]
    assert words == text.split()


def test_a_rerun_is_queued_whoever_is_at_work_and_followed_to_its_end(
    longscribe: Command, local: LocalCloud, person: Person, done: Upload
) -> None:
    first = person.transcript(person.jobs.job(done.job_id))["txt"]
    queued = longscribe("rerun", NAME, "--chunk", 1)
    assert queued.code == 0, queued.stderr
    assert "a worker comes within minutes" in queued.stdout
    assert person.jobs.job(done.job_id).state is JobState.TRANSCRIBING
    local.add_worker(HASHING, SALT="newer")
    again = longscribe("rerun", NAME, "--wait", "--json")
    assert again.code == 0, again.stderr
    assert json.loads(again.stdout)["state"] == "complete"
    assert not list(Path().iterdir()), "transcripts stay in their bucket"
    changed = answered(longscribe, "diff", NAME)
    assert changed["words_before"] == changed["words_after"] == len(first.split())
    assert 0 < changed["added"] < changed["words_after"], "one chunk was heard anew"


def test_a_model_that_the_workers_do_not_hold_is_refused(longscribe: Command, person: Person, done: Upload) -> None:
    worker = Worker("w-1", "large-v3", "cuda", person.jobs.last_moved(), 0.0)
    person.jobs.report(worker)
    refused = longscribe("rerun", NAME, "--model", "small")
    assert refused.code == 2
    assert "1 worker is at work here with the model 'large-v3' and would refuse 'small'" in refused.stderr
    assert person.jobs.job(done.job_id).state is JobState.COMPLETE


def test_an_unfinished_job_is_cancelled(longscribe: Command, person: Person, alone: None) -> None:
    upload = person.upload(NAME, speech(60), chunk_seconds="28")
    until(lambda: (job := person.job(upload)) is not None and job.state is JobState.TRANSCRIBING)
    ended = answered(longscribe, "cancel", upload.job_id)
    assert ended["state"] == "cancelled"
    assert ended["dropped"] == len(person.chunks(upload)) > 0
    bucket = person.storage.bucket(person.cloud.chunks)
    assert not list(bucket.list_blobs(prefix=upload.job_id))


def test_a_job_is_deleted_with_its_upload(longscribe: Command, person: Person, done: Upload) -> None:
    longscribe("delete", NAME)
    assert person.job(done) is not None, "it asks first"
    said = longscribe("delete", done.job_id, "--yes")
    assert (said.code, "is deleted" in said.stdout, "is kept" in said.stdout) == (0, True, False), said.stderr
    assert person.job(done) is None
    cloud = person.cloud
    for bucket, prefix in ((cloud.uploads, NAME), (cloud.chunks, done.job_id), (cloud.transcripts, done.job_id)):
        assert not list(person.storage.bucket(bucket).list_blobs(prefix=prefix))


def test_a_refused_upload_is_deleted_with_its_note(longscribe: Command, person: Person, alone: None) -> None:
    upload = person.upload(NAME, b"this is no recording")
    assert person.ended(upload).state is JobState.FAILED
    bucket = person.storage.bucket(person.cloud.uploads)
    until(lambda: bucket.blob(NAME + COMPLAINT).exists())
    assert answered(longscribe, "delete", upload.job_id, "--yes")["upload"] is True
    assert not list(bucket.list_blobs(prefix=NAME))


def test_an_upload_that_was_overwritten_since_is_kept(longscribe: Command, person: Person, done: Upload) -> None:
    newer = person.upload(NAME, speech(20))
    deleted = answered(longscribe, "delete", done.job_id, "--yes")
    assert deleted["upload"] is False
    assert person.storage.bucket(person.cloud.uploads).blob(NAME).exists()
    until(lambda: person.job(newer))
    longscribe("cancel", newer.job_id)


def test_dead_letters_are_told_and_replayed(
    longscribe: Command, local: LocalCloud, person: Person, quiet: Quiet, alone: None
) -> None:
    poison = sorted(quiet.transcript["txt"].split())[0]
    killed = local.add_worker(HASHING, POISON=poison)
    upload = person.upload("canaryname.flac", quiet.data, **quiet.metadata)

    def ended() -> bool:
        if not local.workers[-1].alive:
            local.workers.pop()
            local.add_worker(HASHING, POISON=poison)
        job = person.job(upload)
        return job is not None and job.state.ended

    until(ended, 180)
    assert not killed.alive
    assert person.jobs.job(upload.job_id).state is JobState.PARTIAL
    (letter,) = answered(longscribe, "dead-letters", upload.job_id)["letters"]
    assert letter["attempts"] == MAX_ATTEMPTS_CLOUD
    local.workers.pop().kill()
    local.add_worker(HASHING)
    replayed = longscribe("dead-letters", upload.job_id, "--replay", "--wait", "--json")
    assert replayed.code == 0, replayed.stderr
    (job,) = json.loads(replayed.stdout)["jobs"]
    assert (job["state"], job["chunks"]) == ("complete", [letter["chunk"]])
    assert person.transcript(person.jobs.job(upload.job_id)) == quiet.transcript
    assert {chunk.state for chunk in person.chunks(upload)} == {ChunkState.DONE}


def findings(longscribe: Command) -> dict[str, dict[str, Any]]:
    done = longscribe("doctor", "--json")
    return {found["check"]: found for found in json.loads(done.stdout)["findings"]}


def test_the_doctor_finds_the_deployment_well_and_a_queue_that_pushes_nowhere(
    longscribe: Command, local: LocalCloud, person: Person, done: Upload
) -> None:
    well = findings(longscribe)
    assert {name: found["verdict"] for name, found in well.items()} == dict.fromkeys(well, "ok"), well
    assert {"buckets", "topics", "subscriptions", "functions", "permissions", "workers", "clock"} <= set(well)
    subscription = f"projects/{local.project}/subscriptions/{topics.RESULTS}"
    endpoint = local.endpoint(topics.RESULTS)
    local.subscriber.modify_push_config(subscription=subscription, push_config=PushConfig())
    try:
        ill = findings(longscribe)
    finally:
        local.subscriber.modify_push_config(
            subscription=subscription, push_config=PushConfig(push_endpoint=endpoint)
        )
    assert (ill["push"]["verdict"], ill["push"]["mend"]) == ("fail", "apply the deployment again")
    assert longscribe("doctor").code == 0


def test_a_doctor_for_a_project_that_is_not_there_names_all_that_is_missing(
    longscribe: Command, person: Person, done: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bucket in ("UPLOADS", "CHUNKS", "TRANSCRIPTS"):
        monkeypatch.delenv(f"LONGSCRIBE_{bucket}_BUCKET")
    ill = longscribe("doctor", "--project", "nobodys-project")
    assert ill.code == 1
    assert "nobodys-project-longscribe-uploads" in ill.stdout
    assert topics.DEAD_RESULTS in ill.stdout


def test_chunks_that_wait_without_a_worker_are_told_with_the_quota_to_ask_for(
    longscribe: Command, person: Person, done: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert longscribe("rerun", NAME).code == 0
    assert "no worker" not in longscribe("status").stdout, "a GPU takes minutes to start"
    monkeypatch.setattr(ports, "AWAY_SECONDS", 0.5)
    monkeypatch.setattr(wiring_cloud, "AWAY_SECONDS", 0.5)
    time.sleep(1)
    told = " ".join(longscribe("status", NAME).stdout.split())  # whatever the width of the screen
    assert "chunks wait and no worker has pulled" in told
    assert "Total Nvidia L4 GPU allocation, per project per region" in told
    warned = findings(longscribe)
    assert [warned[check]["verdict"] for check in ("workers", "jobs")] == ["warn", "warn"]
    assert "GPUS_ALL_REGIONS" in warned["workers"]["mend"]
    assert longscribe("cancel", NAME).code == 0


@pytest.mark.parametrize("example", re.findall(r"^longscribe .*--project .*$", PAGE, re.M))
def test_every_example_of_the_page_runs(longscribe: Command, person: Person, done: Upload, example: str) -> None:
    example = example.replace("my-project", person.cloud.project).replace("interview.m4a", shlex.quote(NAME))
    arguments = shlex.split(example)
    ran = longscribe(*arguments[1:])
    assert ran.code == 0, ran.stderr
    if arguments[1] == "rerun":
        assert longscribe("cancel", NAME).code == 0


def test_a_seek_is_told_before_it_is_done(longscribe: Command, person: Person, done: Upload) -> None:
    preview = answered(longscribe, "seek-preview", "--since", "2000-01-01T00:00Z")
    assert preview["chunks"] >= len(person.chunks(done)) > 0
    assert [command.split()[4] for command in preview["commands"]] == [topics.CHUNKS_HIGH, topics.CHUNKS_LOW]
    later = answered(longscribe, "seek-preview", "--since", "2999-01-01T00:00Z")
    assert (later["chunks"], later["jobs"]) == (0, 0)
    assert longscribe("seek-preview", "--since", "yesterday").code == 2


def test_a_receipt_is_kept_with_the_job_and_costs_nothing_on_the_emulators(
    longscribe: Command, person: Person, done: Upload
) -> None:
    told = answered(longscribe, "receipt", NAME)
    assert told["stored"]
    assert told["receipt"]["cost"] is None
    assert told["receipt"]["chunks"] == len(person.chunks(done))
    assert told["receipt"]["chunker_seconds"] > 0
    assert told["receipt"]["operations"]["messages"] == 1 + 2 * told["receipt"]["chunks"]
