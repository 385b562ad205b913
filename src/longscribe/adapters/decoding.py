"""Decode the packets of one range to 16 kHz mono: runs in a child.

A range is decoded by itself: a fresh decoder is fed from `demuxing.PREROLL_SECONDS` before the range on, and what it
gives before the range's start is dropped. So the samples depend on the file alone, not on who decodes what. Each
unbroken run of frames is resampled in one go, from a position that is a whole number of samples at both rates; so the
resampler's phase, too, is the recording's.
"""

from fractions import Fraction
from math import gcd

import av
from av.audio.frame import AudioFrame

from longscribe.adapters.media_wire import (
    DONE_ARGUMENTS,
    LOSS,
    RANGE_ARGUMENTS,
    RESULT_ARGUMENTS,
    Loss,
    PacketRecord,
    Pipe,
    SourceFormat,
    Tag,
    records,
)
from longscribe.adapters.timeline import TOLERANCE_SECONDS
from longscribe.core.limits import GRID, MAX_CHANNELS, SAMPLE_RATE

BLOCK_SECONDS = 1
"""Frames are gathered to this length before they are resampled: one by one costs twice as much."""

SHORTEST_ISLAND = SAMPLE_RATE // 10
"""Audio between two losses that is shorter than this is given up: no word fits in it, and it bounds the list."""

_SAMPLE_BYTES = 2


def serve(pipe: Pipe, tag: Tag, payload: bytes) -> None:
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
            _, end, found, loss, _ = DONE_ARGUMENTS.unpack(payload)
            _answer(pipe, decoder, end, found, Loss(loss))
            decoder = None
        tag, payload = pipe.receive()


def _answer(pipe: Pipe, decoder: "RangeDecoder", end: int, found: int, loss: Loss) -> None:
    decoder.finish(end, found, loss)
    losses = b"".join(LOSS.pack(*one) for one in decoder.losses)
    head = RESULT_ARGUMENTS.pack(decoder.heard, len(decoder.losses))
    with memoryview(decoder.audio) as audio:
        pipe.send(Tag.RESULT, head, losses, audio[: (end - decoder.start) * _SAMPLE_BYTES])


def open_decoder(source: SourceFormat) -> "av.AudioCodecContext":
    """Return a fresh decoder for the stream, single-threaded."""
    decoder = av.AudioCodecContext.create(source.codec, "r")
    decoder.extradata = source.extradata or None
    decoder.sample_rate = source.rate
    decoder.layout = source.layout
    decoder.thread_count = 1
    # A frame longer than a range is a bomb, not a frame.
    decoder.options = {"max_samples": str(MAX_CHANNELS * 2 * GRID)}
    return decoder


def packet_of(data: memoryview, start: int, rate: int) -> av.Packet:
    """Return a packet that owns its bytes, padded as FFmpeg's readers need them."""
    packet = av.Packet(len(data))
    packet.update(bytes(data))
    packet.pts = packet.dts = start
    packet.time_base = Fraction(1, rate)
    return packet


class RangeDecoder:
    """The samples and losses of one range; positions named so are at 16 kHz, all others at the source's rate."""

    def __init__(self, source: SourceFormat, start: int, quiet_until: int) -> None:
        self.start = start
        self.audio = bytearray(GRID * _SAMPLE_BYTES)
        self.losses: list[tuple[int, int, Loss]] = []
        self.heard = 0
        self._source = source
        self._decoder = open_decoder(source)
        self._run: _Run | None = None
        self._next = max(quiet_until, start * source.rate // SAMPLE_RATE)
        self._failed = False

    def change(self, source: SourceFormat) -> None:
        """Go on with another decoder: the stream's parameters changed."""
        self._source = source
        self._decoder = open_decoder(source)

    def feed(self, packet: PacketRecord) -> None:
        """Decode one packet and place what it holds."""
        try:
            frames = self._decoder.decode(packet_of(packet.data, packet.start, self._source.rate))
        except av.FFmpegError:
            frames = []
        jumped = packet.jumped or self._failed
        for frame in frames:
            self._place(frame, packet.start if frame.pts is None else frame.pts, jumped)
            jumped = False
        self._failed = jumped if not frames else False

    def _place(self, frame: AudioFrame, start: int, jumped: bool) -> None:
        rate = self._source.rate
        ahead = start - self._next
        gap = ahead > (0 if jumped else TOLERANCE_SECONDS * rate)
        if gap:
            self._lose(_at_16k(self._next, rate), _at_16k(start, rate), Loss.DAMAGED if self._failed else Loss.GAP)
        if gap or self._run is None or not self._run.takes(frame):
            self._close_run()
            place = start if gap or self._run is None else self._next
            self._run = _Run(frame, place, rate)
        ...

    def finish(self, end: int, found: int, loss: Loss) -> None:
        ...
