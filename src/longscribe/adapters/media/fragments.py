"""Fragmented MP4: a file of pieces, each with an index of its own, as live recorders write it.

FFmpeg stops at the first piece whose index it cannot read. Each piece tells its own time, so what follows need not
be lost: everything between the file's own index and a later piece is made to read as a box that holds nothing.
"""

from longscribe.adapters.media.containers import boxes, read_at
from longscribe.adapters.media.remote import RemoteFile

MAX_INDEX_BYTES = 64 * 2**20
"""The longest ``moov`` that is looked into."""

MAX_FRUITLESS = 256
"""Pieces in a row that give nothing, before giving up."""

_SEARCH_BYTES = 2**20


def fragments_start(file: RemoteFile) -> int:
    """Return where the index ends and fragments follow, 0 if it says that there are none (ISO 14496-12, 8.8.1)."""
    for kind, at, size in boxes(file):
        if kind == b"moov":
            return at + size if b"mvex" in read_at(file, at, min(size, MAX_INDEX_BYTES)) else 0
    return 0


def next_fragment(file: RemoteFile, start: int) -> int:
    """Return where the next ``moof`` box begins, -1 if there is none."""
    while len(data := read_at(file, start, _SEARCH_BYTES)) > 8:
        if (at := data.find(b"moof", 4)) >= 0:
            return start + at - 4
        start += len(data) - 8
    return -1


def resume(file: RemoteFile, index_end: int, fragment: int, end: int = -1) -> None:
    """Let the file read as if ``fragment`` followed its index; the file ends at ``end``, or -1: where it does."""
    between = (1).to_bytes(4, "big") + b"free" + (fragment - index_end).to_bytes(8, "big")
    if fragment - index_end >= len(between):
        file.patch(index_end, between, file.size if end < 0 else end)
    elif end >= 0:
        file.patch(0, b"", end)
