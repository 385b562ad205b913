"""What a rerun changed."""

import msgspec

from longscribe.core.assembly import assemble
from longscribe.core.differing import Difference, differences
from longscribe.core.transcript import Kind, Transcript
from longscribe.documents import Job, JobState
from longscribe.errors import BadInput, Gone
from longscribe.operating.ports import Operations, readable
from longscribe.operating.rerunning import before_name


class Comparison(Difference, frozen=True, kw_only=True):
    """A job's transcript before its last rerun and after it."""

    job_id: str
    name: str  #: of the recording
    models_before: tuple[str, ...]
    models_after: tuple[str, ...]
    missing_before: float  #: seconds
    missing_after: float  #: seconds


def compare(job: Job, ops: Operations) -> Comparison:
    """Return what the job's last rerun changed.

    Raises `BadInput` for a job that was not rerun, whose rerun is under way, or whose older transcript cannot be
    read.
    """
    if not job.state.ended:
        raise BadInput(f"Job {job.job_id} is {job.state}; compare when it has ended.")
    try:
        kept = ops.blobs.stat(ops.transcripts_bucket, before_name(job.job_id)).ref
        before = msgspec.json.decode(ops.blobs.read(kept), type=Transcript)
    except Gone:
        raise BadInput(f"Job {job.job_id} was never rerun, so there is nothing to compare.") from None
    except msgspec.MsgspecError:
        raise BadInput(
            f"The transcript from before the rerun of job {job.job_id} is of another version; rerun the job again."
        ) from None
    if job.state not in (JobState.COMPLETE, JobState.PARTIAL):
        raise BadInput(f"Job {job.job_id} is {job.state} and has no transcript to compare.")
    after = assemble(job, ops.jobs.chunks(job.job_id), job.language)
    found = differences(before, after)
    return Comparison(
        **{field: getattr(found, field) for field in found.__struct_fields__},
        job_id=job.job_id,
        name=readable(job.recording.name),
        models_before=before.provenance.models,
        models_after=after.provenance.models,
        missing_before=_missing(before),
        missing_after=_missing(after),
    )


def _missing(transcript: Transcript) -> float:
    parts = (part for part in transcript.coverage if part.kind is Kind.MISSING)
    return round(sum(part.end - part.start for part in parts), 3)
