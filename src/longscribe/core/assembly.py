"""A job and its chunks into the transcript."""

from collections.abc import Iterable

from longscribe.core.costing import Prices
from longscribe.core.coverage import coverage, in_seconds
from longscribe.core.merging import merge
from longscribe.core.passages import passages
from longscribe.core.receipts import receipt
from longscribe.core.rendering import paragraphs
from longscribe.core.segmenting import segments
from longscribe.core.transcript import (
    ChunkRecord,
    Kind,
    Provenance,
    Recording,
    Status,
    Transcript,
    seconds,
)
from longscribe.documents import Chunk, Job
from longscribe.errors import Transient
from longscribe.messages import ChunkResult


def assemble(job: Job, chunks: Iterable[Chunk], language: str | None, prices: Prices | None = None) -> Transcript:
    """Return the transcript of a sealed job none of whose chunks is pending, its ``language`` settled.

    ``chunks`` are all of the job's, each once; without ``prices`` nothing was paid for. Raises
    `Transient` if the job is not sealed or a chunk is pending, `Permanent` if they do not cover the recording.
    """
    if job.seal is None:
        raise Transient("The job is not sealed yet; ask again when its chunking has ended.")
    chunks = sorted(chunks, key=lambda chunk: chunk.task.index)
    tiles = coverage(chunks, job.seal)
    spoken = tuple(segments(merge(chunks)))
    results = [chunk.result for chunk in chunks if chunk.result is not None]
    return Transcript(
        job_id=job.job_id,
        recording=Recording(_readable(job.recording.bucket), _readable(job.recording.name)),
        duration=seconds(job.seal.samples),
        language=language,
        status=Status.PARTIAL if any(tile.kind is Kind.MISSING for tile in tiles) else Status.COMPLETE,
        settings=job.settings,
        unused_vocabulary=_unused(job, results),
        text="\n".join(paragraphs(spoken, language)),
        segments=spoken,
        coverage=in_seconds(tiles),
        passages=passages(chunks, job.seal),
        provenance=_provenance(results),
        receipt=receipt(job, chunks, prices),
    )


def _unused(job: Job, results: list[ChunkResult]) -> tuple[str, ...]:
    unused = max((window.unused_terms for result in results for window in result.windows), default=0)
    terms = job.settings.vocabulary
    return terms[len(terms) - unused :]


def _readable(name: str) -> str:
    """Return a name without the lone surrogates that stand for bytes which are no text: no file could hold them."""
    return name.encode("utf-8", "replace").decode()


def _provenance(results: list[ChunkResult]) -> Provenance:
    made = [result.provenance for result in results]
    return Provenance(
        versions=tuple(sorted({by.version for by in made})),
        models=tuple(sorted({by.model for by in made})),
        compute_types=tuple(sorted({by.compute_type for by in made})),
        devices=tuple(sorted({by.device for by in made})),
        chunks=tuple(
            ChunkRecord(result.index, result.run, by.attempt, by.worker, round(by.device_seconds, 3))
            for result, by in zip(results, made, strict=True)
        ),
    )
