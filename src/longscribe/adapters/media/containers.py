"""What a file's structure tells without decoding it: the evidence that tells lost bytes from a wrong header."""

import re
from collections.abc import Iterator
from typing import Protocol

MAX_PARTS = 2**18
"""Boxes or elements looked at before giving up: two for each second of 36 hours."""

SEARCHED_BYTES = 64 * 2**10
"""How far a recording may begin behind garbage: a web server's headers, a mail's."""

_STARTS = re.compile(
    rb"fLaC\x00|OggS\x00\x02|RIFF....WAVE|FORM....AIF[FC]|\x1a\x45\xdf\xa3|\x00\x00\x00.ftyp", re.DOTALL
)

_LONGEST_PAGE = 65_307
_FIRST_PAGE = re.compile(rb"OggS\x00[\x02\x06]")
"""Ogg's (RFC 3533, 6): its longest page, and one that begins a stream."""

_PLACEHOLDERS = (0x7FFF, 0xFFFF)
"""What writers who cannot seek back put for the size, without its lower half: sox and FFmpeg among them."""


PARTS_BYTES = 4 * 2**10
"""Read at once where boxes, blocks or elements are walked through: a file may hold many of a few bytes each."""


class File(Protocol):
    """A seekable file of known size."""

    size: int

    def read(self, length: int) -> bytes:
        """Return up to ``length`` bytes."""
        ...

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move."""
        ...

    def tell(self) -> int:
        """Return where the file stands."""
        ...


class Window:
    """A file seen through a moving buffer of ``length`` bytes: many small parts cost one reading.

    The file stands where it stood, for FFmpeg reads it, too.
    """

    def __init__(self, file: File, length: int) -> None:
        self._file, self._length = file, length
        self._start, self._data = 0, b""

    def at(self, start: int, length: int) -> bytes:
        """Return up to ``length`` bytes from ``start`` on."""
        first = start - self._start
        if first < 0 or first + length > len(self._data):
            self._data = read_at(self._file, start, max(length, self._length))
            self._start, first = start, 0
        return self._data[first : first + length]

    def search(self, pattern: re.Pattern[bytes], start: int) -> int:
        """Return where ``pattern`` is found in the buffer, which holds ``start``, from there on; else its end."""
        self.at(start, 1)
        found = pattern.search(self._data, start - self._start)
        return self._start + (found.start() if found else len(self._data))


_ENTERED = (b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75")
"""Matroska's segment and cluster."""

_ELEMENTS = tuple(
    bytes.fromhex(name)
    for name in (
        "1a45dfa3 18538067 114d9b74 1549a966 1654ae6b 1c53bb6b 1043a770 1941a469 1254c367 1f43b675"
        " ec bf e7 5854 a7 ab a0 a3 af 9b fb fa fd a4 75a1 75a2 c8"
    ).split()
)
"""What may stand in a segment, a cluster or a group of blocks (RFC 9559, 5.1)."""


def claimed_size(file: File) -> int:
    """Return the size that the container itself claims, 0 if it does not tell.

    RIFF, RF64 and AIFF hold it in their header, Matroska in its segment's; MP4's boxes add up to it.
    """
    head = read_at(file, 0, 64)
    if head[:4] in (b"RIFF", b"RIFX", b"FORM"):
        size = int.from_bytes(head[4:8], "little" if head[:4] == b"RIFF" else "big")
        return 0 if size >> 16 in _PLACEHOLDERS else size + 8
    if head[:4] == b"RF64":
        return int.from_bytes(head[20:28], "little") + 8
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return _matroska(head)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return max((place + size for _, place, size in boxes(file)), default=0)
    return 0


def tells_duration(file: File) -> bool:
    """Return whether a Matroska file says how long it is; where it does not, FFmpeg guesses (RFC 9559, 5.1.2)."""
    window, before = Window(file, PARTS_BYTES), 0
    for end in _elements(file, 0):
        name = window.at(before, 4)
        if name == b"\x1f\x43\xb6\x75":  # the first cluster: what tells of all stands before it
            break
        if name == b"\x15\x49\xa9\x66":
            return b"\x44\x89" in read_at(file, before, min(end - before, SEARCHED_BYTES))
        before = end
    return False


def find_start(file: File) -> int:
    """Return where a known container begins behind garbage, 0 if none does within `SEARCHED_BYTES`."""
    found = _STARTS.search(read_at(file, 0, SEARCHED_BYTES), 1)
    return found.start() if found else 0


def lacks_index(file: File) -> bool:
    """Return whether this is an MP4 without its ``moov``."""
    kinds = [kind for kind, _, _ in boxes(file)]
    return b"moov" not in kinds and b"ftyp" in kinds[:1]


def wav_goes_on(file: File) -> bool:
    """Return whether a WAV's samples go on behind their chunk: its header was not kept up, or another is joined."""
    at, window = 12, Window(file, PARTS_BYTES)
    data_passed = False
    while at + 8 <= file.size:
        head = window.at(at, 8)
        if not (head[:4].isascii() and head[:4].decode("ascii").isprintable()) or head[:4] == b"RIFF":
            return data_passed
        size = int.from_bytes(head[4:8], "little")
        if data_passed and at + 8 + size > file.size:
            return True
        data_passed = data_passed or head[:4] == b"data"
        at += 8 + size + size % 2
    return False


def another_movie(file: File) -> float:
    """Return the seconds of what further MP4 files are joined to this one."""
    seconds, seen = 0.0, False
    for kind, at, size in boxes(file):
        if kind == b"moov" and seen:
            seconds += _movie_seconds(read_at(file, at, min(size, 256)))
        seen = seen or kind == b"moov"
    return seconds


