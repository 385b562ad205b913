"""Matroska: elements without end, sizes that lie, blocks squeezed a thousandfold, tracks by the hundred."""

import struct
import zlib

from tests.hostile.crafted import Files
from tests.hostile.crafted.boxes import element, vint
from tests.hostile.crafted.ogg import SIXTY, head
from tests.hostile.recordings import recording

HEADER = element("1a45dfa3", element("4282", b"matroska"), element("4287", b"\4"), element("4285", b"\2"))
TEN = b"\x0a"


def number(value: int) -> bytes:
    return (value & 2**64 - 1).to_bytes(8, "big")


def info(scale: int = 1_000_000, length: float | None = None) -> bytes:
    duration = b"" if length is None else element("4489", struct.pack(">d", length))
    return element("1549a966", element("2ad7b1", number(scale)), duration)


def track(
    codec: bytes = b"A_PCM/INT/LIT",
    rate: float = 8000.0,
    channels: int = 1,
    bits: int = 16,
    track: int = 1,
    kind: int = 2,
    more: bytes = b"",
) -> bytes:
    audio = element(
        "e1", element("b5", struct.pack(">d", rate)), element("9f", number(channels)), element("6264", number(bits))
    )
    names = element("d7", number(track)), element("73c5", number(track)), element("83", bytes([kind]))
    return element("ae", *names, element("86", codec), audio, more)


def tracks(*found: bytes) -> bytes:
    return element("1654ae6b", *(found or (track(),)))


def block(data: bytes, time: int = 0, flags: int = 0x80, track: int = 1) -> bytes:
    return element("a3", vint(track, 1), struct.pack(">hB", time, flags), data)


def cluster(*blocks: bytes, time: int = 0, size: int | None = None) -> bytes:
    return element("1f43b675", element("e7", number(time)), *blocks, size=size)


def segment(*parts: bytes, size: int | None = None) -> bytes:
    return HEADER + element("18538067", *parts, size=size)


SOUND = block(bytes(range(256)) * 62)  #: about a second
OPUS = track(b"A_OPUS", 48_000.0, more=element("63a2", head()))


def of(found: bytes, *clusters: bytes) -> bytes:
    return segment(info(), tracks(found), *(clusters or (cluster(SOUND),)))


def nested(name: str, depth: int, core: bytes = b"") -> bytes:
    for _ in range(depth):
        core = element(name, core)
    return core


def squeezed(size: int, algorithm: int = 0) -> bytes:
    """A block that is compressed, and says so."""
    settings = element("5034", element("4254", bytes([algorithm])))
    encoding = element(
        "6d80", element("6240", element("5031", b"\0"), element("5032", b"\1"), element("5033", b"\0"), settings)
    )
    return of(track(more=encoding), *[cluster(block(zlib.compress(bytes(size), 9)), time=n) for n in range(3)])


def laced(kind: int, data: bytes) -> bytes:
    return of(track(), cluster(*[block(data, n, flags=0x80 | kind) for n in range(50)]))


def encrypted() -> bytes:
    encoding = element(
        "6d80",
        element(
            "6240", element("5033", b"\1"), element("5035", element("47e1", b"\5"), element("47e2", bytes(16)))
        ),
    )
    return of(track(more=encoding))


def an_hour() -> bytes:
    """Half a minute of silence a cluster, packed 60 ms at a time."""
    blocks = [block(SIXTY, n * 60) for n in range(500)]
    return of(OPUS, *[cluster(*blocks, time=n * 30_000) for n in range(120)])


HOUR = 3_600_000

