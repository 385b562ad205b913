"""The real worker with a real model: the same transcript as the embedded path's for the same recording."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_cloud import deployment, emulators
from local_cloud.deployment import LocalCloud
from longscribe import cli
from longscribe.adapters.models import locate
from longscribe.documents import JobState
from tests.cloud.conftest import check_log
from tests.cloud.people import SENTENCES, Person, comparable, speech

MODEL = "tiny.en"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("models")
    locate(MODEL, home)
    return home


@pytest.fixture
def real(
    cloud: emulators.Emulators, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalCloud]:
    """A deployment with one real worker."""
    log = tmp_path / "log"
    shared = {"LONGSCRIBE_MODEL_CACHE": str(tmp_path / "shared")}
    extra = {"LONGSCRIBE_MODEL": MODEL, "LONGSCRIBE_MODELS": str(models), **shared}
    with log.open("wb") as stream, deployment.running(cloud, stream, extra) as made:
        for name, value in made.hosts.environment().items():
            monkeypatch.setenv(name, value)
        yield made
    words = {"canaryname", *(word for sentence in SENTENCES for word in sentence.split() if len(word) > 7)}
    check_log(log.read_bytes(), words)


def test_the_cloud_gives_the_same_transcript_as_one_machine(
    real: LocalCloud, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = tmp_path / "canaryname.flac"
    recording.write_bytes(speech(150))
    assert len(list((tmp_path / "shared").glob(f"{MODEL}-*/model.bin"))) == 1  # the worker is ready
    person = Person(real)
    upload = person.upload(recording.name, recording.read_bytes(), language="en", chunk_seconds="28")
    monkeypatch.setenv("LONGSCRIBE_MODELS", str(models))
    arguments = ["transcribe", str(recording), "--out", str(tmp_path), "--language", "en", "--model", MODEL]
    monkeypatch.setattr("sys.argv", ["longscribe", *arguments, "--chunk-length", "28"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    job = person.ended(upload, 120)
    assert job.state is JobState.COMPLETE
    assert len(person.chunks(upload)) > 4
    kinds = ("json", "srt", "vtt", "txt")
    local = {kind: (tmp_path / f"canaryname.{kind}").read_text(encoding="utf-8") for kind in kinds}
    assert "apple trees" in local["txt"]
    assert person.transcript(job) == {**local, "json": comparable(local["json"])}
    assert json.loads(local["json"])["status"] == "complete"
