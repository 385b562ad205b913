"""The assembler: results in, in any order and more than once, one transcript out."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from longscribe.core import topics
from longscribe.core.settings import Settings
from longscribe.documents import ChunkState, JobState
from longscribe.errors import DecodeError
from longscribe.messages import ChunkRefused, ChunkResult, ChunkTask, Sealed, UploadEvent, decode, encode
from longscribe.ports import WindowAudio
from longscribe.stages import chunker
from longscribe.stages.assembler import GIVEN_UP, Assembled, Taken, settle, take_dead_letter, take_result
from longscribe.stages.reconciler import heal
from tests.standins import Bench, Faulty, job_id, spoken, tones, words

COUNT = 60


@pytest.fixture
def event(bench: Bench) -> UploadEvent:
    """Sixty words, cut into chunks that wait."""
    made = bench.upload(spoken(COUNT))
    chunker.chunk(made, bench.chunker())
    return made


def results(bench: Bench) -> list[bytes]:
    """Work everything off; return the messages for the assembler, the seal's first."""
    bench.work()
    return bench.drop(topics.RESULTS)


def test_the_last_result_writes_the_transcript_in_every_format(bench: Bench, event: UploadEvent) -> None:
    *first, last = results(bench)
    assert {take_result(data, bench.assembler()).what for data in first} == {Assembled.STORED}
    assert bench.job(event).state is JobState.TRANSCRIBING
    assert take_result(last, bench.assembler()).what is Assembled.WRITTEN
    job = bench.job(event)
    assert job.state is JobState.COMPLETE
    assert job.language == "en"
    assert [ref.name for ref in job.transcripts] == [
        f"{job.job_id}/transcript.{kind}" for kind in ("json", "srt", "vtt", "txt")
    ]
    assert bench.text(event) == words(COUNT)
    document = json.loads(bench.blobs.read(job.transcripts[0]))
    assert document["status"] == "complete"
    assert document["receipt"]["chunks"] == len(bench.chunks(event))


def test_only_the_formats_asked_for_are_written(bench: Bench) -> None:
    event = bench.upload(spoken(20), formats="txt")
    chunker.chunk(event, bench.chunker())
    for data in results(bench):
        take_result(data, bench.assembler())
    assert list(bench.blobs.names("transcripts")) == [f"{job_id(event)}/transcript.txt"]
    assert bench.text(event) == words(20)


@pytest.mark.parametrize("order", ["forward", "backward", "twice"])
def test_order_and_repeats_change_nothing(bench: Bench, event: UploadEvent, order: str) -> None:
    messages = results(bench)
    messages = {"forward": messages, "backward": messages[::-1], "twice": messages + messages}[order]
    outcomes = [take_result(data, bench.assembler()).what for data in messages]
    assert outcomes.count(Assembled.WRITTEN) == 1
    assert bench.text(event) == words(COUNT)


def test_results_before_the_seal_wait_for_it(bench: Bench) -> None:
    event = bench.upload(spoken(COUNT))
    seen: list[list[str]] = []

    def work_first(call: str, _: object) -> None:
        if call == "seal":
            bench.work()
            seen.append(bench.assemble())

    chunker.chunk(event, bench.chunker(jobs=Faulty(bench.jobs, work_first)))
    assert set(seen[0]) == {"stored"}
    assert not bench.jobs.any_pending(job_id(event))
    assert bench.job(event).state is JobState.TRANSCRIBING
    assert bench.assemble() == ["written"]  # the seal's own message
    assert bench.text(event) == words(COUNT)


def test_a_seal_before_the_last_result_waits_for_it(bench: Bench, event: UploadEvent) -> None:
    assert take_result(encode(Sealed(job_id(event))), bench.assembler()).what is Assembled.STORED
    assert bench.job(event).state is JobState.TRANSCRIBING


