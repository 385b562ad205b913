"""All single faults of a 3-chunk job, and all pairs of them.

The second fault of a pair comes after the first, at any effect of what then happens: while it is healed, too.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.simulation.deployment import Deployment
from tests.simulation.faults import At, Fault
from tests.simulation.oracle import Recording, Watch, check, check_ended, quiet, rest

TALK = Recording("talk.pcm", 36)
"""Gives three chunks."""

BOUND_SECONDS = 2 * 3_600.0
"""Virtual time in which the job must have ended: a lost message is sent again after 15 minutes, then after 30."""


@dataclass(frozen=True)
class Case:
    """Which effects go wrong, by their number."""

    faults: tuple[tuple[int, Fault], ...] = ()

    def __str__(self) -> str:
        return ", ".join(f"{fault} at effect {number}" for number, fault in self.faults)


@dataclass(frozen=True)
class Outcome:
    """What came of a case."""

    fired: int  #: faults
    effects: int
    seconds: float  #: of virtual time, until rest


def outcome(case: Case) -> Outcome:
    """Run a case. Raises `AssertionError` if anything is lost, doubled, unexpected, illegal or different."""
    deployment = Deployment(plan=At(dict(case.faults)))
    deployment.documents.watch = watch = Watch()

    def scenario() -> None:
        TALK.upload(deployment)
        rest(deployment)

    try:
        deployment.run(scenario, BOUND_SECONDS)
        job = check(deployment, TALK)
        check_ended(deployment)
        assert job.transcripts, f"it failed: {job.reason}"
        assert job.state == quiet(TALK).job.state, f"it is {job.state}"
        assert not watch.wrong, "; ".join(watch.wrong)
    except AssertionError as error:
        schedule = "\n".join(map(str, deployment.effects.steps))
        raise AssertionError(f"{case or 'no fault'}: {error}\n{schedule}") from error
    return Outcome(deployment.effects.fired.total(), len(deployment.effects.steps), deployment.scheduler.time)


def singles() -> Iterator[Case]:
    """Yield a case for each fault at each effect."""
    assert len(quiet(TALK).chunks) == 3
    for number in range(quiet(TALK).effects):
        for fault in Fault:
            yield Case(((number, fault),))


def pairs(first: Case) -> Iterator[Case]:
    """Yield the cases of a second fault after the first."""
    ((number, _),) = first.faults
    for second in range(number + 1, outcome(first).effects):
        for fault in Fault:
            yield Case((*first.faults, (second, fault)))
