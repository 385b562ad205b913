"""Which job somebody means."""

from collections.abc import Iterable
from dataclasses import dataclass

from longscribe.documents import Job
from longscribe.errors import BadInput
from longscribe.operating.ports import readable
from longscribe.ports import Jobs

SHORTEST = 4
"""Characters of a job's id that may stand for it, if no other begins with them."""

SHOWN = 10
"""Candidates that are named where none, or more than one, fits."""


@dataclass(frozen=True)
class Found:
    """A job, and what is to be said of the choice."""

    job: Job
    remark: str | None = None  #: one sentence


def find(jobs: Jobs, text: str) -> Found:
    """Return the job whose id is ``text`` or alone begins with it, or whose recording is so named.

    Of several jobs of that name the newest. Raises `BadInput`, with candidates, for what fits none or is ambiguous.
    """
    known = list(jobs.jobs())
    for job in known:
        if job.job_id == text:
            return Found(job)
    named = [job for job in known if readable(job.recording.name) == text]
    if named:
        newest, *others = named
        if not others:
            return Found(newest)
        return Found(newest, f"{len(named)} jobs are of {text}; this is the newest, {newest.job_id}.")
    begins = [job for job in known if len(text) >= SHORTEST and job.job_id.startswith(text)]
    if len(begins) == 1:
        return Found(begins[0])
    if begins:
        raise BadInput(f"More than one job begins with {text!r}: {_listed(begins)}; give more of it.")
    raise BadInput(f"There is no job {text!r}; there are: {_listed(known) or 'none'}.")


def _listed(jobs: Iterable[Job]) -> str:
    shown = [f"{job.job_id} ({readable(job.recording.name)})" for job in jobs]
    more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    return ", ".join(shown[:SHOWN]) + more