def test_a_result_of_another_run_is_dropped(bench: Bench, event: UploadEvent) -> None:
    late = results(bench)[1]
    of = bench.jobs.chunk(job_id(event), decode(late, ChunkResult).index).task
    bench.jobs.requeue(replace(of, run=2))
    assert take_result(late, bench.assembler()).what is Assembled.DROPPED
    assert bench.jobs.chunk(job_id(event), of.index).result is None


def test_a_result_under_other_settings_is_dropped(bench: Bench, event: UploadEvent) -> None:
    """A job begun afresh counts its runs from one again: the settings tell its results from the old one's."""
    late = results(bench)[1]
    bench.jobs.delete_job(job_id(event))
    chunker.chunk(replace(event, metadata={"language": "de"}), bench.chunker())
    assert take_result(late, bench.assembler()).what is Assembled.DROPPED
    assert all(chunk.state is ChunkState.PENDING for chunk in bench.chunks(event))


def test_a_refusal_under_other_settings_is_dropped(bench: Bench, event: UploadEvent) -> None:
    late = replace(decode(refusal(bench.chunks(event)[0].task), ChunkRefused), settings_hash="f" * 16)
    assert take_result(encode(late), bench.assembler()).what is Assembled.DROPPED
    assert bench.chunks(event)[0].state is ChunkState.PENDING


def test_what_was_taken_is_told_without_its_content(bench: Bench, event: UploadEvent) -> None:
    sealed, first, *_ = results(bench)
    assert take_result(sealed, bench.assembler()) == Taken(Assembled.STORED, job_id(event))
    taken = take_result(first, bench.assembler())
    assert taken == Taken(Assembled.STORED, job_id(event), decode(first, ChunkResult).index, 1)
    dead = bench.chunks(event)[1].task
    assert take_dead_letter(encode(dead), bench.assembler()) == Taken(Assembled.STORED, job_id(event), 1, 1)


def test_messages_for_a_deleted_job_are_dropped(bench: Bench, event: UploadEvent) -> None:
    task = bench.jobs.chunk(job_id(event), 0).task
    sealed, result, *_ = results(bench)
    bench.jobs.delete_job(job_id(event))
    assert take_result(result, bench.assembler()).what is Assembled.DROPPED
    assert take_result(sealed, bench.assembler()).what is Assembled.DROPPED
    assert take_dead_letter(encode(task), bench.assembler()).what is Assembled.DROPPED


def test_a_replay_overwrites_its_result_and_leaves_the_job_finished(bench: Bench, event: UploadEvent) -> None:
    messages = results(bench)
    for data in messages:
        take_result(data, bench.assembler())
    again = decode(messages[1], ChunkResult)
    again = replace(again, provenance=replace(again.provenance, worker="another"))
    assert take_result(encode(again), bench.assembler()).what is Assembled.LATE
    stored = bench.jobs.chunk(job_id(event), again.index).result
    assert stored == again
    assert bench.job(event).state is JobState.COMPLETE


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b'{"type":"ChunkTask","version":1}'])
def test_what_is_no_message_is_poison(bench: Bench, data: bytes) -> None:
    with pytest.raises(DecodeError):
        take_result(data, bench.assembler())
    with pytest.raises(DecodeError):
        take_dead_letter(data, bench.assembler())


def _without(bench: Bench, event: UploadEvent, index: int) -> None:
    for data in results(bench):
        message = data if b'"Sealed"' in data else None
        if message is None and decode(data, ChunkResult).index != index:
            take_result(data, bench.assembler())


