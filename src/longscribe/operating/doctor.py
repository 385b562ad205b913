"""Whether all is well: a list of checks, each of which says what it found and what to mend."""

from collections.abc import Callable, Iterable
from enum import StrEnum

import msgspec

from longscribe.core import topics
from longscribe.documents import ChunkState
from longscribe.errors import LongscribeError
from longscribe.operating.ports import Operations
from longscribe.operating.status import overview

AHEAD_SECONDS = 5.0
"""How far a document may be ahead of the clock: machines that share a store differ a little."""


class Verdict(StrEnum):
    """What a check came to."""

    OK = "ok"
    WARN = "warn"  #: it works, but not for ever, or not well
    FAIL = "fail"  #: it does not work


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one check found."""

    check: str
    verdict: Verdict
    found: str
    mend: str | None = None  #: what to do; null where all is well


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What all checks found, in order."""

    verdict: Verdict  #: the worst
    findings: tuple[Finding, ...]


Check = tuple[str, Callable[[], tuple[Verdict, str, str | None]]]
"""A check's name, and what does it: it returns the verdict, what was found, and what to mend."""


def diagnose(checks: Iterable[Check]) -> Report:
    """Run the checks in order; one that raises an error of ours has failed with its sentence."""
    findings = []
    for name, check in checks:
        try:
            verdict, found, mend = check()
        except LongscribeError as error:
            verdict, found, mend = Verdict.FAIL, str(error).rstrip("."), None
        findings.append(Finding(check=name, verdict=verdict, found=found, mend=mend))
    verdicts = [finding.verdict for finding in findings]
    return Report(verdict=max(verdicts, key=list(Verdict).index, default=Verdict.OK), findings=tuple(findings))


def store_checks(ops: Operations) -> list[Check]:
    """Return the checks of any store, whatever it is made of."""
    backlog = ops.backlog
    return [
        ("documents", lambda: _documents(ops)),
        ("workers", lambda: _workers(ops)) if backlog is None else ("queue", lambda: _queue(ops, backlog)),
        ("jobs", lambda: _stuck(ops)),
        ("clock", lambda: _clock(ops)),
    ]


def _documents(ops: Operations) -> tuple[Verdict, str, str | None]:
    jobs = chunks = 0
    for job in ops.jobs.jobs():
        jobs += 1
        if ops.backlog is not None or not job.state.ended:  # in the cloud each document that is read is paid for
            chunks += sum(1 for _ in ops.jobs.chunks(job.job_id))
    return Verdict.OK, f"{jobs} jobs and {chunks} chunks can be read", None


def _workers(ops: Operations) -> tuple[Verdict, str, str | None]:
    found = overview(ops)
    waiting = [job for job in found.jobs if job.chunks_waiting and not job.state.ended]
    count = sum(job.chunks_waiting for job in waiting)
    if found.worker is not None:
        model = f", with the model {found.worker.model}" if found.worker.model else ""
        return Verdict.OK, f"{found.worker.here}{model}; {count} chunks wait", None
    if any(job.notice for job in waiting):
        return Verdict.WARN, f"{count} chunks wait and {ops.nobody}", ops.start_worker
    return (
        Verdict.OK,
        f"{ops.nobody}, and {f'{count} chunks wait not that long' if count else 'no chunk waits'}",
        None,
    )


def _queue(ops: Operations, backlog: Callable[[str], int]) -> tuple[Verdict, str, str | None]:
    flow = (topics.CHUNKS_HIGH, topics.CHUNKS_LOW, topics.DEAD_CHUNKS, topics.RESULTS)
    # Before the documents: a chunk whose message is acknowledged is pending no more.
    waiting = sum(backlog(subscription) for subscription in flow)
    pending = sum(
        chunk.state is ChunkState.PENDING
        for job in ops.jobs.jobs()
        if not job.state.ended
        for chunk in ops.jobs.chunks(job.job_id)
    )
    found = f"{pending} chunks wait, {waiting} messages are queued"
    if pending > waiting:
        return Verdict.WARN, found, f"to have messages made up for, {ops.start_worker}"
    return Verdict.OK, found, None


def _stuck(ops: Operations) -> tuple[Verdict, str, str | None]:
    jobs = overview(ops).jobs
    stuck = [job for job in jobs if job.notice]
    if stuck:
        more = f" (and {len(stuck) - 1} more)" if len(stuck) > 1 else ""
        return Verdict.WARN, f"job {stuck[0].job_id}{more}: {(stuck[0].notice or '').rstrip('.')}", None
    return Verdict.OK, f"{sum(not job.state.ended for job in jobs)} jobs are under way, none is stuck", None


def _clock(ops: Operations) -> tuple[Verdict, str, str | None]:
    now = ops.clock.now()
    ahead = max((job.updated for job in ops.jobs.jobs()), default=now) - now
    if ahead > AHEAD_SECONDS:
        return Verdict.FAIL, f"a job was written {ahead:.0f} s from now", "set this machine's clock"
    return Verdict.OK, "the clock is not behind what was written", None
