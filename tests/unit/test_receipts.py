"""Receipts: the seconds and bytes of jobs worked by hand, and the calls as a real job makes them."""

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from longscribe.adapters.media.read_ahead import BLOCK_BYTES
from longscribe.core import receipts
from longscribe.core.costing import CostLine, StoreOperations
from longscribe.core.limits import JOB_SECONDS, SAMPLE_RATE
from longscribe.core.progress import answered, requeued
from longscribe.core.receipts import operations, receipt
from longscribe.core.transcript import Receipt
from longscribe.documents import Chunk, ChunkState, Job, JobState
from longscribe.errors import BadInput
from longscribe.messages import ChunkResult, Span, Window, encode
from longscribe.operating import accounts, ending
from longscribe.stages import assembler, chunker
from longscribe.stages.reconciler import reconcile
from longscribe.stages.worker import conclude, prepare
from tests.operations import operations as operations_of
from tests.standins import Bench, spoken
from tests.unit.builders import done, heard, job, task
from tests.unit.test_costing import PRICES

S = SAMPLE_RATE


def chunk(index: int, seconds: float, attempt: int = 1, idle: float = 0.0, machine: str = "small") -> Chunk:
    window = Window(index * 10 * S, (index + 1) * 10 * S, (Span(index * 10 * S, (index + 1) * 10 * S),))
    made = done(task(index, window.start, window.end, [window], run=1), [heard(())])
    by = msgspec.structs.replace(
        made.result.provenance, device_seconds=seconds, attempt=attempt, idle_seconds=idle, machine=machine
    )
    result = msgspec.structs.replace(made.result, provenance=by)
    return msgspec.structs.replace(made, result=result, audio_bytes=1_000)


def cut(chunks: int, took: float) -> Job:
    return job(chunks * 10 * S, chunks, chunker_seconds=took)


def test_a_job_worked_by_hand() -> None:
    chunks = [chunk(0, 100.0, idle=20.0), chunk(1, 40.0, attempt=3)]
    made = receipt(cut(2, 50.0), chunks, PRICES)
    assert made.device_seconds == 140.0
    assert made.idle_seconds == 20.0
    assert made.retried_seconds == 80.0  # two attempts before the one that counted, as long as it
    assert (made.chunker_seconds, made.recording_bytes, made.chunk_bytes) == (50.0, 1_000, 2_000)
    assert made.message_bytes == sum(len(encode(one.task)) + len(encode(one.result)) for one in chunks)
    assert (made.chunks, made.attempts, made.retried, made.machines) == (2, 4, 1, ("small",))
    assert made.operations == operations(
        seconds=20.0, recording_bytes=1_000, chunks=2, runs=2, deliveries=4, formats=4
    )
    # 240 s of an instance at 0.46 to 0.56 an hour, and 50 s of two processors and 2 GiB
    assert made.cost is not None
    assert made.cost.lines[:2] == (CostLine("GPU instances", 0.030667, 0.037333), CostLine("chunker", 0.15, 0.15))
    assert made.cost.high == pytest.approx(sum(line.high for line in made.cost.lines), abs=1e-5)


def test_ones_own_machine_costs_nothing() -> None:
    made = receipt(cut(1, 1.0), [chunk(0, 5.0, machine="")], None)
    assert made.cost is None
    assert made.machines == ()


def test_a_job_that_is_still_cut_has_a_receipt_so_far() -> None:
    cutting = msgspec.structs.replace(cut(1, 9.0), seal=None, chunker_seconds=480.0, state=JobState.CHUNKING)
    waiting = msgspec.structs.replace(chunk(0, 5.0), state=ChunkState.PENDING, result=None)
    made = receipt(cutting, [waiting], None)
    assert (made.chunker_seconds, made.device_seconds, made.attempts, made.chunks) == (480.0, 0.0, 0, 1)
    assert made.message_bytes == len(encode(waiting.task))


def test_a_result_that_another_replaced_is_paid_for_too() -> None:
    first = chunk(0, 5.0)
    again = requeued(first, msgspec.structs.replace(first.task, run=2), 1.0)
    later = msgspec.structs.replace(first.result, run=2)
    redone = answered(again, later, 2.0)
    assert redone.redone_seconds == 5.0
    assert answered(redone, later, 3.0) is redone  # the same result again changes nothing
    made = receipt(cut(1, 1.0), [redone], PRICES)
    assert (made.device_seconds, made.retried_seconds, made.operations.messages) == (5.0, 5.0, 1 + 2 * 2)
    assert made.cost.lines[0].low == pytest.approx(10 * 0.46 / 3600, abs=1e-6)


