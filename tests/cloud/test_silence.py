"""Nobody speaks, or nothing decodes: an upload has a defined end on the cloud too, once."""

from collections.abc import Callable

import numpy as np
import pytest

from local_cloud.deployment import LocalCloud
from longscribe.core.limits import SAMPLE_RATE
from longscribe.core.uploads import COMPLAINT
from longscribe.documents import JobState
from tests.cloud.conftest import HASHING
from tests.cloud.people import Person, until
from tests.e2e.test_silence import NO_RECORDINGS, written
from tests.hostile.test_media_refusals import wav

WORDLESS: dict[str, Callable[[], bytes]] = {
    "silence": lambda: written(np.zeros(200 * SAMPLE_RATE)),
    "one sample": lambda: wav(data=bytes(2)),
    "one sample of 44.1 kHz": lambda: wav(rate=44_100, data=bytes(2)),
}


@pytest.mark.parametrize("name", WORDLESS)
def test_silence_is_complete_and_without_words(local: LocalCloud, person: Person, name: str) -> None:
    local.add_worker(HASHING)
    job = person.ended(person.upload(f"canaryname/{name}", WORDLESS[name](), language="en"))
    assert job.state is JobState.COMPLETE
    assert person.transcript(job)["txt"] == ""
    assert {part["kind"] for part in person.coverage(job)} == {"silent"}


def test_what_is_no_recording_fails_with_the_reason(person: Person) -> None:
    uploads = {name: person.upload(f"canaryname/{name}", make()) for name, make in NO_RECORDINGS.items()}
    for upload in uploads.values():
        job = person.ended(upload, 120.0)
        assert job.state is JobState.FAILED
        note = person.storage.bucket(person.cloud.uploads).blob(str(upload.stored["name"]) + COMPLAINT)
        until(note.exists, 20)
        assert note.download_as_text() == f"{job.reason}\n"
        assert job.reason is not None
        assert job.reason.endswith(".")
