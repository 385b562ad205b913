"""Heals what lost messages and crashes between two steps left, ends what would not end, and sizes the GPU pool.

`reconcile` looks at all jobs that are not at rest, once a minute; `heal` at one, for whoever knows that nobody else
is working on it. Two may run at once, and one may die anywhere: every step is one that only one can take, or that
may be taken twice, and what is left over is found again by the next round.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from msgspec.structs import replace

from longscribe.core import limits, topics
from longscribe.core.receipts import receipt
from longscribe.core.scaling import Backlog, Fleet, instances
from longscribe.core.sending import doubted
from longscribe.core.settings import Settings
from longscribe.documents import Chunk, Job, JobState
from longscribe.errors import Gone
from longscribe.messages import encode
from longscribe.ports import GpuPool
from longscribe.stages.assembler import AssemblerPorts, finish, settle, settle_again

TOO_LATE = "it was not transcribed before the job's deadline"
"""Why the speech of a chunk is missing that was still pending then."""

UNCUT = "The recording was not cut before the job's deadline; look for the chunker's errors, then upload it again."
UNWRITTEN = "The transcript was not written before the job's deadline; look for the assembler's errors."
"""Why a job failed."""


@dataclass(frozen=True)
class Bounds:
    """How long things may take, in seconds; ``core/limits.py`` has the reasons."""

    lost: float = limits.LOST_SECONDS
    settling: float = limits.SETTLE_SECONDS
    replay: float = limits.REPLAY_SECONDS
    chunker: float = limits.CHUNKER_SECONDS
    job: float = limits.JOB_SECONDS


@dataclass(frozen=True)
class ReconcilerPorts:
    """What the reconciler needs."""

    assembler: AssemblerPorts
    pool: GpuPool
    fleet: Fleet
    bounds: Bounds = Bounds()


class Action(StrEnum):
    """What was done to a job."""

    RESENT = "resent"  #: messages that were taken for lost were sent again
    SETTLED = "settled"  #: its last event was lost, or its assembler died: it was finished, or its vote carried out
    REPLAYED = "replayed"  #: its replay, or its late results, went quiet: its transcript was written again
    EXPIRED = "expired"  #: it is past its deadline: what was pending is missing
    FAILED = "failed"  #: it is past its deadline and could not be brought to an end
    RECUT = "recut"  #: its chunker has died: it is among `Reconciled.chunkers`


@dataclass(frozen=True)
class Deed:
    """One thing that was done. May be logged."""

    job_id: str
    action: Action
    chunks: int = 0  #: that it was done to


@dataclass(frozen=True)
class Trouble:
    """What could not be done this time. The error's words may hold a name: its kind alone may be logged."""

    job_id: str | None  #: None: the pool's
    error: Exception


@dataclass(frozen=True)
class Reconciled:
    """One round over all jobs."""

    jobs: int  #: that were not at rest
    backlog: Backlog
    instances: int | None  #: asked for now; None: the pool gave trouble
    deeds: tuple[Deed, ...]
    chunkers: tuple[Job, ...]  #: whose chunker is to be started again; told again if nothing comes of it
    troubles: tuple[Trouble, ...]


@dataclass
class _Round:
    """A round under way."""

    ports: ReconcilerPorts
    now: float
    backlog: Backlog = field(default_factory=lambda: Backlog(0, 0.0))
    active: float = 0.0  #: when something was last seen to happen
    deeds: list[Deed] = field(default_factory=list)
    chunkers: list[Job] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)

    def did(self, job: Job, action: Action, chunks: int = 0) -> None:
        """Note a deed."""
        self.deeds.append(Deed(job.job_id, action, chunks))


def reconcile(ports: ReconcilerPorts, now: float, waiting: int = 0) -> Reconciled:
    """Bring on every job that is not at rest, and size the pool. What fails for one job does not stop the others.

    ``waiting`` is how many messages wait for workers, as far as the caller knows: a replay is seen there alone, its
    chunks being done. Costs up to three reads a job, and one more for every thousand pending chunks; healing costs
    more, and is seldom.
    """
    this = _Round(ports, now)
    jobs = 0
    for job in ports.assembler.jobs.unfinished():
        jobs += 1
        try:
            _bring_on(job, this)
        except Gone:
            continue  # deleted meanwhile
        except Exception as error:  # whatever it is, the other jobs must be brought on
            this.troubles.append(Trouble(job.job_id, error))
    size = _scale(this, waiting)
    return Reconciled(jobs, this.backlog, size, tuple(this.deeds), tuple(this.chunkers), tuple(this.troubles))


def wake(pool: GpuPool) -> bool:
    """Start an instance if there is none, and say whether; for a job's first chunk. The next round adds to it."""
    if pool.size() > 0:
        return False
    pool.resize(1)
    return True


def heal(job_id: str, ports: AssemblerPorts) -> None:
    """Bring one job on that nobody is working on; a job that is well, or still being cut, is left as it is.

    Raises `Gone`.
    """
    job = ports.jobs.job(job_id)
    if job.state is JobState.SETTLING:
        _finish(job, ports)
    elif job.state is JobState.TRANSCRIBING and settle(job_id, ports) is None:
        _publish(ports.jobs.pending(job_id), ports)
    elif job.state.ended and not job.at_rest:
        settle_again(job, ports)


