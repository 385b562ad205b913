"""Frames of raw MP3 and ADTS files, found by their headers.

Such files carry no timestamps, and FFmpeg does not tell which bytes it skipped; without that, a damaged stretch
would vanish and all that follows move forward. So the frames are found here, and skipped bytes are counted.
"""

import re
from collections.abc import Callable, Iterator
from itertools import count

from longscribe.adapters.media.containers import File, Window, read_at

Measure = Callable[[bytes], int]
"""Given the bytes at some place, the length of the frame that begins there, or 0."""

_MARKS = re.compile(rb"\xff[\xe0-\xfd]|\xff\Z|TAG|ID3|APETAGEX")
"""Where a frame or a tag may begin. No frame of ours begins with FF FE or FF FF: those are of layer I."""

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
    for length, mask in ((_mp3_length, 0xFFFE0C00), (_adts_length, 0xFFFEFDC0)):
        if length(first):
            kind = int.from_bytes(first[:4], "big") & mask
            return lambda data: length(data) if int.from_bytes(data[:4], "big") & mask == kind else 0
    return None


def frames(file: File, measure: Measure) -> Iterator[tuple[bytes, int]]:
    """Yield each frame of a file with the number of bytes skipped before it.

    Tags count as neither. The last frame is empty if bytes are skipped at the end.
    """
    window = Window(file, WINDOW_BYTES)
    at = skipped = 0
    in_step = False
    while at < file.size:
        head = window.at(at, HEADER_BYTES)
        length = measure(head)
        end = at + length
        # Out of step, a header counts only if another follows: its few bits occur by chance, too.
        if length and end <= file.size and (in_step or end == file.size or measure(window.at(end, HEADER_BYTES))):
            yield window.at(at, length), skipped
            at, skipped, in_step = end, 0, True
        elif head[0] != 0xFF and (tag := _tag_length(window.at(at, 32), file.size - at)):
            at += tag
        else:
            step = window.search(_MARKS, at + 1) - at
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
