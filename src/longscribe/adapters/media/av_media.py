"""The `Media` port on PyAV: untrusted recordings are decoded by bare child processes, our own chunks in-process."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import av
import numpy as np

from longscribe.adapters.media.pipeline import Pipeline, refusal
from longscribe.adapters.media.wire import Refusal
from longscribe.core.limits import (
    GRID,
    MAX_CHUNK_EXTENT,
    MAX_DECODE_WORKERS,
    MAX_RECORDING_BYTES,
    MIN_DECODE_WORKERS,
    SAMPLE_RATE,
)
from longscribe.errors import BadInput, OverLimit, Poison
from longscribe.ports import Decoded, RangeReader, Samples

ENCODING = {"compression_level": "2", "frame_size": "4096"}
"""Fast, and 5 % larger than the default level. The frames are long because each costs its own: with those of 27 ms
that FFmpeg takes at this rate, two thirds of the time went to handing packets on. FLAC's streamable subset ends at
4,608 samples."""

ENCODED_AT_ONCE = 64 * 4096
"""Samples handed over at once: all of them are cut into frames before one is encoded."""


class AvMedia:
    """Decodes with ``workers`` processes, 1 to 16, beside the one that takes the file apart.

    The reader given to `decode` is called from several threads at once.
    """

    def __init__(self, workers: int = 1) -> None:
        if not MIN_DECODE_WORKERS <= workers <= MAX_DECODE_WORKERS:
            raise OverLimit(
                f"{workers} decoding processes are out of bounds;"
                f" give {MIN_DECODE_WORKERS} to {MAX_DECODE_WORKERS}."
            )
        self._workers = workers

    @contextmanager
    def decode(self, read: RangeReader, size: int, start: int = 0) -> Iterator[Iterator[Decoded]]:
        """Decode an object of ``size`` bytes from sample ``start`` on; see `longscribe.ports.Media`."""
        if size <= 0:
            raise BadInput("The recording is empty; upload it again.")
        if size > MAX_RECORDING_BYTES:
            raise OverLimit(
                f"The recording has {size:,} bytes; split it, longscribe takes at most {MAX_RECORDING_BYTES:,}."
            )
        if start % GRID:
            raise ValueError(f"{start} is not a multiple of {GRID}")
        pipeline = Pipeline(read, size, start // GRID, self._workers)
        try:
            yield _stretches(pipeline, start)
        finally:
            pipeline.close()

    def encode(self, samples: Samples) -> bytes:
        """Return ``samples`` as FLAC."""
        blob = io.BytesIO()
        with av.open(blob, "w", format="flac") as container:
            stream = container.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
            stream.codec_context.options = ENCODING
            for at in range(0, len(samples), ENCODED_AT_ONCE):
                part = samples[at : at + ENCODED_AT_ONCE].reshape(1, -1)
                frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, at, Fraction(1, SAMPLE_RATE)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return blob.getvalue()

    def decode_chunk(self, data: bytes) -> Samples:
        """Return the samples of a chunk that `encode` made. Raises `Poison` if it cannot be read."""
        blocks: list[Samples] = []
        total = 0
        declared: int | None = 0
        try:
            with av.open(io.BytesIO(data), "r", format="flac") as container:
                declared = container.streams.audio[0].duration
                for frame in container.decode(audio=0):
                    if (frame.sample_rate, frame.layout.nb_channels, frame.format.name) != (SAMPLE_RATE, 1, "s16"):
                        raise Poison("The chunk is not 16 kHz mono; run its job again.")
                    blocks.append(frame.to_ndarray()[0])
                    total += frame.samples
                    if total > MAX_CHUNK_EXTENT:
                        raise Poison("The chunk is longer than any chunk may be; run its job again.")
        except (av.FFmpegError, IndexError, ValueError):
            raise Poison("The chunk's audio cannot be read; run its job again.") from None
        if total != (declared or 0) or not data.startswith(b"fLaC"):
            raise Poison("The chunk's audio is damaged; run its job again.")
        return np.concatenate(blocks) if blocks else np.zeros(0, np.int16)


def _stretches(pipeline: Pipeline, start: int) -> Iterator[Decoded]:
    """Yield the ranges, but none before the first in which anything was heard: without one the input is bad."""
    silent: list[Decoded] = []
    heard = start > 0
    for result in pipeline:
        if not len(result.decoded.samples):
            continue
        heard = heard or result.heard > 0
        silent.append(result.decoded)
        if heard:
            yield from silent
            silent = []
    if not heard:
        raise refusal(Refusal.NOTHING_DECODES, 0)
