"""A folder of uploads: which files are recordings, when one has arrived, and what its transcripts are called."""

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar

import msgspec

from longscribe.core.limits import MAX_NAME_BYTES
from longscribe.errors import BadInput, OverLimit

SIDECAR = ".settings.json"
"""After a recording's name: the file that holds its settings."""

COMPLAINT = ".error.txt"
"""After a recording's name: the file that says why it was refused."""

MAX_SIDECAR_BYTES = 65_536

_PART_BYTES = 255 - len(SIDECAR)
# File systems take 255 bytes for one part of a path, and each name must bear the longest of our endings.

_UNFINISHED = (
    ".part",  # Firefox, KDE
    ".partial",
    ".crdownload",  # Chrome
    ".download",  # Safari
    ".opdownload",  # Opera
    ".filepart",  # WinSCP
    ".aria2",
    ".!qb",  # qBittorrent
    ".!ut",
    ".tmp",
    ".temp",
    "~",
)
"""How names end while something writes the file, in lower case."""

_CLUTTER = ("thumbs.db", "desktop.ini")


def is_recording(name: str) -> bool:
    """Return whether a file of this name is to be transcribed: no hidden, unfinished or accompanying one is."""
    if name.endswith((SIDECAR, COMPLAINT)):
        return False
    return not any(
        part.startswith((".", "~")) or part.endswith(_UNFINISHED) or part in _CLUTTER
        for part in name.lower().split("/")
    )


def check_name(name: str) -> None:
    """Raise `OverLimit` for a name that leaves no room for the names beside it."""
    longest = max(len(part.encode("utf-8", "surrogateescape")) for part in name.split("/"))
    if longest > _PART_BYTES or len(name.encode("utf-8", "surrogateescape")) > MAX_NAME_BYTES - len(SIDECAR):
        raise OverLimit(f"The recording's name is too long; give it one of at most {_PART_BYTES} bytes.")


def read_sidecar(data: bytes) -> dict[str, str]:
    """Return a sidecar's settings as they came, unchecked. Raises `BadInput`."""
    try:
        if len(data) <= MAX_SIDECAR_BYTES:
            return msgspec.json.decode(data, type=dict[str, str])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass
    raise BadInput(
        f"The settings in the file *{SIDECAR} cannot be read;"
        ' write one JSON object whose values are all strings, such as {"language": "en"}.'
    )


def stem(name: str) -> str:
    """Return the name without its last ending."""
    return posixpath.splitext(name)[0]


def bases(name: str, first: bool) -> Iterator[str]:
    """Yield what a recording's transcripts may be called, without their endings, the best first.

    ``interviews/a.m4a`` gives ``interviews/a`` if it is the ``first`` recording of that stem, then
    ``interviews/a.m4a``, then numbered ones, which only a name made to collide needs.
    """
    if first:
        yield stem(name)
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1


MarkT = TypeVar("MarkT")


class Arrivals(Generic[MarkT]):
    """Tells how long each file has been as it is. A mark is anything that changes with a file's content."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[MarkT, float]] = {}
        self._passed: dict[str, MarkT] = {}

    def look(self, files: Iterable[tuple[str, MarkT]], now: float) -> Mapping[str, tuple[MarkT, float]]:
        """Return the mark of each file that was not passed yet, and since when it has had it.

        ``files`` are all there are, ``now`` is seconds of a clock that only runs forward.
        """
        before, self._seen = self._seen, {}
        passed, self._passed = self._passed, {}
        for name, found in files:
            if passed.get(name) == found:
                self._passed[name] = found
                continue
            known = before.get(name)
            self._seen[name] = known if known is not None and known[0] == found else (found, now)
        return self._seen

    def passed(self, name: str, mark: MarkT) -> None:
        """Leave this file out from now on, unless its mark changes."""
        self._passed[name] = mark
