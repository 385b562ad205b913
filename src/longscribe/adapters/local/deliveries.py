"""What a served folder must remember: whose each transcript's name is, and which ends of jobs were told."""

import os
from collections.abc import Iterable
from pathlib import Path

from longscribe.adapters.local.database import Database

_SCHEMA = """
CREATE TABLE names (
    recording BLOB PRIMARY KEY,
    base BLOB NOT NULL UNIQUE
);
CREATE TABLE told (
    job_id TEXT PRIMARY KEY,
    updated REAL NOT NULL
)
"""


class Deliveries:
    """One SQLite file; what was written is on the disk. Raises what `Database` raises."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _SCHEMA, version=1)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def claim(self, recording: str, bases: Iterable[str]) -> str:
        """Return what the recording's transcripts are called: the same for ever, and no other recording's.

        Of ``bases`` the first that nobody has, unless the recording has one already.
        """
        name = os.fsencode(recording)  # a file name need not be text
        with self._database.write() as connection:
            row = connection.execute("SELECT base FROM names WHERE recording = ?", (name,)).fetchone()
            if row is not None:
                return os.fsdecode(row[0])
            for base in bases:
                taken = connection.execute("SELECT 1 FROM names WHERE base = ?", (os.fsencode(base),)).fetchone()
                if taken is None:
                    connection.execute("INSERT INTO names VALUES (?, ?)", (name, os.fsencode(base)))
                    return base
        raise ValueError("every name is taken")

    def base(self, recording: str) -> str | None:
        """Return what the recording's transcripts are called; None if none were put down yet."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT base FROM names WHERE recording = ?", (os.fsencode(recording),)
            ).fetchone()
        return None if row is None else os.fsdecode(row[0])

    def told(self) -> dict[str, float]:
        """Return, for each job whose end was told, when the job had last been changed then."""
        with self._database.read() as connection:
            return dict(connection.execute("SELECT job_id, updated FROM told").fetchall())

    def tell(self, job_id: str, updated: float) -> None:
        """Remember that the end of a job, as it stood at ``updated``, was told and its transcript delivered."""
        with self._database.write() as connection:
            connection.execute("INSERT OR REPLACE INTO told VALUES (?, ?)", (job_id, updated))
