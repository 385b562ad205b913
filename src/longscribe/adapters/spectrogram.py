"""Whisper's input: the logarithmic mel spectrogram of 30 s (openai/whisper, ``audio.py``)."""

import numpy as np
import numpy.typing as npt

from longscribe.core.limits import SAMPLE_RATE, WINDOW
from longscribe.ports import Samples

HOP = 160
"""Samples from one frame to the next (Whisper's ``HOP_LENGTH``)."""

FRAMES = WINDOW // HOP
"""Frames of 30 s."""

_FFT = 400
_FLOOR = 1e-10
_RANGE = 8.0  # what lies further below the loudest is cut off, in powers of ten
_KNEE = 1_000.0  # Hz: Slaney's mel scale is linear below, logarithmic above
_LINEAR = 200.0 / 3.0  # Hz a mel below the knee
_LOG = np.log(6.4) / 27.0  # above it

_TAPER = np.hanning(_FFT + 1)[:-1].astype(np.float32)


class Spectrogram:
    """Computes spectrograms with a given number of mel bands: 80, or 128 for large-v3."""

    def __init__(self, bands: int) -> None:
        self._filters = _filters(bands)

    def __call__(self, samples: Samples) -> npt.NDArray[np.float32]:
        """Return the spectrogram of ``samples`` followed by silence up to 30 s, shape (bands, 3000)."""
        padded = np.zeros(WINDOW + _FFT, np.float32)
        padded[_FFT // 2 : _FFT // 2 + len(samples)] = samples / np.float32(32768)
        padded[: _FFT // 2] = padded[_FFT : _FFT // 2 : -1]  # frames are centred: the first one's half is a mirror
        frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::HOP][:FRAMES]
        spectrum = np.fft.rfft(frames * _TAPER)
        power = spectrum.real**2 + spectrum.imag**2
        mel = self._filters @ power.T
        logarithm = np.log10(np.maximum(mel, _FLOOR))
        bounded = np.maximum(logarithm, logarithm.max() - _RANGE)
        normal: npt.NDArray[np.float32] = (bounded + 4.0) / 4.0
        return normal


def _filters(bands: int) -> npt.NDArray[np.float32]:
    """Return triangles of equal area on the mel scale, shape (bands, frequencies)."""
    frequencies = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE)
    knee = _KNEE / _LINEAR
    top = knee + np.log(SAMPLE_RATE / 2 / _KNEE) / _LOG
    mels = np.linspace(0.0, top, bands + 2)
    edges = np.where(mels < knee, mels * _LINEAR, _KNEE * np.exp(_LOG * (mels - knee)))
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (frequencies - low) / (centre - low)
    falling = (high - frequencies) / (high - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    filters: npt.NDArray[np.float32] = (triangles * 2.0 / (high - low)).astype(np.float32)
    return filters
