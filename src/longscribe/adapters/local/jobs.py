"""`Jobs` on SQLite: each document whole, beside the few columns that are searched."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from longscribe.adapters.local.database import Database
from longscribe.core import progress
from longscribe.documents import Chunk, Job, JobState, Seal, Worker
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
    updated REAL NOT NULL,
    at_rest INTEGER NOT NULL,
    document BLOB NOT NULL
);
CREATE INDEX unfinished ON jobs (job_id) WHERE at_rest = 0;
CREATE INDEX moved ON jobs (updated);
CREATE TABLE chunks (
    job_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    state TEXT NOT NULL,
    queued REAL NOT NULL,
    updated REAL NOT NULL,
    document BLOB NOT NULL,
    PRIMARY KEY (job_id, number)
);
CREATE TABLE workers (
    name TEXT PRIMARY KEY,
    pulled REAL NOT NULL,
    document BLOB NOT NULL
);
CREATE INDEX pending ON chunks (job_id, number, state) WHERE state = 'pending';
CREATE INDEX queued ON chunks (job_id, queued);
CREATE INDEX changed ON chunks (job_id, updated)
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
                "INSERT OR IGNORE INTO jobs VALUES (?, ?, ?, ?, ?)",
                (job.job_id, job.created, job.updated, job.at_rest, _encode(job)),
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

    def unfinished(self) -> Iterator[Job]:
        """Yield the jobs that are not at rest, through an index of them alone."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT document FROM jobs WHERE at_rest = 0").fetchall()
        for (document,) in rows:
            yield _decode(document, Job)

    def last_moved(self) -> float:
        """Return when a job was last written, 0.0 where there is none."""
        with self._database.read() as connection:
            (latest,) = connection.execute("SELECT max(updated) FROM jobs").fetchone()
        return float(latest or 0.0)

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

    def amend(self, job: Job, **changes: object) -> Job | None:
        """Set ``changes`` on a job that nobody has written since ``job`` was read; None if somebody has.

        Raises `Gone`.
        """
        with self._database.write() as connection:
            if _job(connection, job.job_id) != job:
                return None
            return self._put_job(connection, replace(job, **changes))

    def create_chunk(self, chunk: Chunk) -> bool:
        """Store a new chunk; False, and no change, if there was one."""
        new = progress.created(chunk, self._clock.now())
        with self._database.write() as connection:
            return _changed(
                connection.execute(
                    "INSERT OR IGNORE INTO chunks VALUES (?, ?, ?, ?, ?, ?)",
                    (new.task.job_id, new.task.index, new.state, new.queued, new.updated, _encode(new)),
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
        return self._pages(_CHUNKS, job_id, first)

    def store_result(self, result: ChunkResult) -> Chunk | None:
        """Make the chunk *done* with this result and return it; None, and no change, if that is not for it.

        A replay overwrites an older result of the run; a chunk already given up is healed.
        """
        return self._change(result.job_id, result.index, lambda chunk, now: progress.answered(chunk, result, now))

    def give_up(self, job_id: str, index: int, run: int, reason: str) -> bool:
        """End a pending chunk's run without a result; False, and no change, if it is not pending or in another run.

        It becomes *missing*; one that an earlier run has a result of becomes *done* with that again.
        """
        changed = self._change(job_id, index, lambda chunk, now: progress.given_up(chunk, run, reason, now))
        return changed is not None

    def requeue(self, task: ChunkTask) -> bool:
        """Make the chunk pending under ``task``, whose run must be its current one plus one; False otherwise.

        It keeps its result until it gets another.
        """
        changed = self._change(task.job_id, task.index, lambda chunk, now: progress.requeued(chunk, task, now))
        return changed is not None

    def resend(self, seen: Chunk) -> bool:
        """Note that a pending chunk's message is about to be sent again; False, and no change, if that is undue."""
        task = seen.task
        changed = self._change(task.job_id, task.index, lambda chunk, now: progress.resent(chunk, seen, now))
        return changed is not None

    def any_pending(self, job_id: str) -> bool:
        """Return whether at least one chunk is pending: one look into the index of pending chunks."""
        with self._database.read() as connection:
            (found,) = connection.execute(_ANY_PENDING, (job_id,)).fetchone()
        return bool(found)

    def count_pending(self, job_id: str) -> int:
        """Return how many chunks are pending, counted in the index of pending chunks."""
        with self._database.read() as connection:
            (count,) = connection.execute(_COUNT_PENDING, (job_id,)).fetchone()
        return int(count)

    def pending(self, job_id: str) -> Iterator[Chunk]:
        """Yield the pending chunks by index; a reader may write between two of them."""
        return self._pages(_PENDING, job_id, 0)

    def last_queued(self, job_id: str) -> Chunk | None:
        """Return the chunk whose message was sent last, None where there is none."""
        return self._last(_LAST_QUEUED, job_id)

    def last_changed(self, job_id: str) -> Chunk | None:
        """Return the chunk that was written last, None where there is none."""
        return self._last(_LAST_CHANGED, job_id)

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
        connection.execute(
            "UPDATE jobs SET updated = ?, at_rest = ?, document = ? WHERE job_id = ?",
            (new.updated, new.at_rest, _encode(new), new.job_id),
        )
        return new

    def _change(self, job_id: str, index: int, change: Callable[[Chunk, float], Chunk | None]) -> Chunk | None:
        """Store what ``change`` makes of a chunk, and return it; None, and no change, where it makes nothing."""
        with self._database.write() as connection:
            chunk = _chunk(connection, job_id, index)
            new = None if chunk is None else change(chunk, self._clock.now())
            if new is not None and new is not chunk:
                connection.execute(
                    "UPDATE chunks SET state = ?, queued = ?, updated = ?, document = ?"
                    " WHERE job_id = ? AND number = ?",
                    (new.state, new.queued, new.updated, _encode(new), job_id, index),
                )
            return new

    def _pages(self, query: str, job_id: str, first: int) -> Iterator[Chunk]:
        while True:
            with self._database.read() as connection:
                rows = connection.execute(query, (job_id, first, PAGE)).fetchall()
            for (document,) in rows:
                chunk = _decode(document, Chunk)
                first = chunk.task.index + 1
                yield chunk
            if len(rows) < PAGE:
                return

    def _last(self, query: str, job_id: str) -> Chunk | None:
        with self._database.read() as connection:
            row = connection.execute(query, (job_id,)).fetchone()
        return None if row is None else _decode(row[0], Chunk)


_CHUNKS = "SELECT document FROM chunks WHERE job_id = ? AND number >= ? ORDER BY number LIMIT ?"
_PENDING = (
    "SELECT document FROM chunks INDEXED BY pending WHERE job_id = ? AND number >= ? AND state = 'pending'"
    " ORDER BY number LIMIT ?"
)
_ANY_PENDING = "SELECT EXISTS (SELECT 1 FROM chunks INDEXED BY pending WHERE job_id = ? AND state = 'pending')"
_COUNT_PENDING = "SELECT count(*) FROM chunks INDEXED BY pending WHERE job_id = ? AND state = 'pending'"
_LAST_QUEUED = "SELECT document FROM chunks WHERE job_id = ? ORDER BY queued DESC LIMIT 1"
_LAST_CHANGED = "SELECT document FROM chunks WHERE job_id = ? ORDER BY updated DESC LIMIT 1"
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