def test_a_dead_letter_makes_its_own_stretch_missing_and_no_other(bench: Bench, event: UploadEvent) -> None:
    _without(bench, event, 2)
    of = bench.jobs.chunk(job_id(event), 2).task
    assert take_dead_letter(encode(of), bench.assembler()).what is Assembled.WRITTEN
    assert bench.job(event).state is JobState.PARTIAL
    document = json.loads(bench.blobs.read(bench.job(event).transcripts[0]))
    lost = [part for part in document["coverage"] if part["kind"] == "missing"]
    assert {part["reason"] for part in lost} == {GIVEN_UP}
    samples = bench.media.decode_chunk(bench.blobs.read(of.audio))
    unheard = {found.text.strip() for found in tones(samples)}
    assert unheard
    assert bench.text(event) == [text for text in words(COUNT) if text not in unheard]
    assert all(of.start / 16_000 <= part["start"] < part["end"] <= of.end / 16_000 for part in lost)


def refusal(of: ChunkTask) -> bytes:
    return encode(ChunkRefused(of.job_id, of.index, of.run, of.settings_hash, "it asks for another model"))


def test_a_refused_chunk_is_missing_for_its_reason(bench: Bench, event: UploadEvent) -> None:
    tasks = [chunk.task for chunk in bench.chunks(event)]
    outcomes = [take_result(refusal(of), bench.assembler()).what for of in tasks]
    assert outcomes == [Assembled.STORED] * (len(tasks) - 1) + [Assembled.WRITTEN]
    assert bench.job(event).state is JobState.PARTIAL
    assert {chunk.reason for chunk in bench.chunks(event)} == {"it asks for another model"}
    assert take_result(refusal(tasks[0]), bench.assembler()).what is Assembled.DROPPED


def test_a_refused_rerun_leaves_the_text_as_it_was(bench: Bench, event: UploadEvent) -> None:
    bench.work()
    bench.assemble()
    again = replace(bench.chunks(event)[0].task, run=2, model="other")
    assert bench.jobs.requeue(again)
    bench.jobs.move(job_id(event), JobState.COMPLETE, JobState.TRANSCRIBING)
    assert take_result(refusal(again), bench.assembler()).what is Assembled.WRITTEN
    assert bench.job(event).state is JobState.COMPLETE
    assert bench.text(event) == words(COUNT)


def test_a_dead_letter_that_comes_twice_counts_once(bench: Bench, event: UploadEvent) -> None:
    of = bench.jobs.chunk(job_id(event), 2).task
    assert take_dead_letter(encode(of), bench.assembler()).what is Assembled.STORED
    assert take_dead_letter(encode(of), bench.assembler()).what is Assembled.DROPPED
    assert bench.jobs.chunk(job_id(event), 2).state is ChunkState.MISSING


def test_a_dead_letter_of_a_message_sent_again_counts(bench: Bench, event: UploadEvent) -> None:
    of = bench.chunks(event)[1].task
    assert take_dead_letter(encode(replace(of, resent=True)), bench.assembler()).what is Assembled.STORED
    assert bench.jobs.chunk(job_id(event), 1).state is ChunkState.MISSING


def test_a_dead_letter_for_an_answered_chunk_is_dropped(bench: Bench, event: UploadEvent) -> None:
    of = bench.jobs.chunk(job_id(event), 0).task
    for data in results(bench):
        take_result(data, bench.assembler())
    assert take_dead_letter(encode(of), bench.assembler()).what is Assembled.DROPPED
    assert bench.job(event).state is JobState.COMPLETE


def test_a_dead_letter_of_a_job_begun_afresh_is_dropped(bench: Bench, event: UploadEvent) -> None:
    old = bench.jobs.chunk(job_id(event), 0).task
    bench.jobs.delete_job(job_id(event))
    bench.blobs.delete("chunks", old.audio.name)
    chunker.chunk(event, bench.chunker())
    assert take_dead_letter(encode(old), bench.assembler()).what is Assembled.DROPPED
    assert bench.jobs.chunk(job_id(event), 0).state is ChunkState.PENDING


def test_a_late_result_heals_a_chunk_that_was_given_up(bench: Bench, event: UploadEvent) -> None:
    take_dead_letter(encode(bench.jobs.chunk(job_id(event), 1).task), bench.assembler())
    for data in results(bench):
        take_result(data, bench.assembler())
    assert bench.job(event).state is JobState.COMPLETE
    assert bench.text(event) == words(COUNT)


