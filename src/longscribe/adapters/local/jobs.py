"""`Jobs` on SQLite: each document whole, beside the few columns that are searched."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from longscribe.adapters.local.database import Database
from longscribe.core import progress
from longscribe.documents import Chunk, ChunkState, Job, JobState, Seal, Worker
from longscribe.errors import Gone, Permanent
from longscribe.messages import ChunkResult, ChunkTask
from longscribe.ports import Clock

PAGE = 100
"""Chunks read at a time, so that a long job is never held in memory whole."""

WORKER_SECONDS = 86_400.0
"""How long a worker that is gone is remembered."""

_SCHEMA = """
CREATE TABLE jobs (
    job_id TEXT PRIMARY KEY,
    created REAL NOT NULL,
    document BLOB NOT NULL
);
CREATE TABLE chunks (
    job_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    state TEXT NOT NULL,
    document BLOB NOT NULL,
    PRIMARY KEY (job_id, number)
);
CREATE TABLE workers (
    name TEXT PRIMARY KEY,
    pulled REAL NOT NULL,
    document BLOB NOT NULL
);
CREATE INDEX pending ON chunks (job_id) WHERE state = 'pending'
"""

Document = TypeVar("Document", Job, Chunk, Worker)


class SqliteJobs:
    """The documents of every job in one file, shared by threads and processes.

    What was written is on the disk. Each document's ``updated`` is the ``clock``'s time of its last write. Raises
    what `Database` raises.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
        self._database = Database(path, _SCHEMA, version=2)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def create_job(self, job: Job) -> Job:
        """Store a new job; return the stored one, which is the older if there was one."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO jobs VALUES (?, ?, ?)", (job.job_id, job.created, _encode(job))
            )
            return _job(connection, job.job_id)

    def job(self, job_id: str) -> Job:
        """Return a job. Raises `Gone`."""
        with self._database.read() as connection:
            return _job(connection, job_id)

    def jobs(self) -> Iterator[Job]:
        """Yield every job, the newest first."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT document FROM jobs ORDER BY created DESC, job_id").fetchall()
        for (document,) in rows:
            yield _decode(document, Job)

    def seal(self, job_id: str, seal: Seal) -> Job:
        """Record the seal and move to *transcribing*, in one transaction; sealed twice is sealed once.

        A job that was ended meanwhile is returned as it is, unsealed. Raises `Gone`.
        """
        with self._database.write() as connection:
            job = _job(connection, job_id)
            if job.state is not JobState.CHUNKING:
                return job
            return self._put_job(connection, replace(job, state=JobState.TRANSCRIBING, seal=seal))

    def move(self, job_id: str, source: JobState, target: JobState, **changes: object) -> Job | None:
        """Move from ``source`` to ``target`` and set ``changes``, in one transaction.

        Return the job as it then is, or None if it was not in ``source``. Raises `IllegalMove` and `Gone`.
        """
        progress.check(source, target)
        with self._database.write() as connection:
            job = _job(connection, job_id)
            if job.state is not source:
                return None
            return self._put_job(connection, replace(job, state=target, **changes))

    def create_chunk(self, chunk: Chunk) -> bool:
        """Store a new chunk; False, and no change, if there was one."""
        new = replace(chunk, updated=self._clock.now())
        with self._database.write() as connection:
            return _changed(
                connection.execute(
                    "INSERT OR IGNORE INTO chunks VALUES (?, ?, ?, ?)",
                    (new.task.job_id, new.task.index, new.state, _encode(new)),
                )
            )

    def chunk(self, job_id: str, index: int) -> Chunk:
        """Return a chunk. Raises `Gone`."""
        with self._database.read() as connection:
            chunk = _chunk(connection, job_id, index)
        if chunk is None:
            raise Gone(f"Job {job_id} has no chunk {index}; list its chunks to see what there is.")
        return chunk

    def chunks(self, job_id: str, first: int = 0) -> Iterator[Chunk]:
        """Yield a job's chunks from ``first`` on, by index; writes made meanwhile may or may not be seen."""
        while True:
            with self._database.read() as connection:
                rows = connection.execute(
                    "SELECT document FROM chunks WHERE job_id = ? AND number >= ? ORDER BY number LIMIT ?",
                    (job_id, first, PAGE),
                ).fetchall()
            for (document,) in rows:
                chunk = _decode(document, Chunk)
                first = chunk.task.index + 1
                yield chunk
            if len(rows) < PAGE:
                return

    def store_result(self, result: ChunkResult) -> bool:
        """Make the chunk *done* with this result; False, and no change, unless its current run is the result's.

        A replay overwrites an older result of the run; a chunk already given up is healed.
        """
        with self._database.write() as connection:
            chunk = _chunk(connection, result.job_id, result.index)
            if chunk is None or chunk.task.run != result.run:
                return False
            self._put_chunk(connection, replace(chunk, state=ChunkState.DONE, result=result, reason=None))
            return True

    def give_up(self, job_id: str, index: int, run: int, reason: str) -> bool:
        """End a pending chunk's run without a result; False, and no change, if it is not pending or in another run.

        It becomes *missing*; one that an earlier run has a result of becomes *done* with that again.
        """
        with self._database.write() as connection:
            chunk = _chunk(connection, job_id, index)
            if chunk is None or chunk.task.run != run or chunk.state is not ChunkState.PENDING:
                return False
            state = ChunkState.MISSING if chunk.result is None else ChunkState.DONE
            self._put_chunk(connection, replace(chunk, state=state, reason=reason))
            return True

    def requeue(self, task: ChunkTask) -> bool:
        """Make the chunk pending under ``task``, whose run must be its current one plus one; False otherwise.

        It keeps its result until it gets another.
        """
        with self._database.write() as connection:
            chunk = _chunk(connection, task.job_id, task.index)
            if chunk is None or chunk.task.run + 1 != task.run:
                return False
            self._put_chunk(connection, replace(chunk, task=task, state=ChunkState.PENDING, reason=None))
            return True

    def any_pending(self, job_id: str) -> bool:
        """Return whether at least one chunk is pending: one look into the index of pending chunks."""
        with self._database.read() as connection:
            (found,) = connection.execute(_ANY_PENDING, (job_id,)).fetchone()
        return bool(found)

    def delete_job(self, job_id: str) -> None:
        """Delete a job and its chunks."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM chunks WHERE job_id = ?", (job_id,))
            connection.execute("DELETE FROM jobs WHERE job_id = ?", (job_id,))

    def report(self, worker: Worker) -> None:
        """Record how a worker is, over what it reported before."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM workers WHERE pulled < ?", (self._clock.now() - WORKER_SECONDS,))
            connection.execute(
                "INSERT OR REPLACE INTO workers VALUES (?, ?, ?)", (worker.name, worker.pulled, _encode(worker))
            )

    def workers(self) -> Iterator[Worker]:
        """Yield the workers of the last day, by name."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT document FROM workers WHERE pulled >= ? ORDER BY name",
                (self._clock.now() - WORKER_SECONDS,),
            ).fetchall()
        for (document,) in rows:
            yield _decode(document, Worker)

    def _put_job(self, connection: sqlite3.Connection, job: Job) -> Job:
        new = replace(job, updated=self._clock.now())
        connection.execute("UPDATE jobs SET document = ? WHERE job_id = ?", (_encode(new), new.job_id))
        return new

    def _put_chunk(self, connection: sqlite3.Connection, chunk: Chunk) -> None:
        new = replace(chunk, updated=self._clock.now())
        connection.execute(
            "UPDATE chunks SET state = ?, document = ? WHERE job_id = ? AND number = ?",
            (new.state, _encode(new), new.task.job_id, new.task.index),
        )


_ANY_PENDING = "SELECT EXISTS (SELECT 1 FROM chunks WHERE job_id = ? AND state = 'pending')"
# The state is written out: only then does SQLite see that the index of pending chunks will do.


def _job(connection: sqlite3.Connection, job_id: str) -> Job:
    row = connection.execute("SELECT document FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
    if row is None:
        raise Gone(f"There is no job {job_id}; list the jobs to see what there is.")
    return _decode(row[0], Job)


def _chunk(connection: sqlite3.Connection, job_id: str, index: int) -> Chunk | None:
    row = connection.execute(
        "SELECT document FROM chunks WHERE job_id = ? AND number = ?", (job_id, index)
    ).fetchone()
    return None if row is None else _decode(row[0], Chunk)


def _changed(cursor: sqlite3.Cursor) -> bool:
    return cursor.rowcount > 0


def _encode(document: Job | Chunk | Worker) -> bytes:
    try:
        return msgspec.json.encode(document)
    except UnicodeEncodeError:
        # A file name that is no UTF-8 holds lone surrogates, which only the standard library can escape.
        return json.dumps(msgspec.to_builtins(document)).encode()


def _decode(data: bytes, kind: type[Document]) -> Document:
    try:
        try:
            return msgspec.json.decode(data, type=kind)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:  # lone surrogates, see `_encode`
            return msgspec.convert(json.loads(data), kind)
    except (msgspec.ValidationError, ValueError):
        raise Permanent(
            f"A stored {kind.__name__.lower()} is damaged or of another version of longscribe;"
            " move the store away to begin afresh."
        ) from None
