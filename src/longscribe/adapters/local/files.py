"""`Blobs` on a file system: buckets are directories.

A bucket of our own is a directory given by name. In it a name such as ``abc/000001.flac`` is that very path; any
other text is percent-encoded into one file under ``%/``: no name reaches outside, and every name lists again::

    transcripts/
    ├── abc/000001.flac          "abc/000001.flac"
    ├── %/=..%2Fetc%2Fpasswd     "../etc/passwd"
    ├── %/+aaaa…/=aaaa…          a name too long for one path segment
    └── .partial/                writes that are not finished

A bucket that is an absolute path stands for that directory itself: recordings lie there, to be read only.

A folder is a directory of people's own under a name: what lies in it, at whatever depth, is an object of that very
path, to be read and deleted. Links in it are not followed.
"""

import errno
import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote, unquote
from uuid import uuid4

from longscribe.adapters.local import folder
from longscribe.core.limits import MAX_NAME_BYTES
from longscribe.errors import BadInput, Gone, LongscribeError, NoSpace, OverLimit, Transient
from longscribe.messages import BlobRef
from longscribe.ports import BlobInfo

_PIECE = 200
# Characters of a name in one path segment; file systems allow 255 bytes.

_FOLDER = rf"[\w-]{{1,{_PIECE}}}/"
_PLAIN_FOLDERS = re.compile(f"(?:{_FOLDER})+", re.ASCII)
_PLAIN_NAME = re.compile(rf"(?:{_FOLDER})*[\w-]{{1,100}}(?:\.[\w-]{{1,30}}){{1,3}}", re.ASCII)
# Folders hold no dot and files at least one, so that none can stand in another's way.

_ENCODED = "%"
_PARTIAL = ".partial"


