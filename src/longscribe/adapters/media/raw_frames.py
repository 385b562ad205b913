"""Frames of raw MP3 and ADTS files, found by their headers.

Such files carry no timestamps, and FFmpeg does not tell which bytes it skipped; without that, a damaged stretch
would vanish and all that follows move forward. So the frames are found here, and skipped bytes are counted.
"""

from collections.abc import Callable, Iterator
from itertools import count

from longscribe.adapters.media.containers import File, read_at

Measure = Callable[[bytes], int]
"""Given the bytes at some place, the length of the frame that begins there, or 0."""

HEADER_BYTES = 16
WINDOW_BYTES = 256 * 2**10

HEADS = (b"Xing", b"Info", b"VBRI")
HEAD_BYTES = 44
"""Where they stand: behind the frame's header and at most 32 bytes of side information (VBRI: always 32)."""

_MP3_V1_LAYER3 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)
_MP3_V1_LAYER2 = (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 0)
_MP3_V2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)
_MP3_RATES = (44_100, 48_000, 32_000)


def measure_like(first: bytes) -> Measure | None:
    """Return the measure for frames like ``first``, None if that is neither MP3 nor ADTS."""
    for length, mask in ((_mp3_length, b"\xff\xfe\x0c\x00"), (_adts_length, b"\xff\xfe\xfd\xc0")):
        if length(first):
            kind = _masked(first, mask)
            return lambda data: length(data) if _masked(data, mask) == kind else 0
    return None


def frames(file: File, measure: Measure) -> Iterator[tuple[bytes, int]]:
    """Yield each frame of a file with the number of bytes skipped before it.

    Tags count as neither. The last frame is empty if bytes are skipped at the end.
    """
    window = _Window(file)
    at = skipped = 0
    in_step = False
    while at < file.size:
        length = measure(window.at(at, HEADER_BYTES))
        end = at + length
        # Out of step, a header counts only if another follows: its few bits occur by chance, too.
        if length and end <= file.size and (in_step or end == file.size or measure(window.at(end, HEADER_BYTES))):
            yield window.at(at, length), skipped
            at, skipped, in_step = end, 0, True
        elif tag := _tag_length(window.at(at, 32), file.size - at):
            at += tag
        else:
            step = window.next_sync(at + 1) - at
            at, skipped, in_step = at + step, skipped + step, False
    if skipped:
        yield b"", skipped


def behind_tags(file: File) -> int:
    """Return where the first frame may begin."""
    at = 0
    while length := _tag_length(read_at(file, at, 32), file.size - at):
        at += length
    return at


def is_head(frame: bytes) -> bool:
    """Return whether an MP3's frame holds no sound but the file's length: Xing's, LAME's or Fraunhofer's."""
    return _mark(frame) > 0


def claimed_bytes(frame: bytes) -> int:
    """Return how many bytes such a frame says there are from itself on, 0 if it does not tell."""
    at = _mark(frame)
    if frame[at : at + 4] not in HEADS[:2]:
        return 0
    flags = int.from_bytes(frame[at + 4 : at + 8], "big")  # 1: the number of frames follows, 2: of bytes
    at += 12 if flags & 1 else 8
    return int.from_bytes(frame[at : at + 4], "big") if flags & 2 else 0


def _mark(frame: bytes) -> int:
    """Return where a head's mark stands, behind side information that is empty; 0 if there is none."""
    places = (frame.find(mark, 0, HEAD_BYTES) for mark in HEADS)
    return next((at for at in places if at > 0 and not any(frame[6:at])), 0)


class _Window:
    """A file seen through a moving buffer."""

    def __init__(self, file: File) -> None:
        self._file, self._start, self._data = file, 0, b""

    def at(self, start: int, length: int) -> bytes:
        """Return up to ``length`` bytes from ``start`` on."""
        first = start - self._start
        if first < 0 or first + length > len(self._data):
            self._file.seek(start)
            parts: list[bytes] = []
            missing = WINDOW_BYTES
            while missing > 0 and (part := self._file.read(missing)):
                parts.append(part)
                missing -= len(part)
            self._start, self._data, first = start, b"".join(parts), 0
        return self._data[first : first + length]

    def next_sync(self, start: int) -> int:
        """Return where the next 0xFF, or the next tag, may be: from ``start`` on, or the buffer's end."""
        self.at(start, 1)
        found = (self._data.find(mark, start - self._start) for mark in (b"\xff", b"TAG", b"ID3", b"APETAGEX"))
        return self._start + min((place for place in found if place >= 0), default=len(self._data))


def _masked(data: bytes, mask: bytes) -> bytes:
    return bytes(byte & bits for byte, bits in zip(data, mask, strict=False))


def _mp3_length(data: bytes) -> int:
    """Return the length of an MPEG audio frame of layer II or III (ISO 11172-3, 2.4.2.3)."""
    if len(data) < 4 or data[0] != 0xFF or data[1] & 0xE0 != 0xE0:
        return 0
    version, layer = data[1] >> 3 & 3, data[1] >> 1 & 3
    rate_index = data[2] >> 2 & 3
    if version == 1 or layer not in (1, 2) or rate_index == 3:
        return 0
    table = _MP3_V2 if version != 3 else _MP3_V1_LAYER3 if layer == 1 else _MP3_V1_LAYER2
    rate = _MP3_RATES[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    slots = 72 if version != 3 and layer == 1 else 144
    bits = table[data[2] >> 4] * 1000
    return slots * bits // rate + (data[2] >> 1 & 1) if bits else 0


def _adts_length(data: bytes) -> int:
    """Return the length of an ADTS frame (ISO 13818-7, 6.2)."""
    if len(data) < 7 or data[0] != 0xFF or data[1] & 0xF6 != 0xF0:
        return 0
    length = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
    return length if length > 7 else 0


def _tag_length(data: bytes, left: int) -> int:
    """Return the length of the tag that begins here, 0 if there is none."""
    if data[:3] == b"TAG" and left == 128:
        return 128
    if data[:3] == b"ID3" and len(data) >= 10 and not any(byte & 0x80 for byte in data[6:10]):
        size = sum(byte << shift for byte, shift in zip(data[6:10], count(21, -7), strict=False))
        return min(10 + size, left)
    if data[:8] == b"APETAGEX" and len(data) == 32:
        return min(32 + int.from_bytes(data[12:16], "little"), left)
    return 0
