"""MP4 and its kin: tables that lie, movies that point elsewhere, tracks by the hundred."""

import zlib
from collections.abc import Callable

from tests.hostile.crafted import Files, Traps
from tests.hostile.crafted.boxes import box, full, u16, u32, u64
from tests.hostile.damaged import whole
from tests.hostile.recordings import recording
from tests.hostile.test_media_refusals import silent_video

MATRIX = u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
FTYP = box(b"ftyp", b"isom", u32(512), b"isomiso2mp41")
SOUND = bytes(range(256)) * 64  #: 16,384 samples of 8 bits


def entry(kind: bytes = b"raw ", channels: int = 1, rate: int = 8000, more: bytes = b"") -> bytes:
    return box(kind, bytes(6), u16(1), bytes(8), u16(channels, 8), bytes(4), u32(rate << 16), more)


def table(**other: bytes) -> bytes:
    """A sample table: one chunk of 16,384 samples of one byte, unless told ``other`` boxes."""
    boxes = {
        "stsd": full(b"stsd", u32(1), entry()),
        "stts": full(b"stts", u32(1, 16_384, 1)),
        "stsc": full(b"stsc", u32(1, 1, 16_384, 1)),
        "stsz": full(b"stsz", u32(1, 16_384)),
        "stco": full(b"stco", u32(1, len(FTYP) + 8)),
    }
    return box(b"stbl", *(boxes | other).values())


def track(
    stbl: bytes | None = None,
    scale: int = 8000,
    length: int = 16_384,
    number: int = 1,
    handler: bytes = b"soun",
    dinf: bytes | None = None,
    edits: bytes = b"",
    head: bytes = b"",
) -> bytes:
    reference = full(b"dref", u32(1), full(b"url ", flags=1))
    media = box(
        b"mdia",
        full(b"mdhd", u32(0, 0, scale, length), u16(0x55C4, 0)),
        full(b"hdlr", bytes(4), handler, bytes(13)),
        box(b"minf", full(b"smhd", bytes(4)), dinf or box(b"dinf", reference), stbl or table()),
    )
    header = full(b"tkhd", u32(0, 0, number, 0, length), bytes(8), u16(0, 0, 0x100, 0), MATRIX, u32(0, 0), flags=7)
    return box(b"trak", header, edits, media, head)


def movie(*tracks: bytes, scale: int = 8000, length: int = 16_384, more: bytes = b"") -> bytes:
    header = full(b"mvhd", u32(0, 0, scale, length, 0x10000), u16(0x100, 0), bytes(8), MATRIX, bytes(24), u32(9))
    return box(b"moov", header, *tracks, more)


def file(*tracks: bytes, mdat: bytes = SOUND, scale: int = 8000, length: int = 16_384, more: bytes = b"") -> bytes:
    moov = movie(*(tracks or (track(),)), scale=scale, length=length, more=more)
    return FTYP + box(b"mdat", mdat) + moov


def of_table(**other: bytes) -> Callable[[Traps], bytes]:
    return lambda traps: file(track(table(**other)))


def elsewhere(where: bytes, flags: int = 0) -> bytes:
    """A movie whose sound lies in another file."""
    return file(track(dinf=box(b"dinf", full(b"dref", u32(1), full(b"url ", where + b"\0", flags=flags)))))


def alias(path: str) -> bytes:
    """A Macintosh alias to a file, as QuickTime writes them."""
    name, volume = path.rsplit("/", 1)[1].encode(), b"disk"
    record = bytes(4) + u16(2, 0) + bytes([len(volume)]) + volume.ljust(27, b"\0") + bytes(12)
    record += bytes([len(name)]) + name.ljust(63, b"\0") + bytes(16) + u16(1, 2) + bytes(16)
    tail = path.encode()
    record += u16(2, len(tail)) + tail + b"\0" * (len(tail) % 2) + u16(18, 1) + b"/\0" + u16(0xFFFF, 0)
    return box(b"dinf", full(b"dref", u32(1), full(b"alis", record)))


