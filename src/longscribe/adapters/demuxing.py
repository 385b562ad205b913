"""Take a recording apart into packets, each with its place in time: runs in a child.

One child demuxes the whole file in order and hands the packets of each range to whichever decoder is free. That is
cheap (a sixth of the decoding) and needs neither an index nor exact seeking, so every format takes the same way, and a
packet's place never depends on where decoding began. Positions are samples at the source's rate; 0 is what a player
shows as 0: the first sample to be presented, encoder priming left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import av
from av.container import InputContainer
from av.stream import Discard

from longscribe.adapters.containers import claimed_size
from longscribe.adapters.decoding import open_decoder, packet_of
from longscribe.adapters.media_wire import (
    DEMUX_ARGUMENTS,
    DONE_ARGUMENTS,
    OPENED_ARGUMENTS,
    PACKET,
    RANGE_ARGUMENTS,
    READ_ARGUMENTS,
    REFUSED_ARGUMENTS,
    Loss,
    Pipe,
    Refusal,
    SourceFormat,
    Tag,
    at_16k,
)
from longscribe.adapters.timeline import Timeline
from longscribe.core.limits import (
    GRID,
    MAX_CHANNELS,
    MAX_RECORDING_SECONDS,
    MAX_SOURCE_RATE,
    MIN_SOURCE_RATE,
    SAMPLE_RATE,
)

FORMATS = "mp3,aac,flac,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,ogg,wav,aiff"
"""The containers that may be opened; playlists, session descriptions and the rest of FFmpeg's may not."""

CODECS = (
    "aac", "aac_fixed", "aac_latm", "ac3", "alac", "amrnb", "amrwb", "eac3", "flac", "mp1float", "mp2float", "mp3",
    "mp3float", "opus", "libopus", "speex", "vorbis", "wavpack",
)  # fmt: skip
"""The decoders that may run, beside uncompressed audio (``pcm_*``)."""

PCM = (
    "alaw", "mulaw", "u8", "s8", "s8_planar", "s16le", "s16be", "s16le_planar", "s16be_planar", "s24le", "s24be",
    "s24le_planar", "s32le", "s32be", "s32le_planar", "s64le", "s64be", "f16le", "f24le", "f32le", "f32be", "f64le",
    "f64be", "u16le", "u16be", "u24le", "u24be", "u32le", "u32be",
)  # fmt: skip

CONSTANT_FRAMES = ("aac", "ac3", "alac", "eac3", "flac", "mp1float", "mp2float", "mp3", "mp3float")
"""Codecs whose packets all hold ``frame_size`` samples, should the container's clock be too coarse to say."""

PREROLL_SECONDS = 2
"""Decoded before a range and dropped. Opus asks for 0.08 s, MP3's bit reservoir reaches back 0.3 s; SBR headers of
HE-AAC come about once a second."""

PREROLL_PCM_SECONDS = 0.25
"""The resampler's memory is some ms; PCM itself has none."""

POSTROLL_SECONDS = 0.25
"""Decoded after a range, for the resampler's sake."""

TRUNCATED_SECONDS = 0.5
"""A shorter tail is never called missing."""

BUFFER_BYTES = 256 * 2**10
"""What FFmpeg asks for at once, and what a message of packets is filled up to."""

MAX_ERRORS = 64
"""Read errors in a row after which the file counts as ended."""


class Refused(Exception):
    """The recording cannot be decoded."""

    def __init__(self, refusal: Refusal, number: int = 0) -> None:
        super().__init__(refusal)
        self.refusal, self.number = refusal, number


