"""Recordings made on the spot, and how the tests decode them."""

import functools
import io
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt

from longscribe.adapters.media.av_media import AvMedia
from longscribe.messages import Missing
from longscribe.ports import Decoded, RangeReader

FORMATS = {
    "wav": ("wav", "pcm_s16le", 44_100),
    "aiff": ("aiff", "pcm_s16be", 44_100),
    "flac": ("flac", "flac", 44_100),
    "mp3": ("mp3", "libmp3lame", 44_100),
    "m4a": ("ipod", "aac", 44_100),
    "alac": ("mp4", "alac", 44_100),
    "aac": ("adts", "aac", 44_100),
    "mka": ("matroska", "aac", 44_100),
    "ogg": ("ogg", "flac", 48_000),
    "opus": ("ogg", "libopus", 48_000),
    "webm": ("webm", "libopus", 48_000),
}
"""Name → container, encoder, sample rate."""


def babble(seconds: float, rate: int, seed: int = 0) -> npt.NDArray[np.int16]:
    """Return noise in bursts: no stretch of it is like another, and a click marks every second."""
    random = np.random.default_rng(seed)
    n = int(seconds * rate)
    slow = np.repeat(random.uniform(300, 6000, int(seconds * 20) + 2), rate // 20)[:n]
    coarse = np.repeat(random.standard_normal(n // 12 + 2), 12)[:n]  # energy below 4 kHz survives every codec
    audio = coarse * slow
    for second in range(1, int(seconds)):
        audio[second * rate - 60 : second * rate + 60] = 0
        audio[second * rate : second * rate + 12] = 30_000
    return np.clip(audio, -32_000, 32_000).astype(np.int16)


def encode(
    audio: npt.NDArray[np.int16], container: str, codec: str, rate: int, options: dict[str, str] | None = None
) -> bytes:
    """Return mono audio in a file."""
    blob = io.BytesIO()
    with av.open(blob, "w", format=container, options=options or {}) as out:
        stream = out.add_stream(codec, rate=rate, layout="mono")
        for at in range(0, len(audio), rate):
            frame = av.AudioFrame.from_ndarray(audio[at : at + rate].reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return blob.getvalue()


@functools.cache
def recording(kind: str, seconds: int = 20) -> bytes:
    """Return a recording of babble in one of `FORMATS`."""
    container, codec, rate = FORMATS[kind]
    return encode(babble(seconds, rate), container, codec, rate)


def reader(data: bytes) -> RangeReader:
    """Return what reads ranges of ``data``."""
    return lambda start, end: data[start:end]


def stretches(
    data: bytes, workers: int = 1, start: int = 0, each: Callable[[Decoded], None] | None = None
) -> list[Decoded]:
    """Decode a file; call ``each`` as the ranges come."""
    found = []
    with AvMedia(workers).decode(reader(data), len(data), start) as ranges:
        for one in ranges:
            if each:
                each(one)
            found.append(one)
    return found


def decode(data: bytes, workers: int = 1) -> tuple[npt.NDArray[np.int16], list[Missing]]:
    """Decode a file to its samples and what is missing of them."""
    found = stretches(data, workers)
    return np.concatenate([one.samples for one in found]), [loss for one in found for loss in one.missing]
