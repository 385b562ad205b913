"""How long a file says that it is, in bytes: the evidence that tells a file cut off from a header that is wrong."""

from typing import Protocol

MAX_BOXES = 4096
"""Boxes looked at before giving up: fragments of a day of one-minute fragments, twice."""


_PLACEHOLDERS = (0x7FFF, 0xFFFF)
"""What writers who cannot seek back put for the size, without its lower half: sox and FFmpeg among them."""


class File(Protocol):
    """A seekable file of known size."""

    size: int

    def read(self, length: int) -> bytes:
        """Return up to ``length`` bytes."""
        ...

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move."""
        ...


def claimed_size(file: File) -> int:
    """Return the size that the container itself claims, 0 if it does not tell.

    RIFF, RF64 and AIFF hold it in their header, Matroska in its segment's; MP4's boxes add up to it.
    """
    file.seek(0)
    head = file.read(64)
    if head[:4] in (b"RIFF", b"RIFX", b"FORM"):
        size = int.from_bytes(head[4:8], "little" if head[:4] == b"RIFF" else "big")
        return 0 if size >> 16 in _PLACEHOLDERS else size + 8
    if head[:4] == b"RF64":
        return int.from_bytes(head[20:28], "little") + 8
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return _matroska(head)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return _boxes(file)
    return 0


def ogg_is_cut(file: File) -> bool:
    """Return whether an Ogg file lacks its last page: one that is whole and marked as the end (RFC 3533, 6)."""
    tail = min(file.size, 2 * 65_307)  # twice the longest page
    file.seek(file.size - tail)
    data = b""
    while part := file.read(tail - len(data)):
        data += part
    at = data.rfind(b"OggS")
    if at < 0 or len(data) < at + 27:
        return True
    segments = data[at + 27 : at + 27 + data[at + 26]]
    whole = len(data) >= at + 27 + data[at + 26] + sum(segments)
    return not (whole and data[at + 5] & 4)


def _matroska(head: bytes) -> int:
    """Return where the segment ends: an element id and a size of variable length each, after the EBML header."""
    length, width = _variable(head[4:])
    segment = 4 + width + length
    if head[segment : segment + 4] != b"\x18\x53\x80\x67":
        return 0
    length, width = _variable(head[segment + 4 :])
    if not width or length == (1 << 7 * width) - 1:  # all ones: unknown
        return 0
    return segment + 4 + width + length


def _variable(data: bytes) -> tuple[int, int]:
    if not data or not data[0]:
        return 0, 0
    width = 9 - data[0].bit_length()
    return int.from_bytes(data[:width], "big") & (1 << 7 * width) - 1, width


def _boxes(file: File) -> int:
    at = 0
    for _ in range(MAX_BOXES):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            break
        size = int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if size < 8:  # 0: to the end of the file
            break
        at += size
    return at