FILES: Files = {
    "mkv as it should be": lambda traps: of(track()),
    "mkv of another kind": lambda traps: element("1a45dfa3", element("4282", b"evil")) + of(track())[len(HEADER) :],
    "mkv of sizes 255 bytes wide": lambda traps: (
        element("1a45dfa3", element("42f3", b"\xff"), element("42f2", b"\xff")) + of(track())
    ),
    "mkv of nothing but a header": lambda traps: HEADER,
    "mkv of a void of 2^55 bytes": lambda traps: segment(
        info(), element("ec", size=2**55), tracks(), cluster(SOUND)
    ),
    "mkv of 100,000 voids": lambda traps: segment(info(), tracks(), element("ec") * 100_000, cluster(SOUND)),
    "mkv of voids in a cluster": lambda traps: of(track(), cluster(SOUND, element("ec", bytes(100)) * 20_000)),
    "mkv of unknown sizes": lambda traps: segment(info(), tracks(), *[cluster(SOUND, size=-1)] * 5, size=-1),
    "mkv of clusters in clusters": lambda traps: of(track(), nested("1f43b675", 3000, SOUND)),
    "mkv of clusters in clusters without end": lambda traps: segment(
        info(), tracks(), (bytes.fromhex("1f43b675") + vint(-1)) * 3000, SOUND
    ),
    "mkv of segments in segments": lambda traps: HEADER + nested("18538067", 3000, of(track())[len(HEADER) :]),
    "mkv of tags in tags": lambda traps: segment(
        info(), tracks(), element("1254c367", element("7373", nested("67c8", 5000))), cluster(SOUND)
    ),
    "mkv of chapters in chapters": lambda traps: segment(
        info(), tracks(), element("1043a770", element("45b9", nested("b6", 5000))), cluster(SOUND)
    ),
    "mkv of 500 tracks": lambda traps: segment(
        info(), tracks(*[track(track=n + 1) for n in range(500)]), cluster(SOUND)
    ),
    "mkv of 100 tracks of one number": lambda traps: segment(info(), tracks(*[track()] * 100), cluster(SOUND)),
    "mkv of a size larger than the file": lambda traps: segment(info(), tracks(), cluster(SOUND, size=2**40)),
    "mkv of a codec's data of 2^31 bytes": lambda traps: of(track(more=element("63a2", b"x", size=2**31 - 1))),
    "mkv of a name of 2^31 bytes": lambda traps: of(track(more=element("536e", b"x", size=2**31 - 1))),
    "mkv of an attachment of 1 MB": lambda traps: segment(
        info(),
        tracks(),
        element("1941a469", element("61a7", element("466e", b"../../x"), element("465c", bytes(10**6)))),
        cluster(SOUND),
    ),
    "mkv of 1 Hz": lambda traps: of(track(rate=1.0)),
    "mkv of no rate": lambda traps: of(track(rate=0.0)),
    "mkv of a rate that is no number": lambda traps: of(track(rate=float("nan"))),
    "mkv of an infinite rate": lambda traps: of(track(rate=float("inf"))),
    "mkv of a negative rate": lambda traps: of(track(rate=-8000.0)),
    "mkv of 1,000 channels": lambda traps: of(track(channels=1000)),
    "mkv of 2^64 channels": lambda traps: of(track(channels=-1)),
    "mkv of no channel": lambda traps: of(track(channels=0)),
    "mkv of 2^64 bits": lambda traps: of(track(bits=-1)),
    "mkv of no bits": lambda traps: of(track(bits=0)),
    "mkv of a length that is no number": lambda traps: segment(info(length=float("nan")), tracks(), cluster(SOUND)),
    "mkv of an infinite length": lambda traps: segment(info(length=float("inf")), tracks(), cluster(SOUND)),
    "mkv of a negative length": lambda traps: segment(info(length=-1e9), tracks(), cluster(SOUND)),
    "mkv of a length of 49 hours": lambda traps: segment(info(length=49.0 * HOUR), tracks(), cluster(SOUND)),
    "mkv of a tick of no time": lambda traps: segment(info(scale=0), tracks(), cluster(SOUND)),
    "mkv of a tick of 2^63 ns": lambda traps: segment(info(scale=2**63 - 1), tracks(), cluster(SOUND, time=5)),
    "mkv that jumps by six hours": lambda traps: of(track(), cluster(SOUND), cluster(SOUND, time=6 * HOUR)),
    "mkv that jumps by 47 hours": lambda traps: of(track(), cluster(SOUND), cluster(SOUND, time=47 * HOUR)),
    "mkv that jumps by 49 hours": lambda traps: of(track(), cluster(SOUND), cluster(SOUND, time=49 * HOUR)),
    "mkv that jumps to 2^63": lambda traps: of(track(), cluster(SOUND), cluster(SOUND, time=2**63 - 1)),
    "mkv of times that run backwards": lambda traps: of(
        track(), *[cluster(SOUND, time=(100 - n) * 1000) for n in range(100)]
    ),
    "mkv of times to and fro": lambda traps: of(
        track(), *[cluster(SOUND, time=n % 2 * 10 * HOUR) for n in range(100)]
    ),
    "mkv of 1,000 gaps": lambda traps: of(
        track(), *[cluster(block(bytes(320)), time=n * 1000) for n in range(1000)]
    ),
    "mkv of a block of 2^55 bytes": lambda traps: of(
        track(), cluster(element("a3", b"\x81\0\0\x80" + bytes(99), size=2**55))
    ),
    "mkv of blocks of no bytes": lambda traps: of(track(), cluster(*[element("a3")] * 50_000)),
    "mkv of blocks of no track": lambda traps: of(track(), cluster(*[block(bytes(320), track=99)] * 5000)),
    "mkv of blocks squeezed a thousandfold": lambda traps: squeezed(100_000_000),
    "mkv of blocks squeezed in another way": lambda traps: squeezed(100_000, 1),
    "mkv of blocks squeezed in no known way": lambda traps: squeezed(100_000, 99),
    "mkv that is encrypted": lambda traps: encrypted(),
    "mkv of laces of 256 frames of no bytes": lambda traps: laced(6, b"\xff" + b"\x80" * 255),
    "mkv of laces beyond their block": lambda traps: laced(2, b"\xff" + b"\xff" * 300),
    "mkv of negative laces": lambda traps: laced(6, b"\x05\x40\x10" + b"\x80" * 4 + bytes(100)),
    "mkv of moving pictures": lambda traps: of(track(b"V_VP8", kind=1)),
    "mkv of a codec nobody knows": lambda traps: of(track(b"A_NOTHING")),
    "mkv of a codec that is not allowed": lambda traps: of(track(b"A_QUICKTIME/QDM2")),
    "mkv of aac without its head": lambda traps: of(track(b"A_AAC")),
    "mkv of flac of noise": lambda traps: of(track(b"A_FLAC", more=element("63a2", b"fLaC" + b"\xff" * 38))),
    "mkv of vorbis of noise": lambda traps: of(track(b"A_VORBIS", more=element("63a2", b"\x02" + b"\xff" * 900))),
    "mkv of wavpack of noise": lambda traps: of(track(b"A_WAVPACK4", more=element("63a2", b"\x10\4"))),
    "mkv of ac3 of noise": lambda traps: of(
        track(b"A_AC3"), *[cluster(block(b"\x0b\x77" + b"\xa5" * 500, n)) for n in range(50)]
    ),
    "mkv of opus of 255 channels": lambda traps: of(
        track(
            b"A_OPUS", 48_000.0, 255, more=element("63a2", head(255, family=255, more=bytes([255, 0, *range(255)])))
        )
    ),
    "mkv of opus with a delay of 2^63 ns": lambda traps: of(
        track(
            b"A_OPUS",
            48_000.0,
            more=element("63a2", head()) + element("56aa", number(2**63 - 1)) + element("56bb", number(2**63 - 1)),
        )
    ),
    "mkv of a silent hour": lambda traps: an_hour(),
    "mkv with cues to beyond its end": lambda traps: segment(
        info(),
        tracks(),
        element(
            "1c53bb6b",
            *[
                element(
                    "bb",
                    element("b3", number(n)),
                    element("b7", element("f7", b"\1"), element("f1", number(2**50))),
                )
                for n in range(20_000)
            ],
        ),
        cluster(SOUND),
    ),
    "mkv that seeks in circles": lambda traps: segment(
        element(
            "114d9b74",
            *[element("4dbb", element("53ab", bytes.fromhex("114d9b74")), element("53ac", number(0)))] * 2000,
        ),
        info(),
        tracks(),
        cluster(SOUND),
    ),
    "webm cut in its first cluster": lambda traps: recording("webm", 3)[:2000],
}
