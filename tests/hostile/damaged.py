"""Recordings damaged on purpose, and an oracle that knows only the sound that went in.

The sound is noise, no stretch of which is like another: a piece of it tells which time it comes from. So what
became of each 10 ms is found in the decoded samples themselves, whatever the decoder believes about them.
"""

import functools
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import NamedTuple

import av
import numpy as np
import numpy.typing as npt

from longscribe.core.limits import FRAME, SAMPLE_RATE
from longscribe.errors import BadInput
from longscribe.messages import Missing
from tests.hostile.recordings import decode

SECONDS = 20
NEAR = SAMPLE_RATE // 10
"""A sound is in its place if it is this near."""

ALIKE = 0.5
"""Correlation of 20 ms of decoded sound with what went in; of foreign noise the best of all places gives 0.35."""

Audio = npt.NDArray[np.int16]


def noise(seed: int, rate: int) -> npt.NDArray[np.float64]:
    """Return noise between 200 and 3,500 Hz, the same whatever the rate."""
    n = SECONDS * SAMPLE_RATE
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    frequencies = np.fft.rfftfreq(n, 1 / SAMPLE_RATE)
    spectrum[(frequencies < 200) | (frequencies > 3500)] = 0
    wide = np.zeros(SECONDS * rate // 2 + 1, np.complex128)
    wide[: min(len(wide), len(spectrum))] = spectrum[: len(wide)]
    samples = np.fft.irfft(wide, SECONDS * rate)
    return samples / samples.std() * 4_000


@functools.cache
def sound(seed: int = 0) -> Audio:
    """Return what went in, at 16 kHz."""
    return noise(seed, SAMPLE_RATE).astype(np.int16)


@dataclass(frozen=True)
class Format:
    """How a recording is packed."""

    container: str
    codec: str
    rate: int
    channels: int = 1
    bit_rate: int = 96_000
    muxing: dict[str, str] = field(default_factory=dict)
    coding: dict[str, str] = field(default_factory=dict)
    video: bool = False
    grain: float = 0.1  #: seconds that one damaged byte may cost: a frame, page or cluster


FRAGMENTS = {"movflags": "empty_moov+default_base_moof", "frag_duration": "2000000"}

FORMATS = {
    "mp3": Format("mp3", "libmp3lame", 44_100),
    "m4a": Format("ipod", "aac", 44_100),
    "flac": Format("flac", "flac", 44_100, grain=0.2),
    "wav": Format("wav", "pcm_s16le", 44_100),
    "ogg": Format("ogg", "vorbis", 44_100, 2, 128_000, coding={"strict": "-2"}, grain=1.2),
    "opus": Format("ogg", "libopus", 48_000, grain=1.2),
    "webm": Format("webm", "libopus", 48_000, video=True, grain=5.2),
    "mp4": Format("mp4", "aac", 48_000, muxing={"movflags": "faststart"}, video=True),
    "aac": Format("adts", "aac", 44_100),
    "growing": Format("matroska", "libopus", 48_000, muxing={"live": "1"}, grain=5.2),
    "fragments": Format("mp4", "aac", 48_000, muxing=FRAGMENTS, grain=2.2),
}


def encode(kind: str, wave: npt.NDArray[np.int16]) -> bytes:
    """Return mono audio, at the format's own rate, in one of `FORMATS`, with moving pictures if that holds any."""
    how = FORMATS[kind]
    with NamedTemporaryFile() as file, av.open(file.name, "w", format=how.container, options=how.muxing) as out:
        stream = out.add_stream(how.codec, rate=how.rate, layout="stereo" if how.channels == 2 else "mono")
        stream.bit_rate, stream.codec_context.options = how.bit_rate, how.coding
        picture = out.add_stream("libvpx" if how.container == "webm" else "libx264", rate=5) if how.video else None
        if picture is not None:
            picture.width = picture.height = 64
            picture.pix_fmt = "yuv420p"
        for second in range(-(-len(wave) // how.rate)):
            if picture is not None:
                for number in range(5 * second, 5 * second + 5):
                    image = av.VideoFrame.from_ndarray(np.full((96, 64), number, np.uint8), "yuv420p")
                    image.pts, image.time_base = number, Fraction(1, 5)
                    out.mux(picture.encode(image))
            part = wave[second * how.rate : (second + 1) * how.rate].repeat(how.channels).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(part, "s16", "stereo" if how.channels == 2 else "mono")
            frame.sample_rate, frame.pts, frame.time_base = how.rate, second * how.rate, Fraction(1, how.rate)
            out.mux(stream.encode(frame))
        if picture is not None:
            out.mux(picture.encode(None))
        out.mux(stream.encode(None))
        out.close()  # an index goes to the front only now
        return Path(file.name).read_bytes()


class Packet(NamedTuple):
    """Which bytes of a file hold which of its sound."""

    first: int
    last: int
    start: float  #: seconds
    end: float


@functools.cache
def whole(kind: str, seed: int = 0) -> bytes:
    """Return an undamaged recording."""
    return encode(kind, noise(seed, FORMATS[kind].rate).astype(np.int16))


@functools.cache
def packets(kind: str) -> tuple[Packet, ...]:
    """Return the packets of the undamaged recording; in Ogg those of a page share its bytes."""
    with av.open(io.BytesIO(whole(kind))) as container:
        (stream,) = container.streams.audio
        found = [packet for packet in container.demux(stream) if packet.size]
        paged = container.format.name == "ogg"
        pages = [*sorted({packet.pos for packet in found}), len(whole(kind))]
        return tuple(
            Packet(
                packet.pos,
                pages[pages.index(packet.pos) + 1] if paged else packet.pos + packet.size,
                float(packet.pts * packet.time_base),
                float((packet.pts + packet.duration) * packet.time_base),
            )
            for packet in found
        )


@dataclass(frozen=True)
class Damaged:
    """A damaged recording, and what of the sound its bytes can still give."""

    data: bytes
    original: Audio  #: what was recorded
    kept: npt.NDArray[np.bool_]  #: for each 10 ms of it, whether all bytes that hold it are intact
    gone: float = 0.0  #: seconds that are lost without a place: no timestamp tells where

    def without(self, first: int, last: int) -> "Damaged":
        """Return it with 10 ms ``first`` to ``last`` gone from the recording, too."""
        rest = np.r_[0:first, last : len(self.kept)]
        original = self.original.reshape(-1, FRAME)[rest].reshape(-1)
        return Damaged(self.data, original, self.kept[rest], (last - first) / 100)

    @property
    def places(self) -> int:
        """How many stretches of it are damaged."""
        return int((np.diff(self.kept.astype(np.int8), prepend=1) < 0).sum())


def kept(kind: str, intact: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return for each 10 ms whether the bytes that hold it are ``intact``."""
    found = np.ones(SECONDS * SAMPLE_RATE // FRAME, np.bool_)
    for packet in packets(kind):
        if not intact[packet.first : packet.last].all():
            found[max(0, int(packet.start * 100)) : max(0, int(packet.end * 100) + 1)] = False
    return found


def damaged(kind: str, data: bytes, intact: npt.NDArray[np.bool_] | None = None) -> Damaged:
    intact = np.ones(len(whole(kind)), np.bool_) if intact is None else intact
    return Damaged(data, sound(), kept(kind, intact))


def overwritten(kind: str, places: Sequence[tuple[int, int]], with_zeros: bool = True) -> Damaged:
    """Overwrite the bytes at each (offset, length)."""
    data = bytearray(whole(kind))
    intact = np.ones(len(data), np.bool_)
    random = np.random.default_rng(3)
    for at, length in places:
        data[at : at + length] = bytes(length) if with_zeros else random.bytes(length)
        intact[at : at + length] = False
    return damaged(kind, bytes(data), intact)


def cut_out(kind: str, first: int, last: int) -> Damaged:
    data = whole(kind)
    places = np.arange(len(data))
    return damaged(kind, data[:first] + data[last:], (places < first) | (places >= last))


def truncated(kind: str, share: float) -> Damaged:
    size = len(whole(kind))
    return cut_out(kind, int(size * share), size)


def holes(kind: str, *places: tuple[float, int]) -> Damaged:
    size = len(whole(kind))
    return overwritten(kind, [(int(size * share), length) for share, length in places])


def garbage(length: int) -> bytes:
    return np.random.default_rng(4).bytes(length)


def patched(kind: str, *fields: tuple[bytes, int, str], factor: float) -> Damaged:
    """Multiply numbers: each lies so many bytes behind a mark, and is of a numpy type."""
    data = bytearray(whole(kind))
    for mark, distance, form in fields:
        at = data.index(mark) + distance
        (value,) = np.frombuffer(data, form, 1, at)
        data[at : at + np.dtype(form).itemsize] = np.array([value * factor]).astype(form).tobytes()
    return damaged(kind, bytes(data))


def misdeclared(kind: str, factor: float) -> Damaged:
    """Let the header claim another duration."""
    movie = ((b"mvhd", 20, ">u4"), (b"tkhd", 24, ">u4"), (b"mdhd", 20, ">u4"))
    fields: dict[str, tuple[tuple[bytes, int, str], ...]] = {
        "mp3": ((b"Xing", 8, ">u4"),) if b"Xing" in whole("mp3") else ((b"Info", 8, ">u4"),),
        "m4a": movie,
        "mp4": movie,
        "flac": ((b"fLaC", 22, ">u4"),),
        "wav": ((b"data", 4, "<u4"),),
        "webm": ((b"\x44\x89\x88", 3, ">f8"),),
    }
    if kind in ("ogg", "opus"):
        return repaged(kind, factor)
    return patched(kind, *fields[kind], factor=factor)


def repaged(kind: str, factor: float) -> Damaged:
    """Let an Ogg file's last page claim another time."""
    data = bytearray(whole(kind))
    at = data.rindex(b"OggS")
    (value,) = np.frombuffer(data, "<i8", 1, at + 6)
    data[at + 6 : at + 14] = int(value * factor).to_bytes(8, "little")
    data[at + 22 : at + 26] = bytes(4)
    data[at + 22 : at + 26] = checksum(data[at:]).to_bytes(4, "little")
    return damaged(kind, bytes(data))


def checksum(page: bytes) -> int:
    """Return an Ogg page's checksum (RFC 3533, 6)."""
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 1 << 31 else 0)) & 0xFFFFFFFF
    return value


def unindexed(kind: str) -> Damaged:
    """Lose what tells where things lie."""
    data = bytearray(whole(kind))
    if kind in ("m4a", "mp4", "fragments"):
        at = data.index(b"moov") - 4
        length = int.from_bytes(data[at : at + 4], "big")
        data[at + 8 : at + length] = bytes(length - 8)
    elif kind == "webm":
        at = data.rindex(b"\x1c\x53\xbb\x6b")  # the cues
        del data[at:]
    elif kind == "mp3":
        data[: packets("mp3")[0].first] = bytes(packets("mp3")[0].first)
    elif kind == "wav":
        at = data.index(b"data")
        data[4:8] = data[at + 4 : at + 8] = bytes(4)  # a recorder that was killed
    elif kind in ("ogg", "opus"):
        return cut_out(kind, data.rindex(b"OggS"), len(data))
    return damaged(kind, bytes(data))


def thinned(kind: str) -> Damaged:
    """Leave 2 s of packets out; the rest is well-formed."""
    lost = [packet for packet in packets(kind) if 8 <= packet.start < 10]
    how = FORMATS[kind]
    if how.container in ("adts", "mp3", "wav"):  # no frame tells its time: what follows moves forward
        found = cut_out(kind, lost[0].first, lost[-1].last)
        gone = np.flatnonzero(~found.kept)
        return found.without(int(gone[0]), int(gone[-1]) + 1)
    if how.container in ("flac", "ogg"):
        return cut_out(kind, lost[0].first, lost[-1].last)
    intact = np.ones(len(whole(kind)), np.bool_)
    for packet in lost:
        intact[packet.first : packet.last] = False
    with av.open(io.BytesIO(whole(kind))) as source, NamedTemporaryFile() as file:
        with av.open(file.name, "w", format=how.container, options=how.muxing) as out:
            streams = {stream.index: out.add_stream_from_template(stream) for stream in source.streams}
            for packet in source.demux():
                start = 0.0 if packet.pts is None else float(packet.pts * packet.time_base)
                if packet.size and not (packet.stream.type == "audio" and 8 <= start < 10):
                    packet.stream = streams[packet.stream.index]
                    out.mux(packet)
        return damaged(kind, Path(file.name).read_bytes(), intact)


def beheaded(kind: str) -> Damaged:
    """Lose the first quarter of the bytes."""
    found = cut_out(kind, 0, len(whole(kind)) // 4)
    return found.without(0, int(found.kept.argmax()))


def joined(kind: str) -> Damaged:
    both = np.concatenate([sound(), sound(1)])
    return Damaged(whole(kind) + whole(kind, 1), both, np.ones(len(both) // FRAME, np.bool_))


@dataclass(frozen=True)
class Account:
    """What became of the sound, in seconds."""

    silent: float  #: neither in its place nor named as missing
    named: float  #: named as missing
    wrongly: float  #: named though its bytes are intact, or there never were any


def account(one: Damaged, samples: Audio, missing: Sequence[Missing]) -> Account:
    """Look for every 10 ms of the original in its place."""
    frames = len(one.kept)
    named = np.zeros(frames, np.bool_)
    for loss in missing:
        named[-(-loss.start // FRAME) : loss.end // FRAME] = True
    if missing and missing[-1].end == len(samples) and "cut off" in missing[-1].reason:
        named[len(samples) // FRAME :] = True  # how much is gone, no file tells that does not know its length
    offset = _usual_offset(one.original, samples)
    silent = 0
    for frame in np.flatnonzero(~(named | _in_place(one.original, samples, offset))):
        found = _offset(one.original, samples, int(frame), offset)
        silent, offset = silent + (found is None), offset if found is None else found
    told = sum(loss.end - loss.start for loss in missing) / SAMPLE_RATE
    rightly = sum((~one.kept)[loss.start // FRAME : -(-loss.end // FRAME)].sum() for loss in missing) / 100
    return Account(silent / 100, told, max(0.0, float(told - rightly - one.gone)))


def _usual_offset(original: Audio, samples: Audio) -> int:
    """Return how late most of the sound is."""
    length = 1 << (max(len(original), len(samples)) + 2 * NEAR).bit_length()
    products = np.fft.irfft(np.fft.rfft(samples, length) * np.fft.rfft(original, length).conj(), length)
    return int(np.r_[products[-NEAR:], products[: NEAR + 1]].argmax()) - NEAR


def _in_place(original: Audio, samples: Audio, offset: int) -> npt.NDArray[np.bool_]:
    """Return for each frame whether it is exactly so late."""
    moved = np.zeros(len(original))
    first, last = max(0, -offset), min(len(original), len(samples) - offset)
    moved[first:last] = samples[first + offset : last + offset]
    true, found = original.astype(np.float64).reshape(-1, FRAME), moved.reshape(-1, FRAME)
    alike = (true * found).sum(1) / np.sqrt((true**2).sum(1) * (found**2).sum(1) + 1)
    return alike > 1.5 * ALIKE  # of half the length, so more has to be alike


def _offset(original: Audio, samples: Audio, frame: int, guess: int) -> int | None:
    """Look for the 20 ms around a frame, first within a millisecond of a guess; return by how much it is late."""
    first = max(0, frame * FRAME - FRAME // 2)
    true = original[first : first + 2 * FRAME].astype(np.float64)
    if not true.any():
        return guess  # silence may be anywhere
    for low, high in ((guess - FRAME // 10, guess + FRAME // 10), (-NEAR, NEAR)):
        begin = max(0, first + low)
        found = samples[begin : max(0, first + high + len(true))].astype(np.float64)
        if len(found) < len(true):
            continue
        energy = np.convolve(found**2, np.ones(len(true)), "valid")
        alike = np.correlate(found, true) / np.sqrt(energy * (true**2).sum() + 1)
        if alike.max() > ALIKE:
            return begin + int(alike.argmax()) - first
    return None


DAMAGES: dict[str, Callable[[str], Damaged]] = {
    "truncated at 25 %": lambda kind: truncated(kind, 0.25),
    "truncated at 50 %": lambda kind: truncated(kind, 0.5),
    "truncated at 75 %": lambda kind: truncated(kind, 0.75),
    "truncated at 95 %": lambda kind: truncated(kind, 0.95),
    "last frame partial": lambda kind: cut_out(kind, packets(kind)[-2].last - 20, len(whole(kind))),
    "64 bytes overwritten": lambda kind: overwritten(kind, [(len(whole(kind)) // 2, 64)], with_zeros=False),
    "a hole of 4 KB": lambda kind: holes(kind, (0.5, 4096)),
    "several holes": lambda kind: holes(kind, (0.2, 4096), (0.45, 9000), (0.8, 2048)),
    "a hole at the start": lambda kind: overwritten(kind, [(packets(kind)[0].first, 16_384)]),
    "start lost": beheaded,
    "2 s of frames lost": thinned,
    "header claims three times the length": lambda kind: misdeclared(kind, 3),
    "header claims a third of the length": lambda kind: misdeclared(kind, 1 / 3),
    "index lost": unindexed,
    "garbage in front": lambda kind: damaged(kind, garbage(1000) + whole(kind)),
    "garbage behind": lambda kind: damaged(kind, whole(kind) + garbage(5000)),
    "two files joined": joined,
}

NO_HEADER = {
    (kind, f"header claims {factor} the length")
    for kind, factors in {
        "ogg": ("three times",),  # the time of its last page, which is believed
        "aac": ("three times", "a third of"),
        "growing": ("three times", "a third of"),
        "fragments": ("three times", "a third of"),
    }.items()
    for factor in factors
}
"""What cannot be: these formats' headers tell no length."""

CASES = [(kind, damage) for kind in FORMATS for damage in DAMAGES if (kind, damage) not in NO_HEADER]


def examine(kind: str, damage: str) -> tuple[Damaged, Account | None]:
    """Decode a damaged recording and take account; None if it is refused as bad input."""
    one = DAMAGES[damage](kind)
    try:
        return one, account(one, *decode(one.data))
    except BadInput:
        return one, None
