"""Chunk-sized audio, held and sliced by pydub: mono, 16 kHz, 16 bits.

pydub keeps whole segments in memory and dies above 4 GB, so nothing longer than a chunk and a decoded stretch
goes in here.
"""

import warnings

import numpy as np

from longscribe.core.limits import SAMPLE_RATE
from longscribe.messages import Span
from longscribe.ports import Decoded, Samples

with warnings.catch_warnings():
    # It looks for an ffmpeg program, which nothing here starts, and its regular expressions are of an older Python.
    warnings.simplefilter("ignore")
    from pydub import AudioSegment


def to_segment(samples: Samples) -> AudioSegment:
    """Return samples, shape (n,), as a pydub segment."""
    return AudioSegment(data=samples.tobytes(), sample_width=2, frame_rate=SAMPLE_RATE, channels=1)


def to_samples(segment: AudioSegment) -> Samples:
    """Return a pydub segment's samples, shape (n,)."""
    return np.frombuffer(segment.raw_data, dtype=np.int16)


def slice_spans(samples: Samples, spans: tuple[Span, ...], start: int) -> Samples:
    """Return the ``spans`` of audio that begins at sample ``start`` of the recording, one after another."""
    segment = to_segment(samples)
    parts = [segment.get_sample_slice(span.start - start, span.end - start) for span in spans]
    return to_samples(sum(parts[1:], parts[0]))


class Held:
    """The audio since the last cut: decoded stretches go in at the end, chunks are sliced out of it."""

    def __init__(self, start: int) -> None:
        self._start = start
        self._segment = to_segment(np.empty(0, np.int16))

    def append(self, decoded: Decoded) -> None:
        """Add the stretch that follows what is held."""
        self._segment = self._segment.append(to_segment(decoded.samples), crossfade=0)

    def slice(self, start: int, end: int) -> Samples:
        """Return samples ``start`` to ``end`` of the recording."""
        return to_samples(self._segment.get_sample_slice(start - self._start, end - self._start))

    def drop_before(self, sample: int) -> None:
        """Forget what lies before ``sample``."""
        keep = max(sample, self._start)
        self._segment = self._segment.get_sample_slice(keep - self._start)
        self._start = keep