def nested(depth: int, kind: bytes = b"meta") -> bytes:
    data = b""
    for _ in range(depth):
        data = box(kind, data)
    return data


def squeezed(size: int, claimed: int) -> bytes:
    """A movie header that is compressed."""
    packed = zlib.compress(movie(track(), more=box(b"free", bytes(size))), 9)
    cmov = box(b"cmov", box(b"dcom", b"zlib"), box(b"cmvd", u32(claimed), packed))
    return FTYP + box(b"mdat", SOUND) + box(b"moov", cmov)


def edited(*edits: tuple[int, int], count: int | None = None, rate: int = 0x10000) -> Callable[[Traps], bytes]:
    """A track whose edit list has (length, first) pairs."""
    rows = b"".join(u32(length, first, rate) for length, first in edits)
    return lambda traps: file(
        track(edits=box(b"edts", full(b"elst", u32(len(edits) if count is None else count), rows)))
    )


def swapped(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new, 1)


def encrypted() -> bytes:
    scheme = box(
        b"sinf",
        box(b"frma", b"mp4a"),
        full(b"schm", b"cenc", u32(0x10000)),
        box(b"schi", full(b"tenc", bytes(2), b"\1\x08", bytes(range(16)))),
    )
    return file(track(table(stsd=full(b"stsd", u32(1), entry(b"enca", more=scheme)))))


def fragments(run: bytes, count: int = 1) -> bytes:
    """A movie in fragments, each with a track run of its own."""
    extends = box(b"mvex", full(b"trex", u32(1, 1, 1, 1, 0)))
    empty = table(
        stts=full(b"stts", u32(0)),
        stsc=full(b"stsc", u32(0)),
        stsz=full(b"stsz", u32(0, 0)),
        stco=full(b"stco", u32(0)),
    )
    start = FTYP + movie(track(empty, length=0), more=extends)
    piece = box(b"moof", full(b"mfhd", u32(1)), box(b"traf", full(b"tfhd", u32(1), flags=0x20000), run))
    return start + (piece + box(b"mdat", SOUND)) * count


def covered() -> bytes:
    """A picture and no sound, as an album's file without its song."""
    data = box(b"data", u32(13, 0), b"\xff\xd8\xff\xe0" + bytes(2000))
    tags = full(b"meta", full(b"hdlr", bytes(4), b"mdirappl", bytes(9)), box(b"ilst", box(b"covr", data)))
    return FTYP + movie(more=box(b"udta", tags))


MANY = 200_000

