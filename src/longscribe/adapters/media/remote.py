"""The recording as a file object for FFmpeg, mended where it has to be; runs in a child."""

from longscribe.adapters.media.wire import READ_ARGUMENTS, Pipe, Tag


class RemoteFile:
    """A seekable file of ``size`` bytes; the parent answers for them."""

    def __init__(self, pipe: Pipe, size: int) -> None:
        self.size = self._whole = size
        self._pipe, self._at, self._base = pipe, 0, 0
        self._patch = (0, b"")

    def skip(self, length: int) -> None:
        """Leave bytes out at the front: offsets count from behind them, and the file is shorter by them."""
        self._base += length
        self._whole -= length
        self.size = self._whole

    def patch(self, offset: int, data: bytes, end: int) -> None:
        """Let ``data`` be read at ``offset``, whatever is there, and the file end at ``end``."""
        self._patch, self.size = (offset, data), end

    @property
    def patched(self) -> bool:
        """Whether anything is read otherwise than it is."""
        return bool(self._patch[1])

    def unpatch(self) -> None:
        """Let everything be read as it is."""
        self._patch, self.size = (0, b""), self._whole

    def read(self, length: int) -> bytes:
        """Return up to ``length`` bytes from where the file stands."""
        length = min(length, self.size - self._at)
        if length <= 0:
            return b""
        self._pipe.send(Tag.READ, READ_ARGUMENTS.pack(self._base + self._at, length))
        _, data = self._pipe.receive()
        offset, patch = self._patch
        first, last = max(offset - self._at, 0), min(offset + len(patch) - self._at, len(data))
        if first < last:
            begin = self._at + first - offset
            data = data[:first] + patch[begin : begin + last - first] + data[last:]
        self._at += len(data)
        return bytes(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to ``offset``, from the start, from here or from the end."""
        self._at = max(0, offset + (0, self._at, self.size)[whence])
        return self._at

    def tell(self) -> int:
        """Return where the file stands."""
        return self._at
