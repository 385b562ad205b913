"""What parent and child say to each other: framed bytes over two pipes, never a pickle.

Every message is a tag of one byte, a length of four bytes and that many bytes. Numbers are little-endian. Source
positions are samples at the recording's own rate, counted from its start; those of results are samples at 16 kHz.
This module is imported by the children: it draws in nothing heavy.
"""

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple, Protocol

from longscribe.core.limits import SAMPLE_RATE

FRAME = struct.Struct("<BI")
Payload = bytes | bytearray

MAX_PAYLOAD = 16 * 2**20
"""Above any message either side sends: the largest is one range's samples, 3.84 MB."""


class Tag(IntEnum):
    """The kinds of message."""

    DEMUX = 1  #: to a child: be the demuxer; `DEMUX_ARGUMENTS`
    READ = 2  #: from the demuxer: `READ_ARGUMENTS`
    DATA = 3  #: to the demuxer: the bytes it asked for
    FORMAT = 4  #: from the demuxer, to decoders: a `SourceFormat`
    OPENED = 5  #: from the demuxer: `OPENED_ARGUMENTS`
    RANGE = 6  #: from the demuxer, to decoders: a range begins; `RANGE_ARGUMENTS`
    PACKETS = 7  #: from the demuxer, to decoders: records of a `PACKET` header and its bytes
    DONE = 8  #: from the demuxer, to decoders: the range is whole; `DONE_ARGUMENTS`
    END = 9  #: from the demuxer: there is no further range
    REFUSED = 10  #: from the demuxer: `REFUSED_ARGUMENTS`
    RESULT = 11  #: from a decoder: `RESULT_ARGUMENTS`, the losses, the samples unless nothing was heard


class Refusal(IntEnum):
    """Why a recording is not decoded; the parent makes the sentence."""

    NOT_AUDIO = 1
    NO_AUDIO_STREAM = 2
    NOTHING_DECODES = 3
    CODEC = 4
    CHANNELS = 5
    RATE = 6
    DURATION = 7
    NO_INDEX = 8
    REPEATS = 9


class Loss(IntEnum):
    """Why a stretch is missing; the parent makes the reason."""

    GAP = 1
    DAMAGED = 2
    TRUNCATED = 3
    CUT = 4
    JOINED = 5


DEMUX_ARGUMENTS = struct.Struct("<qI")  # size of the object, first range wanted
READ_ARGUMENTS = struct.Struct("<qI")  # offset, length
OPENED_ARGUMENTS = struct.Struct("<q")  # declared end at 16 kHz, -1: unknown
RANGE_ARGUMENTS = struct.Struct("<Iq")  # index, source position before which silence is no loss
PACKET = struct.Struct("<qIIB")  # start, length in samples, bytes, whether time jumped before it
DONE_ARGUMENTS = struct.Struct("<IqqB")  # index, end of the range and of what was found at 16 kHz, `Loss`
REFUSED_ARGUMENTS = struct.Struct("<Bq")  # `Refusal`, the offending number
RESULT_ARGUMENTS = struct.Struct("<QI")  # samples heard, number of losses
LOSS = struct.Struct("<qqB")  # start, end, `Loss`
_FORMAT = struct.Struct("<IBBI")


def at_16k(position: int, rate: int) -> int:
    """Return a position in samples at ``rate`` as the nearest one at 16 kHz."""
    return (position * SAMPLE_RATE + rate // 2) // rate


class Pipe(Protocol):
    """One end of the conversation."""

    def send(self, tag: Tag, *parts: Payload | memoryview) -> None:
        """Send one message."""
        ...

    def receive(self) -> tuple[Tag, Payload]:
        """Wait for one message. Raises `EOFError` when the other side is gone."""
        ...


class SourceFormat(NamedTuple):
    """What a decoder must know of the stream beside its packets."""

    codec: str
    rate: int
    layout: str
    extradata: bytes

    def packed(self) -> bytes:
        """Return the format as a payload."""
        codec, layout = self.codec.encode(), self.layout.encode()
        head = _FORMAT.pack(self.rate, len(codec), len(layout), len(self.extradata))
        return head + codec + layout + self.extradata

    @classmethod
    def unpacked(cls, payload: Payload) -> "SourceFormat":
        """Return the format that `packed` wrote."""
        rate, codec_length, layout_length, extradata_length = _FORMAT.unpack_from(payload)
        codec_end = _FORMAT.size + codec_length
        layout_end = codec_end + layout_length
        return cls(
            payload[_FORMAT.size : codec_end].decode(),
            rate,
            payload[codec_end:layout_end].decode(),
            bytes(payload[layout_end : layout_end + extradata_length]),
        )


class PacketRecord(NamedTuple):
    """One packet with its place in the recording."""

    start: int  #: source position
    samples: int  #: how long it is believed to be, at the source's rate
    jumped: bool  #: time jumped: it does not follow its predecessor
    data: memoryview


def records(payload: Payload) -> Iterator[PacketRecord]:
    """Yield the packets of a `Tag.PACKETS` payload."""
    view, at = memoryview(payload), 0
    while at < len(view):
        start, samples, size, jumped = PACKET.unpack_from(view, at)
        at += PACKET.size
        yield PacketRecord(start, samples, bool(jumped), view[at : at + size])
        at += size
