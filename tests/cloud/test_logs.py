"""A job of every fate, canaries in all that people said, named and set: not one of them is in a log."""

import json

from local_cloud.deployment import LocalCloud
from longscribe.adapters.gcp.storage import GcsBlobs
from longscribe.core import ids
from longscribe.documents import ChunkState, Job, JobState
from longscribe.stages.assembler import GIVEN_UP
from tests.cloud.conftest import HASHING, logged
from tests.cloud.people import Person, Upload, speech, until

SETTINGS = {"language": "en", "vocabulary": "Canaryterm, canary-phrase"}


def test_whatever_becomes_of_a_job_no_log_tells_of_its_content(local: LocalCloud, person: Person) -> None:
    begun = len(logged(local))
    uploads = {
        "heard": person.upload("canaryfolder/--> canaryheard.flac", speech(60), **SETTINGS),
        "poisoned": person.upload("canarypoisoned.flac", speech(60, seed=1), **SETTINGS, chunk_seconds="10"),
        "no audio": person.upload("canarynoaudio.flac", b"canarybytes" * 1_000, **SETTINGS),
        "empty": person.upload("canaryempty.flac", b""),
        "unknown setting": person.upload("canaryunknown.flac", speech(20), canarysetting="canaryvalue"),
        "bad setting": person.upload("canarybad.flac", speech(20), language="canarylang"),
        "another model": person.upload("canarymodel.flac", speech(20), model="canarymodelname"),
    }
    person.secrets |= {"canarybytes", "canarysetting", "canarylang", "canaryvalue"}
    until(lambda: (job := person.job(uploads["poisoned"])) is not None and job.state is JobState.TRANSCRIBING)
    poison(person, uploads["poisoned"])
    local.add_worker(HASHING)
    jobs = {fate: person.ended(upload, 120) for fate, upload in uploads.items()}
    states = {fate: job.state for fate, job in jobs.items()}
    assert states == {
        "heard": JobState.COMPLETE,
        "poisoned": JobState.PARTIAL,
        "no audio": JobState.FAILED,
        "empty": JobState.FAILED,
        "unknown setting": JobState.FAILED,
        "bad setting": JobState.FAILED,
        "another model": JobState.PARTIAL,
    }
    assert {part["reason"] for part in missing(person, jobs["poisoned"])} == {GIVEN_UP}
    assert all("canarymodelname" in part["reason"] for part in missing(person, jobs["another model"]))
    assert "canarylang" in (jobs["bad setting"].reason or "")
    person.transcript(jobs["heard"])  # its words are secrets too
    lines = [json.loads(line) for line in logged(local)[begun:].decode().splitlines() if line.startswith("{")]
    assert {line.get("job") for line in lines} >= {job.job_id for job in jobs.values()}, "each was told of"
    assert "Gone" in {line.get("error") for line in lines}, "and the poison too"


def poison(person: Person, upload: Upload) -> None:
    """Have one chunk's audio replaced by what is not its."""
    chunk = person.chunks(upload)[1]
    assert chunk.state is ChunkState.PENDING
    GcsBlobs(person.storage).replace(person.cloud.chunks, ids.chunk_blob(upload.job_id, 1), b"canaryaudio")


def missing(person: Person, job: Job) -> list[dict[str, str]]:
    return [part for part in person.coverage(job) if part["kind"] == "missing"]
