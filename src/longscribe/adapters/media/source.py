"""An opened recording: what it is, and its packets, each with its place in time; runs in a child.

Positions are samples at the source's rate; 0 is what a player shows as 0: the first sample to be presented, encoder
priming left out.
"""

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple, TypeAlias, cast

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Discard

from longscribe.adapters.media.containers import claimed_size, ogg_is_cut
from longscribe.adapters.media.decoding import open_decoder, packet_of
from longscribe.adapters.media.raw_frames import HEADER_BYTES, frames, measure_like
from longscribe.adapters.media.timeline import Timeline
from longscribe.adapters.media.wire import (
    READ_ARGUMENTS,
    Pipe,
    Refusal,
    SourceFormat,
    Tag,
    at_16k,
)
from longscribe.core.limits import MAX_CHANNELS, MAX_RECORDING_SECONDS, MAX_SOURCE_RATE, MIN_SOURCE_RATE

Packet: TypeAlias = "av.Packet[AudioStream]"

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
        return bytes(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to ``offset``, from the start, from here or from the end."""
        self._at = max(0, offset + (0, self._at, self.size)[whence])
        return self._at

    def tell(self) -> int:
        """Return where the file stands."""
        return self._at


class Source:
    """An opened recording: its audio stream, and where that begins and is said to end."""

    def __init__(self, file: RemoteFile) -> None:
        self._file = file
        self._container = _open(file)
        streams = self._container.streams
        stream = streams.best("audio") or next(iter(streams.audio), None)  # none is best if none is sane
        if stream is None:
            raise Refused(Refusal.NO_AUDIO_STREAM)
        if not isinstance(stream, AudioStream) or stream.codec_context is None or stream.time_base is None:
            raise Refused(Refusal.CODEC)
        self._stream = stream
        for other in streams:
            other.discard = Discard.default if other.index == stream.index else Discard.all
        codec = stream.codec_context
        self.format = _checked_format(codec)
        self._name = self._container.format.name
        self._ticks = stream.time_base * self.format.rate  # samples a tick
        self._origin = self._zero()
        self._frame = _frame_size(codec, self.format)
        self._fine = self._ticks <= 1
        self.declared = self._declared()
        if self.declared is not None and self.declared > MAX_RECORDING_SECONDS * self.format.rate:
            raise Refused(Refusal.DURATION, self.declared // self.format.rate)
        exact = self._fine or self._frame > 0 or self.format.codec in ("opus", "libopus")
        self._timeline = Timeline(self.format.rate, exact, self.declared)
        self._last = b""
        self._cut = False  #: whether the last packet is known to be incomplete
        self._padding = 0  #: samples at its end that only fill it up
        self._lost_tail = 0  #: length of what was skipped after it

    def at_16k(self, position: int) -> int:
        """Return a position as samples at 16 kHz."""
        return at_16k(position, self.format.rate)

    def packets(self) -> Iterator[tuple[int, int, bool, bytes]]:
        """Yield each packet with its start, its length and whether time jumped before it."""
        packets = _demuxed(self._container, self._stream)
        if self._name in ("mp3", "aac"):
            placed = self._count(packets)
        else:
            placed = self._follow_stamps(
                _by_page(self._stamped(packets)) if self._name == "ogg" else self._stamped(packets)
            )
        for start, samples, jumped, data in placed:
            if start > MAX_RECORDING_SECONDS * self.format.rate:
                raise Refused(Refusal.DURATION, start // self.format.rate)
            self._last = data
            yield start, samples, jumped, data

    def end(self) -> tuple[int, int]:
        """Return where the recording ends, and where what was found of it ends: less if the file was cut off.

        The container's word for a longer duration counts only with evidence that bytes are gone: a last packet that
        is incomplete, or a size of its own that the file does not reach.
        """
        if not self._last:
            raise Refused(Refusal.NOTHING_DECODES)
        rate = self.format.rate
        found = max(0, (self._timeline.end or 0) - self._padding)
        declared = found if self.declared is None else self.declared
        if found - rate // 10 < declared <= found:
            found = declared  # the last frame is filled up
        short = declared - found > TRUNCATED_SECONDS * rate
        claimed = claimed_size(self._file) if short or self._name == "wav" else 0
        if self._name == "wav" and claimed > self._file.size:
            return max(declared, found * claimed // self._file.size), found
        if short and (self._cut or self._lost_tail or claimed > self._file.size or self._is_cut(self._last)):
            return declared, found
        if self._name == "ogg" and ogg_is_cut(self._file):
            return found, max(0, found - rate // 100)  # how much is gone, nobody knows: a token of it
        return found + self._lost_tail, found

    def _is_cut(self, packet: bytes) -> bool:
        try:
            return not open_decoder(self.format).decode(packet_of(memoryview(packet), 0, self.format.rate))
        except av.FFmpegError:
            return True

    def _follow_stamps(self, packets: Iterator["_Stamped"]) -> Iterator[tuple[int, int, bool, bytes]]:
        for stamp, samples, _, data in packets:
            start, jumped = self._timeline.place(stamp, samples)
            yield start, samples, jumped, data

    def _stamped(self, packets: Iterator[Packet]) -> Iterator["_Stamped"]:
        for packet in packets:
            self._cut, self._padding = packet.is_corrupt, _padding(packet)
            stamp = None if packet.pts is None else int(packet.pts * self._ticks) - self._origin
            yield _Stamped(stamp, self._length(packet), packet.pos, bytes(packet))

    def _count(self, packets: Iterator[Packet]) -> Iterator[tuple[int, int, bool, bytes]]:
        """Place the frames of a raw stream, one after the other; skipped bytes stand for their share of time."""
        first = next(packets, None)
        if first is None:
            return
        measure = measure_like(bytes(first)[:HEADER_BYTES]) if self._frame else None
        if measure is None or first.pos is None:
            yield from self._follow_stamps(self._stamped(chain((first,), packets)))
            return
        total = number = 0
        for data, skipped in frames(self._file, first.pos, measure):
            lost = max(1, round(skipped * number / total)) * self._frame if skipped and total else 0
            if not data:
                self._lost_tail = lost
                return
            start, jumped = self._timeline.place(None if number else -self._origin, self._frame, lost)
            total, number = total + len(data), number + 1
            yield start, self._frame, jumped, data

    def _length(self, packet: Packet) -> int:
        if self.format.codec in ("opus", "libopus"):
            return _opus_samples(bytes(packet)[:2]) * self.format.rate // 48_000
        if packet.duration and self._fine:
            return int(packet.duration * self._ticks)
        return self._frame or int((packet.duration or 0) * self._ticks)

    def _zero(self) -> int:
        """Return the stamp, in samples, of what a player shows as 0: the earliest stream's start."""
        own = self._stream.start_time
        whole = cast("int | None", self._container.start_time)  # its stub forgets None
        samples = int(own * self._ticks) if own is not None else 0
        if whole is None:
            return samples
        earliest = whole * self.format.rate // av.time_base
        return earliest if samples - earliest > self.format.rate // 100 else samples

    def _declared(self) -> int | None:
        if self._name == "aac" or (self._name == "mp3" and not self._has_xing()):
            return None  # FFmpeg's guess from the file's size, no declaration
        if self._stream.duration:
            return int(self._stream.duration * self._ticks)
        if self._container.duration:
            return int(self._container.duration * self.format.rate // av.time_base)
        return None

    def _has_xing(self) -> bool:
        """Return whether the MP3's first frame, after the tag, is one that tells its length."""
        self._file.seek(0)
        head = self._file.read(10)
        tag = 10 + sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=False))
        self._file.seek(tag if head[:3] == b"ID3" else 0)
        frame = self._file.read(4096)
        return b"Xing" in frame or b"Info" in frame


