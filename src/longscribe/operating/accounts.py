"""What a job has used, and what that cost."""

import msgspec

from longscribe.core.receipts import receipt
from longscribe.core.transcript import Receipt
from longscribe.documents import Job, JobState
from longscribe.operating.ports import Operations, readable


class JobReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """A job's receipt."""

    job_id: str
    name: str  #: of the recording
    state: JobState
    stored: (
        bool  #: whether it is the one that was stored when the job ended; else it is reckoned from what is there
    )
    receipt: Receipt


def account(job: Job, ops: Operations) -> JobReceipt:
    """Return the receipt that an ended job holds; of others what they used so far, at today's prices.

    While a rerun is under way a job still holds the receipt of the transcript before it.
    """
    stored = job.receipt if job.state.ended else None
    return JobReceipt(
        job_id=job.job_id,
        name=readable(job.recording.name),
        state=job.state,
        stored=stored is not None,
        receipt=stored or receipt(job, list(ops.jobs.chunks(job.job_id)), ops.prices),
    )