class RemoteFile:
    """The recording as a file object for FFmpeg; the parent answers for the bytes."""

    def __init__(self, pipe: Pipe, size: int) -> None:
        self.size = size
        self._pipe, self._at = pipe, 0

    def read(self, length: int) -> bytes:
        """Return up to ``length`` bytes from where the file stands."""
        length = min(length, self.size - self._at)
        if length <= 0:
            return b""
        self._pipe.send(Tag.READ, READ_ARGUMENTS.pack(self._at, length))
        _, data = self._pipe.receive()
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to ``offset``, from the start, from here or from the end."""
        self._at = max(0, offset + (0, self._at, self.size)[whence])
        return self._at

    def tell(self) -> int:
        """Return where the file stands."""
        return self._at


def serve(pipe: Pipe, arguments: bytes) -> None:
    """Demux the recording that ``arguments`` describe, then end."""
    size, first_range = DEMUX_ARGUMENTS.unpack(arguments)
    file = RemoteFile(pipe, size)
    try:
        source = Source(file)
        pipe.send(Tag.OPENED, OPENED_ARGUMENTS.pack(-1 if source.declared is None else source.at_16k(source.declared)))
        pipe.send(Tag.FORMAT, source.format.packed())
        ranges = Ranges(pipe, source, first_range)
        for start, samples, jumped, packet in source.packets():
            ranges.add(start, samples, jumped, packet)
        if not ranges.packets:
            raise Refused(Refusal.NOTHING_DECODES)
        ranges.finish(*source.end())
        pipe.send(Tag.END)
    except Refused as refused:
        pipe.send(Tag.REFUSED, REFUSED_ARGUMENTS.pack(refused.refusal, refused.number))


class Source:
    """An opened recording: its audio stream, and where that begins and is said to end."""

    def __init__(self, file: RemoteFile) -> None:
        self._file = file
        self._container = _open(file)
        self._stream = self._container.streams.best("audio")
        if self._stream is None or self._stream.codec_context is None:
            raise Refused(Refusal.CODEC if self._stream else Refusal.NO_AUDIO_STREAM)
        for stream in self._container.streams:
            stream.discard = Discard.default if stream.index == self._stream.index else Discard.all
        self.format = _checked_format(self._stream.codec_context)
        base = self._stream.time_base
        self._ticks = base * self.format.rate  # samples a tick
        self._origin = self._zero()
        self._counted = self._container.format.name in ("mp3", "aac")
        self._frame = _frame_size(self._stream.codec_context, self.format)
        self.declared = self._declared()
        if self.declared is not None and self.declared > MAX_RECORDING_SECONDS * self.format.rate:
            raise Refused(Refusal.DURATION, self.declared // self.format.rate)
        self._fine = base * self.format.rate <= 1
        exact = self._fine or self._frame > 0 or self.format.codec in ("opus", "libopus")
        self._timeline = Timeline(self.format.rate, exact, self.declared)
        self._last: av.Packet | None = None
        self._bytes = 0
        self._samples = 0

    def at_16k(self, position: int) -> int:
        """Return a position as samples at 16 kHz."""
        return at_16k(position, self.format.rate)

    def packets(self) -> Iterator[tuple[int, int, bool, av.Packet]]:
        """Yield each packet with its start, its length and whether time jumped before it."""
        for packet in _demuxed(self._container, self._stream):
            samples = self._length(packet)
            lost = self._skipped(packet) if self._counted else 0
            stamp = None
            if packet.pts is not None and not (self._counted and self._last):
                stamp = int(packet.pts * self._ticks) - self._origin
            start, jumped = self._timeline.place(stamp, samples, lost)
            if start > MAX_RECORDING_SECONDS * self.format.rate:
                raise Refused(Refusal.DURATION, start // self.format.rate)
            self._last = packet
            self._bytes += packet.size
            self._samples += samples
            yield start, samples, jumped, packet

    def end(self) -> tuple[int, int]:
        """Return where the recording ends, and where what was found of it ends: less if the file was cut off."""
        assert self._last is not None
        found = max(0, (self._timeline.end or 0) - _padding(self._last))
        if self.declared is None or self.declared - found <= TRUNCATED_SECONDS * self.format.rate:
            return found, found
        cut = self._last.is_corrupt or claimed_size(self._file) > self._file.size or self._last_is_cut()
        return (self.declared if cut else found), found

    def _last_is_cut(self) -> bool:
        assert self._last is not None
        try:
            return not open_decoder(self.format).decode(packet_of(memoryview(self._last), 0, self.format.rate))
        except av.FFmpegError:
            return True

    def _length(self, packet: av.Packet) -> int:
        if self.format.codec in ("opus", "libopus"):
            return _opus_samples(bytes(packet)[:2]) * self.format.rate // 48_000
        if packet.duration and self._fine:
            return int(packet.duration * self._ticks)
        return self._frame or int((packet.duration or 0) * self._ticks)

    def _skipped(self, packet: av.Packet) -> int:
        """Return the length, estimated from the packets so far, of the bytes between this packet and the last."""
        if self._last is None or packet.pos is None or self._last.pos is None:
            return 0
        skipped = packet.pos - self._last.pos - self._last.size
        if skipped <= 0:
            return 0
        samples = skipped * self._samples // self._bytes
        return round(samples / self._frame) * self._frame if self._frame else samples

    def _zero(self) -> int:
        """Return the stamp, in samples, of what a player shows as 0: the earliest stream's start."""
        own = self._stream.start_time
        whole = self._container.start_time
        samples = int(own * self._ticks) if own is not None else 0
        if whole is None:
            return samples
        earliest = whole * self.format.rate // av.time_base
        return earliest if samples - earliest > self.format.rate // 100 else samples

    def _declared(self) -> int | None:
        if self._stream.duration:
            return int(self._stream.duration * self._ticks)
        if self._container.duration:
            return int(self._container.duration * self.format.rate // av.time_base)
        return None


@dataclass
class Ranges:
    """Sends packets on, range by range; those near a seam go to both of its sides."""

    pipe: Pipe
    source: Source
    index: int  #: the range being filled
    packets: int = 0
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

    def add(self, start: int, samples: int, jumped: bool, packet: av.Packet) -> None:
        """Send a packet to its range, and keep it if the next range needs it too."""
        self.packets += 1
        if self._first is None:
            self._first = start
        while start >= (self.index + 1) * self._length + self._after:
            self._close(Loss.GAP, *[self.source.at_16k((self.index + 1) * self._length)] * 2)
            self.index += 1
            for _, record in (kept := [one for one in self._carry if self._concerns(one[0], self.index)]):
                self._send(record)
            self._carry = [one for one in kept if self._concerns(one[0], self.index + 1)]
        record = PACKET.pack(start, samples, packet.size, jumped) + bytes(packet)
        if self._concerns(start, self.index):
            self._send(record)
        if self._concerns(start, self.index + 1):
            self._carry.append((start, record))

    def finish(self, end: int, found: int) -> None:
        """Close the last ranges of a recording that ends at ``end``; beyond ``found`` the file is cut off."""
        last = self.source.at_16k(end)
        while True:
            start, edge = self.index * GRID, min((self.index + 1) * GRID, last)
            self._close(Loss.TRUNCATED, max(start, edge), min(self.source.at_16k(found), edge))
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


def _open(file: RemoteFile) -> InputContainer:
    decoders = ",".join((*CODECS, *(f"pcm_{kind}" for kind in PCM)))
    options = {"format_whitelist": FORMATS, "codec_whitelist": decoders, "protocol_whitelist": "none"}
    try:
        return av.open(file, mode="r", container_options=options, buffer_size=BUFFER_BYTES, metadata_errors="replace")
    except (av.FFmpegError, ValueError):
        raise Refused(Refusal.NOT_AUDIO) from None


def _checked_format(codec: "av.AudioCodecContext") -> SourceFormat:
    if codec.name not in CODECS and codec.name not in {f"pcm_{kind}" for kind in PCM}:
        raise Refused(Refusal.CODEC)
    channels = codec.layout.nb_channels
    if not 1 <= channels <= MAX_CHANNELS:
        raise Refused(Refusal.CHANNELS, channels)
    if not MIN_SOURCE_RATE <= codec.sample_rate <= MAX_SOURCE_RATE:
        raise Refused(Refusal.RATE, codec.sample_rate)
    return SourceFormat(codec.name, codec.sample_rate, codec.layout.name, codec.extradata or b"")


def _demuxed(container: InputContainer, stream: "av.AudioStream") -> Iterator[av.Packet]:
    """Yield the stream's packets, and go on after what cannot be read."""
    errors = 0
    while errors < MAX_ERRORS:
        try:
            for packet in container.demux(stream):
                if packet.size:
                    errors = 0
                    yield packet
            return
        except av.FFmpegError:
            errors += 1


def _frame_size(codec: "av.AudioCodecContext", source: SourceFormat) -> int:
    if source.codec not in CONSTANT_FRAMES:
        return 0
    if source.codec == "flac":  # STREAMINFO begins with the shortest and the longest block
        shortest, longest = source.extradata[0:2], source.extradata[2:4]
        return int.from_bytes(longest, "big") if shortest == longest else 0
    return int(codec.frame_size)


def _opus_samples(head: bytes) -> int:
    """Return the length at 48 kHz of an Opus packet, from its first bytes (RFC 6716, 3.1)."""
    if not head:
        return 0
    configuration, code = head[0] >> 3, head[0] & 3
    if configuration < 12:
        one = (480, 960, 1920, 2880)[configuration & 3]
    elif configuration < 16:
        one = (480, 960)[configuration & 1]
    else:
        one = (120, 240, 480, 960)[configuration & 3]
    frames = (1, 2, 2, head[1] & 63 if len(head) > 1 else 0)[code]
    return one * frames


def _padding(packet: av.Packet) -> int:
    """Return how many samples at the packet's end only fill it up."""
    if not packet.has_sidedata("skip_samples"):
        return 0
    return int.from_bytes(bytes(packet.get_sidedata("skip_samples"))[4:8], "little")
