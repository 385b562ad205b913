"""From verdicts to speech: levels, smoothing and pauses, on arrays of 10 ms frames.

A frame is in a speech *region* if the detector heard speech in it or near it: single verdicts are dropped, what
remains is padded, and short gaps between the padded stretches are filled. Each frame's status depends on the
verdicts at most `REACH` frames away, so any part of a recording can be worked out alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from longscribe.core.limits import FRAME, SAMPLE_RATE
from longscribe.messages import Judged, Missing, Span
from longscribe.ports import Heard, Samples, Verdicts

LEAD = 3 * SAMPLE_RATE
"""Samples before a stretch that warm a detector up: from 3 s on seams in quiet recordings cost no speech either."""

SILENT = -100.0
"""dBFS of digital silence, and of everything below it. 16 bits end at -90 dBFS."""

OPEN = 6
"""Frames of speech in a row that begin a region. webrtcvad holds even a single click for 120 ms, so none of its
verdicts is shorter; this guards against a detector that holds nothing."""

PAD = 20
"""Frames of a pause that stay on either side of speech, for quiet onsets: of 30 minutes of read speech 200 ms lose
nothing, 0.001 % recorded 30 dB too low and 0.02 % in noise; 150 ms save 2 % of the windows and lose four times as
much in noise (``benchmarks/missed_speech.py``)."""

FILL = 20
"""A gap of up to this many frames between padded stretches is no silence: pauses of up to 600 ms stay whole."""

REACH = OPEN + PAD + FILL
"""Frames to either side that a frame's status depends on."""

PAUSE = 15
"""Frames without speech, or hushed, that a cut needs so that nothing overlaps: longer than the closure of a stop
consonant (some 100 ms)."""

LONG = 50
"""Frames from which on a pause is as good as any longer one: half a second ends a sentence."""

UNBROKEN = 1_000
"""Frames from which on a region is doubted: ten seconds without a silence are longer than a breath."""

LIVELY = 25.0
"""dB by which the loud frames of a region exceed the quiet ones if it is clean; noise fills what is quiet."""

HUSH = 10 ** (-25 / 10)
"""A frame 25 dB below the mean power around it is hushed: the detector holds speech through the shorter pauses, and
without this one window in ten would be cut through speech."""

AROUND = 150
"""Frames to either side that a hushed frame is measured against."""

_UNIT = 2.0**38
"""Full-scale power as an integer: fine enough for -100 dBFS, and 48 hours of it stay below 2**63."""

Levels = npt.NDArray[np.float32]
"""dBFS of each 10 ms frame, shape (frames,)."""

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Frames:
    """A stretch of the recording as the planner sees it."""

    start: int  #: its first sample, a multiple of `limits.FRAME`
    speech: Verdicts
    level: Levels
    judged: tuple[Judged, ...] = ()  #: tiles the stretch


def frames(start: int, samples: Samples, heard: Heard) -> Frames:
    """Return the frames of ``samples``, which begin at sample ``start``, with what was heard in them.

    Samples left over at the end become a frame with the last verdict.
    """
    level, verdicts = levels(samples), heard.speech
    speech = np.zeros(len(level), np.bool_)
    speech[: len(verdicts)] = verdicts
    speech[len(verdicts) :] = verdicts[-1:].any()
    judged = (Judged(start + one.start, start + one.end, one.detector) for one in heard.judged)
    return Frames(start, speech, level, tuple(judged))


def levels(samples: Samples) -> Levels:
    """Return the level of each 10 ms frame in dBFS (a full-scale square wave is 0), `SILENT` for digital silence.

    The last frame may be a part of one; its level is that of its own samples.
    """
    whole = len(samples) // FRAME * FRAME
    blocks = samples[:whole].reshape(-1, FRAME)
    # Sums of squares stay whole numbers, whatever the order they are added in.
    mean = np.einsum("ij,ij->i", blocks, blocks, dtype=np.float64) / FRAME
    if whole < len(samples):
        mean = np.append(mean, np.square(samples[whole:].astype(np.float64)).mean())
    floor = 10 ** (SILENT / 10)
    return np.asarray(10 * np.log10(np.maximum(mean / 2.0**30, floor)), np.float32)


def power(level: Levels) -> npt.NDArray[np.int64]:
    """Return levels as integer power: integers, so that sums do not depend on how they are grouped."""
    return np.rint(10 ** (level.astype(np.float64) / 10) * _UNIT).astype(np.int64)


def mean_level(total: int, count: int) -> float:
    """Return the mean level in dBFS, to a tenth, of ``count`` frames whose `power` sums to ``total``."""
    if total <= 0:
        return SILENT
    return round(max(SILENT, 10 * float(np.log10(total / count / _UNIT))), 1)


