"""How long a device worked for each of the calls that share it."""


class Meter:
    """Shares a device's time among the calls that run on it at once: together, what it worked, and no more.

    Times are in seconds, of one clock, and must not go back.
    """

    def __init__(self, now: float) -> None:
        """Begin at ``now``, idle."""
        self._at = now
        self._running = 0
        self._share = 0.0  # what a call that ran from the beginning would have had
        self._free = now

    def begin(self, now: float, queued: float) -> tuple[float, float]:
        """Note that a call begins; return a mark for `end`, and how long the device stood idle since ``queued``."""
        self._advance(now)
        idle = 0.0 if self._running else max(0.0, now - max(self._free, queued))
        self._running += 1
        return self._share, idle

    def end(self, now: float, mark: float) -> float:
        """Note that the call of ``mark`` ended; return the seconds that are its own."""
        self._advance(now)
        self._running -= 1
        self._free = now
        return self._share - mark

    def _advance(self, now: float) -> None:
        if self._running:
            self._share += (now - self._at) / self._running
        self._at = now
