"""Where each packet of a stream lies in time: pure, and the only place that believes or doubts a timestamp.

A packet's place is the end of its predecessor as long as its timestamp agrees within `TOLERANCE_SECONDS`: the clock
counts samples, so rounded or jittering timestamps neither cut nor stretch the audio. The disagreement is never
forgotten: losses too small to be a gap alone add up until they are one. So no more than that goes unreported.

- A timestamp ahead of the count is a gap: the packet goes where its timestamp says.
- One behind it discards nothing: the packet follows its predecessor, and a later gap repays the debt first.
- One behind by more than `RESET_SECONDS` is a clock that was set anew (two recordings joined): the count goes on.
- One ahead of the end that the container declares is not believed.
"""

from dataclasses import dataclass

TOLERANCE_SECONDS = 0.1
"""Above the jitter of live recorders (tens of ms), a fifth of the loss that may never go unreported."""

RESET_SECONDS = 1.0
"""More than packets overlap in any sane file."""


@dataclass
class Timeline:
    """Places packets. Positions are samples at ``rate``; 0 is the start of the recording."""

    rate: int
    exact: bool  #: whether the packets' lengths are exact, so that counting them beats the timestamps
    declared_end: int | None  #: where the container says the stream ends
    end: int | None = None  #: the end of the last packet placed
    shift: int = 0  #: added to the timestamps since the last clock reset

    def place(self, stamp: int | None, samples: int, lost: int = 0) -> tuple[int, bool]:
        """Return where a packet starts, and whether that leaves a gap after its predecessor.

        ``stamp`` is its timestamp, None if it has none; ``samples`` its length; ``lost`` the estimated length of
        the bytes skipped before it, for streams without timestamps.
        """
        if self.end is None:
            start, jumped = stamp or 0, False
        elif stamp is None:
            start, jumped = self.end + lost, lost > 0
        else:
            start, jumped = self._follow(self.end, stamp + self.shift)
        self.end = start + samples
        return start, jumped

    def _follow(self, expected: int, stamp: int) -> tuple[int, bool]:
        ahead = stamp - expected
        tolerance = TOLERANCE_SECONDS * self.rate
        if abs(ahead) <= tolerance:
            return (expected if self.exact else stamp), False
        beyond = self.declared_end is not None and stamp > self.declared_end + self.rate
        if ahead < -RESET_SECONDS * self.rate or (ahead > 0 and beyond):
            self.shift -= ahead
            return expected, False
        return max(expected, stamp), ahead > 0
