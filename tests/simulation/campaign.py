"""Random campaigns: a storm over several recordings, then calm, in which all must come to an end.

A seed decides everything. It also decides which kinds of faults there are at all, and how many: a storm of
everything hides what a storm of two kinds finds.
"""

import random
from collections import Counter
from dataclasses import dataclass, field
from functools import partial

from longscribe.core import topics
from longscribe.documents import JobState
from longscribe.errors import LongscribeError
from longscribe.operating.rerunning import rerun
from tests.simulation.deployment import Deployment
from tests.simulation.faults import Fault, Plan
from tests.simulation.machines import EPOCH
from tests.simulation.memory import Message, Weather
from tests.simulation.oracle import Recording, Watch, check, check_ended, rest
from tests.simulation.scheduler import Process
from tests.standins import PcmMedia

STORM_SECONDS = 1_200.0
BOUND_SECONDS = 26 * 3_600.0
"""Virtual time in which all must have ended once the storm is over: a job's deadline, and time to write it."""

SKEW_SECONDS = 40.0
"""How far a process's clock is off at most. ``stages/assembler.py`` allows two of them to differ by 120 s, less
what a write takes."""

RECORDINGS = (
    Recording("short.pcm", 12),
    Recording("talk.pcm", 36),
    Recording("doubtful.pcm", 72, ()),
    Recording("broken.pcm", 0),
    Recording("long.pcm", 190, (("language", "en"), ("chunk_seconds", "20"))),
)
KINDS = (
    *map(str, Fault),
    "duplicate",
    "reordered",
    "late acknowledgement",
    "late acknowledgement honoured",
    "acknowledgement lost",
    "message lost",
    "dead-lettered",
    "dead-lettered twice",
    "preempted",
    "killed",
    "frozen",
    "clock jumped",
    "seek",
    "rerun",
)
"""What can go wrong; each must happen in some seed of a campaign."""

SWITCHED = [kind for kind in KINDS if not kind.startswith("late ") and kind != "dead-lettered"]
"""What a seed may leave out; the others come of these."""


