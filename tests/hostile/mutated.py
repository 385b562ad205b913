"""Recordings changed at random: file ``number`` is the same for ever."""

from collections.abc import Callable

import numpy as np

from tests.hostile import damaged
from tests.hostile.recordings import FORMATS, recording

SECONDS = 3
KINDS = (*FORMATS, "mp4", "fragments", "growing")
"""Of those of both modules."""

HEAD = 400
"""Bytes in which most of what a container says of itself stands."""

EXTREMES = (b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\xff\xff\xff\x7f")

Random = np.random.Generator
Mutation = Callable[[bytearray, Random], None]


def original(kind: str) -> bytes:
    """The recording that is changed."""
    return recording(kind, SECONDS) if kind in FORMATS else damaged.whole(kind)


def _place(data: bytearray, random: Random) -> int:
    """A byte, one in three of them in the head."""
    return int(random.integers(0, min(len(data), HEAD if random.random() < 1 / 3 else len(data))))


def _span(data: bytearray, random: Random) -> tuple[int, int]:
    """Some bytes, a few or many."""
    first = _place(data, random)
    return first, first + int(2 ** random.uniform(0, np.log2(len(data) + 1)))


def flip_bytes(data: bytearray, random: Random) -> None:
    for _ in range(random.integers(1, 30)):
        data[_place(data, random)] = int(random.integers(0, 256))


def flip_bits(data: bytearray, random: Random) -> None:
    for _ in range(random.integers(1, 30)):
        data[_place(data, random)] ^= 1 << int(random.integers(0, 8))


def put_extremes(data: bytearray, random: Random) -> None:
    for _ in range(random.integers(1, 4)):
        at = _place(data, random)
        data[at : at + 4] = EXTREMES[random.integers(0, len(EXTREMES))]


def truncate(data: bytearray, random: Random) -> None:
    del data[1 + _place(data, random) :]


def delete(data: bytearray, random: Random) -> None:
    first, last = _span(data, random)
    del data[first:last]


def double(data: bytearray, random: Random) -> None:
    first, last = _span(data, random)
    data[last:last] = data[first:last]


def repeat(data: bytearray, random: Random) -> None:
    first = _place(data, random)
    span = data[first : first + int(random.integers(1, 200))]
    data[first:first] = span * int(random.integers(2, 200))


def swap(data: bytearray, random: Random) -> None:
    first, last = _span(data, random)
    middle = (first + last) // 2
    data[first:last] = data[middle:last] + data[first:middle]


def overwrite(data: bytearray, random: Random) -> None:
    first, last = _span(data, random)
    length = len(data[first:last])
    data[first:last] = bytes(length) if random.random() < 0.5 else random.bytes(length)


def splice(data: bytearray, random: Random) -> None:
    """Put in a piece of a recording in any format."""
    other = bytearray(original(KINDS[random.integers(0, len(KINDS))]))
    first, last = _span(other, random)
    at = _place(data, random)
    data[at : at + int(random.integers(0, 2) * (last - first))] = other[first:last]


MUTATIONS: tuple[Mutation, ...] = (
    flip_bytes, flip_bits, put_extremes, truncate, delete, double, repeat, swap, overwrite, splice,
)  # fmt: skip


def mutated(number: int) -> bytes:
    """File ``number``: of each kind in turn, changed in one to three ways."""
    random = np.random.default_rng([20261126, number])
    data = bytearray(original(KINDS[number % len(KINDS)]))
    for _ in range(random.integers(1, 4)):
        MUTATIONS[random.integers(0, len(MUTATIONS))](data, random)
        if not data:
            data = bytearray(1)
    return bytes(data)