class Files:
    """Objects as files, for threads and processes that share the directories of ``buckets`` and ``folders``.

    A generation is the time of writing in nanoseconds, which this class sets; for a recording it stands for time of
    change, size and inode. So the file system must keep nanoseconds and hard links: the usual ones of Linux and
    macOS do, FAT does not. Written objects are on the disk when a call returns.

    Raises `Gone` for a bucket, object or generation that is not there, `NoSpace` for a full disk, a quota or a file
    size limit, `BadInput` for what may not be read or written, `OverLimit` for a name over `MAX_NAME_BYTES`, and
    `Transient` when the disk fails.
    """

    def __init__(self, buckets: Mapping[str, Path], folders: Mapping[str, Path] = MappingProxyType({})) -> None:
        self._buckets = dict(buckets)
        self._folders = dict(folders)
        for directory in self._buckets.values():
            _sweep(directory / _PARTIAL)

    def stat(self, bucket: str, name: str) -> BlobInfo:
        """Return the newest generation. Raises `Gone`."""
        path = self._path(bucket, name)
        with _told(path), self._place(bucket, name, path) as (place, directory):
            found = os.stat(place, dir_fd=directory, follow_symlinks=directory is None)
        if not stat.S_ISREG(found.st_mode):
            raise _no_file(path)
        ref = BlobRef(bucket=bucket, name=name, generation=self._generation(bucket, found))
        return BlobInfo(ref=ref, size=found.st_size, metadata={})

    def read(self, ref: BlobRef, start: int = 0, end: int | None = None) -> bytes:
        """Return bytes ``start`` to ``end``, fewer at the end. Raises `Gone` if another generation is there now."""
        path = self._path(ref.bucket, ref.name)
        with _told(path), self._place(ref.bucket, ref.name, path) as (place, directory):
            # A pipe put in a recording's place must not make us wait.
            flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if directory is None else os.O_NOFOLLOW)
            descriptor = os.open(place, flags, dir_fd=directory)
            try:
                opened = os.fstat(descriptor)
                if not stat.S_ISREG(opened.st_mode):
                    raise _no_file(path)
                data = _read(descriptor, start, opened.st_size if end is None else min(end, opened.st_size))
                found = os.fstat(descriptor)  # after the read: it may have been changed under our hands
            finally:
                os.close(descriptor)
        if self._generation(ref.bucket, found) != ref.generation:
            raise Gone(f"{_shown(path)} was changed meanwhile; transcribe it again.")
        return data

    def create(self, bucket: str, name: str, data: bytes) -> BlobRef:
        """Write an object that does not exist yet; return the one that is there if it does."""
        path = self._own(bucket, name)
        with suppress(Gone):
            return self.stat(bucket, name).ref
        with self._partial(bucket, path, data) as (partial, generation):
            try:
                os.link(partial, path)
            except FileExistsError:
                return self.stat(bucket, name).ref
            finally:
                partial.unlink()
        return BlobRef(bucket=bucket, name=name, generation=generation)

    def replace(self, bucket: str, name: str, data: bytes) -> BlobRef:
        """Write an object, over any older generation. Readers see the old bytes or the new."""
        path = self._own(bucket, name)
        with self._partial(bucket, path, data) as (partial, generation):
            partial.replace(path)
        return BlobRef(bucket=bucket, name=name, generation=generation)

    def delete(self, bucket: str, name: str) -> None:
        """Delete an object; one that is not there is no error."""
        path = self._path(bucket, name) if bucket in self._folders else self._own(bucket, name)
        with suppress(Gone), _told(path), self._place(bucket, name, path) as (place, directory):
            os.unlink(place, dir_fd=directory)

    def names(self, bucket: str, prefix: str = "") -> Iterator[str]:
        """Yield the names in a bucket that begin with ``prefix``, in order of their characters."""
        if bucket not in self._buckets:
            found = self._put_in(bucket) if bucket in self._folders else self._recordings(bucket)
            yield from sorted(name for name in found if name.startswith(prefix))
            return
        root = self._buckets[bucket]
        inside = prefix[: prefix.rfind("/") + 1]
        # With a plain prefix, look no further than need be.
        tops = [root / inside, root / _ENCODED] if _PLAIN_FOLDERS.fullmatch(inside) else [root]
        with _told(root):
            names = [name for top in tops for name in _walk(root, top)]
        yield from sorted(name for name in names if name.startswith(prefix))

    def _put_in(self, bucket: str) -> Iterator[str]:
        directory = self._folders[bucket]
        with _told(directory):
            for name, _ in folder.listing(directory, _raised):
                yield name

    def _recordings(self, bucket: str) -> Iterator[str]:
        directory = _outside(bucket)
        with _told(directory):
            for path in directory.iterdir():
                if path.is_file():
                    yield path.name

    def _path(self, bucket: str, name: str) -> Path:
        if bucket in self._buckets:
            return self._own(bucket, name)
        if bucket in self._folders:
            return self._folders[bucket] / name.replace("\0", "")  # to be shown: see `_place`
        directory = _outside(bucket)
        if name in ("", ".", "..") or "/" in name or not folder.fits(name):
            raise Gone(f"{name!r} names no file in {_shown(directory)}; give a plain file name.")
        return directory / name

    @contextmanager
    def _place(self, bucket: str, name: str, path: Path) -> Iterator[tuple[Path | str, int | None]]:
        """Lend a path and the directory it starts from; in a folder no link leads to it."""
        if bucket not in self._folders:
            yield path, None
            return
        with folder.parent(self._folders[bucket], name) as (directory, last):
            yield last, directory

    def _own(self, bucket: str, name: str) -> Path:
        if bucket not in self._buckets:
            raise BadInput(f"The bucket {bucket!r} is for reading only; write into one of longscribe's own.")
        if len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
            raise OverLimit(f"The name {name[:20]!r}… is longer than {MAX_NAME_BYTES} bytes; shorten it.")
        return self._buckets[bucket] / _to_path(name)

    def _generation(self, bucket: str, found: os.stat_result) -> int:
        if bucket in self._buckets:
            return found.st_mtime_ns
        state = f"{found.st_mtime_ns} {found.st_size} {found.st_ino}".encode()
        return int.from_bytes(blake2b(state, digest_size=8).digest(), "big") >> 1

    @contextmanager
    def _partial(self, bucket: str, path: Path, data: bytes) -> Iterator[tuple[Path, int]]:
        """Lend a finished file to be moved to ``path``, and its generation."""
        directory = self._buckets[bucket] / _PARTIAL
        with _told(path):
            directory.mkdir(parents=True, exist_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(directory, fcntl.LOCK_SH):  # against `_sweep`
                partial = directory / uuid4().hex
                try:
                    generation = time.time_ns()
                    _write(partial, data, generation)
                    yield partial, generation
                except BaseException:
                    partial.unlink(missing_ok=True)
                    raise
            _sync_directories(path.parent, self._buckets[bucket])


def _outside(bucket: str) -> Path:
    """Return the directory of a bucket that is not our own."""
    if bucket.startswith("/") and folder.fits(bucket):
        return Path(bucket)
    raise Gone(f"There is no bucket {bucket!r}; give a directory by its absolute path.")


def _to_path(name: str) -> str:
    if _PLAIN_NAME.fullmatch(name):
        return name
    text = quote(name, safe="", errors="surrogatepass")
    pieces = [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)] or [""]
    return "/".join([_ENCODED, *("+" + piece for piece in pieces[:-1]), "=" + pieces[-1]])


