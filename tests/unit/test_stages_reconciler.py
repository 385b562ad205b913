"""The reconciler: every step that a crash can lose is made up for, and a job that is well is left alone."""

from typing import Any

import pytest
from msgspec.structs import replace

from longscribe.core import topics
from longscribe.core.settings import Settings
from longscribe.documents import ChunkState, JobState
from longscribe.errors import Gone
from longscribe.messages import ChunkResult, ChunkTask, UploadEvent, decode
from longscribe.ports import WindowAudio
from longscribe.stages import chunker
from longscribe.stages.assembler import take_result
from longscribe.stages.reconciler import heal
from tests.standins import Bench, Faulty, PcmMedia, job_id, spoken, tones, words

COUNT = 60


class Died(Exception):
    """The process ended here."""


@pytest.fixture
def event(bench: Bench) -> UploadEvent:
    made = bench.upload(spoken(COUNT))
    chunker.chunk(made, bench.chunker())
    return made


def queued(bench: Bench) -> list[ChunkTask]:
    found = [decode(data, ChunkTask) for data in bench.drop(topics.CHUNKS_HIGH) + bench.drop(topics.CHUNKS_LOW)]
    return sorted(found, key=lambda task: task.index)


def test_chunks_whose_messages_were_lost_are_queued_again(bench: Bench, event: UploadEvent) -> None:
    bench.work(limit=2)
    bench.assemble()
    lost = queued(bench)
    heal(job_id(event), bench.assembler())
    assert bench.queue.backlog(topics.CHUNKS_LOW) + bench.queue.backlog(topics.CHUNKS_HIGH) == len(lost) > 0
    bench.work()
    assert bench.assemble()[-1] == "written"
    assert bench.text(event) == words(COUNT)


def test_a_lost_seal_message_is_made_up_for(bench: Bench, event: UploadEvent) -> None:
    bench.work()
    messages = bench.drop(topics.RESULTS)
    for data in messages[1:]:
        bench.jobs.store_result(decode(data, ChunkResult))
    assert bench.job(event).state is JobState.TRANSCRIBING
    heal(job_id(event), bench.assembler())
    assert bench.job(event).state is JobState.COMPLETE
    assert bench.text(event) == words(COUNT)
    assert queued(bench) == []


def test_a_settling_that_died_is_done_again(bench: Bench, event: UploadEvent) -> None:
    def die(call: str, _: object) -> None:
        if call == "replace":
            raise Died

    bench.work()
    *first, last = bench.drop(topics.RESULTS)
    for data in first:
        take_result(data, bench.assembler())
    with pytest.raises(Died):
        take_result(last, bench.assembler(blobs=Faulty(bench.blobs, die)))
    assert bench.job(event).state is JobState.SETTLING
    heal(job_id(event), bench.assembler())
    assert bench.job(event).state is JobState.COMPLETE
    assert bench.text(event) == words(COUNT)


@pytest.mark.parametrize("dies_at", ["requeue", "move", "publish"])
def test_a_vote_that_died_half_way_is_carried_out(bench: Bench, dies_at: str) -> None:
    bench.settings = Settings(chunk_seconds=10.0)
    french = {words(150)[number] for number in (20, 80, 140)}

    def hears(window: WindowAudio) -> tuple[str, float]:
        if window.language is not None:
            return window.language, 1.0
        return ("fr", 0.4) if french & {found.text.strip() for found in tones(window.samples)} else ("en", 0.9)

    bench.recogniser.hears = hears
    event = bench.upload(spoken(150))
    chunker.chunk(event, bench.chunker())
    bench.work()
    steps: list[str] = []

    def die(call: str, args: tuple[Any, ...]) -> None:
        steps.append("start" if call == "move" and args[2] is JobState.SETTLING else call)
        if steps.count(dies_at) == (1 if dies_at == "move" else 2):
            raise Died

    *first, last = bench.drop(topics.RESULTS)
    for data in first:
        take_result(data, bench.assembler())
    with pytest.raises(Died):
        take_result(last, bench.assembler(jobs=Faulty(bench.jobs, die), queue=Faulty(bench.queue, die)))
    bench.drop(topics.CHUNKS_HIGH)
    bench.drop(topics.CHUNKS_LOW)
    rounds = 0
    while not bench.job(event).state.ended:
        rounds += 1
        assert rounds < 4
        heal(job_id(event), bench.assembler())
        bench.work()
        bench.assemble()
    job = bench.job(event)
    assert (job.state, job.language) == (JobState.COMPLETE, "en")
    assert bench.text(event) == words(150)
    results = [chunk.result for chunk in bench.chunks(event) if chunk.result is not None]
    assert {window.language for result in results for window in result.windows} == {"en"}


def test_a_job_that_is_still_being_cut_is_left_alone(bench: Bench) -> None:
    event = bench.upload(spoken(400))
    with pytest.raises(ConnectionError):
        chunker.chunk(event, bench.chunker(media=PcmMedia(dies_after=2)))
    assert queued(bench)
    heal(job_id(event), bench.assembler())
    assert queued(bench) == []
    assert bench.job(event).state is JobState.CHUNKING


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
def test_an_ended_job_is_left_alone(bench: Bench, event: UploadEvent, state: JobState) -> None:
    queued(bench)
    bench.jobs.move(job_id(event), JobState.TRANSCRIBING, state)
    heal(job_id(event), bench.assembler())
    assert queued(bench) == []
    assert bench.job(event).state is state


def test_a_finished_job_is_left_alone(bench: Bench, event: UploadEvent) -> None:
    bench.work()
    bench.assemble()
    before = bench.job(event), bench.chunks(event)
    heal(job_id(event), bench.assembler())
    assert (bench.job(event), bench.chunks(event)) == before


def test_healing_twice_queues_nothing_that_is_done(bench: Bench, event: UploadEvent) -> None:
    heal(job_id(event), bench.assembler())
    heal(job_id(event), bench.assembler())
    assert bench.work() >= len(bench.chunks(event))
    bench.assemble()
    assert all(chunk.state is ChunkState.DONE for chunk in bench.chunks(event))
    assert bench.text(event) == words(COUNT)


def test_an_unknown_job_is_gone(bench: Bench) -> None:
    with pytest.raises(Gone):
        heal("nobody", bench.assembler())


def test_documents_hold_the_run_that_is_queued(bench: Bench, event: UploadEvent) -> None:
    task = bench.jobs.chunk(job_id(event), 0).task
    bench.jobs.requeue(replace(task, run=2, language="de"))
    queued(bench)
    heal(job_id(event), bench.assembler())
    assert queued(bench)[0] == replace(task, run=2, language="de")
