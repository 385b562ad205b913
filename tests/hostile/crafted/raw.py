"""MP3, ADTS, FLAC, WAV and AIFF with headers that lie, and sound by the hour in a few bytes."""

import struct
import zlib

import numpy as np

from tests.hostile.crafted import Files
from tests.hostile.recordings import encode, recording
from tests.hostile.test_media_refusals import wav


def syncsafe(value: int) -> bytes:
    return bytes(value >> shift & 0x7F for shift in (21, 14, 7, 0))


def id3(*frames: bytes, size: int | None = None) -> bytes:
    """An ID3v2.4 tag; ``size`` is what it claims."""
    body = b"".join(frames)
    return b"ID3\x04\x00\x00" + syncsafe(len(body) if size is None else size) + body


def squeezed() -> bytes:
    """A compressed frame of a tag, of 100 MB."""
    data = zlib.compress(bytes(100_000_000), 9)
    return b"TIT2" + syncsafe(len(data) + 4) + b"\0\x09" + syncsafe(100_000_000) + data


def nested(depth: int) -> bytes:
    """Tags within tags."""
    tag = b""
    for _ in range(depth):
        tag = id3(b"PRIV" + syncsafe(len(tag)) + b"\0\0" + tag)
    return tag


def headed(fields: bytes) -> bytes:
    """An MP3 whose first frame says how long it is."""
    data = recording("mp3", 3)
    at = data.index(b"Xing") if b"Xing" in data else data.index(b"Info")
    return data[:at] + fields + data[at + len(fields) :]


