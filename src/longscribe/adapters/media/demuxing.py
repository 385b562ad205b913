"""Hand the packets of a recording to the decoders of its ranges: runs in a child.

One child takes the whole file apart, in order, and each range's packets go to whichever decoder is free. That is
cheap (a sixth of the decoding) and needs neither an index nor exact seeking, so every format takes the same way,
and a packet's place never depends on where decoding began.
"""

from dataclasses import dataclass, field

from longscribe.adapters.media.opening import BUFFER_BYTES, Refused
from longscribe.adapters.media.remote import RemoteFile
from longscribe.adapters.media.source import Source
from longscribe.adapters.media.wire import (
    DEMUX_ARGUMENTS,
    DONE_ARGUMENTS,
    OPENED_ARGUMENTS,
    PACKET,
    RANGE_ARGUMENTS,
    REFUSED_ARGUMENTS,
    Loss,
    Payload,
    Pipe,
    Tag,
)
from longscribe.core.limits import GRID, SAMPLE_RATE

PREROLL_SECONDS = 2
"""Decoded before a range and dropped. Opus asks for 0.08 s, MP3's bit reservoir reaches back 0.3 s; SBR headers of
HE-AAC come about once a second."""

PREROLL_PCM_SECONDS = 0.25
"""The resampler's memory is some ms; PCM itself has none."""

POSTROLL_SECONDS = 0.25
"""Decoded after a range, for the resampler's sake."""


def serve(pipe: Pipe, arguments: Payload) -> None:
    """Demux the recording that ``arguments`` describe, then end."""
    size, first_range = DEMUX_ARGUMENTS.unpack(arguments)
    file = RemoteFile(pipe, size)
    try:
        source = Source(file)
        declared = -1 if source.declared is None else source.at_16k(source.declared)
        pipe.send(Tag.OPENED, OPENED_ARGUMENTS.pack(declared))
        pipe.send(Tag.FORMAT, source.format.packed())
        ranges = Ranges(pipe, source, first_range)
        for packet in source.packets():
            ranges.add(*packet)
        ranges.finish(*source.end())
        pipe.send(Tag.END)
    except Refused as refused:
        pipe.send(Tag.REFUSED, REFUSED_ARGUMENTS.pack(refused.refusal, refused.number))


@dataclass
class Ranges:
    """Sends packets on, range by range; those near a seam go to both of its sides."""

    pipe: Pipe
    source: Source
    index: int  #: the range being filled
    _first: int | None = None
    _buffer: bytearray = field(default_factory=bytearray)
    _carry: list[tuple[int, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        rate = self.source.format.rate
        pcm = self.source.format.codec.startswith("pcm_")
        self._length = GRID // SAMPLE_RATE * rate
        self._before = int(rate * (PREROLL_PCM_SECONDS if pcm else PREROLL_SECONDS))
        self._after = int(rate * POSTROLL_SECONDS)
        self._open = False

    def add(self, start: int, samples: int, jumped: bool, data: bytes) -> None:
        """Send a packet to its range, and keep it if the next range needs it too."""
        if self._first is None:
            self._first = 0 if jumped else start
        while start >= (self.index + 1) * self._length + self._after:
            self._close(Loss.GAP, *[self.source.at_16k((self.index + 1) * self._length)] * 2)
            self.index += 1
            for _, record in (kept := [one for one in self._carry if self._concerns(one[0], self.index)]):
                self._send(record)
            self._carry = [one for one in kept if self._concerns(one[0], self.index + 1)]
        record = PACKET.pack(start, samples, len(data), jumped) + data
        if self._concerns(start, self.index):
            self._send(record)
        if self._concerns(start, self.index + 1):
            self._carry.append((start, record))

    def finish(self, end: int, found: int, loss: Loss) -> None:
        """Close the last ranges of a recording that ends at ``end``; ``loss`` says why not all is ``found``."""
        last = self.source.at_16k(end)
        while True:
            start, edge = self.index * GRID, min((self.index + 1) * GRID, last)
            self._close(loss, max(start, edge), min(self.source.at_16k(found), edge))
            if edge >= last or edge <= start:
                return
            self.index += 1
            for start, record in self._carry:
                if self._concerns(start, self.index):
                    self._send(record)
            self._carry = []

    def _concerns(self, start: int, index: int) -> bool:
        return index * self._length - self._before <= start < (index + 1) * self._length + self._after

    def _send(self, record: bytes) -> None:
        if not self._open:
            self._begin()
        self._buffer += record
        if len(self._buffer) >= BUFFER_BYTES:
            self._flush()

    def _begin(self) -> None:
        self.pipe.send(Tag.RANGE, RANGE_ARGUMENTS.pack(self.index, self._first or 0))
        self._open = True

    def _flush(self) -> None:
        if self._buffer:
            self.pipe.send(Tag.PACKETS, self._buffer)
            self._buffer = bytearray()

    def _close(self, loss: Loss, end: int, found: int) -> None:
        if not self._open:
            self._begin()
        self._flush()
        self.pipe.send(Tag.DONE, DONE_ARGUMENTS.pack(self.index, end, found, loss))
        self._open = False
