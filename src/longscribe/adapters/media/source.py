"""An opened recording: what it is, and its packets, each with its place in time; runs in a child.

Positions are samples at the source's rate; 0 is what a player shows as 0: the first sample to be presented, encoder
priming left out.
"""

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, islice
from typing import NamedTuple, cast

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.stream import Discard

from longscribe.adapters.media import containers
from longscribe.adapters.media.decoding import open_decoder, packet_of
from longscribe.adapters.media.fragments import MAX_FRUITLESS, fragments_start, next_fragment, resume
from longscribe.adapters.media.opening import (
    BUFFER_BYTES,
    Packet,
    Refused,
    checked_format,
    demuxed,
    open_container,
    open_recording,
)
from longscribe.adapters.media.raw_frames import (
    HEAD_BYTES,
    HEADER_BYTES,
    behind_tags,
    claimed_bytes,
    frames,
    is_head,
    measure_like,
)
from longscribe.adapters.media.remote import RemoteFile
from longscribe.adapters.media.timeline import Timeline
from longscribe.adapters.media.wire import Loss, Refusal, SourceFormat, at_16k
from longscribe.core.limits import MAX_RECORDING_SECONDS

CONSTANT_FRAMES = ("aac", "ac3", "alac", "eac3", "flac", "mp1float", "mp2float", "mp3", "mp3float")
"""Codecs whose packets all hold ``frame_size`` samples, should the container's clock be too coarse to say."""

TRUNCATED_SECONDS = 0.5
"""A tail that is shorter by less than the container says is never called missing, nor is a head."""

DTX_BYTES = 2
DTX_SECONDS = 0.5
"""An Opus packet this short tells that its sender falls silent, and sends nothing for 0.4 s (RFC 6716, 2.1.9)."""

TOKEN_SECONDS = 0.01
"""Called missing at the end of a file that is cut off without knowing its length: nobody knows how much is gone."""

MEASURED_FRAMES = 64
"""Frames of a raw stream that are measured before skipped bytes are turned into time."""

MAX_REPEATS = 10
"""How many times what a file holds its packets may add up to. Its index may name bytes twice, and blocks may be
packed; but not without end: some kilobytes would last for days."""

LONGEST_PACKET_SECONDS = 10
"""A longer one is a container's slip: real ones stay under 2 s."""


