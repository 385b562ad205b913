"""`Jobs` on Firestore: each document whole, beside the few fields that are searched.

::

    jobs/{job_id}                     document, state, created, write, expires
    jobs/{job_id}/chunks/{000042}     document, state, write, expires
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
from google.cloud.firestore_v1.base_query import FieldFilter
from google.cloud.firestore_v1.query import Query
from msgspec.structs import replace

from longscribe.adapters.gcp.calls import RETRY, told
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
Change = Callable[[Document], Document | None]


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

    def seal(self, job_id: str, seal: Seal) -> Job:
        """Record the seal and move to *transcribing*, in one write; sealed twice is sealed once.

        A job that was ended meanwhile is returned as it is, unsealed. Raises `Gone`.
        """

        def change(job: Job) -> Job | None:
            if job.state is not JobState.CHUNKING:
                return None
            return replace(job, state=JobState.TRANSCRIBING, seal=seal)

        job, _ = self._change(self._job(job_id), Job, change)
        return job

    def move(self, job_id: str, source: JobState, target: JobState, **changes: object) -> Job | None:
        """Move from ``source`` to ``target`` and set ``changes``, in one write.

        Return the job as it then is, or None if it was not in ``source``. Raises `IllegalMove` and `Gone`.
        """
        progress.check(source, target)

        def change(job: Job) -> Job | None:
            return replace(job, state=target, **changes) if job.state is source else None

        job, changed = self._change(self._job(job_id), Job, change)
        return job if changed else None

    def create_chunk(self, chunk: Chunk) -> bool:
        """Store a new chunk; False, and no change, if there was one."""
        return self._create(self._chunk(chunk.task.job_id, chunk.task.index), self._stamped(chunk))

    def chunk(self, job_id: str, index: int) -> Chunk:
        """Return a chunk. Raises `Gone`."""
        return _decoded(self._read(self._chunk(job_id, index)), Chunk)

    def chunks(self, job_id: str, first: int = 0) -> Iterator[Chunk]:
        """Yield a job's chunks from ``first`` on, by index; writes made meanwhile may or may not be seen."""
        query = self._chunks(job_id).order_by("__name__").start_at({"__name__": self._chunk(job_id, first)})
        for page in self._pages(query):
            for found in page:
                yield _decoded(found, Chunk)

    def store_result(self, result: ChunkResult) -> bool:
        """Make the chunk *done* with this result; False, and no change, unless its current run is the result's.

        A replay overwrites an older result of the run; a chunk already given up is healed.
        """

        def change(chunk: Chunk) -> Chunk | None:
            if chunk.task.run != result.run:
                return None
            return replace(chunk, state=ChunkState.DONE, result=result, reason=None)

        return self._changed(result.job_id, result.index, change)

    def give_up(self, job_id: str, index: int, run: int, reason: str) -> bool:
        """End a pending chunk's run without a result; False, and no change, if it is not pending or in another run.

        It becomes *missing*; one that an earlier run has a result of becomes *done* with that again.
        """

        def change(chunk: Chunk) -> Chunk | None:
            if chunk.task.run != run or chunk.state is not ChunkState.PENDING:
                return None
            state = ChunkState.MISSING if chunk.result is None else ChunkState.DONE
            return replace(chunk, state=state, reason=reason)

        return self._changed(job_id, index, change)

    def requeue(self, task: ChunkTask) -> bool:
        """Make the chunk pending under ``task``, whose run must be its current one plus one; False otherwise.

        It keeps its result until it gets another.
        """

        def change(chunk: Chunk) -> Chunk | None:
            if chunk.task.run + 1 != task.run:
                return None
            return replace(chunk, task=task, state=ChunkState.PENDING, reason=None)

        return self._changed(task.job_id, task.index, change)

    def any_pending(self, job_id: str) -> bool:
        """Return whether at least one chunk is pending: a query for one name, which is one read."""
        pending = FieldFilter("state", "==", ChunkState.PENDING.value)
        query = self._chunks(job_id).where(filter=pending).select(["__name__"]).limit(1)
        return bool(self._found(query))

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

    def _changed(self, job_id: str, index: int, change: Change[Chunk]) -> bool:
        try:
            _, changed = self._change(self._chunk(job_id, index), Chunk, change)
        except Gone:
            return False
        return changed

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
    ) -> tuple[Document, bool]:
        """Change one document at one stroke; return it as it then is, and whether it was this call that changed it.

        Raises `Gone` for a document that is not there, `Busy` if others kept writing it.
        """
        write = uuid4().hex
        for _ in range(ROUNDS):
            found = self._read(reference)
            stored = _decoded(found, kind)
            if found.get("write") == write:  # the confirmation was lost, and the try after it found it done
                return stored, True
            changed = change(stored)
            if changed is None:
                return stored, False
            new = self._stamped(changed)
            unchanged = self._client.write_option(last_update_time=found.update_time)
            with self._told():
                try:
                    reference.update(self._fields(new, write), unchanged, retry=RETRY, timeout=CALL_SECONDS)
                except (FailedPrecondition, Aborted, NotFound):  # somebody else wrote or deleted it
                    continue
            return new, True
        raise Busy(f"The document {reference.path} is written by too many at once; try again.")

    def _pages(self, query: Query) -> Iterator[list[DocumentSnapshot[DocumentReference]]]:
        """Yield what ``query`` finds, a call a page; the pause between two calls may be as long as you like."""
        page = self._found(query.limit(PAGE))
        yield page
        while len(page) == PAGE:
            page = self._found(query.start_after(page[-1]).limit(PAGE))
            yield page

    def _found(self, query: Query) -> list[DocumentSnapshot[DocumentReference]]:
        with self._told():
            return list(query.stream(retry=RETRY, timeout=CALL_SECONDS))

    def _stamped(self, document: Document) -> Document:
        return replace(document, updated=self._clock.now())

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
            "write": write,
            "expires": datetime.fromtimestamp(self._clock.now() + self._keep, UTC),
        }
        if isinstance(document, Job):
            fields["created"] = document.created
        return fields

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
