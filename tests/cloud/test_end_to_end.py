"""A whole deployment on the emulators: an upload becomes a transcript, whatever dies or comes twice on the way."""

import sys
from collections.abc import Iterator

import pytest

from local_cloud import deployment, emulators
from local_cloud.deployment import LocalCloud
from longscribe.documents import ChunkState, JobState
from tests.cloud.people import Person, speech

HASHING = [sys.executable, "-m", "tests.cloud.hashing_worker"]


@pytest.fixture(scope="module")
def local(cloud: emulators.Emulators, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A deployment whose workers the tests start."""
    log = tmp_path_factory.mktemp("cloud") / "log"
    with (
        log.open("wb") as stream,
        deployment.running(cloud, stream, {"LONGSCRIBE_MODEL": "base"}, workers=0) as made,
    ):
        yield made


@pytest.fixture
def person(local: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Person]:
    for name, value in local.hosts.environment().items():
        monkeypatch.setenv(name, value)
    yield Person(local)
    for worker in local.workers:
        worker.kill()
    local.workers.clear()


@pytest.fixture
def quiet(local: LocalCloud, person: Person) -> dict[str, str]:
    """The transcript of `RECORDING` when nothing goes wrong."""
    local.add_worker(HASHING).wait()
    job = person.ended(person.upload("quiet.flac", speech(600)))
    assert job.state is JobState.COMPLETE
    return person.transcript(job)


def test_an_upload_ends_as_documents_and_four_files(local: LocalCloud, person: Person) -> None:
    local.add_worker(HASHING).wait()
    upload = person.upload("interviews/ünï --> talk.flac", speech(60), language="en", vocabulary="Ada, Grace")
    job = person.ended(upload)
    assert job.state is JobState.COMPLETE
    assert job.settings.vocabulary == ("Ada", "Grace")
    assert {chunk.state for chunk in person.chunks(upload)} == {ChunkState.DONE}
    assert set(person.transcript(job)) == {"json", "srt", "vtt", "txt"}