class Source:
    """An opened recording: its audio stream, and where that begins and is said to end."""

    def __init__(self, file: RemoteFile) -> None:
        self._file = file
        self._container = open_recording(file)
        streams = self._container.streams
        stream = streams.best("audio") or next(iter(streams.audio), None)  # none is best if none is sane
        if stream is None:
            raise Refused(Refusal.NO_AUDIO_STREAM)
        if not isinstance(stream, AudioStream) or stream.codec_context is None or stream.time_base is None:
            raise Refused(Refusal.CODEC)
        self._stream = stream
        self._number = list(streams.audio).index(stream)
        codec = stream.codec_context
        self.format = checked_format(codec)
        self._name = self._container.format.name
        # Samples a tick, as two whole numbers: to multiply fractions takes longer than all the rest of demuxing.
        self._numerator, self._denominator = (stream.time_base * self.format.rate).as_integer_ratio()
        self._origin = self._zero()
        self._frame = _frame_size(codec, self.format)
        self._fine = self._numerator <= self._denominator
        self._opus = self.format.codec in ("opus", "libopus")
        self._fragments = fragments_start(file) if self._name.startswith("mov") else 0
        self._claimed = 0  #: bytes that an MP3's own head says it has
        self.declared = self._declared()
        if self.declared is not None and self.declared > MAX_RECORDING_SECONDS * self.format.rate:
            raise Refused(Refusal.DURATION, self.declared // self.format.rate)
        exact = self._fine or self._frame > 0 or self._opus
        self._timeline = Timeline(self.format.rate, exact, self.declared)
        self._last = b""
        self._newest: Packet | None = None  #: the last packet that has timestamps
        self._last_at: int | None = None  #: its place in the file
        self._cut = False  #: whether the last packet is known to be incomplete
        self._given = 0  #: bytes of all packets so far
        self._lost_tail = 0  #: length of what was skipped after it

    def at_16k(self, position: int) -> int:
        """Return a position as samples at 16 kHz; not 0 for what lies behind the start, so that a sample is one."""
        return max(at_16k(position, self.format.rate), int(position > 0))

    def packets(self) -> Iterator[tuple[int, int, bool, bytes]]:
        """Yield each packet with its start, its length and whether time jumped before it."""
        packets = self._demuxed()
        if self._name in ("mp3", "aac"):
            placed = self._count(packets)
        else:
            placed = self._follow(chain(packets, self._beyond_holes()) if self._fragments else packets)
        for start, samples, jumped, data in placed:
            if start > MAX_RECORDING_SECONDS * self.format.rate:
                raise Refused(Refusal.DURATION, start // self.format.rate)
            self._last = data
            yield start, samples, jumped, data

    def end(self) -> tuple[int, int, Loss]:
        """Return where the recording ends, where what was found of it ends, and why there is nothing between."""
        end, found, loss = self._end()
        return max(found, min(end, MAX_RECORDING_SECONDS * self.format.rate)), found, loss

    def _end(self) -> tuple[int, int, Loss]:
        """Return the end as the file has it.

        The container's word for a longer duration counts only with evidence that bytes are gone: a last packet that
        is incomplete, or a size of its own that the file does not reach.
        """
        if not self._last:
            raise Refused(Refusal.NOTHING_DECODES)
        rate = self.format.rate
        padding = _padding(self._newest) if self._newest else 0
        padding = padding if padding < rate else 0  # no file is filled up by a second
        found = max(0, (self._timeline.end or 0) - padding)
        declared = found if self.declared is None else self.declared
        if found - rate // 10 < declared <= found:
            found = declared  # the last frame is filled up
        short = declared - found > TRUNCATED_SECONDS * rate
        claimed = self._claimed or (containers.claimed_size(self._file) if short or self._name == "wav" else 0)
        if self._name == "wav" and claimed > self._file.size:
            return max(declared, found * claimed // self._file.size), found, Loss.TRUNCATED
        if short and (self._cut or self._lost_tail or claimed > self._file.size or self._is_cut(self._last)):
            return declared, found, Loss.TRUNCATED
        if self._lost_tail:
            tail = self._lost_tail if self.declared is None else min(self._lost_tail, max(0, declared - found))
            return found + tail, found, Loss.TRUNCATED if tail <= self._frame else Loss.DAMAGED
        another = self._name.startswith("mov") and not self._fragments and containers.another_movie(self._file)
        if another:
            return found + int(another * rate), found, Loss.JOINED
        joined = containers.next_chain(self._file, self._last_at or 0) if self._name == "ogg" else 0
        if joined:  # FFmpeg goes on with a stream of the same codec and channels only
            length = int(containers.chained_seconds(self._file, joined) * rate)
            share = found * (self._file.size - joined) // joined
            return found + (length or share), found, Loss.JOINED
        if self._ends_early():
            return found, max(0, found - int(rate * TOKEN_SECONDS)), Loss.CUT
        return found, found, Loss.TRUNCATED

    def _ends_early(self) -> bool:
        """Return whether a file that does not know its length breaks off within a page, a box or an element."""
        if self._name == "ogg":
            return containers.ogg_is_cut(self._file)
        if self._fragments:
            return self._cut or containers.claimed_size(self._file) > self._file.size
        if self._name.startswith("matroska") and self.declared is None and self._last_at is not None:
            return containers.matroska_is_cut(self._file, self._last_at, len(self._last))
        return False

    def _is_cut(self, packet: bytes) -> bool:
        try:
            whole = packet_of(memoryview(packet), 0, Fraction(1, self.format.rate))
            return not open_decoder(self.format).decode(whole)
        except av.FFmpegError:
            return True

    def _beyond_holes(self) -> Iterator[Packet]:
        """Yield what lies behind the holes of a fragmented MP4, at each of which FFmpeg stops."""
        at, alone, fruitless = 0, False, 0
        while fruitless < MAX_FRUITLESS:
            before = self._last_at
            self._file.unpatch()
            # How far FFmpeg came, but for what it had read ahead: fragments without a sound need not be tried.
            came = 0 if alone else self._file.tell() - BUFFER_BYTES
            at = next_fragment(self._file, max(at, came, (self._last_at or 0) + len(self._last)))
            if at < 0:
                return
            following = next_fragment(self._file, at + 8)
            resume(self._file, self._fragments, at, following if alone else -1)
            try:
                self._container = open_container(self._file)
            except Refused:  # some piece ahead spoils all: take one after the other, until one is refused by itself
                at += 8 * int(alone)
                alone = not alone
            else:
                yield from self._demuxed()
                at += 8
            fruitless = fruitless + 1 if self._last_at == before else 0

    def _demuxed(self) -> Iterator[Packet]:
        """Yield the stream's packets, those of no other."""
        stream = self._container.streams.audio[self._number]
        for other in self._container.streams:
            other.discard = Discard.default if other.index == stream.index else Discard.all
        return demuxed(self._container, stream)

    def _follow(self, packets: Iterator[Packet]) -> Iterator[tuple[int, int, bool, bytes]]:
        """Place packets that have timestamps."""
        first = next(packets, None)
        if first is None:
            return
        late = self._starts_late(first)
        stamped = self._stamped(chain((first,), packets))
        end, last = 0, b""
        for stamp, samples, _, data in _by_page(stamped) if self._name == "ogg" else stamped:
            start, jumped = self._timeline.place(stamp, samples)
            if jumped and self._is_pause(last, start - end):
                jumped, length = False, self._opus_length(last)
                for at in range(end, start - length + 1, length):
                    yield at, length, False, last
            yield start, samples, jumped or late, data
            end, last, late = start + samples, data, False

    def _is_pause(self, packet: bytes, gap: int) -> bool:
        """Return whether a gap behind ``packet`` is no loss: its sender had fallen silent."""
        short = self._opus and len(packet) <= DTX_BYTES and gap <= DTX_SECONDS * self.format.rate
        return short and self._opus_length(packet) > 0

    def _starts_late(self, first: Packet) -> bool:
        """Return whether sound was lost before the first packet, which then is not where the recording begins."""
        stamp = 0 if first.pts is None else self._samples(first.pts)
        soon = stamp <= TRUNCATED_SECONDS * self.format.rate
        if soon or first.pos is None:
            return False
        if not self._file.patched and containers.is_unbroken(self._file, first.pos):
            return False
        if self.declared is not None and self._name == "ogg":
            self.declared += self._origin  # it was counted from the first packet
            self._timeline.declared_end = self.declared
        self._origin = 0
        return True

    def _stamped(self, packets: Iterator[Packet]) -> Iterator["_Stamped"]:
        for packet in packets:
            self._newest, self._cut, self._last_at = packet, packet.is_corrupt, packet.pos
            stamp = None if packet.pts is None else self._samples(packet.pts) - self._origin
            self._given += packet.size
            if self._given > MAX_REPEATS * max(self._file.size, BUFFER_BYTES):
                raise Refused(Refusal.REPEATS)
            yield _Stamped(stamp, self._length(packet), packet.pos, bytes(packet))

    def _count(self, packets: Iterator[Packet]) -> Iterator[tuple[int, int, bool, bytes]]:
        """Place the frames of a raw stream, one after the other; skipped bytes stand for their share of time."""
        first = next(packets, None)
        if first is None:
            return
        measure = measure_like(bytes(first)[:HEADER_BYTES]) if self._frame else None
        if measure is None or first.pos is None:
            yield from self._follow(chain((first,), packets))
            return
        found = frames(self._file, measure)
        ahead = list(islice(found, MEASURED_FRAMES))
        headed = self._name == "mp3" and any(is_head(data) for data, _ in ahead[:1])
        del ahead[: int(headed)]  # nothing was lost before it
        sizes = [len(data) for data, _ in ahead if data]
        mean = sum(sizes) / len(sizes) if sizes else 1
        total = number = 0
        for data, skipped in chain(ahead, found):
            if number >= MEASURED_FRAMES:
                mean = total / number
            lost = max(1, round(skipped / mean)) * self._frame if skipped else 0
            if not data:
                self._lost_tail = lost
            elif number:
                if self._name == "mp3" and is_head(data):
                    continue  # of another recording, joined to this
                start, jumped = self._timeline.place(None, self._frame, lost)
                yield start, self._frame, jumped, data
            else:
                if not headed and lost < TRUNCATED_SECONDS * self.format.rate:
                    lost = 0
                start, _ = self._timeline.place(lost - self._origin, self._frame)
                yield start, self._frame, lost > 0, data
            total, number = total + len(data), number + 1

    def _length(self, packet: Packet) -> int:
        if self._opus:
            return self._opus_length(bytes(packet)[:2])
        if packet.duration and self._fine:
            length = self._samples(packet.duration)
            return length if 0 < length < LONGEST_PACKET_SECONDS * self.format.rate else self._frame
        return self._frame or self._samples(packet.duration or 0)

    def _samples(self, ticks: int) -> int:
        """Return a time on the stream's clock in whole samples, rounded towards 0."""
        samples = abs(ticks) * self._numerator // self._denominator
        return samples if ticks >= 0 else -samples

    def _opus_length(self, head: bytes) -> int:
        return _opus_samples(head) * self.format.rate // 48_000

    def _zero(self) -> int:
        """Return the stamp, in samples, of what a player shows as 0: the earliest stream's start."""
        own = self._stream.start_time
        whole = cast("int | None", self._container.start_time)  # its stub forgets None
        samples = self._samples(own) if own is not None else 0
        if whole is None:
            return samples
        earliest = whole * self.format.rate // av.time_base
        return earliest if samples - earliest > self.format.rate // 100 else samples

    def _declared(self) -> int | None:
        if self._fragments or self._name == "aac" or (self._name == "mp3" and not self._has_head()):
            return None  # FFmpeg's guess from the file's size, no declaration
        if self._name.startswith("matroska") and not containers.tells_duration(self._file):
            return None  # such a guess, too
        if self._stream.duration:
            return self._samples(self._stream.duration)
        if self._container.duration:
            return int(self._container.duration * self.format.rate // av.time_base)
        return None

    def _has_head(self) -> bool:
        """Return whether the MP3's first frame tells its length; note what it claims."""
        start = behind_tags(self._file)
        frame = containers.read_at(self._file, start, HEAD_BYTES + 16)
        if not is_head(frame):
            return False
        claimed = claimed_bytes(frame)
        self._claimed = start + claimed if claimed else 0
        return True


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
