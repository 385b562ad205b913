"""Decode the packets of one range to 16 kHz mono: runs in a child.

A range is decoded by itself: a fresh decoder is fed from `demuxing.PREROLL_SECONDS` before the range on, and what
it gives before the range's start is dropped. So the samples depend on the file alone, not on who decodes what. Each
unbroken run of frames is resampled in one go, from a position that is a whole number of samples at both rates; so
the resampler's phase, too, is the recording's.
"""

from fractions import Fraction
from importlib import import_module
from math import gcd
from typing import Any, cast

import av
import av.filter
from av.audio.codeccontext import AudioCodecContext

from longscribe.adapters.media.timeline import TOLERANCE_SECONDS
from longscribe.adapters.media.wire import (
    DONE_ARGUMENTS,
    LOSS,
    RANGE_ARGUMENTS,
    RESULT_ARGUMENTS,
    Loss,
    PacketRecord,
    Payload,
    Pipe,
    SourceFormat,
    Tag,
    at_16k,
    records,
)
from longscribe.core.limits import FRAME, GRID, MAX_CHANNELS, SAMPLE_RATE

BLOCK_SECONDS = 1
"""Frames are gathered to this length before they are resampled: one by one costs twice as much."""

SHORTEST_ISLAND = SAMPLE_RATE // 10
"""Audio between two losses that is shorter than this is given up: no word fits in it, and it bounds the list."""

_SAMPLE_BYTES = 2


def serve(pipe: Pipe, tag: Tag, payload: Payload) -> None:
    """Decode range after range, beginning with this message, until the parent is gone."""
    source: SourceFormat | None = None
    decoder: RangeDecoder | None = None
    while True:
        if tag is Tag.FORMAT:
            source = SourceFormat.unpacked(payload)
            if decoder:
                decoder.change(source)
        elif tag is Tag.RANGE and source:
            index, quiet_until = RANGE_ARGUMENTS.unpack(payload)
            decoder = RangeDecoder(source, index * GRID, quiet_until)
        elif tag is Tag.PACKETS and decoder:
            for packet in records(payload):
                decoder.feed(packet)
        elif tag is Tag.DONE and decoder:
            _, end, found, loss = DONE_ARGUMENTS.unpack(payload)
            _answer(pipe, decoder, end, found, Loss(loss))
            decoder = None
        tag, payload = pipe.receive()


def _answer(pipe: Pipe, decoder: "RangeDecoder", end: int, found: int, loss: Loss) -> None:
    decoder.finish(end, found, loss)
    losses = b"".join(LOSS.pack(*one) for one in decoder.losses)
    head = RESULT_ARGUMENTS.pack(decoder.heard, len(decoder.losses))
    length = (end - decoder.start) * _SAMPLE_BYTES if decoder.heard else 0
    with memoryview(decoder.audio) as audio:
        pipe.send(Tag.RESULT, head, losses, audio[:length])


def open_decoder(source: SourceFormat) -> AudioCodecContext:
    """Return a fresh decoder for the stream, single-threaded."""
    decoder = av.CodecContext.create(source.codec, "r")
    if not isinstance(decoder, AudioCodecContext):
        raise TypeError(source.codec)
    decoder.extradata = source.extradata or None
    decoder.sample_rate = source.rate
    decoder.layout = source.layout
    decoder.thread_count = 1
    # With the time base, a decoder that drops its priming moves the timestamp along. A frame longer than a range is
    # a bomb, not a frame.
    decoder.options = {"pkt_timebase": f"1/{source.rate}", "max_samples": str(MAX_CHANNELS * 2 * GRID)}
    return decoder


def packet_of(data: memoryview, start: int, time_base: Fraction) -> "av.Packet[Any]":
    """Return a packet that owns its bytes, padded as FFmpeg's readers need them."""
    packet: av.Packet[Any] = av.Packet(len(data))
    packet.update(bytes(data))
    packet.pts = packet.dts = start
    packet.time_base = time_base
    return packet


