"""Voice detection: webrtcvad, a small Gaussian mixture on six bands, and a second detector for noise."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import webrtcvad

from longscribe.core.limits import FRAME, SAMPLE_RATE
from longscribe.core.speech import LEAD, Indices, doubtful, levels
from longscribe.messages import Judged
from longscribe.ports import Heard, Samples, SpeechDetector, Verdicts

MODE = 1
"""Of 0 to 3, most to least willing to hear speech. Padded by 200 ms, mode 1 loses 0.001 % of read speech recorded
30 dB too low, mode 3 over 1 % (``benchmarks/missed_speech.py``)."""

BLOCK = 3
"""Frames in one verdict: 30 ms, the longest webrtcvad takes, costs a third of the calls and loses no more."""


class WebRtcDetector:
    """The `SpeechDetector` for clean recordings; in loud noise it hears speech everywhere."""

    name = f"webrtcvad-{MODE}"

    def detect(self, samples: Samples, lead: int) -> Heard:
        """Return a verdict for each whole 10 ms frame after the first ``lead`` samples."""
        vad = webrtcvad.Vad(MODE)
        size = BLOCK * FRAME
        warm = lead // size  # blocks are counted from the end of the lead, so they are the same whatever its length
        first = lead - warm * size
        frames = (len(samples) - lead) // FRAME
        blocks = warm - (-frames // BLOCK)
        padded = np.zeros(blocks * size, np.int16)
        audio = samples[first : first + len(padded)]
        padded[: len(audio)] = audio
        data = padded.data.cast("B")
        step = 2 * size
        heard = [vad.is_speech(data[at : at + step], SAMPLE_RATE) for at in range(0, len(data), step)]
        speech = np.repeat(np.array(heard[warm:], np.bool_), BLOCK)[:frames]
        return Heard(speech, (Judged(0, len(samples) - lead, self.name),))


class Cascade:
    """The `SpeechDetector` that asks a second one wherever the first hears speech without a silence in it."""

    def __init__(self, first: SpeechDetector, second: SpeechDetector) -> None:
        self.name = f"{first.name}, {second.name}"
        self._first = first
        self._second = second

    def detect(self, samples: Samples, lead: int) -> Heard:
        """Return a verdict for each whole 10 ms frame after the first ``lead`` samples, and whose each is."""
        heard = self._first.detect(samples, lead).speech
        first, last = doubtful(heard, levels(samples[lead : lead + len(heard) * FRAME]))
        second, doubted = heard.copy(), np.zeros(len(heard), np.bool_)
        for start, end in _together(first, last):
            warm = min(lead + start * FRAME, LEAD)
            audio = samples[lead + start * FRAME - warm : lead + end * FRAME]
            second[start:end] = self._second.detect(audio, warm).speech
        for start, end in zip(first, last, strict=True):
            doubted[start:end] = True
        return Heard(np.where(doubted, second, heard), self._judged(doubted, len(samples) - lead))

    def _judged(self, doubted: Verdicts, length: int) -> tuple[Judged, ...]:
        changes = [0, *(np.flatnonzero(np.diff(doubted)) + 1).tolist()]
        names = [self._second.name if doubted[place : place + 1].any() else self._first.name for place in changes]
        bounds = [*(place * FRAME for place in changes), length]
        return tuple(Judged(start, end, name) for (start, end), name in zip(pairwise(bounds), names, strict=True))


def _together(first: Indices, last: Indices) -> Iterator[tuple[int, int]]:
    """Yield the bounds of stretches so near one another that each would be the next one's lead, as one."""
    apart = first[1:] - last[:-1] > LEAD // FRAME
    starts, ends = first[np.append(True, apart)[: len(first)]], last[np.append(apart, True)[: len(last)]]
    return zip(starts.tolist(), ends.tolist(), strict=True)
