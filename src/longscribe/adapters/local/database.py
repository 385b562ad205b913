"""One SQLite file, shared by threads and processes; every failure becomes one of ours."""

import errno
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from longscribe.errors import BadInput, Busy, NoSpace, Permanent

BUSY_SECONDS = 30.0
"""How long to wait for another process's write; each lasts a few milliseconds."""

_FULL = {"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_FSYNC"}
# A quota or a file size limit reaches SQLite as a failed write.


class Database:
    """A SQLite file with a schema.

    One connection, one user at a time: SQLite lets one writer in anyway, and threads that end leave nothing open.
    A transaction that was committed is on the disk (write-ahead log, synchronised in full).

    Raises, from every method: `Busy` when another process holds the file for `BUSY_SECONDS`, `NoSpace` when the
    disk is full, `BadInput` when the directory may not be used, `Permanent` when the file is damaged or was made by
    another version.
    """

    def __init__(self, path: Path, schema: str, version: int) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise self._translated("SQLITE_FULL") from error
            raise BadInput(
                f"{path.parent} cannot be made ({error.strerror}); choose a directory you may write to."
            ) from error
        with self._told():
            # The connection is handed from thread to thread under the lock.
            self._connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        try:
            self._prepare(schema, version)
        except BaseException:
            self.close()
            raise

    def _prepare(self, schema: str, version: int) -> None:
        with self._told():
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
        with self.write() as connection:
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            if found not in (0, version):
                raise Permanent(
                    f"{self._path} was made by another version of longscribe;"
                    f" use that version, or move {self._path.parent} away to begin afresh."
                )
            if found == 0:
                for statement in schema.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {version}")

    def close(self) -> None:
        """Close the file. Nothing else may be called afterwards."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection for a query. Take what you need before the context ends."""
        with self._lock, self._told():
            yield self._connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection for one transaction: all of it is stored, or nothing."""
        with self._lock, self._told():
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", "")
            if not name:  # a mistake of ours, not the file's state
                raise
            raise self._translated(name) from error

    def _translated(self, name: str) -> Exception:
        directory = self._path.parent
        if name in _FULL:
            return NoSpace(f"{directory} is full; free some space there, or choose another directory, and go on.")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return Busy(
                f"Another process has held {self._path} for {BUSY_SECONDS:g} s; wait for it to end, or end it."
            )
        if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
            return BadInput(f"{self._path} cannot be written; choose a directory you may write to.")
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return Permanent(f"{self._path} is damaged; move {directory} away and transcribe again.")
        return Permanent(f"{self._path} cannot be used ({name}); check the disk, then go on.")
