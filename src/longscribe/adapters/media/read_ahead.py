"""A recording's bytes, read in blocks, ahead of who asks for them in order."""

from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from longscribe.ports import RangeReader

BLOCK_BYTES = 2 * 2**20
"""One read of the store."""

FIRST_BLOCK_BYTES = 256 * 2**10
"""The first block is small, so that a file that is no audio costs little, and the first text comes soon."""

AHEAD = 4
"""Blocks read ahead: 8 MiB hide 100 ms at 80 MB/s, several times what two decoders take of compressed audio."""

KEPT = AHEAD + 3
"""Blocks held: those ahead, and a few behind for a container whose parts lie scattered."""

READERS = 4


class ReadAhead:
    """Answers for byte ranges of one object. Use it as a context, from one thread.

    The reader is called from up to `READERS` threads at once. What it raises, `read` raises.
    """

    def __init__(self, read: RangeReader, size: int) -> None:
        self._read, self._size = read, size
        self._blocks: OrderedDict[int, Future[bytes]] = OrderedDict()
        self._last = -1
        self._pool = ThreadPoolExecutor(READERS, "longscribe-read")

    def __enter__(self) -> "ReadAhead":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def read(self, start: int, length: int) -> bytes:
        """Return up to ``length`` bytes from ``start`` on, all of which lie in one block; b"" at the end."""
        if start >= self._size:
            return b""
        index = _block_of(start)
        block = self._block(index)
        if index in (self._last, self._last + 1):
            for ahead in range(index + 1, index + 1 + AHEAD):
                if _first_of(ahead) < self._size:
                    self._block(ahead)
        self._last = index
        at = start - _first_of(index)
        return block.result()[at : at + length]

    def _block(self, index: int) -> Future[bytes]:
        if index not in self._blocks:
            end = min(_first_of(index + 1), self._size)
            self._blocks[index] = self._pool.submit(self._read, _first_of(index), end)
            while len(self._blocks) > KEPT:
                self._blocks.popitem(last=False)[1].cancel()
        self._blocks.move_to_end(index)
        return self._blocks[index]


def _block_of(offset: int) -> int:
    return 0 if offset < FIRST_BLOCK_BYTES else 1 + (offset - FIRST_BLOCK_BYTES) // BLOCK_BYTES


def _first_of(block: int) -> int:
    return 0 if block == 0 else FIRST_BLOCK_BYTES + (block - 1) * BLOCK_BYTES
