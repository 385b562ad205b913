"""`Jobs` on Firestore: each document whole, beside the few fields that are searched.

::

    jobs/{job_id}                     document, state, at_rest, created, updated, write, expires
    jobs/{job_id}/chunks/{000042}     document, state, queued, updated, write, expires
    workers/{name}                    document, pulled, expires

``document`` is JSON; it is to be exempt from indexing, as are ``write`` and ``expires``. ``expires`` is for a
time-to-live policy. ``write`` names the last write: a writer whose confirmation was lost finds its own again.

There is no lock and no transaction over calls. A change reads its one document and commits on the condition that
nobody wrote it since; who loses reads again. So no document is ever held, and a job's own is written only when its
state changes.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import uuid4

import msgspec
from google.api_core.exceptions import Aborted, AlreadyExists, FailedPrecondition, NotFound
from google.cloud.firestore_v1 import Client, CollectionReference, DocumentReference, DocumentSnapshot
from google.cloud.firestore_v1.aggregation import AggregationQuery
from google.cloud.firestore_v1.base_query import FieldFilter
from google.cloud.firestore_v1.query import Query
from msgspec.structs import replace

from longscribe.adapters.gcp.calls import ONCE, RETRY, told
from longscribe.core import progress
from longscribe.documents import Chunk, ChunkState, Job, JobState, Seal, Worker
from longscribe.errors import Busy, Gone, OverLimit, Permanent
from longscribe.messages import ChunkResult, ChunkTask
from longscribe.ports import Clock

PAGE = 100
"""Documents read, or deleted, in one call: a chunk's are some tens of kilobytes."""

CALL_SECONDS = 20.0
"""How long one try of a call may take."""

KEEP_SECONDS = 90 * 86_400.0
"""How long after its last write a document is kept; the transcripts themselves lie in the bucket."""

MAX_DOCUMENT_BYTES = 1_000_000
"""Firestore's bound is 1 MiB, names and the other fields included. Five minutes of fast speech with a time for each
word take a fifth of it."""

ROUNDS = 20
"""How often a change is tried against other writers. Each round that is lost was won by one of them."""

WORKER_SECONDS = 86_400.0
"""How long a worker that is gone is remembered."""

Document = TypeVar("Document", Job, Chunk)
Readable = TypeVar("Readable", Job, Chunk, Worker)
Change = Callable[[Document, float], Document | None]
"""What a document becomes at a time; itself: it stays as it is; None: it is not to be changed."""


