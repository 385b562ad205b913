"""A whole deployment on the emulators: an upload becomes a transcript; what is no upload has a defined outcome."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from local_cloud.deployment import LocalCloud
from longscribe.core import ids, topics
from longscribe.core.uploads import COMPLAINT
from longscribe.documents import ChunkState, JobState
from longscribe.messages import ChunkResult, Sealed, encode
from tests.cloud.conftest import HASHING, Quiet, Watched
from tests.cloud.people import Person, speech, until

NAME = "canaryname/ünverwechselbar --> talk.flac"


def test_an_upload_ends_as_documents_and_four_files(local: LocalCloud, person: Person) -> None:
    local.add_worker(HASHING)
    upload = person.upload(NAME, speech(60), language="en", vocabulary="Canaryterm, Grace")
    job = person.ended(upload)
    assert job.state is JobState.COMPLETE
    assert job.settings.vocabulary == ("Canaryterm", "Grace")
    assert {chunk.state for chunk in person.chunks(upload)} == {ChunkState.DONE}
    assert set(person.transcript(job)) == {"json", "srt", "vtt", "txt"}
    assert person.secrets >= {"canaryname", "ünverwechselbar", "Canaryterm"}


def test_an_upload_of_no_audio_fails_and_says_so_beside_it(person: Person) -> None:
    upload = person.upload(NAME, b"no audio at all" * 1_000)
    job = person.ended(upload)
    assert job.state is JobState.FAILED
    note = person.storage.bucket(person.cloud.uploads).blob(NAME + COMPLAINT).download_as_text()
    assert note == f"{job.reason}\n"


def test_an_empty_object_fails_with_a_reason(person: Person) -> None:
    job = person.ended(person.upload(NAME, b""))
    assert job.state is JobState.FAILED
    assert job.reason


@pytest.mark.parametrize("bucket", ["transcripts", "chunks"])
def test_an_event_of_another_bucket_is_taken_and_changes_nothing(person: Person, bucket: str) -> None:
    upload = person.upload(NAME, speech(20), bucket=getattr(person.cloud, bucket))
    assert person.announce(upload)
    assert person.job(upload) is None


@pytest.mark.parametrize(
    "gone", [{"generation": "1234567"}, {"name": "canaryname-deleted.flac"}], ids=["overwritten", "deleted"]
)
def test_an_object_that_was_gone_before_its_event_came_fails_its_job(person: Person, gone: dict[str, str]) -> None:
    upload = person.upload(NAME, speech(20))
    assert person.announce(upload, **gone)
    stored = {**upload.stored, **gone}
    job = person.jobs.job(ids.job_id(person.cloud.uploads, str(stored["name"]), int(str(stored["generation"]))))
    assert job.state is JobState.FAILED
    assert "deleted or overwritten" in (job.reason or "")


def test_events_that_are_no_uploads_are_dropped(person: Person) -> None:
    upload = person.upload(NAME, speech(20))
    assert person.announce(upload, generation="canarynumber")
    assert person.announce(upload, size=None)


@pytest.fixture
def dead(local: LocalCloud) -> Iterator[list[bytes]]:
    """What waits in the dead letters of the assembler's subscriptions; emptied afterwards."""
    found: list[bytes] = []
    yield found
    drain(local, found)


def drain(local: LocalCloud, found: list[bytes]) -> list[bytes]:
    queue = local.queue()
    for delivery in queue.pull(topics.DEAD_RESULTS, 100):
        found.append(delivery.data)
        queue.acknowledge(topics.DEAD_RESULTS, [delivery.lease])
    return found


def test_messages_that_cannot_be_read_are_pushed_again_and_then_wait_as_dead_letters(
    local: LocalCloud, person: Person, watched: dict[str, Watched], dead: list[bytes]
) -> None:
    newer = encode(Sealed("job", version=2))
    unreadable = {newer, b"canarybytes", b'{"type":"ChunkResult","version":1,"job_id":"canarybytes"}'}
    person.secrets |= {"canarybytes"}
    queue = local.queue()
    for data in unreadable:
        queue.publish(topics.RESULTS, data)
        queue.publish(topics.DEAD_CHUNKS, data)
    until(lambda: len(drain(local, dead)) == 2 * len(unreadable), 60)
    assert set(dead) == unreadable


def test_results_of_unknown_jobs_are_taken_and_dropped(
    local: LocalCloud, person: Person, watched: dict[str, Watched], quiet: Quiet, dead: list[bytes]
) -> None:
    result = quiet.chunks[0].result
    assert isinstance(result, ChunkResult)
    person.secrets |= {window.text.strip() for window in result.windows}
    watched["assembler"].quiet()
    queue = local.queue()
    for message in (replace(result, job_id="0" * 32), Sealed("0" * 32)):
        queue.publish(topics.RESULTS, encode(message))
    until(lambda: watched["assembler"].firestore.calls["BatchGetDocuments"] >= 2)  # each looks its job up
    assert drain(local, dead) == []
