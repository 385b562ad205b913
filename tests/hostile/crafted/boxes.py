"""The bricks of MP4, Matroska and Ogg."""

import struct

from tests.hostile.damaged import checksum


def box(kind: bytes, *parts: bytes, size: int | None = None) -> bytes:
    """An MP4 box; ``size`` is what it claims, if not the truth."""
    body = b"".join(parts)
    return (8 + len(body) if size is None else size).to_bytes(4, "big") + kind + body


def full(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    """A box with version and flags."""
    return box(kind, bytes([version]) + flags.to_bytes(3, "big"), *parts)


def u16(*values: int) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


def u32(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *(value & 0xFFFFFFFF for value in values))


def u64(*values: int) -> bytes:
    return struct.pack(f">{len(values)}Q", *(value & 2**64 - 1 for value in values))


def vint(value: int, width: int = 8) -> bytes:
    """A length as EBML writes it; -1: unknown."""
    if value < 0:
        return bytes([0x01]) + b"\xff" * 7
    return (value | 1 << 7 * width).to_bytes(width, "big")


def element(name: str, *parts: bytes, size: int | None = None) -> bytes:
    """An EBML element with its id in hexadecimal; ``size`` is what it claims, -1: unknown."""
    body = b"".join(parts)
    return bytes.fromhex(name) + vint(len(body) if size is None else size) + body


def page(
    body: bytes,
    granule: int = 0,
    number: int = 0,
    serial: int = 1,
    flags: int = 0,
    lacing: bytes | None = None,
    bad_checksum: bool = False,
) -> bytes:
    """An Ogg page that holds one packet, or what ``lacing`` says."""
    if lacing is None:
        lacing = b"\xff" * (len(body) // 255) + bytes([len(body) % 255])
    head = b"OggS\0" + bytes([flags]) + struct.pack("<qIII", granule, serial, number, 0)
    whole = head + bytes([len(lacing)]) + lacing + body
    value = 0xDEADBEEF if bad_checksum else checksum(whole)
    return whole[:22] + value.to_bytes(4, "little") + whole[26:]