class FirestoreJobs:
    """The documents of every job in one database.

    Each document's ``updated`` is the ``clock``'s time of its last write. Reads and writes are the fewest that the
    promises allow, and the tests count them.

    Raises `Misconfigured` where the service account may not, `OverLimit` for a document that Firestore would not
    take, `Permanent` for one that cannot be read, and `Transient` when a call failed for a minute.
    """

    def __init__(self, client: Client, clock: Clock, keep: float = KEEP_SECONDS) -> None:
        self._client = client
        self._clock = clock
        self._keep = keep

    def create_job(self, job: Job) -> Job:
        """Store a new job; return the stored one, which is the older if there was one."""
        return job if self._create(self._job(job.job_id), job) else self.job(job.job_id)

    def job(self, job_id: str) -> Job:
        """Return a job. Raises `Gone`."""
        return _decoded(self._read(self._job(job_id)), Job)

    def jobs(self) -> Iterator[Job]:
        """Yield every job, the newest first."""
        query = self._jobs().order_by("created", direction=Query.DESCENDING)
        for page in self._pages(query):
            for found in page:
                yield _decoded(found, Job)

    def unfinished(self) -> Iterator[Job]:
        """Yield the jobs that are not at rest, at one read each; the others cost nothing."""
        query = self._jobs().where(filter=FieldFilter("at_rest", "==", False)).order_by("__name__")
        for page in self._pages(query):
            for found in page:
                yield _decoded(found, Job)

    def last_moved(self) -> float:
        """Return when a job was last written, 0.0 where there is none: one read."""
        query = self._jobs().order_by("updated", direction=Query.DESCENDING).select(["updated"]).limit(1)
        return max((float(found.get("updated")) for found in self._found(query)), default=0.0)

    def seal(self, job_id: str, seal: Seal) -> Job:
        """Record the seal and move to *transcribing*, in one write; sealed twice is sealed once.

        A job that was ended meanwhile is returned as it is, unsealed. Raises `Gone`.
        """

        def change(job: Job, now: float) -> Job:
            if job.state is not JobState.CHUNKING:
                return job
            return replace(job, state=JobState.TRANSCRIBING, seal=seal, updated=now)

        sealed = self._change(self._job(job_id), Job, change)
        assert sealed is not None  # noqa: S101 -- `change` always returns a job
        return sealed

    def move(self, job_id: str, source: JobState, target: JobState, **changes: object) -> Job | None:
        """Move from ``source`` to ``target`` and set ``changes``, in one write.

        Return the job as it then is, or None if it was not in ``source``. Raises `IllegalMove` and `Gone`.
        """
        progress.check(source, target)

        def change(job: Job, now: float) -> Job | None:
            return replace(job, state=target, updated=now, **changes) if job.state is source else None

        return self._change(self._job(job_id), Job, change)

    def amend(self, job: Job, **changes: object) -> Job | None:
        """Set ``changes`` on a job that nobody has written since ``job`` was read; None if somebody has.

        Raises `Gone`.
        """

        def change(stored: Job, now: float) -> Job | None:
            return replace(stored, updated=now, **changes) if stored == job else None

        return self._change(self._job(job.job_id), Job, change)

    def create_chunk(self, chunk: Chunk) -> bool:
        """Store a new chunk; False, and no change, if there was one."""
        new = progress.created(chunk, self._clock.now())
        return self._create(self._chunk(chunk.task.job_id, chunk.task.index), new)

    def chunk(self, job_id: str, index: int) -> Chunk:
        """Return a chunk. Raises `Gone`."""
        return _decoded(self._read(self._chunk(job_id, index)), Chunk)

    def chunks(self, job_id: str, first: int = 0) -> Iterator[Chunk]:
        """Yield a job's chunks from ``first`` on, by index; writes made meanwhile may or may not be seen."""
        query = self._chunks(job_id).order_by("__name__").start_at({"__name__": self._chunk(job_id, first)})
        for page in self._pages(query):
            for found in page:
                yield _decoded(found, Chunk)

    def store_result(self, result: ChunkResult) -> Chunk | None:
        """Make the chunk *done* with this result and return it; None, and no change, if that is not for it.

        A replay overwrites an older result of the run; a chunk already given up is healed.
        """
        return self._changed(result.job_id, result.index, lambda chunk, now: progress.answered(chunk, result, now))

    def give_up(self, job_id: str, index: int, run: int, reason: str) -> bool:
        """End a pending chunk's run without a result; False, and no change, if it is not pending or in another run.

        It becomes *missing*; one that an earlier run has a result of becomes *done* with that again.
        """
        changed = self._changed(job_id, index, lambda chunk, now: progress.given_up(chunk, run, reason, now))
        return changed is not None

    def requeue(self, task: ChunkTask) -> bool:
        """Make the chunk pending under ``task``, whose run must be its current one plus one; False otherwise.

        It keeps its result until it gets another.
        """
        changed = self._changed(task.job_id, task.index, lambda chunk, now: progress.requeued(chunk, task, now))
        return changed is not None

    def resend(self, seen: Chunk) -> bool:
        """Note that a pending chunk's message is about to be sent again; False, and no change, if that is undue."""
        task = seen.task
        changed = self._changed(task.job_id, task.index, lambda chunk, now: progress.resent(chunk, seen, now))
        return changed is not None

    def any_pending(self, job_id: str) -> bool:
        """Return whether at least one chunk is pending: a query for one name, which is one read."""
        return bool(self._found(self._pending(job_id).select(["__name__"]).limit(1)))

    def count_pending(self, job_id: str) -> int:
        """Return how many chunks are pending: an aggregation, which is one read for every thousand of them."""
        with self._told():
            results: Any = AggregationQuery(self._pending(job_id)).count().get(retry=RETRY, timeout=CALL_SECONDS)
        return int(results[0][0].value)

    def pending(self, job_id: str) -> Iterator[Chunk]:
        """Yield the pending chunks by index, at one read each; a reader may write between two of them."""
        for page in self._pages(self._pending(job_id).order_by("__name__")):
            for found in page:
                yield _decoded(found, Chunk)

    def last_queued(self, job_id: str) -> Chunk | None:
        """Return the chunk whose message was sent last, None where there is none: one read."""
        return self._last(job_id, "queued")

    def last_changed(self, job_id: str) -> Chunk | None:
        """Return the chunk that was written last, None where there is none: one read."""
        return self._last(job_id, "updated")

    def delete_job(self, job_id: str) -> None:
        """Delete a job and its chunks: the job last, so that what was cut short can be done again."""
        for page in self._pages(self._chunks(job_id).order_by("__name__").select(["__name__"])):
            batch = self._client.batch()
            for found in page:
                batch.delete(found.reference)
            with self._told():
                batch.commit(retry=RETRY, timeout=CALL_SECONDS)
        with self._told():
            self._job(job_id).delete(retry=RETRY, timeout=CALL_SECONDS)

    def report(self, worker: Worker) -> None:
        """Record how a worker is, over what it reported before: one write."""
        fields = {
            "document": msgspec.json.encode(worker).decode(),
            "pulled": worker.pulled,
            "expires": datetime.fromtimestamp(worker.pulled + WORKER_SECONDS, UTC),
        }
        with self._told():
            self._client.document("workers", worker.name).set(fields, retry=RETRY, timeout=CALL_SECONDS)

    def workers(self) -> Iterator[Worker]:
        """Yield the workers of the last day, by name."""
        recent = FieldFilter("pulled", ">=", self._clock.now() - WORKER_SECONDS)
        found = self._found(self._client.collection("workers").where(filter=recent))
        yield from sorted((_decoded(one, Worker) for one in found), key=lambda worker: worker.name)

    def _jobs(self) -> CollectionReference:
        return self._client.collection("jobs")

    def _job(self, job_id: str) -> DocumentReference:
        return self._client.document("jobs", job_id)

    def _chunks(self, job_id: str) -> CollectionReference:
        return self._client.collection("jobs", job_id, "chunks")

    def _chunk(self, job_id: str, index: int) -> DocumentReference:
        return self._client.document("jobs", job_id, "chunks", f"{index:06d}")

    def _pending(self, job_id: str) -> Query:
        return self._chunks(job_id).where(filter=FieldFilter("state", "==", ChunkState.PENDING.value))

    def _last(self, job_id: str, field: str) -> Chunk | None:
        query = self._chunks(job_id).order_by(field, direction=Query.DESCENDING).limit(1)
        return next((_decoded(found, Chunk) for found in self._found(query)), None)

    def _changed(self, job_id: str, index: int, change: Change[Chunk]) -> Chunk | None:
        try:
            return self._change(self._chunk(job_id, index), Chunk, change)
        except Gone:
            return None

    def _create(self, reference: DocumentReference, document: Job | Chunk) -> bool:
        with self._told():
            try:
                reference.create(self._fields(document, uuid4().hex), retry=RETRY, timeout=CALL_SECONDS)
            except AlreadyExists:
                return False
        return True

    def _read(self, reference: DocumentReference) -> DocumentSnapshot[DocumentReference]:
        with self._told():
            found = reference.get(retry=RETRY, timeout=CALL_SECONDS)
        if not found.exists:
            raise Gone(f"There is no document {reference.path}; list the jobs to see what there is.")
        return found

    def _change(
        self, reference: DocumentReference, kind: type[Document], change: Change[Document]
    ) -> Document | None:
        """Store what ``change`` makes of a document, at one stroke, and return it.

        None, and no write, where it makes nothing; no write either where it gives the document back. Raises `Gone`
        for a document that is not there, `Busy` if others kept writing it.
        """
        write = uuid4().hex
        for _ in range(ROUNDS):
            found = self._read(reference)
            stored = _decoded(found, kind)
            if found.get("write") == write:  # the confirmation was lost, and the try after it found it done
                return stored
            new = change(stored, self._clock.now())
            if new is None or new is stored:
                return new
            unchanged = self._client.write_option(last_update_time=found.update_time)
            with self._told():
                try:
                    reference.update(self._fields(new, write), unchanged, retry=RETRY, timeout=CALL_SECONDS)
                except (FailedPrecondition, Aborted, NotFound):  # somebody else wrote or deleted it
                    continue
            return new
        raise Busy(f"The document {reference.path} is written by too many at once; try again.")

    def _pages(self, query: Query) -> Iterator[list[DocumentSnapshot[DocumentReference]]]:
        """Yield what ``query`` finds, a call a page; the pause between two calls may be as long as you like."""
        page = self._found(query.limit(PAGE))
        yield page
        while len(page) == PAGE:
            page = self._found(query.start_after(page[-1]).limit(PAGE))
            yield page

    def _found(self, query: Query) -> list[DocumentSnapshot[DocumentReference]]:
        # Tried again as a whole: the client's own way to go on fails where nothing came before the break.
        with self._told():
            return RETRY(lambda: list(query.stream(retry=ONCE, timeout=CALL_SECONDS)))()

    def _fields(self, document: Job | Chunk, write: str) -> dict[str, Any]:
        text = msgspec.json.encode(document)
        if len(text) > MAX_DOCUMENT_BYTES:
            raise OverLimit(
                f"A document of {len(text):,} bytes is over the limit of {MAX_DOCUMENT_BYTES:,};"
                " choose a shorter chunk length."
            )
        fields: dict[str, Any] = {
            "document": text.decode(),
            "state": document.state.value,
            "updated": document.updated,
            "write": write,
            "expires": datetime.fromtimestamp(self._clock.now() + self._keep, UTC),
        }
        if isinstance(document, Job):
            return {**fields, "created": document.created, "at_rest": document.at_rest}
        return {**fields, "queued": document.queued}

    def _told(self) -> AbstractContextManager[None]:
        return told(f"Firestore in project {self._client.project!r}", "roles/datastore.user")


def _decoded(found: DocumentSnapshot[DocumentReference], kind: type[Readable]) -> Readable:
    try:
        return msgspec.json.decode(found.get("document"), type=kind)
    except (KeyError, TypeError, msgspec.DecodeError):
        raise Permanent(
            f"The document {found.reference.path} is damaged or of another version of longscribe;"
            " delete the job, or deploy that version."
        ) from None