def silent_mp3(seconds: int) -> bytes:
    """The shortest frames there are, without sound: 8 kbit/s at 8 kHz, 72 bytes each 72 ms."""
    return (b"\xff\xe3\x18\xc4" + bytes(68)) * (seconds * 1000 // 72)


def adts(length: int, rate_index: int = 4, channels: int = 1, body: bytes = b"") -> bytes:
    """A frame's header, which claims a length."""
    bits = 0xFFF << 44 | 1 << 40 | 1 << 38 | rate_index << 34 | channels << 30 | length << 13 | 0x7FF << 2
    return bits.to_bytes(7, "big") + body


def streaminfo(rate: int, channels: int, bits: int, samples: int, blocks: tuple[int, int] = (4096, 4096)) -> bytes:
    packed = rate << 44 | channels - 1 << 41 | bits - 1 << 36 | samples
    return struct.pack(">HH", *blocks) + bytes(6) + packed.to_bytes(8, "big") + bytes(16)


def flac(info: bytes, *blocks: bytes, last: int = 0x80) -> bytes:
    """A FLAC's head, and the frames of a real one behind it."""
    sound = recording("flac", 3)
    frames = sound[sound.index(b"\xff\xf8", 42) :]
    head = [bytes([0 if blocks else last]) + len(info).to_bytes(3, "big") + info, *blocks]
    return b"fLaC" + b"".join(head) + frames


def block(kind: int, body: bytes, size: int | None = None, last: bool = True) -> bytes:
    return bytes([kind | 0x80 * last]) + (len(body) if size is None else size).to_bytes(3, "big") + body


def aiff(rate: bytes, channels: int = 1, frames: int = 1000, bits: int = 16, data: bytes = bytes(2000)) -> bytes:
    common = struct.pack(">HIH", channels, frames, bits) + rate
    body = b"AIFFCOMM" + struct.pack(">I", len(common)) + common
    body += b"SSND" + struct.pack(">III", len(data) + 8, 0, 0) + data
    return b"FORM" + struct.pack(">I", len(body)) + body


RATE_44100 = bytes.fromhex("400eac44000000000000")


def wav_of(tag: int, **more: int) -> bytes:
    """A WAV of another codec."""
    data = bytearray(wav(**more))
    data[20:22] = tag.to_bytes(2, "little")
    return bytes(data)


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


HOUR = 3600 * 16_000

FILES: Files = {
    # WAV
    "wav of 1 Hz": lambda traps: wav(rate=1, data=bytes(160_000)),
    "wav of 0 Hz": lambda traps: wav(rate=0),
    "wav of 384 kHz": lambda traps: wav(rate=384_000, data=bytes(768_000)),
    "wav of 4 GHz": lambda traps: wav(rate=2**32 - 1),
    "wav of 1,000 channels": lambda traps: wav(channels=1000, data=bytes(2_000_000)),
    "wav of 65,535 channels": lambda traps: wav(channels=65_535 // 2, data=bytes(2_000_000)),
    "wav of no channel": lambda traps: wav(channels=0),
    "wav of no bits": lambda traps: wav(bits=0),
    "wav of no block": lambda traps: patched(wav(), 32, bytes(2)),
    "wav of 2^32 bytes": lambda traps: wav(size=0xFFFFFFFF, data=recording("wav", 3)[44:]),
    "wav of a chunk before of 2^32 bytes": lambda traps: (
        b"RIFF\xff\xff\xff\xffWAVEjunk\xff\xff\xff\xff" + wav()[12:]
    ),
    "wav whose format is 2^32 bytes long": lambda traps: patched(wav(), 16, b"\xff" * 4),
    "wav without a format": lambda traps: b"RIFF\x24\0\0\0WAVEdata\x00\x10\0\0" + bytes(4096),
    "wav of two formats": lambda traps: wav()[:36] + wav(rate=8000, channels=2)[12:],
    "wav of many chunks": lambda traps: wav()[:36] + b"LIST\0\0\0\0" * 200_000 + wav()[36:],
    "wav of an unknown codec": lambda traps: wav_of(0xFFFF),
    "wav of a codec that is not allowed": lambda traps: wav_of(0x0002, bits=4),
    "wav that holds mp3": lambda traps: wav_of(0x0055),
    "wav of the extensible kind with no such kind": lambda traps: wav_of(0xFFFE),
    "rf64 of 2^64 bytes": lambda traps: (
        b"RF64\xff\xff\xff\xffWAVEds64\x1c\0\0\0" + b"\xff" * 28 + wav(size=0xFFFFFFFF, data=bytes(32_000))[12:]
    ),
    # AIFF
    "aiff of a rate that is no number": lambda traps: aiff(b"\x7f\xff\xff" + bytes(7)),
    "aiff of a negative rate": lambda traps: aiff(b"\xc0\x0e\xac\x44" + bytes(6)),
    "aiff of an infinite rate": lambda traps: aiff(b"\x7f\xff\x80" + bytes(7)),
    "aiff of no channel": lambda traps: aiff(RATE_44100, channels=0),
    "aiff of 65,535 channels": lambda traps: aiff(RATE_44100, channels=65_535),
    "aiff of 2^32 frames": lambda traps: aiff(RATE_44100, frames=2**32 - 1),
    "aiff of 65,535 bits": lambda traps: aiff(RATE_44100, bits=65_535),
    # FLAC
    "flac of 0 Hz": lambda traps: flac(streaminfo(0, 1, 16, 0)),
    "flac of 655 kHz": lambda traps: flac(streaminfo(655_350, 1, 16, 0)),
    "flac of 2^36 samples": lambda traps: flac(streaminfo(44_100, 1, 16, 2**36 - 1)),
    "flac of other channels than its frames": lambda traps: flac(streaminfo(44_100, 8, 32, 0)),
    "flac of blocks from 65,535 to 0": lambda traps: flac(streaminfo(44_100, 1, 16, 0, (65_535, 0))),
    "flac with a picture of 16 MB": lambda traps: flac(
        streaminfo(44_100, 1, 16, 0), block(6, b"\0\0\0\x03" + b"\xff" * 60, size=2**24 - 1)
    ),
    "flac with tags without end": lambda traps: flac(
        streaminfo(44_100, 1, 16, 0), block(4, b"\xff\xff\xff\xff" * 100)
    ),
    "flac with 50,000 blocks": lambda traps: flac(
        streaminfo(44_100, 1, 16, 0), *[block(1, b"", last=False)] * 50_000, block(1, b"")
    ),
    "flac with a table of places beyond its end": lambda traps: flac(
        streaminfo(44_100, 1, 16, 0), block(3, b"\xff" * 18 * 5000)
    ),
    "flac with tracks beyond its end": lambda traps: flac(streaminfo(44_100, 1, 16, 0), block(5, b"\xff" * 5000)),
    "flac of a silent hour": lambda traps: encode(np.zeros(HOUR, np.int16), "flac", "flac", 16_000, None),
    # MP3
    "mp3 with a tag of 256 MB": lambda traps: id3(size=2**28 - 1) + recording("mp3", 3),
    "mp3 with a tag squeezed a thousandfold": lambda traps: id3(squeezed()) + recording("mp3", 3),
    "mp3 with tags in tags": lambda traps: nested(400) + recording("mp3", 3),
    "mp3 with 20,000 tags": lambda traps: id3(b"TIT2\0\0\0\0\0\0") * 20_000 + recording("mp3", 3),
    "mp3 with a picture without end": lambda traps: (
        id3(b"APIC" + syncsafe(2**28 - 1) + b"\0\0\0image/png\0\3\0" + b"\xff" * 100) + recording("mp3", 3)
    ),
    "mp3 with a huge tag of the other kind": lambda traps: (
        recording("mp3", 3) + b"APETAGEX" + struct.pack("<4I", 2000, 2**31 - 1, 2**31 - 1, 0) + bytes(8)
    ),
    "mp3 that says 2^32 frames": lambda traps: headed(b"Xing" + b"\0\0\0\x0f" + b"\xff" * 108),
    "mp3 that says no frames": lambda traps: headed(b"Xing" + b"\0\0\0\x0f" + bytes(108)),
    "mp3 of the other head with 2^32 frames": lambda traps: headed(b"VBRI\0\x01" + b"\xff" * 26),
    "mp3 of free format": lambda traps: (b"\xff\xfb\x00\x00" + bytes(200)) * 500,
    "mp3 that is all sync": lambda traps: recording("mp3", 3) + b"\xff" * 2_000_000,
    "mp3 that is nearly all headers": lambda traps: recording("mp3", 3) + b"\xff\xfb\x90\x64" * 200_000,
    "mp3 of nothing but headers": lambda traps: b"\xff\xfb\x90\x64" * 100_000,
    "mp3 of a silent hour": lambda traps: silent_mp3(3600),
    "mp3 that changes its rate each frame": lambda traps: b"".join(
        (b"\xff\xe3\x18\xc4" + bytes(68), b"\xff\xfb\x10\xc4" + bytes(100), b"\xff\xf3\x28\xc4" + bytes(140))[n % 3]
        for n in range(3000)
    ),
    # ADTS
    "adts of the longest frames": lambda traps: adts(8191, body=bytes(8184)) * 50,
    "adts of empty frames": lambda traps: adts(7) * 50_000,
    "adts of a rate that is not": lambda traps: adts(200, rate_index=15, body=bytes(193)) * 100,
    "adts that describes its channels": lambda traps: adts(500, channels=0, body=b"\xe0" + b"\xff" * 492) * 100,
    "adts of noise": lambda traps: b"".join(
        adts(400, body=np.random.default_rng(n).bytes(393)) for n in range(500)
    ),
}
