"""Every effect is counted, takes time, and may go wrong in one of four ways."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from longscribe.errors import Transient
from tests.simulation.scheduler import Died, Process, Scheduler


class Fault(StrEnum):
    """What becomes of an effect, and of who called for it."""

    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"
    ERROR_BEFORE = "error before"
    ERROR_AFTER = "done but reported as failed"


@dataclass(frozen=True)
class Step:
    """One effect of a schedule."""

    number: int  #: from 0
    time: float  #: virtual seconds
    process: str
    call: str
    fault: Fault | None

    def __str__(self) -> str:
        return f"{self.number:6d} {self.time:10.3f} s  {self.process:22} {self.call:28} {self.fault or ''}".rstrip()


class Plan:
    """Which effects go wrong, and how long each takes: here, none, and a millisecond."""

    def fault(self, number: int, process: str) -> Fault | None:
        """Return what happens at effect ``number``."""
        return None

    def seconds(self) -> float:
        """Return how long it takes until an effect is done."""
        return 0.001


class At(Plan):
    """Faults at given effects."""

    def __init__(self, faults: dict[int, Fault]) -> None:
        self._faults = faults

    def fault(self, number: int, process: str) -> Fault | None:
        return self._faults.get(number)


class Effects:
    """What stands between the processes and the world."""

    def __init__(self, scheduler: Scheduler, plan: Plan) -> None:
        self.plan = plan
        self.steps: list[Step] = []
        self._scheduler = scheduler

    @property
    def fired(self) -> Counter[str]:
        """How often each fault happened."""
        return Counter(str(step.fault) for step in self.steps if step.fault is not None)

    def call(self, process: Process, name: str, effect: Callable[[], Any], seconds: float = 0.0) -> Any:
        """Let ``process`` have an effect, which takes ``seconds`` and then some."""
        self._scheduler.sleep(seconds + self.plan.seconds())
        number = len(self.steps)
        fault = self.plan.fault(number, process.name)
        self.steps.append(Step(number, self._scheduler.time, process.name, name, fault))
        if fault is Fault.CRASH_BEFORE:
            self.die(process)
        if fault is Fault.ERROR_BEFORE:
            raise Transient("simulated: nothing was done; try again")
        answer = effect()
        if fault is Fault.CRASH_AFTER:
            self.die(process)
        if fault is Fault.ERROR_AFTER:
            raise Transient("simulated: it was done and its confirmation lost; try again")
        return answer

    def die(self, process: Process) -> None:
        self._scheduler.kill(process)
        raise Died

    def port(self, process: Process, name: str, port: object) -> Any:
        """Return ``port`` as ``process`` sees it."""
        return _Port(self, process, name, port)


class _Port:
    """Makes an effect of each call. What a call yields piece by piece is read in one go."""

    def __init__(self, effects: Effects, process: Process, name: str, port: object) -> None:
        self._effects = effects
        self._process = process
        self._name = name
        self._port = port

    def __getattr__(self, method: str) -> Any:
        call = getattr(self._port, method)

        def effect(*args: Any, **named: Any) -> Any:
            answer = call(*args, **named)
            return iter(list(answer)) if isinstance(answer, Iterator) else answer

        def called(*args: Any, **named: Any) -> Any:
            return self._effects.call(self._process, f"{self._name}.{method}", lambda: effect(*args, **named))

        return called