class RangeDecoder:
    """The samples and losses of one range; ``start``, ``losses`` are at 16 kHz, the rest at the source's rate."""

    def __init__(self, source: SourceFormat, start: int, quiet_until: int) -> None:
        self.start = start
        self.audio = bytearray(GRID * _SAMPLE_BYTES)
        self.losses: list[tuple[int, int, Loss]] = []
        self.heard = 0
        self._source, self._time_base = source, Fraction(1, source.rate)
        self._decoder = open_decoder(source)
        self._run: _Run | None = None
        self._next = max(quiet_until, start * source.rate // SAMPLE_RATE)
        self._failed = False

    def change(self, source: SourceFormat) -> None:
        """Go on with another decoder: the stream's parameters changed."""
        self._source, self._time_base = source, Fraction(1, source.rate)
        self._decoder = open_decoder(source)

    def feed(self, packet: PacketRecord) -> None:
        """Decode one packet and place what it holds; one that gives nothing leaves a hole."""
        try:
            frames = self._decoder.decode(packet_of(packet.data, packet.start, self._time_base))
        except av.FFmpegError:
            frames = []
        jumped = packet.jumped or self._failed
        for frame in frames:
            self._place(frame, packet.start if frame.pts is None else frame.pts, jumped)
            jumped = self._failed = False
        self._failed = self._failed or not frames

    def finish(self, end: int, found: int, loss: Loss) -> None:
        """Complete the range, which ends at ``end``: from ``found`` on there was nothing, because of ``loss``."""
        self._close_run()
        after, until = at_16k(self._next, self._source.rate), min(end, found)
        if self._failed or until - after > FRAME:  # containers round, and cut the last frame short
            self._lose(after, until, Loss.DAMAGED if self._failed else Loss.GAP)
        self._lose(max(found, self.start), end, loss)
        for lost_from, lost_to, _ in self.losses:
            first, last = (lost_from - self.start) * _SAMPLE_BYTES, (lost_to - self.start) * _SAMPLE_BYTES
            self.audio[first:last] = bytes(last - first)

    def _place(self, frame: av.AudioFrame, start: int, jumped: bool) -> None:
        rate = self._source.rate
        ahead = start - self._next
        gap = ahead > (0 if jumped else TOLERANCE_SECONDS * rate)
        if gap:
            reason = Loss.DAMAGED if self._failed else Loss.GAP
            self._lose(at_16k(self._next, rate), at_16k(start, rate), reason)
        if gap or self._run is None:
            self._next = start
        if gap or self._run is None or not self._run.takes(frame):
            self._close_run()
            self._run = _Run(frame, self._next * frame.sample_rate // rate)
        self._next += frame.samples * rate // frame.sample_rate
        self.heard += frame.samples
        self._write(*self._run.feed(frame))

    def _close_run(self) -> None:
        if self._run is not None:
            self._write(*self._run.finish())
            self._run = None

    def _write(self, at: int, samples: bytes) -> None:
        if not samples:
            return
        first = (at - self.start) * _SAMPLE_BYTES
        skip = max(0, -first)
        room = max(0, len(self.audio) - max(0, first))
        part = samples[skip : skip + room]
        self.audio[first + skip : first + skip + len(part)] = part

    def _lose(self, start: int, end: int, reason: Loss) -> None:
        start, end = max(start, self.start), min(end, self.start + GRID)
        if end <= start:
            return
        if self.losses and start - self.losses[-1][1] < SHORTEST_ISLAND:
            start, _, before = self.losses.pop()
            reason = max(reason, before)
        self.losses.append((start, end, reason))


class _Run:
    """An unbroken row of frames of one format, on its way through the downmix and the resampler.

    ``start`` is where it begins, in samples at its own rate. Channels are averaged: whatever their layout claims to
    be, each may hold a speaker.
    """

    def __init__(self, first: av.AudioFrame, start: int) -> None:
        self._kind = _kind(first)
        self._rate = first.sample_rate
        period = self._rate // gcd(self._rate, SAMPLE_RATE)  # this many samples are a whole number at 16 kHz
        self._at = (start - start % period) * SAMPLE_RATE // self._rate
        self._fifo = av.AudioFifo()
        self._graph = _graph(first, start % period)

    def takes(self, frame: av.AudioFrame) -> bool:
        """Return whether the frame is of this run's format."""
        return _kind(frame) == self._kind

    def feed(self, frame: av.AudioFrame) -> tuple[int, bytes]:
        """Take a frame; return samples at 16 kHz that are ready, and where they belong."""
        frame.pts = None
        self._fifo.write(frame)
        if self._fifo.samples < BLOCK_SECONDS * self._rate:
            return self._at, b""
        self._graph.push(self._fifo.read(self._fifo.samples))
        return self._ready()

    def finish(self) -> tuple[int, bytes]:
        """Return what is left."""
        if self._fifo.samples:
            self._graph.push(self._fifo.read(self._fifo.samples))
        self._graph.push(None)
        return self._ready()

    def _ready(self) -> tuple[int, bytes]:
        at, samples = self._at, bytearray()
        while True:
            try:
                frame = cast(av.AudioFrame, self._graph.pull())
            except (BlockingIOError, EOFError):  # av's own errors are these, too
                break
            samples += memoryview(frame.planes[0])[: frame.samples * _SAMPLE_BYTES]
        self._at += len(samples) // _SAMPLE_BYTES
        return at, bytes(samples)


def _kind(frame: av.AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _graph(frame: av.AudioFrame, late: int) -> av.filter.Graph:
    """Return the way from frames like this one to 16 kHz mono, behind ``late`` samples of silence at their rate."""
    # FFmpeg's own silence: PyAV crashes on the planes of a frame it makes for eight channels or more.
    graph = av.filter.Graph()
    graph.threads = 1
    rate, channels = frame.sample_rate, frame.layout.nb_channels
    average = "+".join(f"{1 / channels:.9f}*c{channel}" for channel in range(channels))
    graph.link_nodes(
        graph.add_abuffer(sample_rate=rate, format=frame.format, layout=frame.layout, time_base=Fraction(1, rate)),
        graph.add("pan", f"1c|c0={average}"),
        graph.add("adelay", f"delays={late}S"),
        graph.add("aresample", str(SAMPLE_RATE)),
        graph.add("aformat", f"sample_fmts=s16:sample_rates={SAMPLE_RATE}"),
        graph.add("abuffersink"),
    )
    graph.configure()
    return graph


def warm_up() -> None:
    """Load what Python and FFmpeg load on first use, while files can still be opened."""
    for name in ("audio", "subtitles", "video"):
        import_module(f"av.{name}.stream")
        import_module(f"av.{name}.codeccontext")
    frame = av.AudioFrame(format="fltp", layout="stereo", samples=1)
    frame.sample_rate = 44_100
    run = _Run(frame, 1)
    run.feed(frame)
    run.finish()