def is_unbroken(file: File, upto: int) -> bool:
    """Return whether the bytes before the first packet, which lies at ``upto``, are all accounted for.

    If they are, its timestamp is where the recording begins; if not, sound was lost before it.
    """
    head = read_at(file, 0, 64)
    if head[:4] == b"OggS":
        return _reached(_pages(file), upto)
    if head[:4] == b"fLaC":
        sync = read_at(file, upto, 2)  # FFmpeg takes rubbish before a frame for a part of it
        return _reached(_flac_blocks(file), upto) and sync in (b"\xff\xf8", b"\xff\xf9")
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return _reached(_elements(file, 0), upto, inside=True)
    return True


def _reached(ends: Iterator[int], upto: int, inside: bool = False) -> bool:
    """Return whether one of the parts that end at ``ends`` ends at ``upto``, or where ``inside``, beyond it."""
    for end in ends:
        if end >= upto:
            return inside or end == upto
    return False


def matroska_is_cut(file: File, last: int, size: int) -> bool:
    """Return whether the file breaks off in an element behind its last packet of ``size`` bytes at ``last``."""
    end = 0
    for end in _elements(file, last + 4 + size):  # a block's own header has 4 bytes
        if end > file.size:
            return True
    return 0 < end < file.size and file.size - end < 12


def ogg_is_cut(file: File) -> bool:
    """Return whether an Ogg file lacks its last page: one that is whole and marked as the end (RFC 3533, 6)."""
    last = _last_page(file)
    if not last:
        return True
    segments = last[27 : 27 + last[26]]
    whole = len(last) >= 27 + last[26] + sum(segments)
    return not (whole and last[5] & 4)


def next_chain(file: File, at: int) -> int:
    """Return where another recording begins behind the Ogg page at ``at``, 0 if none does (RFC 3533, 4)."""
    found = _FIRST_PAGE.search(read_at(file, at, 4 * _LONGEST_PAGE), 1)
    return at + found.start() if found else 0


def chained_seconds(file: File, at: int) -> float:
    """Return how long the Ogg stream is that begins at ``at``, if it is the file's last; 0.0 if nothing tells."""
    head = read_at(file, at, 27 + 255 + 64)
    packet = head[27 + head[26] :]
    rate = 0
    if packet.startswith(b"OpusHead"):
        rate = 48_000  # the granules' rate (RFC 7845, 4)
    elif packet.startswith(b"\x01vorbis"):
        rate = int.from_bytes(packet[12:16], "little")
    elif packet.startswith(b"\x7fFLAC"):
        rate = int.from_bytes(packet[27:30], "big") >> 4  # in STREAMINFO, behind the mapping's own 13 bytes
    last = _last_page(file)
    if not rate or last[14:18] != head[14:18]:
        return 0.0
    return max(0, int.from_bytes(last[6:14], "little", signed=True)) / rate


def _last_page(file: File) -> bytes:
    """Return what the file's last Ogg page begins with, and all behind; b"" without one."""
    tail = min(file.size, 2 * _LONGEST_PAGE)
    data = read_at(file, file.size - tail, tail)
    at = data.rfind(b"OggS")
    return data[at:] if at >= 0 and len(data) >= at + 27 else b""


def read_at(file: File, start: int, length: int) -> bytes:
    """Return up to ``length`` bytes from ``start`` on; the file stands where it stood, for FFmpeg reads it, too."""
    stood = file.tell()
    file.seek(start)
    data = b""
    while part := file.read(length - len(data)):
        data += part
    file.seek(stood)
    return data


def _pages(file: File) -> Iterator[int]:
    """Yield where each Ogg page ends, as long as one follows the other."""
    at, window = 0, Window(file, PARTS_BYTES)
    for _ in range(MAX_PARTS):
        head = window.at(at, 27 + 255)
        if head[:4] != b"OggS" or len(head) < 27:
            return
        at += 27 + head[26] + sum(head[27 : 27 + head[26]])
        yield at


def _flac_blocks(file: File) -> Iterator[int]:
    """Yield where each of FLAC's metadata blocks ends; the frames follow the last."""
    at, last, window = 4, False, Window(file, PARTS_BYTES)
    while not last and len(head := window.at(at, 4)) == 4:
        last = head[0] >> 7 == 1
        at += 4 + int.from_bytes(head[1:4], "big")
        if last:
            yield at


def _elements(file: File, at: int) -> Iterator[int]:
    """Yield where each Matroska element ends, as long as one follows the other; segments, clusters are entered."""
    window = Window(file, PARTS_BYTES)
    for _ in range(MAX_PARTS):
        head = window.at(at, 12)
        width = 9 - head[0].bit_length() if head else 0
        length, size_width = _variable(head[width:])
        if head[:width] not in _ELEMENTS or not size_width:
            return
        at += width + size_width
        if head[:width] not in _ENTERED:
            at += length
        yield at


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


def boxes(file: File, at: int = 0) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind, place and size of each of an MP4's boxes, as long as one follows the other."""
    window = Window(file, PARTS_BYTES)
    for _ in range(MAX_PARTS):
        head = window.at(at, 16)
        if len(head) < 8:
            return
        size = int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if size < 8 or not head[4:8].isalnum():  # a size of 0: to the end of the file
            return
        yield head[4:8], at, size
        at += size


def _movie_seconds(movie: bytes) -> float:
    """Return the duration that a ``moov`` box's header tells (ISO 14496-12, 8.2.2)."""
    at = movie.find(b"mvhd")
    wide = movie[at + 4 : at + 5] == b"\x01"
    scale = at + (24 if wide else 16)
    length = 8 if wide else 4
    ticks = int.from_bytes(movie[scale : scale + 4], "big")
    duration = int.from_bytes(movie[scale + 4 : scale + 4 + length], "big")
    return duration / ticks if at >= 0 and ticks else 0.0
