"""Files that mean harm, uploaded among good ones: each ends with its reason, once, and no other is held up."""

import json
import time
from pathlib import Path

import pytest

from local_cloud.deployment import LocalCloud
from longscribe.core.uploads import COMPLAINT
from longscribe.documents import JobState
from tests.cloud.conftest import HASHING, Quiet, logged
from tests.cloud.people import Person, Upload, until
from tests.hostile.crafted import Files, foreign, matroska, mp4, ogg, playlists, raw
from tests.hostile.traps import Set

GOOD = 3

QUIET_SECONDS = 8.0
"""More than the hasty reconciler waits before it takes an upload for missed."""

REFUSED: dict[str, tuple[Files, str]] = {
    "ffconcat of a file": (playlists.FILES, "known format"),
    "hls of an address": (playlists.FILES, "known format"),
    "sdp": (playlists.FILES, "known format"),
    "zip bomb": (foreign.FILES, "known format"),
    "wav of 1,000 channels": (raw.FILES, "channels"),
    "wav of 1 Hz": (raw.FILES, "samples a second"),
    "flac of 2^36 samples": (raw.FILES, "split it"),
    "mp4 that is encrypted": (mp4.FILES, "Nothing"),
    "mp4 of moving pictures": (mp4.FILES, "no audio stream"),
    "mp4 with 100,000 edits of the whole": (mp4.FILES, "over and over"),
    "mkv that jumps by 49 hours": (matroska.FILES, "split it"),
}
"""What a job's reason says."""

PARTIAL: dict[str, tuple[Files, str]] = {
    "mp3 that is all sync": (raw.FILES, "cut off"),
    "mkv that jumps by six hours": (matroska.FILES, "no readable audio"),
    "opus of 500 chained streams": (ogg.FILES, "another recording"),
}
"""What the reason for a missing stretch says."""


@pytest.fixture
def traps(tmp_path: Path) -> Set:
    made = Set(tmp_path)
    made.sprung()
    yield made
    made.close()


def told(local: LocalCloud, since: int) -> list[str]:
    """What the services have logged of cutting recordings."""
    lines = [json.loads(line) for line in logged(local)[since:].splitlines() if line.startswith(b"{")]
    return [line["message"] for line in lines if line.get("message", "").startswith("A recording")]


def test_hostile_uploads_among_good_ones(local: LocalCloud, person: Person, quiet: Quiet, traps: Set) -> None:
    local.add_worker(HASHING)
    since = len(logged(local))
    hostile: dict[str, Upload] = {}
    good: list[Upload] = []
    names = [*REFUSED, *PARTIAL]
    for number, name in enumerate(names):
        files, _ = {**REFUSED, **PARTIAL}[name]
        hostile[name] = person.upload(f"canaryname/{name}.mp3", files[name](traps.traps), language="en")
        if number % (len(names) // GOOD) == 2:
            good.append(person.upload(f"canaryname/good-{number}.flac", quiet.data, **quiet.metadata))
    assert len(good) >= GOOD

    for upload in good:
        job = person.ended(upload, 120.0)
        assert job.state is JobState.COMPLETE
        assert person.transcript(job) == quiet.transcript
    for name, (_, reason) in REFUSED.items():
        job = person.ended(hostile[name], 120.0)
        assert (job.state, reason in (job.reason or "")) == (JobState.FAILED, True), (name, job.reason)
        note = person.storage.bucket(person.cloud.uploads).blob(str(hostile[name].stored["name"]) + COMPLAINT)
        until(note.exists, 10)
        assert note.download_as_text() == f"{job.reason}\n"
    for name, (_, reason) in PARTIAL.items():
        job = person.ended(hostile[name], 120.0)
        assert job.state is JobState.PARTIAL, (name, job.reason)
        missing = [part["reason"] for part in person.coverage(job) if part["kind"] == "missing"]
        assert any(reason in told for told in missing), (name, missing)

    # The hasty reconciler has a recording cut again that waits its turn; what has ended nobody takes up again.
    until(lambda: told(local, since) == (time.sleep(QUIET_SECONDS), told(local, since))[1], 90)
    assert set(told(local, since)) == {"A recording was taken"}, "none was given back to be tried again"
    assert traps.sprung() == []