def test_of_two_that_see_the_end_one_finishes(bench: Bench, event: UploadEvent) -> None:
    *first, last = results(bench)
    for data in first:
        take_result(data, bench.assembler())

    def overtake(call: str, args: tuple[Any, ...]) -> None:
        if call == "move" and bench.job(event).state is JobState.TRANSCRIBING:
            assert settle(job_id(event), bench.assembler()) is Assembled.WRITTEN

    ports = bench.assembler(jobs=Faulty(bench.jobs, overtake))
    assert take_result(last, ports).what is Assembled.STORED
    assert bench.job(event).state is JobState.COMPLETE
    assert bench.text(event) == words(COUNT)


@pytest.fixture
def polyglot(bench: Bench) -> UploadEvent:
    """A recording whose language nobody set, and whose third window on is heard, uncertainly, as French."""
    bench.settings = Settings(chunk_seconds=10.0)

    def hears(window: WindowAudio) -> tuple[str, float]:
        if window.language is not None:
            return window.language, 1.0
        late = any(found.text.strip() in words(12, 24) for found in tones(window.samples))
        return ("fr", 0.5) if late else ("en", 0.95)

    bench.recogniser.hears = hears
    event = bench.upload(spoken(COUNT))
    chunker.chunk(event, bench.chunker())
    return event


def test_outvoted_uncertain_chunks_are_run_again_in_the_elected_language(
    bench: Bench, polyglot: UploadEvent
) -> None:
    bench.work()
    assert bench.assemble()[-1] == "requeued"
    assert bench.job(polyglot).state is JobState.TRANSCRIBING
    pending = [chunk for chunk in bench.chunks(polyglot) if chunk.state is ChunkState.PENDING]
    assert 0 < len(pending) < len(bench.chunks(polyglot))
    assert {chunk.task.run for chunk in pending} == {2}
    pinned = {window.language for chunk in pending for window in chunk.task.windows}
    assert "en" in pinned <= {"en", None}
    assert bench.work() == len(pending)
    assert bench.assemble()[-1] == "written"
    job = bench.job(polyglot)
    assert (job.state, job.language) == (JobState.COMPLETE, "en")
    assert bench.text(polyglot) == words(COUNT)


def test_late_results_of_the_outvoted_run_are_dropped(bench: Bench, polyglot: UploadEvent) -> None:
    bench.work()
    late = bench.drop(topics.RESULTS)
    outcomes = [take_result(data, bench.assembler()).what for data in late]
    assert outcomes[-1] is Assembled.REQUEUED
    again = [decode(data, ChunkTask) for data in bench.drop(topics.CHUNKS_HIGH) + bench.drop(topics.CHUNKS_LOW)]
    outvoted = {task.index for task in again}
    for data in late[1:]:
        dropped = decode(data, ChunkResult).index in outvoted
        assert take_result(data, bench.assembler()).what is (Assembled.DROPPED if dropped else Assembled.STORED)


def test_requeued_documents_come_before_the_jobs_move_and_messages_last(
    bench: Bench, polyglot: UploadEvent
) -> None:
    steps: list[str] = []

    def note(call: str, args: tuple[Any, ...]) -> None:
        if call in ("requeue", "publish") or (call == "move" and args[2] is JobState.TRANSCRIBING):
            steps.append(call)

    bench.work()
    ports = bench.assembler(jobs=Faulty(bench.jobs, note), queue=Faulty(bench.queue, note))
    for data in bench.drop(topics.RESULTS):
        take_result(data, ports)
    count = steps.count("requeue")
    assert count
    assert steps == ["requeue"] * count + ["move"] + ["publish"] * count


