"""How many GPU instances a backlog wants. Pure: the reconciler brings the figures."""

import math
from dataclasses import dataclass

SPEED = 9.0
"""Seconds of speech an instance transcribes in a second: the slowest published figure for large-v3 on a T4."""

TARGET_SECONDS = 600.0
"""How soon a backlog is to be worked off, once the instances run."""

IDLE_SECONDS = 600.0
"""How long nothing may happen before the last instances go: the next recording finds them warm until then."""


@dataclass(frozen=True)
class Fleet:
    """What the GPU pool may be and is to reach. All of it above zero."""

    maximum: int  #: instances: the quota, or what may be spent
    speed: float = SPEED
    target_seconds: float = TARGET_SECONDS
    idle_seconds: float = IDLE_SECONDS


@dataclass(frozen=True)
class Backlog:
    """Work that waits or is being done, over all jobs."""

    chunks: int
    speech: float  #: seconds, at most

    def __add__(self, other: "Backlog") -> "Backlog":
        """Return both together."""
        return Backlog(self.chunks + other.chunks, self.speech + other.speech)


def instances(backlog: Backlog, size: int, idle_seconds: float, fleet: Fleet) -> int:
    """Return how many instances there should be, where ``size`` are asked for now.

    It grows at once. While work is left it shrinks only when it is more than twice as large as need be, and then to
    twice: what wanders within a factor of two changes nothing, and a pool at its end is not torn from its last
    chunks. It goes to zero when no work was left and nothing happened for the fleet's ``idle_seconds``.
    """
    if backlog.chunks == 0:
        return 0 if idle_seconds >= fleet.idle_seconds else min(size, fleet.maximum)
    needed = math.ceil(backlog.speech / (fleet.speed * fleet.target_seconds))
    # No more than there are chunks: an instance without one only costs.
    wanted = min(max(needed, 1), backlog.chunks, fleet.maximum)
    return min(max(wanted, min(size, 2 * wanted)), fleet.maximum)