FILES: Files = {
    "mp4 as it should be": lambda traps: file(),
    "mp4 of a box without size": lambda traps: FTYP + box(b"moov", size=0) + SOUND,
    "mp4 of a box of 3 bytes": lambda traps: FTYP + box(b"moov", size=3) + SOUND,
    "mp4 of a box of 2^64 bytes": lambda traps: FTYP + u32(1) + b"moov" + u64(2**64 - 1) + SOUND,
    "mp4 of a sound of 2^63 bytes": lambda traps: FTYP + movie(track()) + u32(1) + b"mdat" + u64(2**63 - 1) + SOUND,
    "mp4 of a child larger than its parent": lambda traps: (
        FTYP + box(b"moov", full(b"mvhd", bytes(96)), size=2**31)
    ),
    "mp4 of boxes 10,000 deep": lambda traps: FTYP + box(b"moov", nested(10_000, b"udta")) + SOUND,
    "mp4 of metadata 5,000 deep": lambda traps: file(more=box(b"udta", nested(5_000))),
    "mp4 of 100,000 empty boxes": lambda traps: FTYP + box(b"free") * 100_000 + file()[len(FTYP) :],
    "mp4 of 1,000 movies": lambda traps: FTYP + box(b"mdat", SOUND) + movie(track()) * 1000,
    "mp4 joined to one of 2^31 s": lambda traps: file() + file(track(scale=1), scale=1, length=2**31 - 1),
    "mp4 of 1,000 tracks": lambda traps: file(*[track(number=n + 1) for n in range(1000)]),
    "mp4 of 200 tracks of one number": lambda traps: file(*[track()] * 200),
    "mp4 of timescale 0": lambda traps: file(track(scale=0), scale=0),
    "mp4 of timescale 2^32": lambda traps: file(track(scale=2**32 - 1), scale=2**32 - 1),
    "mp4 of a negative length": lambda traps: file(track(length=-1), length=-1),
    "mp4 of 2^31 s": lambda traps: file(track(scale=1, length=2**31 - 1), scale=1, length=2**31 - 1),
    "mp4 of 2^32 samples of a byte": of_table(stsz=full(b"stsz", u32(1, 2**32 - 1))),
    "mp4 of 2^28 samples of no byte": of_table(
        stsz=full(b"stsz", u32(0, 2**28)),
        stts=full(b"stts", u32(1, 2**28, 1)),
        stsc=full(b"stsc", u32(1, 1, 2**28, 1)),
    ),
    "mp4 of samples of 2^31 bytes": of_table(stsz=full(b"stsz", u32(2**31 - 1, 16_384))),
    "mp4 of 2^32 times": of_table(stts=full(b"stts", u32(2**32 - 1, 1, 1))),
    "mp4 of samples of 2^31 ticks": of_table(stts=full(b"stts", u32(1, 16_384, 2**31 - 1))),
    "mp4 of samples of no time": of_table(stts=full(b"stts", u32(1, 16_384, 0))),
    "mp4 of time that runs backwards": of_table(stts=full(b"stts", u32(1, 16_384, -1))),
    "mp4 of times that shuffle": lambda traps: file(
        track(box(b"stbl", table()[8:], full(b"ctts", u32(2, 8192, 2**31 - 1, 8192, -(2**31)))))
    ),
    "mp4 of a chunk of 2^32 samples": of_table(stsc=full(b"stsc", u32(1, 1, 2**32 - 1, 1))),
    "mp4 of chunks from 2^32 on": of_table(stsc=full(b"stsc", u32(1, 2**32 - 1, 1, 2**32 - 1))),
    "mp4 of 2^32 chunks": of_table(stco=full(b"stco", u32(2**32 - 1, 44))),
    "mp4 of chunks beyond its end": of_table(stco=full(b"stco", u32(1, 2**32 - 1))),
    "mp4 of chunks at 2^63": of_table(stco=full(b"co64", u32(1), u64(2**63 - 1))),
    "mp4 that says the same 4,000 times": of_table(
        stsz=full(b"stsz", u32(1, 16_384 * 4_000)),
        stts=full(b"stts", u32(1, 16_384 * 4_000, 1)),
        stco=full(b"stco", u32(4_000), u32(len(FTYP) + 8) * 4_000),
    ),
    "mp4 of no descriptions": of_table(stsd=full(b"stsd", u32(0))),
    "mp4 of 2^32 descriptions": of_table(stsd=full(b"stsd", u32(2**32 - 1), entry() * 100)),
    "mp4 of 1,000 channels": of_table(stsd=full(b"stsd", u32(1), entry(channels=1000))),
    "mp4 of no channel": of_table(stsd=full(b"stsd", u32(1), entry(channels=0))),
    "mp4 of 1 Hz": of_table(stsd=full(b"stsd", u32(1), entry(rate=1))),
    "mp4 of descriptors in descriptors": of_table(
        stsd=full(b"stsd", u32(1), entry(b"mp4a", more=full(b"esds", b"\x03\x80\x80\x80\xff" * 500)))
    ),
    "mp4 of a codec nobody knows": of_table(stsd=full(b"stsd", u32(1), entry(b"????"))),
    "mp4 of a codec that is not allowed": of_table(stsd=full(b"stsd", u32(1), entry(b"QDM2"))),
    "mp4 that is encrypted": lambda traps: encrypted(),
    "mp4 without a table": lambda traps: file(track(box(b"stbl"))),
    "mp4 without tracks": lambda traps: FTYP + movie() + box(b"mdat", SOUND),
    "mp4 of a cover": lambda traps: covered(),
    "mp4 of moving pictures": lambda traps: silent_video(),
    "mp4 whose sound says it is pictures": lambda traps: file(track(handler=b"vide")),
    "mp4 whose sound lies in a file": lambda traps: elsewhere(traps.sound.encode()),
    "mp4 whose sound lies at an address": lambda traps: elsewhere(traps.url.encode()),
    "mp4 whose sound lies behind an alias": lambda traps: file(track(dinf=alias(traps.sound))),
    "mov that refers to an address": lambda traps: (
        FTYP
        + box(b"moov", box(b"rmra", box(b"rmda", full(b"rdrf", b"url ", u32(len(traps.url)), traps.url.encode()))))
    ),
    "mov squeezed": lambda traps: squeezed(0, 4000),
    "mov squeezed a thousandfold": lambda traps: squeezed(100_000_000, 100_001_000),
    "mov squeezed, of 2^32 bytes": lambda traps: squeezed(1000, 2**32 - 1),
    "mp4 with an edit of 2^31 ticks": edited((2**31 - 1, 0)),
    "mp4 with an empty edit of 2^31 ticks": edited((2**31 - 1, -1), (16_384, 0)),
    "mp4 with an edit from before the start": edited((16_384, -(2**31))),
    "mp4 with an edit from behind the end": edited((16_384, 2**31 - 1)),
    "mp4 with edits at rate 0": edited((16_384, 0), rate=0),
    "mp4 with 2^32 edits": edited((16_384, 0), count=2**32 - 1),
    "mp4 with 100,000 edits of the whole": edited(*[(16_384, 0)] * 100_000),
    "mp4 with edits back and forth": edited(*[(10, n * 7919 % 16_000) for n in range(5000)]),
    "mp4 of 200,000 chapters": lambda traps: file(
        more=box(b"udta", full(b"chpl", bytes(5), b"\xff", (u64(1) + b"\1x") * MANY, version=1))
    ),
    "mp4 of fragments of 2^32 samples": lambda traps: fragments(full(b"trun", u32(2**32 - 1))),
    "mp4 of fragments of 2^28 samples of no byte": lambda traps: fragments(
        full(b"trun", u32(2**28), bytes(4), flags=0x200)
    ),
    "mp4 of fragments that lie before": lambda traps: fragments(full(b"trun", u32(1000, -(2**31)), flags=1)),
    "mp4 of 20,000 empty fragments": lambda traps: (
        fragments(full(b"trun", u32(0)))[: -len(SOUND) - 8] + (box(b"moof", full(b"mfhd", u32(1)))) * 20_000
    ),
    "mp4 of fragments alone": lambda traps: FTYP + fragments(full(b"trun", u32(1000)))[len(FTYP) + 600 :],
    "m4a whose frames are noise": lambda traps: noisy("m4a"),
    "alac whose frames are noise": lambda traps: noisy("alac"),
    "alac of a frame of 2^32 samples": lambda traps: swapped(
        recording("alac", 3), b"alac\0\0\0\0\0\0\x10\0", b"alac\0\0\0\0\xff\xff\xff\xff"
    ),
    "fragments whose times run backwards": lambda traps: backwards(whole("fragments")),
}


def noisy(kind: str) -> bytes:
    """Noise in place of the sound."""
    data = bytearray(recording(kind, 3))
    first, last = data.index(b"mdat") + 4, data.index(b"moov") - 4
    for at in range(first, last):
        data[at] = at * 2_654_435_761 >> 7 & 0xFF
    return bytes(data)


def backwards(data: bytes) -> bytes:
    """A fragmented movie in which each fragment claims an earlier time than the one before."""
    found, at, time = bytearray(data), 0, 2**31
    while (at := found.find(b"tfdt", at + 1)) > 0:
        width = 8 if found[at + 4] else 4
        found[at + 8 : at + 8 + width] = time.to_bytes(width, "big")
        time -= 96_000
    return bytes(found)