def test_a_certain_minority_keeps_its_language(bench: Bench) -> None:
    bench.settings = Settings(chunk_seconds=10.0)
    french = set(words(12, 24))
    bench.recogniser.hears = lambda window: (
        ("fr", 0.9) if any(found.text.strip() in french for found in tones(window.samples)) else ("en", 0.9)
    )
    event = bench.upload(spoken(COUNT))
    chunker.chunk(event, bench.chunker())
    bench.work()
    assert bench.assemble()[-1] == "written"
    heard = {
        window.language
        for chunk in bench.chunks(event)
        for window in (chunk.result.windows if chunk.result else ())
    }
    assert heard == {"en", "fr"}
    assert bench.job(event).language == "en"


def test_a_given_language_is_not_voted_on(bench: Bench, event: UploadEvent) -> None:
    bench.recogniser.hears = lambda _: ("fr", 0.3)
    bench.work()
    assert bench.assemble()[-1] == "written"
    assert bench.job(event).language == "en"


def test_the_same_job_finished_twice_gives_the_same_bytes(bench: Bench, event: UploadEvent) -> None:
    messages = results(bench)
    for data in messages[:-1]:
        take_result(data, bench.assembler())

    class Died(Exception):
        pass

    def die(call: str, args: tuple[Any, ...]) -> None:
        if call == "move" and args[1] is JobState.SETTLING:
            raise Died

    with pytest.raises(Died):
        take_result(messages[-1], bench.assembler(jobs=Faulty(bench.jobs, die)))
    first = {
        name: bench.blobs.read(bench.blobs.stat("transcripts", name).ref)
        for name in bench.blobs.names("transcripts")
    }
    assert len(first) == 4
    job = bench.job(event)
    assert job.state is JobState.SETTLING
    assert take_result(messages[-1], bench.assembler()).what is Assembled.STORED  # another's affair: it is healed
    heal(job.job_id, bench.assembler())
    assert bench.job(event).state is JobState.COMPLETE
    assert first == {
        name: bench.blobs.read(bench.blobs.stat("transcripts", name).ref)
        for name in bench.blobs.names("transcripts")
    }


@pytest.mark.parametrize("how", ["cancelled", "deleted"])
def test_a_transcript_written_behind_the_back_of_whoever_ended_the_job_is_removed(
    bench: Bench, event: UploadEvent, how: str
) -> None:
    def end(call: str, args: tuple[Any, ...]) -> None:
        if call == "move" and args[1] is JobState.SETTLING:
            if how == "deleted":
                bench.jobs.delete_job(args[0])
            else:
                bench.jobs.move(args[0], JobState.SETTLING, JobState.CANCELLED)

    *first, last = results(bench)
    for data in first:
        take_result(data, bench.assembler())
    assert take_result(last, bench.assembler(jobs=Faulty(bench.jobs, end))).what is Assembled.DROPPED
    assert list(bench.blobs.names("transcripts")) == []


def test_a_job_finished_by_another_meanwhile_keeps_its_transcript(bench: Bench, event: UploadEvent) -> None:
    def overtake(call: str, args: tuple[Any, ...]) -> None:
        if call == "move" and args[1] is JobState.SETTLING:
            heal(args[0], bench.assembler())

    *first, last = results(bench)
    for data in first:
        take_result(data, bench.assembler())
    assert take_result(last, bench.assembler(jobs=Faulty(bench.jobs, overtake))).what is Assembled.LATE
    assert len(list(bench.blobs.names("transcripts"))) == 4


def test_a_job_that_is_deleted_while_it_is_read_is_dropped(bench: Bench, event: UploadEvent) -> None:
    def end(call: str, args: tuple[Any, ...]) -> None:
        if call == "chunks":
            bench.jobs.delete_job(args[0])

    *first, last = results(bench)
    for data in first:
        take_result(data, bench.assembler())
    assert take_result(last, bench.assembler(jobs=Faulty(bench.jobs, end))).what is Assembled.DROPPED
    assert list(bench.blobs.names("transcripts")) == []
