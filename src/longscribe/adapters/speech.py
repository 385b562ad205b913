"""Voice detection with webrtcvad: the ears of WebRTC, a small Gaussian mixture on six bands."""

import numpy as np
import webrtcvad

from longscribe.core.limits import FRAME, SAMPLE_RATE
from longscribe.ports import Samples, Verdicts

MODE = 1
"""Of 0 to 3, most to least willing to hear speech. Padded by 200 ms, mode 1 loses 0.001 % of read speech recorded
30 dB too low, mode 3 over 1 % (``benchmarks/missed_speech.py``)."""

BLOCK = 3
"""Frames in one verdict: 30 ms, the longest webrtcvad takes, costs a third of the calls and loses no more."""


class WebRtcDetector:
    """The `SpeechDetector` for clean recordings; in loud noise it hears speech everywhere."""

    name = f"webrtcvad-{MODE}"

    def detect(self, samples: Samples, lead: int) -> Verdicts:
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
        data = padded.tobytes()
        step = 2 * size
        heard = [vad.is_speech(data[at : at + step], SAMPLE_RATE) for at in range(0, len(data), step)]
        return np.repeat(np.array(heard[warm:], np.bool_), BLOCK)[:frames]
