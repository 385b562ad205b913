"""What a job used, told from its documents, and what that cost."""

from collections import defaultdict
from collections.abc import Sequence

from longscribe.core.costing import Prices, StoreOperations, cost
from longscribe.core.limits import GRID, SAMPLE_RATE
from longscribe.core.transcript import Receipt
from longscribe.documents import Chunk, Job
from longscribe.messages import ChunkResult, ChunkTask, encode

READ_BYTES = 2 * 2**20
"""The chunker reads a recording in blocks of this (``adapters/media/read_ahead.py``)."""

BEGINNING = StoreOperations(document_writes=2, document_reads=5, messages=1, storage_reads=1)
"""Creating the job, looking for older chunks, its state after the cutting, the seal and its message, which makes
the assembler look; the recording's first, smaller block."""

CUT = StoreOperations(storage_writes=1, document_writes=1)
"""A chunk's audio and its document."""

RUN = StoreOperations(messages=2, document_reads=3, document_writes=1)
"""A run of a chunk: its task and its result, which is stored, and makes the assembler look for pending ones."""

DELIVERY = StoreOperations(storage_reads=1, document_reads=2)
"""A delivery to a worker: the job, the chunk, the audio."""

ENDING = StoreOperations(document_reads=2, document_writes=2)
"""The moves to *settling* and to the end; the chunks and the transcript's files come on top."""


def operations(
    *, seconds: float, recording_bytes: int, chunks: int, runs: int, deliveries: int, formats: int
) -> StoreOperations:
    """Return the calls that a job takes, as ``tests/unit/test_receipts.py`` counts them.

    ``seconds``: of the recording. ``runs``: of all its chunks together, as ``deliveries`` are. The reconciler's
    looks, a few each minute for all jobs together, are not in it.
    """
    looks = -(-round(seconds * SAMPLE_RATE) // GRID)  # at the job's state, one for each decoded stretch
    blocks = recording_bytes // READ_BYTES
    once = StoreOperations(document_reads=looks + chunks, storage_reads=blocks, storage_writes=formats)
    return BEGINNING + ENDING + once + CUT * chunks + RUN * runs + DELIVERY * deliveries


def receipt(job: Job, chunks: Sequence[Chunk], prices: Prices | None) -> Receipt:
    """Return what a sealed job used so far; without ``prices`` it cost nothing.

    An attempt that was lost left no trace of its length: it is taken to be as long as the one that counted.
    """
    made = [(chunk, chunk.result.provenance) for chunk in chunks if chunk.result is not None]
    seal = job.seal
    seconds = 0.0 if seal is None else seal.samples / SAMPLE_RATE
    held: defaultdict[str, float] = defaultdict(float)
    retried = sum((chunk.redone_seconds for chunk in chunks), 0.0)
    for chunk, by in made:
        lost = (by.attempt - 1) * by.device_seconds
        retried += lost
        held[by.machine] += by.device_seconds + by.idle_seconds + lost + chunk.redone_seconds
    attempts = sum(by.attempt for _, by in made)
    again = sum(max(0, chunk.task.run - 1) for chunk in chunks)
    sent = len(chunks) + again
    calls = operations(
        seconds=seconds,
        recording_bytes=job.size,
        chunks=len(chunks),
        runs=sent,
        deliveries=max(sent, attempts + again),
        formats=len(job.settings.formats),
    )
    message_bytes = sum(_message_bytes(chunk) for chunk in chunks)
    cutting = job.chunker_seconds if seal is None else seal.chunker_seconds
    return Receipt(
        device_seconds=round(sum(by.device_seconds for _, by in made), 3),
        idle_seconds=round(sum(by.idle_seconds for _, by in made), 3),
        retried_seconds=round(retried, 3),
        chunker_seconds=round(cutting, 3),
        recording_bytes=job.size,
        chunk_bytes=sum(chunk.audio_bytes for chunk in chunks),
        message_bytes=message_bytes,
        operations=calls,
        machines=tuple(sorted({by.machine for _, by in made if by.machine})),
        chunks=len(chunks),
        attempts=attempts,
        retried=sum(by.attempt > 1 for _, by in made),
        cost=None if prices is None else cost(held, cutting, calls, message_bytes, prices),
    )


def _message_bytes(chunk: Chunk) -> int:
    runs = max(1, chunk.task.run)
    return runs * (_size(chunk.task) + (0 if chunk.result is None else _size(chunk.result)))


def _size(message: ChunkTask | ChunkResult) -> int:
    try:
        return len(encode(message))
    except UnicodeEncodeError:  # lone surrogates: it was never sent
        return 0
