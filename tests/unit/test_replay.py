"""Results for a finished job: the transcript is written once more, when they have gone quiet."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from longscribe.adapters.local.jobs import SqliteJobs
from longscribe.core import topics
from longscribe.core.limits import REPLAY_SECONDS
from longscribe.documents import ChunkState, Job, JobState
from longscribe.messages import ChunkResult, ChunkTask, UploadEvent, Word, decode, encode
from longscribe.stages import chunker
from longscribe.stages.assembler import SKEW_SECONDS, Assembled, take_dead_letter, take_result
from longscribe.stages.reconciler import Action, Deed, heal, reconcile
from tests.contract.clocks import ManualClock
from tests.standins import Bench, Faulty, job_id, spoken, words

COUNT = 40


class Died(BaseException):
    """The process ended here."""


@pytest.fixture
def event(bench: Bench) -> UploadEvent:
    """A finished job of forty words."""
    made = bench.upload(spoken(COUNT))
    chunker.chunk(made, bench.chunker())
    bench.work()
    bench.clock.sleep(5)
    bench.assemble()
    bench.clock.sleep(3_600)
    assert bench.job(made).at_rest
    return made


def seek(bench: Bench) -> None:
    for subscription in (topics.CHUNKS_HIGH, topics.CHUNKS_LOW):
        bench.queue.seek(subscription, 0)


def reworded(result: ChunkResult, text: str = " else") -> ChunkResult:
    """The same chunk as another model hears it."""
    (first, *rest) = result.windows
    return replace(result, windows=(replace(first, words=(Word(*_times(first), text, 0.9),)), *rest))


def _times(window: Any) -> tuple[int, int]:
    return window.words[0].start, window.words[0].end


def stored(bench: Bench, event: UploadEvent, index: int = 0) -> ChunkResult:
    found = bench.chunks(event)[index].result
    assert found is not None
    return found


def same_transcript(bench: Bench) -> dict[str, Any]:
    """What makes two transcripts the same: their bytes, but for two members of the JSON."""
    written: dict[str, Any] = {
        name: bench.blobs.read(bench.blobs.stat("transcripts", name).ref)
        for name in bench.blobs.names("transcripts")
    }
    (name,) = (name for name in written if name.endswith(".json"))
    written[name] = json.loads(written[name])
    del written[name]["provenance"], written[name]["receipt"]
    return written


def count_writes(bench: Bench, name: str, calls: list[str]) -> Any:
    return Faulty(getattr(bench, name), lambda call, _: calls.append(call))


def test_a_replay_that_says_the_same_is_finalised_too_and_the_transcript_is_the_same(
    bench: Bench, event: UploadEvent
) -> None:
    before = same_transcript(bench)
    devices = [stored(bench, event, index).provenance.device for index in range(len(bench.chunks(event)))]
    assert set(devices) == {"cpu"}
    seek(bench)
    bench.recogniser.device = "another"
    assert bench.work() == len(bench.chunks(event))
    assert set(bench.assemble()) == {"late"}
    assert {stored(bench, event, index).provenance.device for index in range(len(devices))} == {"another"}
    bench.clock.sleep(REPLAY_SECONDS)
    assert reconcile(bench.reconciler(), bench.clock.now()).deeds == (Deed(job_id(event), Action.REPLAYED),)
    assert same_transcript(bench) == before
    (written,) = (ref for ref in bench.job(event).transcripts if ref.name.endswith(".json"))
    assert b"another" in bench.blobs.read(written)


def test_a_replay_is_finalised_once_after_it_has_gone_quiet(bench: Bench, event: UploadEvent) -> None:
    seek(bench)
    bench.recogniser.hears = lambda window: ("en", 0.5)  # another model: it says otherwise
    count = len(bench.chunks(event))
    first = bench.job(event)
    moves: list[str] = []
    for _ in range(count):
        bench.clock.sleep(REPLAY_SECONDS - 60)
        assert bench.work(limit=1) == 1
        assert bench.assemble() == ["late"]
        found = reconcile(bench.reconciler(jobs=count_writes(bench, "jobs", moves)), bench.clock.now())
        assert (found.jobs, found.deeds) == (1, ())
        assert bench.job(event).transcripts == first.transcripts
    assert not {"move", "amend"} & set(moves)
    bench.clock.sleep(REPLAY_SECONDS - 1)
    assert reconcile(bench.reconciler(), bench.clock.now()).deeds == ()
    bench.clock.sleep(1)
    found = reconcile(bench.reconciler(), bench.clock.now())
    assert found.deeds == (Deed(job_id(event), Action.REPLAYED),)
    again = bench.job(event)
    assert (again.state, again.replayed, again.settled) == (JobState.COMPLETE, False, bench.clock.now())
    assert again.transcripts != first.transcripts
    assert bench.text(event) == words(COUNT)
    assert reconcile(bench.reconciler(), bench.clock.now()).jobs == 0


def test_only_the_first_result_of_a_replay_writes_the_jobs_document(bench: Bench, event: UploadEvent) -> None:
    calls: list[str] = []
    ports = bench.assembler(jobs=count_writes(bench, "jobs", calls))
    for index in range(3):
        taken = take_result(encode(reworded(stored(bench, event, index))), ports)
        assert (taken.what, taken.index, taken.run) == (Assembled.LATE, index, 1)
    assert calls == ["store_result", "job", "amend", "store_result", "job", "store_result", "job"]


def test_a_late_result_heals_a_partial_job(bench: Bench) -> None:
    event = bench.upload(spoken(COUNT))
    chunker.chunk(event, bench.chunker())
    bench.work()
    late = [data for data in bench.drop(topics.RESULTS) if b"Sealed" not in data]
    for data in late[1:]:
        take_result(data, bench.assembler())
    lost = bench.jobs.chunk(job_id(event), decode(late[0], ChunkResult).index).task
    assert take_dead_letter(encode(lost), bench.assembler()).what is Assembled.WRITTEN
    assert bench.job(event).state is JobState.PARTIAL
    bench.clock.sleep(SKEW_SECONDS + 1)
    assert take_result(late[0], bench.assembler()).what is Assembled.LATE
    assert take_result(late[0], bench.assembler()).what is Assembled.LATE
    bench.clock.sleep(REPLAY_SECONDS)
    reconcile(bench.reconciler(), bench.clock.now())
    assert bench.job(event).state is JobState.COMPLETE
    assert bench.text(event) == words(COUNT)
    assert take_result(late[0], bench.assembler()).what is Assembled.STORED, "it is in the transcript now"
    assert bench.job(event).at_rest


def test_a_late_result_of_a_machine_whose_clock_is_behind_is_not_lost(bench: Bench, event: UploadEvent) -> None:
    settled = bench.job(event).settled
    behind = SqliteJobs(bench.home / "jobs.sqlite", ManualClock(settled - SKEW_SECONDS / 2))
    late = encode(reworded(stored(bench, event)))
    assert take_result(late, bench.assembler(jobs=behind)).what is Assembled.LATE
    behind.close()
    assert bench.chunks(event)[0].overwritten < settled


def test_a_late_result_while_the_transcript_is_being_written_is_not_lost(bench: Bench, event: UploadEvent) -> None:
    """It is stored after the chunks were read and before the job has ended."""
    late = reworded(stored(bench, event))
    taken: list[Assembled] = []

    def meanwhile(call: str, args: tuple[Any, ...]) -> None:
        if call == "replace" and not taken:
            taken.append(take_result(encode(late), bench.assembler()).what)

    bench.jobs.amend(bench.job(event), replayed=True)
    bench.clock.sleep(REPLAY_SECONDS)
    reconcile(bench.reconciler(blobs=Faulty(bench.blobs, meanwhile)), bench.clock.now())
    assert taken == [Assembled.LATE]
    assert (bench.job(event).state, bench.job(event).replayed) == (JobState.COMPLETE, True)
    assert "else" not in bench.text(event)
    bench.clock.sleep(REPLAY_SECONDS)
    reconcile(bench.reconciler(), bench.clock.now())
    assert "else" in bench.text(event)
    assert bench.job(event).at_rest


def test_a_mark_that_another_writer_overtakes_is_set_all_the_same(bench: Bench, event: UploadEvent) -> None:
    turns: list[Job] = []

    def overtake(call: str, args: tuple[Any, ...]) -> None:
        if call == "amend" and len(turns) < 3:
            turns.append(bench.job(event))
            bench.clock.sleep(1)
            bench.jobs.amend(bench.job(event))

    ports = bench.assembler(jobs=Faulty(bench.jobs, overtake))
    assert take_result(encode(reworded(stored(bench, event))), ports).what is Assembled.LATE
    assert len(turns) == 3
    assert bench.job(event).replayed


def test_an_assembler_that_dies_between_result_and_mark_is_made_up_for(bench: Bench, event: UploadEvent) -> None:
    def die(call: str, _: object) -> None:
        if call == "amend":
            raise Died

    late = encode(reworded(stored(bench, event)))
    with pytest.raises(Died):
        take_result(late, bench.assembler(jobs=Faulty(bench.jobs, die)))
    assert bench.job(event).at_rest
    assert take_result(late, bench.assembler()).what is Assembled.LATE  # not acknowledged: it comes again
    heal(job_id(event), bench.assembler())
    assert bench.job(event).at_rest
    assert "else" in bench.text(event)


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
def test_a_late_result_of_a_job_that_was_ended_marks_nothing(bench: Bench, state: JobState) -> None:
    event = bench.upload(spoken(COUNT))
    chunker.chunk(event, bench.chunker())
    bench.work()
    (first, *_) = (data for data in bench.drop(topics.RESULTS) if b"Sealed" not in data)
    take_result(first, bench.assembler())
    bench.jobs.move(job_id(event), JobState.TRANSCRIBING, state)
    late = reworded(decode(first, ChunkResult))
    assert take_result(encode(late), bench.assembler()).what is Assembled.STORED
    assert not bench.job(event).replayed


def rerun(bench: Bench, event: UploadEvent, index: int) -> ChunkTask:
    """As an operator does it: documents, the job's move, messages."""
    task = replace(bench.chunks(event)[index].task, run=2)
    assert bench.jobs.requeue(task)
    bench.jobs.move(job_id(event), JobState.COMPLETE, JobState.TRANSCRIBING)
    bench.queue.publish(topics.topic(task.priority), encode(task), task.job_id)
    return task