class _Stamped(NamedTuple):
    """A packet with its timestamp, in samples from the start of the recording."""

    stamp: int | None
    samples: int
    page: int | None  #: where its page begins, in Ogg
    data: bytes


def _by_page(packets: Iterator[_Stamped]) -> Iterator[_Stamped]:
    """Move each Ogg page to where its end belongs.

    A page tells the time of its end only. After a loss FFmpeg counts on from before it, and finds out at the end.
    """
    held: list[_Stamped] = []
    for packet in packets:
        late = 0
        if held and packet.stamp is not None and held[-1].stamp is not None:
            late = max(0, packet.stamp - held[-1].stamp - held[-1].samples)
        if late:
            held = [one._replace(stamp=None if one.stamp is None else one.stamp + late) for one in held]
        if held and packet.page != held[0].page:
            yield from held
            held = []
        held.append(packet)
    yield from held


def _open(file: RemoteFile) -> InputContainer:
    decoders = ",".join((*CODECS, *(f"pcm_{kind}" for kind in PCM)))
    options = {"format_whitelist": FORMATS, "codec_whitelist": decoders, "protocol_whitelist": "none"}
    try:
        return av.open(
            file, mode="r", container_options=options, buffer_size=BUFFER_BYTES, metadata_errors="replace"
        )
    except (av.FFmpegError, ValueError):
        raise Refused(Refusal.NOT_AUDIO) from None


def _checked_format(codec: AudioCodecContext) -> SourceFormat:
    if codec.name not in CODECS and codec.name not in {f"pcm_{kind}" for kind in PCM}:
        raise Refused(Refusal.CODEC)
    channels = codec.layout.nb_channels
    if not 1 <= channels <= MAX_CHANNELS:
        raise Refused(Refusal.CHANNELS, channels)
    if not MIN_SOURCE_RATE <= codec.sample_rate <= MAX_SOURCE_RATE:
        raise Refused(Refusal.RATE, codec.sample_rate)
    return SourceFormat(codec.name, codec.sample_rate, codec.layout.name, codec.extradata or b"")


def _demuxed(container: InputContainer, stream: AudioStream) -> Iterator[Packet]:
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


def _frame_size(codec: AudioCodecContext, source: SourceFormat) -> int:
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


def _padding(packet: Packet) -> int:
    """Return how many samples at the packet's end only fill it up."""
    if not packet.has_sidedata("skip_samples"):
        return 0
    return int.from_bytes(bytes(packet.get_sidedata("skip_samples"))[4:8], "little")
