"""Virtual time and deterministic turns: many processes of many tasks in one Python process, one at a time.

Each task is a greenlet, and runs until it waits: for a moment, for another task, for a condition. Who is next is
decided by virtual time alone, and between equals by who asked first. So the same program takes the same steps each
time, and a day passes in the time its steps take. (Threads that pass a baton do the same, thirty times slower.)

A process can be killed: every one of its tasks ends where it waits, and nothing it does on its way out reaches the
outside. It can also be frozen, like a machine that swaps or is moved: its leases run out, and it goes on as if
nothing had happened.
"""

import heapq
import itertools
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from types import SimpleNamespace
from typing import Any

from greenlet import getcurrent, greenlet


class Died(BaseException):
    """The process that this task belongs to was killed."""


class Stuck(AssertionError):
    """The main task did not end in time."""


class Process:
    """What dies at once."""

    def __init__(self, name: str, skew: float = 0.0) -> None:
        self.name = name
        self.skew = skew  #: seconds that its clock is ahead
        self.dead = False
        self.thaws = 0.0  #: when it may go on
        self.tasks: list[Task] = []

    @property
    def ended(self) -> bool:
        """Whether none of its tasks is left."""
        return all(task.ended for task in self.tasks)


class Task:
    """One thread of a process."""

    def __init__(self, scheduler: "Scheduler", process: Process, work: Callable[[], object]) -> None:
        self.process = process
        self.ended = False
        self.turn = 0  #: which of its turns on the agenda counts: older ones are void
        self.waiters: list[Task] = []
        self.thread = greenlet(self._run, scheduler.hub)
        self._scheduler = scheduler
        self._work = work

    def _run(self) -> None:
        try:
            if not self.process.dead:
                self._work()
        except Died:
            pass
        except BaseException as error:
            self._scheduler.failure = self._scheduler.failure or error
        self.ended = True
        for waiter in self.waiters:
            self._scheduler.wake(waiter)


class Scheduler:
    """Gives turns to tasks."""

    def __init__(self) -> None:
        self.time = 0.0  #: seconds since the beginning
        self.failure: BaseException | None = None
        self.current: Task | None = None
        self._agenda: list[tuple[float, int, Task, int]] = []
        self._numbers = itertools.count()
        self.hub = getcurrent()
        self._tasks: list[Task] = []

    def run(self, main: Callable[[], object], limit: float) -> None:
        """Run ``main``, and whatever it starts, until it returns. Raises `Stuck` after ``limit`` seconds."""
        task = self.spawn(Process("main"), main)
        try:
            while not task.ended:
                if self.time > limit:
                    raise Stuck(f"It has not come to rest after {limit:,.0f} s of virtual time.")
                self._step()
                if self.failure is not None:
                    raise self.failure
        finally:
            self._end()

    def _step(self) -> None:
        at, _, task, turn = heapq.heappop(self._agenda)
        if task.ended or turn != task.turn:
            return
        if task.process.thaws > at and not task.process.dead:
            self._put(task, task.process.thaws)
            return
        self.time = max(self.time, at)
        self._resume(task)

    def _resume(self, task: Task) -> None:
        self.current = task
        task.thread.switch()

    def _end(self) -> None:
        """Unwind what is left, so that no task outlives the simulation."""
        for task in self._tasks:
            task.process.dead = True
        while left := [task for task in self._tasks if not task.ended]:
            for task in left:
                self._resume(task)

    def _put(self, task: Task, at: float) -> None:
        task.turn += 1
        heapq.heappush(self._agenda, (at, next(self._numbers), task, task.turn))

    def spawn(self, process: Process, run: Callable[[], object]) -> Task:
        """Start a task of ``process``; its first turn comes at once, after those that wait already."""
        task = Task(self, process, run)
        process.tasks.append(task)
        self._tasks = [*(each for each in self._tasks if not each.ended), task]
        self._put(task, self.time)
        return task

    def wait(self, until: float | None = None) -> None:
        """Give up the turn until the time ``until``, or until woken."""
        task = self.me
        if until is not None:
            self._put(task, until)
        else:
            task.turn += 1
        self.hub.switch()
        if task.process.dead:
            raise Died

    def sleep(self, seconds: float) -> None:
        """Let time pass for the current task."""
        self.wait(self.time + seconds)

    def wake(self, task: Task) -> None:
        """Let a waiting task go on now."""
        self._put(task, self.time)

    @property
    def me(self) -> Task:
        """The current task, if its process still lives. Raises `Died`."""
        assert self.current is not None
        if self.current.process.dead:
            raise Died
        return self.current

    def join(self, task: Task) -> None:
        """Wait for a task's end."""
        while not task.ended:
            task.waiters.append(self.me)
            self.wait()

    def kill(self, process: Process) -> None:
        """End a process where it stands; the caller, if it is part of it, has to raise `Died`."""
        process.dead = True
        for task in process.tasks:
            if not task.ended and task is not self.current:
                self.wake(task)

    def standins(self) -> SimpleNamespace:
        """Return what stands in for the module ``threading``."""
        return SimpleNamespace(Condition=partial(Condition, self), Thread=partial(Thread, self))


class Condition:
    """`threading.Condition`. Its lock is always free: nobody gives up the turn while holding it, but to wait."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._waiting: list[Task] = []

    def __enter__(self) -> "Condition":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def wait(self, timeout: float | None = None) -> None:
        self._waiting.append(self._scheduler.me)
        self._scheduler.wait(None if timeout is None else self._scheduler.time + timeout)

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        end = None if timeout is None else self._scheduler.time + timeout
        while not predicate():
            if end is not None and self._scheduler.time >= end:
                return False
            self.wait(None if end is None else end - self._scheduler.time)
        return True

    def notify_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        for task in dict.fromkeys(waiting):
            if not task.ended:
                self._scheduler.wake(task)


class Thread:
    """`threading.Thread`."""

    def __init__(self, scheduler: Scheduler, target: Callable[[], object], name: str, daemon: bool) -> None:
        self._scheduler = scheduler
        self._target = target
        self._task: Task | None = None

    def start(self) -> None:
        self._task = self._scheduler.spawn(self._scheduler.me.process, self._target)

    def join(self) -> None:
        assert self._task is not None
        self._scheduler.join(self._task)


class Threads(Executor):
    """`ThreadPoolExecutor` with as many threads as there is work."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._tasks: list[Task] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        promised = Promised(self._scheduler)

        def work() -> None:
            try:
                promised.set_result(fn(*args, **kwargs))
            except Exception as error:
                promised.set_exception(error)

        promised.task = self._scheduler.spawn(self._scheduler.me.process, work)
        self._tasks.append(promised.task)
        return promised

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        for task in self._tasks:
            self._scheduler.join(task)


class Promised(Future[Any]):
    """A future that is waited for in virtual time."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__()
        self._scheduler = scheduler
        self.task: Task | None = None

    def result(self, timeout: float | None = None) -> Any:
        self._join()
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._join()
        return super().exception(0)

    def _join(self) -> None:
        assert self.task is not None
        self._scheduler.join(self.task)