class Storm(Plan, Weather):
    """Faults by lot while it lasts."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.on = True
        self.fired: Counter[str] = Counter()
        self.kinds = {kind for kind in SWITCHED if self.random.random() < 0.6}
        self.rate = self.random.choice([0.003, 0.01, 0.05])  #: of each fault, an effect
        self.pace = self.random.choice([0.005, 0.05, 0.5, 5.0])  #: mean seconds of an effect
        self.pause = self.random.choice([3.0, 10.0, 30.0])  #: mean seconds between two strikes

    def strikes(self, kind: str, rate: float) -> bool:
        """Decide by lot whether something goes wrong, and count it."""
        struck = self.on and kind in self.kinds and self.random.random() < rate
        self.fired[kind] += struck
        return struck

    def fault(self, number: int, process: str) -> Fault | None:
        return next((fault for fault in Fault if self.strikes(str(fault), self.rate)), None)

    def seconds(self) -> float:
        return self.random.expovariate(1 / self.pace) if self.on else 0.001

    def lost(self, topic: str) -> bool:
        return self.strikes("message lost", 0.05)

    def order(self, ready: list[Message]) -> list[Message]:
        if len(ready) > 1 and self.strikes("reordered", 0.5):
            return self.random.sample(ready, len(ready))
        return ready

    def again(self) -> bool:
        return self.strikes("duplicate", 0.05)

    def honoured(self) -> bool:
        self.fired["late acknowledgement"] += 1
        honoured = self.random.random() < 0.3
        self.fired["late acknowledgement honoured"] += honoured
        return honoured

    def unheard(self) -> bool:
        return self.strikes("acknowledgement lost", 0.05)

    def graves(self) -> int:
        self.fired["dead-lettered"] += 1
        return 2 if self.strikes("dead-lettered twice", 0.5) else 1


@dataclass
class Voyage:
    """One seed, run."""

    seed: int
    fired: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)  #: of the jobs at the end
    seconds: float = 0.0  #: of virtual time from the end of the storm to rest
    effects: int = 0

    def __post_init__(self) -> None:
        self.storm = Storm(self.seed)
        self.random = self.storm.random
        self.deployment = Deployment(
            self.storm,
            self.storm,
            skew=lambda: self.random.uniform(-SKEW_SECONDS, SKEW_SECONDS),
            attempts=self.random.choice([5, 10]),
            workers=self.random.choice([1, 2, 3]),
            speed=self.random.choice([9.0, 1.0, 0.2]),
        )
        self.deployment.documents.watch = self.watch = Watch()
        self.recordings = self.random.sample(RECORDINGS, self.random.choice([1, 2, 3]))
        self._operators = 0

    def run(self) -> "Voyage":
        """Run it. Raises `AssertionError` with the schedule if something is wrong."""
        try:
            self.deployment.run(self._scenario, STORM_SECONDS + BOUND_SECONDS)
            for recording in self.recordings:
                self.states[check(self.deployment, recording).state] += 1
            check_ended(self.deployment)
            assert not self.watch.wrong, "; ".join(self.watch.wrong)
        except Exception as error:
            schedule = "\n".join(map(str, self.deployment.effects.steps))
            raise AssertionError(f"{schedule}\nseed {self.seed}: {type(error).__name__}: {error}") from error
        self.fired = self.storm.fired
        self.effects = len(self.deployment.effects.steps)
        return self

    def _scenario(self) -> None:
        scheduler = self.deployment.scheduler
        due = sorted(self.random.uniform(0, STORM_SECONDS / 2) for _ in self.recordings)
        for recording in self.recordings:
            self._storm(due.pop(0))
            recording.upload(self.deployment)
        self._storm(STORM_SECONDS)
        self.storm.on = False
        ended = scheduler.time
        rest(self.deployment)
        while self._operators:
            scheduler.sleep(10.0)
            rest(self.deployment)
        self.seconds = scheduler.time - ended

    def _storm(self, until: float) -> None:
        while self.deployment.scheduler.time < until:
            self.deployment.scheduler.sleep(self.random.expovariate(1 / self.storm.pause))
            self._strike()

    def _strike(self) -> None:
        """Let something happen to the machines, or somebody do something."""
        deployment = self.deployment
        living = [process for process in deployment.living if not process.dead and not process.ended]
        workers = [process for process in living if process.name.startswith("worker")]
        some = self.random.choice
        if workers and self.storm.strikes("preempted", 0.2):
            deployment.scheduler.kill(some(workers))
        if living and self.storm.strikes("killed", 0.1):
            deployment.scheduler.kill(some(living))
        if living and self.storm.strikes("frozen", 0.15):
            some(living).thaws = deployment.scheduler.time + self.random.choice([20.0, 100.0, 700.0])
        if living and self.storm.strikes("clock jumped", 0.2):
            some(living).skew = self.random.uniform(-SKEW_SECONDS, SKEW_SECONDS)
        if self.storm.strikes("seek", 0.03):
            since = EPOCH + self.random.uniform(0, deployment.scheduler.time)
            for subscription in (topics.CHUNKS_HIGH, topics.CHUNKS_LOW):
                deployment.queue.seek(subscription, since)
        if any(self._rerunnable()) and self.storm.strikes("rerun", 0.1):
            self._operators += 1
            deployment.scheduler.spawn(deployment.platform, partial(self._rerun, some(self._rerunnable())))

    def _rerunnable(self) -> list[str]:
        return [
            job.job_id for job in self.deployment.jobs.jobs() if job.state in (JobState.COMPLETE, JobState.PARTIAL)
        ]

    def _rerun(self, job_id: str) -> None:
        """Be a person who has some chunks transcribed again, and tries until it works."""
        count = len(list(self.deployment.jobs.chunks(job_id)))
        indices = self.random.sample(range(count), self.random.randint(0, count))
        done: list[bool] = []

        def command(process: Process) -> None:
            operations = self.deployment.operations(process)
            try:
                job = operations.jobs.job(job_id)
                rerun(job, indices, job.settings.model, operations, PcmMedia())
            except LongscribeError:
                return  # somebody else was at it, or a call failed: decide anew
            done.append(True)

        while not done and self.deployment.jobs.job(job_id).state is not JobState.FAILED:
            process = self.deployment.process("rerun")
            self.deployment.scheduler.join(self.deployment.scheduler.spawn(process, partial(command, process)))
            self.deployment.scheduler.sleep(30.0)
        self._operators -= 1