def runs(mask: npt.NDArray[np.bool_]) -> tuple[Indices, Indices]:
    """Return the first indices of the stretches of True, and the indices one past their last."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False]))))
    return edges[::2], edges[1::2]


def doubtful(heard: Verdicts, level: Levels) -> tuple[Indices, Indices]:
    """Return the bounds, as `runs` does, of the regions without silence: there noise may have passed as speech.

    Such a region is long, or nothing in it is quiet. ``level`` has one value for each verdict.
    """
    first, last = runs(_smooth(heard))
    doubted = last - first >= UNBROKEN
    for index in np.flatnonzero(~doubted):
        quiet, loud = np.percentile(level[first[index] : last[index]], (5, 95))
        doubted[index] = loud - quiet < LIVELY
    return first[doubted], last[doubted]


@dataclass(frozen=True)
class Analysis:
    """Consecutive frames, worked out. Indices count from the first of them; sums are over the frames before one."""

    speech: npt.NDArray[np.bool_]  #: the detector's verdicts, never in a missing stretch
    region: npt.NDArray[np.bool_]  #: speech smoothed and padded
    kept: npt.NDArray[np.bool_]  #: the region without frames that are missing whole
    power: npt.NDArray[np.int64]  #: integer power of each frame

    @cached_property
    def audio(self) -> npt.NDArray[np.int64]:
        """Kept frames before each index."""
        return np.concatenate(([0], np.cumsum(self.kept, dtype=np.int64)))

    @cached_property
    def energy(self) -> npt.NDArray[np.int64]:
        """Power before each index."""
        return np.concatenate(([0], np.cumsum(self.power)))

    @cached_property
    def hushed(self) -> npt.NDArray[np.bool_]:
        """Whether a frame is far below the level around it."""
        index = np.arange(len(self.power))
        left, right = np.maximum(index - AROUND, 0), np.minimum(index + AROUND, len(index))
        mean = (self.energy[right] - self.energy[left]) / (right - left)
        return np.asarray(self.power < HUSH * mean, np.bool_)

    @cached_property
    def pauses(self) -> tuple[Indices, Indices]:
        """First and one past the last index of each stretch of at least `PAUSE` frames without speech or hushed."""
        first, last = runs(~self.speech | self.hushed)
        long = last - first >= PAUSE
        return first[long], last[long]

    @cached_property
    def cuts(self) -> Indices:
        """For each of the `pauses` where to cut in it: where its silence begins, or else its middle."""
        first, last = self.pauses
        silent = np.append(np.flatnonzero(~self.kept), len(self.kept))
        silence = silent[np.searchsorted(silent, first)]
        return np.where(silence < last, silence, first + np.minimum(last - first, LONG) // 2)

    def first_kept(self, index: int) -> int:
        """Return the first kept frame from ``index`` on, the number of frames if there is none."""
        return int(np.searchsorted(self.audio, self.audio[index], side="right")) - 1

    def through_speech(self, index: int) -> bool:
        """Return whether a cut before frame ``index`` may go through a word."""
        first, last = self.pauses
        in_pause = bool(np.any((first <= index) & (index <= last)))
        return not in_pause and bool(self.kept[max(index - 1, 0) : index + 1].all())


def analyse(speech: Verdicts, power: npt.NDArray[np.int64], whole: Span, missing: Sequence[Missing]) -> Analysis:
    """Work out the frames of the stretch ``whole``, which begins on a frame; ``missing`` may reach beyond it."""
    lost = _lost(len(speech), whole, missing)
    heard = speech & ~lost
    region = _smooth(heard)
    return Analysis(heard, region, region & ~lost, power)


def _lost(count: int, whole: Span, missing: Sequence[Missing]) -> npt.NDArray[np.bool_]:
    """Return the frames that have no sample left."""
    left = np.full(count, FRAME)
    left[-1:] = whole.samples - (count - 1) * FRAME
    for gap in missing:
        start, end = max(gap.start, whole.start) - whole.start, min(gap.end, whole.end) - whole.start
        if start < end:
            first, last = start // FRAME, (end - 1) // FRAME
            left[first : last + 1] -= FRAME
            left[first] += start - first * FRAME
            left[last] += (last + 1) * FRAME - end
    return left <= 0


def _smooth(heard: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the frames in a region: open, pad, fill."""
    first, last = runs(heard)
    opened = last - first >= OPEN
    first, last = first[opened] - PAD, last[opened] + PAD
    apart = first[1:] - last[:-1] > FILL
    first = first[np.concatenate(([True], apart))[: len(first)]]
    last = last[np.concatenate((apart, [True]))[: len(last)]]
    steps = np.zeros(len(heard) + 1, np.int8)
    steps[np.maximum(first, 0)] += 1
    steps[np.minimum(last, len(heard))] -= 1
    return np.cumsum(steps[:-1]) > 0