class Counting:
    """A port whose calls are counted as Google bills them."""

    def __init__(self, port: object, calls: Counter[str], costs: dict[str, tuple[str, ...]]) -> None:
        self._port, self._calls, self._costs = port, calls, costs

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)

        def counted(*args: Any, **named: Any) -> Any:
            self._calls.update(self._costs.get(name, ()))
            found = call(*args, **named)
            if name == "chunks":
                found = list(found)
                self._calls["document_reads"] += max(1, len(found))
                return iter(found)
            return found

        return counted


READ, WRITE = "document_reads", "document_writes"
JOBS = {
    "create_job": (WRITE,),
    "job": (READ,),
    "chunk": (READ,),
    "any_pending": (READ,),
    "create_chunk": (WRITE,),
    "seal": (READ, WRITE),
    "move": (READ, WRITE),
    "store_result": (READ, WRITE),
}
"""What `tests/cloud/test_firestore.py` counts on the wire."""
BLOBS = {"create": ("storage_writes",), "replace": ("storage_writes",), "read": ("storage_reads",)}
QUEUE = {"publish": ("messages",)}


def test_the_calls_are_those_that_a_job_makes(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    calls: Counter[str] = Counter()
    bench.jobs = Counting(bench.jobs, calls, JOBS)
    bench.queue = Counting(bench.queue, calls, QUEUE)
    samples = spoken(400)
    event = bench.upload(samples)
    bench.blobs = Counting(bench.blobs, calls, BLOBS)
    assert chunker.chunk(event, bench.chunker()) is chunker.Chunked.SEALED
    bench.work()
    bench.assemble()
    told = bench.job(event).receipt
    calls["document_reads"] -= 1  # that look was ours
    assert told is not None
    assert bench.job(event).state is JobState.COMPLETE
    calls["document_reads"] -= 1
    counted = StoreOperations(**calls)
    chunks = told.chunks
    assert chunks > 10
    assert told.cost is None
    stretches = -(-len(samples) // (120 * S))
    assert told.operations.storage_reads == chunks + 1 + event.size // BLOCK_BYTES
    assert counted.storage_reads == chunks + stretches + 1  # this test's media reads stretch by stretch
    assert told.operations.messages == counted.messages
    assert told.operations.storage_writes == counted.storage_writes
    assert told.operations.document_writes == counted.document_writes
    # While it is cut no result makes the assembler look; here all come after.
    assert told.operations.document_reads == counted.document_reads


def test_a_receipt_is_stored_at_the_prices_of_the_day(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    event = bench.upload(spoken(60))
    chunker.chunk(event, bench.chunker())
    bench.work()
    bench.assemble()
    assert bench.job(event).receipt.cost is None
    assembler.settle_again(bench.job(event), bench.assembler(prices=PRICES))
    ended = bench.job(event)
    assert ended.receipt == receipt(ended, bench.chunks(event), PRICES)
    assert ended.receipt.cost.high > ended.receipt.cost.low > 0
    told = accounts.account(ended, operations_of(bench))
    assert (told.stored, told.receipt) == (True, ended.receipt)
    older = msgspec.structs.replace(ended, receipt=None)
    assert accounts.account(older, operations_of(bench)).receipt.cost is None


def test_a_job_that_fails_while_it_is_cut_keeps_what_it_used(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    event = bench.upload(spoken(400))
    ports = bench.chunker(media=Slow(bench, 30.0, breaks_at=2), prices=PRICES)
    assert chunker.chunk(event, ports) is chunker.Chunked.REFUSED
    failed, chunks = bench.job(event), bench.chunks(event)
    assert len(chunks) > 1
    assert failed.receipt == receipt(failed, chunks, PRICES)
    assert failed.receipt.chunker_seconds == failed.chunker_seconds == 60.0
    told = accounts.account(failed, operations_of(bench))
    assert (told.stored, told.receipt) == (True, failed.receipt)


def test_a_job_that_is_cancelled_keeps_what_it_used(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    event = bench.upload(spoken(200))
    chunker.chunk(event, bench.chunker())
    bench.work(limit=2)
    bench.assemble()
    before = receipt(bench.job(event), bench.chunks(event), PRICES)
    ending.cancel(bench.job(event), dataclasses.replace(operations_of(bench), prices=PRICES))
    assert before.device_seconds > 0
    assert bench.job(event).receipt == before


def test_a_job_that_runs_out_of_time_keeps_what_it_used(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    event = bench.upload(spoken(400))
    ports = bench.chunker(media=Slow(bench, 30.0))
    assert chunker.chunk(event, ports, until=bench.clock.now() + 40) is chunker.Chunked.UNFINISHED
    bench.clock.sleep(JOB_SECONDS)
    reconcile(bench.reconciler(assembler=bench.assembler(prices=PRICES)), bench.clock.now())
    failed = bench.job(event)
    assert failed.state is JobState.FAILED
    assert failed.receipt == receipt(failed, bench.chunks(event), PRICES)
    assert failed.receipt.chunker_seconds == 60.0


def test_a_job_that_was_refused_at_once_has_none_stored(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    event = bench.upload(spoken(10), language="klingon")
    chunker.chunk(event, bench.chunker())
    told = accounts.account(bench.job(event), operations_of(bench))
    assert (told.state, told.stored, told.receipt.chunks) == (JobState.FAILED, False, 0)


def test_while_a_job_runs_again_its_old_receipt_is_not_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    event = bench.upload(spoken(60))
    chunker.chunk(event, bench.chunker())
    bench.work()
    bench.assemble()
    bench.jobs.move(bench.job(event).job_id, JobState.COMPLETE, JobState.TRANSCRIBING)
    assert not accounts.account(bench.job(event), operations_of(bench)).stored


def test_blocks_are_as_long_as_the_decoder_reads_them() -> None:
    assert receipts.READ_BYTES == BLOCK_BYTES


def test_the_time_of_a_chunker_that_was_stopped_counts(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    event = bench.upload(spoken(400))
    ports = bench.chunker(media=Slow(bench, 30.0))
    began = bench.clock.now()
    assert chunker.chunk(event, ports, until=began + 20) is chunker.Chunked.UNFINISHED
    assert bench.job(event).chunker_seconds == bench.clock.now() - began >= 30.0
    bench.clock.sleep(1_000.0)  # until the event comes again
    assert chunker.chunk(event, ports) is chunker.Chunked.SEALED
    assert bench.job(event).seal.chunker_seconds == bench.clock.now() - began - 1_000.0


class Slow:
    """Media that takes its time over each stretch, and may find one to be no audio."""

    def __init__(self, bench: Bench, seconds: float, breaks_at: int | None = None) -> None:
        self._bench, self._seconds, self._media = bench, seconds, bench.media
        self._breaks_at = breaks_at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._media, name)

    def decode(self, read: Any, size: int, start: int = 0) -> Any:
        return _slowly(self._media.decode(read, size, start), self._bench, self._seconds, self._breaks_at)


class _slowly:  # noqa: N801 -- a context manager
    def __init__(self, inner: Any, bench: Bench, seconds: float, breaks_at: int | None) -> None:
        self._inner, self._bench, self._seconds, self._breaks_at = inner, bench, seconds, breaks_at

    def __enter__(self) -> Any:
        return self._each(self._inner.__enter__())

    def _each(self, stretches: Any) -> Any:
        for number, stretch in enumerate(stretches):
            if number == self._breaks_at:
                raise BadInput("It is no audio; give a recording.")
            self._bench.clock.sleep(self._seconds)
            yield stretch

    def __exit__(self, *error: Any) -> Any:
        return self._inner.__exit__(*error)


def test_older_documents_are_read_with_what_they_lack_as_nothing() -> None:
    old = msgspec.to_builtins(cut(1, 5.0))
    del old["receipt"], old["chunker_seconds"], old["seal"]["chunker_seconds"]
    assert msgspec.convert(old, Job).seal.chunker_seconds == 0.0
    result = msgspec.to_builtins(chunk(0, 5.0).result)
    del result["provenance"]["machine"], result["provenance"]["idle_seconds"]
    assert msgspec.convert(result, ChunkResult).provenance.machine == ""
    told = {"device_seconds": 1.5, "chunks": 2, "attempts": 1, "retried": 0}
    assert msgspec.convert(told, Receipt).cost is None


def test_an_answer_carries_the_machine_and_the_idle_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    event = bench.upload(spoken(20))
    chunker.chunk(event, bench.chunker())
    (held,) = bench.queue.pull("longscribe-chunks-high", 1)
    ports = bench.worker(machine="t4")
    ready = prepare(held.data, ports)
    result = conclude(ready, bench.recogniser.recognise(ready.windows), 2.0, 1, ports, 0.75)
    assert (result.provenance.machine, result.provenance.idle_seconds) == ("t4", 0.75)
