"""Ogg: pages that lie about their order, their time and their check; heads that claim the impossible."""

import struct

from tests.hostile.crafted import Files
from tests.hostile.crafted.boxes import page
from tests.hostile.recordings import recording

SILENT = b"\xf8\xff\xfe"
"""An Opus packet of 20 ms of silence."""

SIXTY = b"\xfb\x03" + b"\xff\xfe" * 3
"""One of three frames: 60 ms."""


def head(
    channels: int = 1, skip: int = 312, rate: int = 48_000, gain: int = 0, family: int = 0, more: bytes = b""
) -> bytes:
    return b"OpusHead" + struct.pack("<BBHIhB", 1, channels, skip, rate, gain, family) + more


def tags(count: int = 0, more: bytes = b"") -> bytes:
    return b"OpusTags" + struct.pack("<I", 4) + b"test" + struct.pack("<I", count) + more


def opus(*pages: bytes, serial: int = 1, first: bytes | None = None, second: bytes | None = None) -> bytes:
    """A stream's two heads, and its pages."""
    return (
        page(head() if first is None else first, flags=2, serial=serial)
        + page(tags() if second is None else second, number=1, serial=serial)
        + b"".join(pages)
    )


def silent(count: int, packet: bytes = SILENT, a_page: int = 200, samples: int = 960, **more: int) -> bytes:
    """Packets of silence, many to a page."""
    found = []
    for number in range(count // a_page):
        granule = (number + 1) * a_page * samples
        lacing = bytes([len(packet)]) * a_page
        found.append(page(packet * a_page, granule, number + 2, lacing=lacing, **more))
    return b"".join(found)


def at(granule: int, number: int = 3) -> bytes:
    """A page that claims its end lies there."""
    return page(SILENT, granule, number, flags=4)


def looped() -> bytes:
    """The same pages again and again."""
    data = recording("opus", 3)
    starts = [at for at in range(len(data)) if data.startswith(b"OggS", at)]
    return data[: starts[2]] + data[starts[2] : starts[4]] * 50


def misnumbered() -> bytes:
    """Pages whose check is right, but no number is."""
    return opus(*[page(SILENT * 20, 960 * 20 * n, 2**32 - n, lacing=b"\x03" * 20) for n in range(1, 200)])


def broken_checks() -> bytes:
    data = bytearray(recording("opus", 3))
    at = -1
    while (at := data.find(b"OggS", at + 1)) >= 0:
        data[at + 22 : at + 26] = b"\xde\xad\xbe\xef"
    return bytes(data)


def chained(count: int) -> bytes:
    """One stream behind the other, each of a rate, and of as many channels, as it likes."""
    return b"".join(
        opus(page(SILENT, 960, 2, serial=n, flags=4), serial=n, first=head(channels=1 + n % 2))
        for n in range(count)
    )


def woven(count: int) -> bytes:
    """Streams side by side."""
    starts = b"".join(page(head(), flags=2, serial=n) for n in range(count))
    rest = b"".join(page(tags(), number=1, serial=n) for n in range(count))
    return starts + rest + b"".join(page(SILENT, 960, 2, serial=n) for n in range(count))


def vorbis(
    channels: int = 1, rate: int = 44_100, blocks: int = 0xB8, setup: bytes = b"\x05vorbis" + b"\xff" * 5000
) -> bytes:
    identity = b"\x01vorbis" + struct.pack("<IBIiiiBB", 0, channels, rate, 0, 0, 0, blocks, 1)
    comment = b"\x03vorbis" + bytes(8) + b"\x01"
    body = b"".join(page(bytes([n & 0xFE]) * 200, 1024 * n, n + 3) for n in range(50))
    return page(identity, flags=2) + page(comment, number=1) + page(setup, number=2) + body


def speex(frames: int, rate: int = 16_000, channels: int = 1) -> bytes:
    fields = struct.pack("<13I", 1, 80, rate, 1, 4, channels, 0xFFFFFFFF, 320, 0, frames, 0, 0, 0)
    header = b"Speex   " + b"1.2".ljust(20, b"\0") + fields
    return (
        page(header, flags=2)
        + page(bytes(8), number=1)
        + b"".join(page(b"\xff" * 60, 320 * n, n + 2) for n in range(1, 100))
    )


HOURS = 3600 * 48_000

FILES: Files = {
    "opus of a silent half hour": lambda traps: opus(silent(1800 * 1000 // 60, SIXTY, 250, 2880)),
    "opus that jumps by six hours": lambda traps: opus(silent(200), at(6 * HOURS)),
    "opus that jumps by 47 hours": lambda traps: opus(silent(200), at(47 * HOURS)),
    "opus that jumps by 49 hours": lambda traps: opus(silent(200), at(49 * HOURS)),
    "opus that begins after 47 hours": lambda traps: opus(at(47 * HOURS, 2)),
    "opus that ends at 2^63": lambda traps: opus(silent(200), at(2**63 - 1)),
    "opus that ends before it begins": lambda traps: opus(silent(200), at(-(2**62))),
    "opus of times that run backwards": lambda traps: opus(
        *[page(SILENT * 20, (300 - n) * 19_200, n + 2, lacing=b"\x03" * 20) for n in range(300)]
    ),
    "opus of no time": lambda traps: opus(*[page(SILENT, -1, n + 2) for n in range(300)]),
    "opus of pages that repeat": lambda traps: looped(),
    "opus of pages without numbers": lambda traps: misnumbered(),
    "opus of broken checks": lambda traps: broken_checks(),
    "opus of 500 chained streams": lambda traps: chained(500),
    "opus of 300 woven streams": lambda traps: woven(300),
    "opus of 255 channels": lambda traps: opus(
        silent(200), first=head(255, family=255, more=bytes([255, 0, *range(255)]))
    ),
    "opus of no channel": lambda traps: opus(silent(200), first=head(0)),
    "opus of streams that are not there": lambda traps: opus(
        silent(200), first=head(2, family=1, more=b"\xff\xff\xfe\xfd")
    ),
    "opus that skips more than it has": lambda traps: opus(silent(200), first=head(skip=65_535)),
    "opus of 4 GHz": lambda traps: opus(silent(200), first=head(rate=2**32 - 1)),
    "opus as loud as can be": lambda traps: opus(silent(200), first=head(gain=32_767)),
    "opus of a short head": lambda traps: opus(silent(200), first=b"OpusHead\1"),
    "opus of 2^32 tags": lambda traps: opus(silent(200), second=tags(2**32 - 1)),
    "opus of a tag of 2^32 bytes": lambda traps: opus(silent(200), second=tags(1, b"\xff\xff\xff\xff" + b"x" * 50)),
    "opus with a picture that is no base 64": lambda traps: opus(
        silent(200), second=tags(1, struct.pack("<I", 5_000) + b"METADATA_BLOCK_PICTURE=" + b"!" * 4977)
    ),
    "opus of empty packets": lambda traps: opus(
        *[page(b"", 960 * n, n + 2, lacing=bytes(255)) for n in range(200)]
    ),
    "opus of packets without end": lambda traps: opus(
        *[page(b"\xff" * 65_025, -1, n + 2, flags=1, lacing=b"\xff" * 255) for n in range(20)]
    ),
    "opus of noise": lambda traps: opus(
        *[page(bytes(n * m * 7919 >> 3 & 0xFF for m in range(200)), 960 * n, n + 2) for n in range(1, 200)]
    ),
    "ogg of heads alone": lambda traps: opus(),
    "ogg of a page without segments": lambda traps: page(b"", flags=2, lacing=b"") * 1000,
    "ogg of half a page": lambda traps: page(head(), flags=2)[:20],
    "ogg of an unknown codec": lambda traps: page(b"\x80nothing" + bytes(60), flags=2) + silent(200),
    "ogg of moving pictures": lambda traps: page(b"\x80theora\3\2\1" + bytes(32), flags=2) + silent(200),
    "ogg flac of no head": lambda traps: page(b"\x7fFLAC\1\0\xff\xfffLaC" + b"\xff" * 38, flags=2) + silent(200),
    "vorbis of noise for a set-up": lambda traps: vorbis(),
    "vorbis of a set-up of nothing": lambda traps: vorbis(setup=b"\x05vorbis"),
    "vorbis of a set-up of 1 MB": lambda traps: vorbis(setup=b"\x05vorbis" + b"\xffBCV\1\0" + b"\xff" * 60_000),
    "vorbis of 255 channels": lambda traps: vorbis(channels=255),
    "vorbis of no channel": lambda traps: vorbis(channels=0),
    "vorbis of 1 Hz": lambda traps: vorbis(rate=1),
    "vorbis of blocks of 2^15": lambda traps: vorbis(blocks=0xFF),
    "speex of 2^32 frames a packet": lambda traps: speex(2**32 - 1),
    "speex of 4 GHz": lambda traps: speex(1, rate=2**32 - 1),
    "speex of 255 channels": lambda traps: speex(1, channels=255),
}