def _finish(job: Job, ports: AssemblerPorts) -> None:
    """Finish a job that was left *settling*."""
    if not ports.jobs.any_pending(job.job_id):
        finish(job, ports)
    # Else the vote sent chunks back, and died before the job's own move, and so before its messages.
    elif ports.jobs.move(job.job_id, JobState.SETTLING, JobState.TRANSCRIBING) is not None:
        _publish(ports.jobs.pending(job.job_id), ports)


def _publish(chunks: Iterable[Chunk], ports: AssemblerPorts) -> None:
    for chunk in chunks:
        ports.queue.publish(topics.topic(chunk.task.priority), encode(chunk.task), chunk.task.job_id)


def _bring_on(job: Job, this: _Round) -> None:
    if job.state is JobState.CHUNKING:
        _chunking(job, this)
    elif job.state is JobState.TRANSCRIBING:
        _transcribing(job, this)
    elif job.state is JobState.SETTLING:
        _settling(job, this)
    else:
        _replayed(job, this)


def _chunking(job: Job, this: _Round) -> None:
    """Have a chunker that is heard of no more started again; after the deadline, fail."""
    jobs, bounds = this.ports.assembler.jobs, this.ports.bounds
    if this.now - job.created >= bounds.job:
        _fail(job, UNCUT, this)
        return
    latest = jobs.last_queued(job.job_id)
    heard = max(job.updated, latest.updated if latest is not None else 0.0)
    this.active = max(this.active, heard)
    _count(job, jobs.count_pending(job.job_id), this)
    cut = max(job.updated, latest.queued if latest is not None else 0.0)
    # Writing the job's document leaves it alone for as long again, and lets one of two reconcilers through.
    if this.now - cut >= bounds.chunker and jobs.amend(job) is not None:
        this.chunkers.append(job)
        this.did(job, Action.RECUT)


def _transcribing(job: Job, this: _Round) -> None:
    """Send lost messages again; finish a job whose last event was lost; after the deadline, with what it has."""
    ports, bounds = this.ports.assembler, this.ports.bounds
    pending = ports.jobs.count_pending(job.job_id)
    if pending and this.now - job.updated >= bounds.job:
        given_up = sum(
            ports.jobs.give_up(job.job_id, chunk.task.index, chunk.task.run, TOO_LATE)
            for chunk in ports.jobs.pending(job.job_id)
        )
        this.did(job, Action.EXPIRED, given_up)
        pending = 0
    if pending == 0:
        if settle(job.job_id, ports) is not None:
            this.did(job, Action.SETTLED)
        return
    _count(job, pending, this)
    latest = ports.jobs.last_changed(job.job_id)
    sent = 0
    for chunk in doubted(latest, ports.jobs.pending(job.job_id), this.now, bounds.lost) if latest else ():
        if ports.jobs.resend(chunk):  # else another reconciler sends it, or it was answered
            _publish([replace(chunk, task=replace(chunk.task, resent=True))], ports)
            sent += 1
    if sent:
        this.did(job, Action.RESENT, sent)


def _settling(job: Job, this: _Round) -> None:
    """Finish a job whose assembler was too long at it; after the deadline, fail."""
    ports, bounds = this.ports.assembler, this.ports.bounds
    age = this.now - job.updated
    if age < bounds.settling:
        return
    # Whoever was at it may yet write over what is written now, and die before it says so: hence once more later.
    if not job.replayed and ports.jobs.amend(job, replayed=True) is None:
        return  # another is at it, or has done it
    try:
        _finish(job, ports)
    except Exception:
        if age >= bounds.job:
            _fail(job, UNWRITTEN, this)
        raise
    this.did(job, Action.SETTLED)


def _replayed(job: Job, this: _Round) -> None:
    """Write a transcript again that late results have changed, once no more come."""
    ports = this.ports.assembler
    latest = ports.jobs.last_changed(job.job_id)
    heard = max(job.updated, latest.updated if latest is not None else 0.0)
    this.active = max(this.active, heard)
    if this.now - heard >= this.ports.bounds.replay and settle_again(job, ports) is not None:
        this.did(job, Action.REPLAYED)


def _fail(job: Job, reason: str, this: _Round) -> None:
    ports = this.ports.assembler
    used = receipt(job, list(ports.jobs.chunks(job.job_id)), ports.prices)
    if ports.jobs.move(job.job_id, job.state, JobState.FAILED, reason=reason, receipt=used) is not None:
        this.did(job, Action.FAILED)


def _count(job: Job, pending: int, this: _Round) -> None:
    """Add a job's pending chunks to the backlog: each holds as much speech as its settings allow."""
    speech = pending * job.settings.chunk_seconds
    if job.seal is not None:
        speech = min(speech, job.seal.samples / limits.SAMPLE_RATE)
    this.backlog += Backlog(pending, speech)


def _scale(this: _Round, waiting: int) -> int | None:
    """Size the pool; return how many instances are asked for, None if it gave trouble."""
    ports, more = this.ports, waiting - this.backlog.chunks
    if more > 0:
        this.backlog += Backlog(more, more * Settings().chunk_seconds)
    try:
        size = ports.pool.size()
        idle = this.now - max(this.active, ports.assembler.jobs.last_moved()) if size else 0.0
        target = instances(this.backlog, size, idle, ports.fleet)
        if this.troubles:  # there may be work that was not counted
            target = max(target, size)
        if target != size:
            ports.pool.resize(target)
    except Exception as error:  # the jobs' deeds must be told all the same
        this.troubles.append(Trouble(None, error))
        return None
    return target
