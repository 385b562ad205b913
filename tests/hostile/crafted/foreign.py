"""Files of other kinds, bombs among them, that somebody calls a recording. All are to be refused."""

import gzip
import io
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np

from tests.hostile.crafted import Files

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63606060000000040001f61738550000000049454e44ae426082"
)


def png_claiming(width: int, height: int) -> bytes:
    header = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    data = b"IDAT" + zlib.compress(bytes(10_000_000), 9)
    parts = (header, data, b"IEND")
    return PNG[:8] + b"".join(
        (len(part) - 4).to_bytes(4, "big") + part + zlib.crc32(part).to_bytes(4, "big") for part in parts
    )


def archive(name: str, data: bytes) -> bytes:
    blob = io.BytesIO()
    with zipfile.ZipFile(blob, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        file.writestr(name, data)
    return blob.getvalue()


def tarball() -> bytes:
    blob = io.BytesIO()
    with tarfile.open(fileobj=blob, mode="w") as file:
        entry = tarfile.TarInfo("../../etc/cron.d/x")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        file.addfile(entry)
    return blob.getvalue()


FILES: Files = {
    "nothing but zeros": lambda traps: bytes(1_000_000),
    "one byte": lambda traps: b"\x00",
    "noise": lambda traps: np.random.default_rng(5).bytes(1_000_000),
    "text": lambda traps: b"Dear diary, nothing happened today.\n" * 1000,
    "png": lambda traps: PNG,
    "png of 2^31 pixels a side": lambda traps: png_claiming(2**31 - 1, 2**31 - 1),
    "jpeg": lambda traps: (
        bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffdb0043") + bytes(64) + b"\xff\xd9"
    ),
    "gif": lambda traps: b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6) + b",\0\0\0\0\xff\xff\xff\xff\0\x02\0;",
    "bmp": lambda traps: b"BM" + bytes(12) + (40).to_bytes(4, "little") + b"\xff\xff\xff\x7f" * 2 + bytes(60),
    "webp": lambda traps: b"RIFF\xff\xff\xff\x7fWEBPVP8X" + bytes(100),
    "zip": lambda traps: archive("talk.wav", b"RIFF"),
    "zip bomb": lambda traps: archive("talk.wav", bytes(50_000_000)),
    "gzip bomb": lambda traps: gzip.compress(bytes(50_000_000), 9),
    "tar with a link": lambda traps: tarball(),
    "pdf": lambda traps: b"%PDF-1.7\n1 0 obj<</Type/Catalog/OpenAction<</S/Launch/F(/bin/sh)>>>>endobj\n%%EOF\n",
    "program": lambda traps: Path(sys.executable).read_bytes()[:200_000],
    "script": lambda traps: b"#!/bin/sh\nrm -rf /\n",
    "class": lambda traps: b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(200),
    "database": lambda traps: b"SQLite format 3\0" + bytes(1000),
    "pickle": lambda traps: b"\x80\x04cos\nsystem\n(S'true'\ntR.",
    "nut": lambda traps: b"nut/multimedia container\0NM\x7a\x56\x1f\x5f\x04\xad" + b"\xff" * 200,
    "flv": lambda traps: b"FLV\x01\x05\0\0\0\x09\0\0\0\0\x12\xff\xff\xff" + bytes(400),
    "asf": lambda traps: bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + b"\xff" * 200,
    "transport stream": lambda traps: (b"\x47\x40\0\x10" + b"\xff" * 184) * 200,
    "program stream": lambda traps: b"\0\0\x01\xba\x44\0\x04\0\x04\x01\0\0\x03\xf8" + bytes(2000),
    "amr": lambda traps: b"#!AMR\n" + b"\x3c" * 3200,
    "midi": lambda traps: b"MThd\0\0\0\x06\0\x01\xff\xff\x01\xe0MTrk\xff\xff\xff\xff" + bytes(100),
    "au of 2^32 channels": lambda traps: b".snd" + (24).to_bytes(4, "big") + b"\xff" * 16 + bytes(1000),
    "caf of 2^63 bytes": lambda traps: b"caff\0\x01\0\0desc" + (32).to_bytes(8, "big") + b"\xff" * 32 + b"data\x7f",
    "w64 of 2^63 bytes": lambda traps: b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0" + b"\xff" * 200,
    "voc": lambda traps: b"Creative Voice File\x1a\x1a\0\x0a\x01\x29\x11\x01\xff\xff\xff\0\0" + bytes(1000),
    "wavpack": lambda traps: b"wvpk" + b"\xff" * 2000,
    "monkey's audio": lambda traps: b"MAC \x96\x0f" + b"\xff" * 200,
    "musepack": lambda traps: b"MPCKSH\xff\xff" + bytes(200),
    "true audio": lambda traps: b"TTA1\x01\0\xff\xff\xff\xff\xff\xff\xff\xff" + bytes(200),
    "dsf": lambda traps: b"DSD \x1c" + b"\xff" * 100,
    "real media": lambda traps: b".RMF\0\0\0\x12" + b"\xff" * 200,
    "shockwave": lambda traps: b"CWS\x0a\xff\xff\xff\xff" + zlib.compress(bytes(10_000_000), 9),
}