def _to_name(path: str) -> str:
    first, *pieces = path.split("/")
    if first != _ENCODED:
        return path
    return unquote("".join(piece[1:] for piece in pieces), errors="surrogatepass")


def _walk(root: Path, top: Path) -> Iterator[str]:
    """Yield the names below ``top``; what was not written by `Files` is passed over."""
    for at, folders, files in os.walk(top, onerror=_unless_absent):
        if Path(at) == root and _PARTIAL in folders:
            folders.remove(_PARTIAL)
        for file in files:
            path = (Path(at) / file).relative_to(root).as_posix()
            name = _to_name(path)
            if _to_path(name) == path:
                yield name


def _raised(error: OSError) -> None:
    raise error


def _unless_absent(error: OSError) -> None:
    """Let a bucket or folder that nobody made be an empty one."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _read(descriptor: int, start: int, end: int) -> bytes:
    parts = []
    while start < end:
        part = os.pread(descriptor, end - start, start)
        if not part:
            break
        parts.append(part)
        start += len(part)
    return b"".join(parts)


def _write(path: Path, data: bytes, generation: int) -> None:
    """Write a new file and put it on the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.utime(descriptor, ns=(generation, generation))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_directories(lowest: Path, highest: Path) -> None:
    """Put on the disk that a file is in its directory, and that its directory is in the bucket."""
    descriptor = os.open(lowest, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if lowest != highest:
        _sync_directories(lowest.parent, highest)


@contextmanager
def _locked(directory: Path, how: int) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _sweep(partial: Path) -> None:
    """Remove what killed writers left, unless somebody is writing now: another start will do it."""
    with suppress(OSError), _locked(partial, fcntl.LOCK_EX | fcntl.LOCK_NB):
        for left in partial.iterdir():
            left.unlink()


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTSUP, errno.EMLINK}


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn the system's errors into ours."""
    try:
        yield
    except OSError as error:
        raise _translated(error, path) from error


def _translated(error: OSError, path: Path) -> LongscribeError:
    if isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError):
        return Gone(f"{_shown(path)} is not there; check the path.")
    if error.errno in _FULL:
        return NoSpace(
            f"{_shown(path.parent)} is full; free some space there, or choose another directory, and go on."
        )
    if error.errno in _FORBIDDEN:
        return BadInput(f"{_shown(path)} cannot be used ({error.strerror}); check its rights, or choose another.")
    return Transient(f"{_shown(path)} failed ({error.strerror}); check the disk.")


def _no_file(path: Path) -> Gone:
    return Gone(f"{_shown(path)} is no plain file; give a recording.")


def _shown(path: Path) -> str:
    """Return a path fit for a terminal or a log line, whatever characters it holds."""
    return repr(str(path))