def test_a_replay_that_meets_a_rerun_ends_in_one_transcript(bench: Bench, event: UploadEvent) -> None:
    old, neighbour = stored(bench, event, 0), stored(bench, event, 1)
    task = rerun(bench, event, 0)
    assert take_result(encode(reworded(old)), bench.assembler()).what is Assembled.DROPPED, "of the older run"
    assert take_result(encode(reworded(neighbour)), bench.assembler()).what is Assembled.STORED
    assert not bench.job(event).replayed, "its chunks are read later"
    bench.work()
    assert bench.assemble() == ["written"]
    assert bench.jobs.chunk(job_id(event), 0).task == task
    assert bench.text(event).count("else") == 1
    assert bench.job(event).at_rest


def test_a_rerun_that_begins_while_a_replay_is_finalised_wins(bench: Bench, event: UploadEvent) -> None:
    """Its documents are pending already, its move fails: the job goes back to transcribing by itself."""

    def begin(call: str, args: tuple[Any, ...]) -> None:
        if call == "chunks":
            rerun(bench, event, 2)

    bench.jobs.amend(bench.job(event), replayed=True)
    bench.clock.sleep(REPLAY_SECONDS)
    reconcile(bench.reconciler(jobs=Faulty(bench.jobs, begin)), bench.clock.now())
    assert bench.job(event).state is JobState.TRANSCRIBING
    bench.work()
    assert bench.assemble()[-1] == "written"
    assert bench.text(event) == words(COUNT)
    assert bench.job(event).at_rest


def test_a_rerun_clears_the_mark_of_the_replay_before_it(bench: Bench, event: UploadEvent) -> None:
    take_result(encode(reworded(stored(bench, event, 1))), bench.assembler())
    assert bench.job(event).replayed
    rerun(bench, event, 0)
    bench.work()
    assert bench.assemble() == ["written"]
    assert bench.job(event).at_rest
    assert "else" in bench.text(event)


def test_a_rerun_given_up_and_then_answered_is_written_again(bench: Bench, event: UploadEvent) -> None:
    task = rerun(bench, event, 0)
    late = replace(reworded(stored(bench, event, 0)), run=2)
    assert take_dead_letter(encode(replace(task, resent=True)), bench.assembler()).what is Assembled.WRITTEN
    assert bench.jobs.chunk(job_id(event), 0).state is ChunkState.DONE
    assert bench.text(event) == words(COUNT)
    assert take_result(encode(late), bench.assembler()).what is Assembled.LATE
    heal(job_id(event), bench.assembler())
    assert "else" in bench.text(event)
