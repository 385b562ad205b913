"""The reconciler over all jobs: what it finds and leaves alone, what that costs, and that it may die anywhere."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from longscribe.core import topics
from longscribe.core.limits import CHUNKER_SECONDS, JOB_SECONDS, LOST_SECONDS, REPLAY_SECONDS, SETTLE_SECONDS
from longscribe.core.scaling import IDLE_SECONDS, Backlog, Fleet
from longscribe.core.settings import Settings
from longscribe.documents import ChunkState, JobState
from longscribe.errors import Busy, Gone, NoSpace
from longscribe.messages import ChunkResult, ChunkTask, UploadEvent, Word, decode, encode
from longscribe.ports import WindowAudio
from longscribe.stages import chunker
from longscribe.stages.assembler import take_result
from longscribe.stages.reconciler import (
    TOO_LATE,
    UNCUT,
    UNWRITTEN,
    Action,
    Bounds,
    Deed,
    Reconciled,
    reconcile,
    wake,
)
from tests.contract.clocks import ManualClock
from tests.standins import Bench, Faulty, PcmMedia, Pool, job_id, spoken, tones, words

COUNT = 36
HOUR = 3_600.0
PORTS = ("blobs", "queue", "jobs", "pool")
EFFECTS = {"amend", "give_up", "move", "publish", "replace", "requeue", "resend", "resize"}
Open = Callable[[], Bench]


class Died(BaseException):
    """The process ended here."""


class TickingClock(ManualClock):
    """Every look at it takes a millisecond, so that no two documents are of the same time."""

    def now(self) -> float:
        self.sleep(0.001)
        return super().now()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, TickingClock())
    yield made
    made.close()


def cut(bench: Bench, name: str = "talk.pcm", count: int = COUNT, **metadata: str) -> UploadEvent:
    event = bench.upload(spoken(count), name, **metadata)
    chunker.chunk(event, bench.chunker())
    return event


def half_cut(bench: Bench, dies_after: int = 2) -> UploadEvent:
    event = bench.upload(spoken(400))
    with pytest.raises(ConnectionError):
        chunker.chunk(event, bench.chunker(media=PcmMedia(dies_after=dies_after)))
    return event


def look(bench: Bench, after: float = 0.0, **ports: Any) -> Reconciled:
    bench.clock.sleep(after)
    found = reconcile(bench.reconciler(**ports), bench.clock.now())
    assert found.troubles == ()
    return found


def lose(bench: Bench) -> list[ChunkTask]:
    """Lose every message for the workers."""
    lost = [
        decode(data, ChunkTask) for name in (topics.CHUNKS_HIGH, topics.CHUNKS_LOW) for data in bench.drop(name)
    ]
    return sorted(lost, key=lambda task: task.index)


def backlog(bench: Bench) -> int:
    return bench.queue.backlog(topics.CHUNKS_HIGH) + bench.queue.backlog(topics.CHUNKS_LOW)


def work_off(bench: Bench) -> int:
    """Be worker and assembler, message by message; return how many were run."""
    ran = 0
    while backlog(bench):
        ran += bench.work(limit=1)
        bench.assemble()
    return ran


def calls(bench: Bench, seen: Counter[str]) -> dict[str, Any]:
    """The bench's ports, every call to them counted."""

    def note(call: str, _: object) -> None:
        seen[call] += 1

    return {name: Faulty(getattr(bench, name), note) for name in PORTS}


# --- lost messages


def test_a_job_that_is_worked_on_is_left_alone(bench: Bench) -> None:
    event = cut(bench)
    for _ in range(3):
        assert look(bench, LOST_SECONDS - 60).deeds == ()
        bench.work(limit=1)
        bench.assemble()
    assert {chunk.sendings for chunk in bench.chunks(event)} == {1}


def test_all_messages_lost_are_found_by_a_probe(bench: Bench) -> None:
    event = cut(bench, count=80)
    count = len(lose(bench))
    assert count >= 6
    assert look(bench, LOST_SECONDS).deeds == (Deed(job_id(event), Action.RESENT, 1),)
    assert backlog(bench) == 1
    assert bench.work() == 1  # workers are alive
    bench.assemble()
    for _ in range(3):  # a probe for each priority, then all the others
        look(bench, LOST_SECONDS * 2)
        bench.work()
        bench.assemble()
    assert bench.job(event).state is JobState.COMPLETE
    assert bench.text(event) == words(80)
    assert all(chunk.sendings == 2 for chunk in bench.chunks(event))


def test_one_message_lost_among_many_is_sent_again_when_the_others_are_answered(bench: Bench) -> None:
    event = cut(bench)
    tasks = lose(bench)
    for task in (task for task in tasks if task.index != 1):
        bench.queue.publish(topics.CHUNKS_HIGH, encode(task))
    bench.work()
    bench.assemble()
    assert look(bench, LOST_SECONDS - 10).deeds == ()
    assert look(bench, 10).deeds == (Deed(job_id(event), Action.RESENT, 1),)
    (again,) = lose(bench)
    assert again == replace(tasks[1], resent=True)
    bench.queue.publish(topics.CHUNKS_HIGH, encode(again))
    bench.work()
    assert bench.assemble() == ["written"]
    assert bench.text(event) == words(COUNT)


def test_a_lost_result_is_asked_for_again(bench: Bench) -> None:
    event = cut(bench)
    bench.work()
    messages = bench.drop(topics.RESULTS)
    for data in messages[:2] + messages[3:]:
        take_result(data, bench.assembler())
    assert look(bench, LOST_SECONDS).deeds == (Deed(job_id(event), Action.RESENT, 1),)
    assert bench.work() == 1
    assert bench.assemble() == ["written"]
    assert bench.text(event) == words(COUNT)


def test_a_long_backlog_without_workers_is_doubled_by_six_messages_a_day(bench: Bench) -> None:
    """Ten thousand chunks that wait would cost no more than these."""
    event = cut(bench, count=300)
    waiting = backlog(bench)
    seen: Counter[str] = Counter()
    for _ in range(24 * 60 - 1):
        look(bench, 60.0 - 0.05, **calls(bench, seen))
    assert bench.job(event).state is JobState.TRANSCRIBING
    assert backlog(bench) - waiting == seen["publish"] == seen["resend"] == 6
    assert seen["count_pending"] == seen["last_changed"] == seen["unfinished"] == 24 * 60 - 1
    assert set(seen) & EFFECTS == {"publish", "resend", "resize"}
    assert seen["resize"] == 1
    assert work_off(bench) == waiting
    assert bench.text(event) == words(300)


def test_messages_sent_again_for_nothing_are_run_once(bench: Bench) -> None:
    """All are taken for lost though they only wait: the copies are dropped, whether the job is finished or not."""
    event = cut(bench)
    count = backlog(bench)
    for chunk in bench.chunks(event):
        assert bench.jobs.resend(chunk)
        bench.queue.publish(topics.CHUNKS_LOW, encode(replace(chunk.task, resent=True)))
    assert work_off(bench) == count
    assert bench.text(event) == words(COUNT)
    assert bench.job(event).at_rest


def test_a_chunk_that_is_answered_just_then_is_not_sent_again(bench: Bench) -> None:
    event = cut(bench)
    sent: Counter[str] = Counter()

    def answer(call: str, _: object) -> None:
        sent[call] += 1
        if call == "resend":
            bench.work()
            bench.assemble()

    bench.clock.sleep(LOST_SECONDS)
    assert look(bench, jobs=Faulty(bench.jobs, answer), queue=Faulty(bench.queue, answer)).deeds == ()
    assert (sent["resend"], sent["publish"]) == (1, 0)
    assert bench.job(event).at_rest


# --- last events


def test_a_job_whose_last_event_was_lost_is_finished(bench: Bench) -> None:
    event = cut(bench)
    bench.work()
    for data in bench.drop(topics.RESULTS):
        if b"Sealed" not in data:
            bench.jobs.store_result(decode(data, ChunkResult))
    assert look(bench).deeds == (Deed(job_id(event), Action.SETTLED),)
    assert bench.text(event) == words(COUNT)
    assert look(bench) == Reconciled(0, Backlog(0, 0.0), 0, (), (), ())


def left_settling(bench: Bench) -> UploadEvent:
    def die(call: str, _: object) -> None:
        if call == "replace":
            raise Died

    event = cut(bench)
    bench.work()
    *first, last = bench.drop(topics.RESULTS)
    for data in first:
        take_result(data, bench.assembler())
    with pytest.raises(Died):
        take_result(last, bench.assembler(blobs=Faulty(bench.blobs, die)))
    return event


def test_a_job_left_settling_is_finished_but_not_while_somebody_may_be_at_it(bench: Bench) -> None:
    event = left_settling(bench)
    assert look(bench, SETTLE_SECONDS - 1).deeds == ()
    assert bench.job(event).state is JobState.SETTLING
    assert look(bench, 1).deeds == (Deed(job_id(event), Action.SETTLED),)
    assert bench.text(event) == words(COUNT)


def test_what_a_writer_thought_dead_writes_over_a_transcript_is_written_again(bench: Bench) -> None:
    event = left_settling(bench)
    look(bench, SETTLE_SECONDS)
    (newest, *_) = bench.job(event).transcripts
    bench.blobs.replace(newest.bucket, newest.name, b"older")  # and it dies before it finds that the job has ended
    assert look(bench, REPLAY_SECONDS).deeds == (Deed(job_id(event), Action.REPLAYED),)
    for ref in bench.job(event).transcripts:
        assert bench.blobs.stat(ref.bucket, ref.name).ref == ref
    assert bench.job(event).at_rest
    assert bench.text(event) == words(COUNT)


def test_another_who_takes_a_settling_over_first_is_left_to_it(bench: Bench) -> None:
    event = left_settling(bench)

    def first(call: str, args: tuple[Any, ...]) -> None:
        if call == "amend":
            bench.jobs.amend(*args, replayed=True)

    assert look(bench, SETTLE_SECONDS, jobs=Faulty(bench.jobs, first)).deeds == ()
    assert bench.job(event).state is JobState.SETTLING
    assert look(bench, SETTLE_SECONDS).deeds == (Deed(job_id(event), Action.SETTLED),)


def test_a_vote_that_died_before_the_jobs_move_is_carried_out(bench: Bench) -> None:
    event = left_settling(bench)
    of = bench.chunks(event)[1].task
    bench.jobs.requeue(replace(of, run=2))
    assert look(bench, SETTLE_SECONDS).deeds == (Deed(job_id(event), Action.SETTLED),)
    assert bench.job(event).state is JobState.TRANSCRIBING
    assert lose(bench) == [replace(of, run=2)]


def test_another_who_carries_the_vote_out_first_is_not_repeated(bench: Bench) -> None:
    event = left_settling(bench)
    bench.jobs.requeue(replace(bench.chunks(event)[1].task, run=2))

    def first(call: str, args: tuple[Any, ...]) -> None:
        if call == "move":
            bench.jobs.move(*args)

    look(bench, SETTLE_SECONDS, jobs=Faulty(bench.jobs, first))
    assert lose(bench) == []


def test_another_who_settles_first_is_left_to_it(bench: Bench) -> None:
    event = cut(bench)
    bench.work()
    for data in bench.drop(topics.RESULTS):
        if b"Sealed" not in data:
            bench.jobs.store_result(decode(data, ChunkResult))

    def first(call: str, args: tuple[Any, ...]) -> None:
        if call == "move":
            bench.jobs.move(*args)

    assert look(bench, jobs=Faulty(bench.jobs, first)).deeds == ()
    assert bench.job(event).state is JobState.SETTLING


# --- chunkers


def test_a_chunker_that_died_is_told_once_a_while(bench: Bench) -> None:
    event = half_cut(bench)
    bench.work()
    bench.clock.sleep(60)
    bench.assemble()  # results say nothing of the chunker
    assert look(bench, CHUNKER_SECONDS - 61).chunkers == ()
    found = look(bench, 1)
    assert [job.recording for job in found.chunkers] == [event.recording]
    assert found.deeds == (Deed(job_id(event), Action.RECUT),)
    assert look(bench, CHUNKER_SECONDS - 1).chunkers == ()
    assert len(look(bench, 1).chunkers) == 1
    chunker.chunk(event, bench.chunker())
    assert look(bench).chunkers == ()
    bench.work()
    assert bench.assemble()[-1] == "written"
    assert bench.text(event) == words(400)


def test_a_chunker_that_died_before_its_first_chunk_is_told(bench: Bench) -> None:
    event = bench.upload(spoken(COUNT))
    chunker.open_job(event, bench.settings, bench.jobs, bench.clock)
    assert look(bench, CHUNKER_SECONDS - 1).chunkers == ()
    assert len(look(bench, 1).chunkers) == 1


def test_only_one_of_two_reconcilers_tells_of_a_chunker(bench: Bench) -> None:
    half_cut(bench)
    bench.clock.sleep(CHUNKER_SECONDS)
    others: list[Reconciled] = []

    def other(call: str, _: object) -> None:
        if call == "amend":
            others.append(reconcile(bench.reconciler(), bench.clock.now()))

    found = look(bench, jobs=Faulty(bench.jobs, other))
    assert (len(found.chunkers), [len(other.chunkers) for other in others]) == (0, [1])


def test_a_recording_that_is_not_cut_in_time_fails(bench: Bench) -> None:
    event = half_cut(bench)
    seen: Counter[str] = Counter()
    for _ in range(int(JOB_SECONDS / HOUR) - 1):
        seen.update(deed.action for deed in look(bench, HOUR).deeds)
    assert seen == {Action.RECUT: 23}
    assert look(bench, HOUR).deeds == (Deed(job_id(event), Action.FAILED),)
    assert (bench.job(event).state, bench.job(event).reason) == (JobState.FAILED, UNCUT)
    assert bench.work() == 0, "its chunks are dropped unrun"


def test_a_job_that_is_sealed_just_then_does_not_fail(bench: Bench) -> None:
    event = half_cut(bench)

    def seal(call: str, _: object) -> None:
        if call == "move":
            chunker.chunk(event, bench.chunker())

    assert look(bench, JOB_SECONDS, jobs=Faulty(bench.jobs, seal)).deeds == ()
    assert bench.job(event).state is JobState.TRANSCRIBING


# --- deadlines


def test_a_job_past_its_deadline_ends_partial_and_a_late_result_heals_it(bench: Bench) -> None:
    event = cut(bench)
    bench.work(limit=2)
    bench.assemble()
    assert Action.EXPIRED not in {deed.action for deed in look(bench, JOB_SECONDS - 60).deeds}
    left = len(bench.chunks(event)) - 2
    expired = (Deed(job_id(event), Action.EXPIRED, left), Deed(job_id(event), Action.SETTLED))
    assert look(bench, 60).deeds == expired
    job = bench.job(event)
    assert job.state is JobState.PARTIAL
    assert {chunk.reason for chunk in bench.chunks(event)} == {None, TOO_LATE}
    assert TOO_LATE.encode() in bench.blobs.read(job.transcripts[0])
    assert bench.text(event) == words(COUNT)[: len(bench.text(event))]
    bench.clock.sleep(HOUR)
    assert bench.work() == left
    assert set(bench.assemble()) == {"late"}
    assert look(bench, REPLAY_SECONDS).deeds == (Deed(job_id(event), Action.REPLAYED),)
    assert bench.job(event).state is JobState.COMPLETE
    assert bench.text(event) == words(COUNT)


def test_a_rerun_of_an_old_job_has_a_deadline_of_its_own(bench: Bench) -> None:
    event = cut(bench)
    bench.work()
    bench.assemble()
    bench.clock.sleep(30 * JOB_SECONDS)
    bench.jobs.requeue(replace(bench.chunks(event)[0].task, run=2))
    bench.jobs.move(job_id(event), JobState.COMPLETE, JobState.TRANSCRIBING)
    assert look(bench, JOB_SECONDS - 60).deeds == (Deed(job_id(event), Action.RESENT, 1),)
    look(bench, 60)
    assert bench.job(event).state is JobState.COMPLETE, "on the result it had"
    assert bench.text(event) == words(COUNT)


def test_a_transcript_that_cannot_be_written_fails_in_the_end_and_stops_no_other(bench: Bench) -> None:
    event = left_settling(bench)

    def full(call: str, args: tuple[Any, ...]) -> None:
        if call == "replace" and args[1].startswith(job_id(event)):
            raise NoSpace("The disk is full.")

    full_disk = bench.reconciler(blobs=Faulty(bench.blobs, full))
    bench.clock.sleep(SETTLE_SECONDS)
    found = reconcile(full_disk, bench.clock.now())
    assert [(trouble.job_id, type(trouble.error)) for trouble in found.troubles] == [(job_id(event), NoSpace)]
    other = cut(bench, "other.pcm")
    bench.work()
    for data in bench.drop(topics.RESULTS):
        if b"Sealed" not in data:
            bench.jobs.store_result(decode(data, ChunkResult))
    bench.clock.sleep(JOB_SECONDS)
    found = reconcile(full_disk, bench.clock.now())
    assert set(found.deeds) == {Deed(job_id(event), Action.FAILED), Deed(job_id(other), Action.SETTLED)}
    assert len(found.troubles) == 1
    assert (bench.job(event).state, bench.job(event).reason) == (JobState.FAILED, UNWRITTEN)
    assert bench.text(other) == words(COUNT)


def test_a_job_deleted_just_then_is_no_trouble(bench: Bench) -> None:
    settling = left_settling(bench)
    event = cut(bench, "other.pcm")

    def delete(call: str, args: tuple[Any, ...]) -> None:
        if call in ("count_pending", "any_pending"):
            bench.jobs.delete_job(args[0])

    found = look(bench, SETTLE_SECONDS, jobs=Faulty(bench.jobs, delete))
    assert found.deeds == ()
    for gone in (event, settling):
        with pytest.raises(Gone):
            bench.job(gone)


def test_a_finished_job_whose_chunks_are_being_deleted_is_left(bench: Bench) -> None:
    event = cut(bench)
    bench.work()
    bench.assemble()
    bench.jobs.amend(bench.job(event), replayed=True)

    def delete(call: str, args: tuple[Any, ...]) -> None:
        if call == "last_changed":
            bench.jobs.delete_job(args[0])

    assert look(bench, REPLAY_SECONDS, jobs=Faulty(bench.jobs, delete)).deeds == ()


# --- the pool


def test_the_pool_follows_the_backlog(bench: Bench) -> None:
    fleet = Fleet(maximum=3, speed=1.0, target_seconds=60.0)
    assert look(bench, fleet=fleet).instances == 0
    event = cut(bench, count=200)  # about 160 s, half of it speech
    chunks = len(bench.chunks(event))
    samples = bench.job(event).seal.samples  # type: ignore[union-attr]
    found = look(bench, fleet=fleet)
    assert found.backlog == Backlog(chunks, min(10.0 * chunks, samples / 16_000))
    assert found.instances == 3
    bench.work()
    bench.assemble()
    assert look(bench, fleet=fleet).instances == 3, "the next recording finds them warm"
    assert look(bench, IDLE_SECONDS - 2, fleet=fleet).instances == 3
    assert look(bench, 2, fleet=fleet).instances == 0
    assert bench.pool.sizes == [0, 3, 0]


def test_a_short_recording_is_no_whole_chunk(bench: Bench) -> None:
    event = cut(bench, count=10, chunk_seconds="116")
    seal = bench.job(event).seal
    assert seal is not None
    assert look(bench).backlog == Backlog(1, seal.samples / 16_000)
    assert seal.samples < 20 * 16_000


def test_the_first_chunk_starts_an_instance_at_once(bench: Bench) -> None:
    half_cut(bench)
    assert wake(bench.pool)
    assert not wake(bench.pool)
    assert bench.pool.sizes == [0, 1]
    assert look(bench).instances == 1


def test_a_recording_still_being_cut_keeps_the_pool_only_while_it_moves(bench: Bench) -> None:
    half_cut(bench)
    look(bench)
    bench.clock.sleep(IDLE_SECONDS)
    bench.work()
    bench.assemble()
    assert look(bench, IDLE_SECONDS - 60).instances == 1
    assert look(bench, 60).instances == 0


def test_a_replay_keeps_the_pool_while_its_results_come(bench: Bench) -> None:
    event = cut(bench, count=80)
    look(bench)
    bench.work()
    results = [data for data in bench.drop(topics.RESULTS) if b"Sealed" not in data]
    for data in results:
        take_result(data, bench.assembler())
    look(bench)
    for data in results:
        bench.clock.sleep(REPLAY_SECONDS - 10)
        result = decode(data, ChunkResult)
        (first, *rest) = result.windows
        other = replace(first, words=(Word(first.words[0].start, first.words[0].end, " else", 0.9),))
        take_result(encode(replace(result, windows=(other, *rest))), bench.assembler())
        assert look(bench).instances == 1
    assert bench.job(event).replayed


def test_a_replay_is_seen_in_the_queue_alone(bench: Bench) -> None:
    cut(bench)
    bench.work()
    bench.assemble()
    bench.clock.sleep(IDLE_SECONDS)
    found = reconcile(bench.reconciler(), bench.clock.now(), waiting=7)
    assert found.backlog == Backlog(7, 7 * Settings().chunk_seconds)
    assert found.instances == 1


def test_a_pool_that_gives_trouble_is_told_with_the_deeds(bench: Bench) -> None:
    class Changing(Pool):
        def resize(self, instances: int) -> None:
            raise Busy("Another change is under way; try again.")

    event = cut(bench)
    found = reconcile(bench.reconciler(pool=Changing()), bench.clock.now() + LOST_SECONDS)
    assert found.instances is None
    assert found.deeds == (Deed(job_id(event), Action.RESENT, 1),)
    assert [(trouble.job_id, type(trouble.error)) for trouble in found.troubles] == [(None, Busy)]


def test_a_pool_does_not_shrink_for_what_could_not_be_read(bench: Bench) -> None:
    cut(bench)
    bench.pool.resize(3)

    def fail(call: str, _: object) -> None:
        if call == "count_pending":
            raise Busy("Another process holds the file.")

    found = reconcile(bench.reconciler(jobs=Faulty(bench.jobs, fail)), bench.clock.now() + HOUR)
    assert (found.instances, bench.pool.sizes) == (3, [0, 3])
    assert len(found.troubles) == 1


# --- cost


@pytest.mark.parametrize("count", [20, 400])
def test_a_round_costs_three_reads_a_job_and_no_write(bench: Bench, count: int) -> None:
    """However many chunks wait: one for the job, one for the count, one for the last chunk."""
    for number in range(3):
        cut(bench, f"{number}.pcm", count)
    look(bench)
    statements: list[str] = []
    with bench.jobs._database.read() as connection:
        connection.set_trace_callback(statements.append)
    look(bench, 60)
    kinds = Counter(statement.split(" FROM ")[0] for statement in statements)
    assert kinds == {"SELECT document": 1 + 3, "SELECT count(*)": 3, "SELECT max(updated)": 1}
    assert sum("ORDER BY updated DESC LIMIT 1" in statement for statement in statements) == 3


def test_jobs_at_rest_cost_nothing(bench: Bench) -> None:
    for number in range(3):
        cut(bench, f"{number}.pcm", 10)
    bench.work()
    bench.assemble()
    seen: Counter[str] = Counter()
    look(bench, HOUR, **calls(bench, seen))
    assert seen == {"unfinished": 1, "size": 1}


# --- two at once, and dying anywhere


def lost_messages(bench: Bench) -> UploadEvent:
    event = cut(bench)
    bench.work(limit=1)
    lose(bench)
    return event


def lost_event(bench: Bench) -> UploadEvent:
    event = cut(bench)
    bench.work()
    for data in bench.drop(topics.RESULTS):
        if b"Sealed" not in data:
            bench.jobs.store_result(decode(data, ChunkResult))
    return event


def lost_vote(bench: Bench) -> UploadEvent:
    """Chunks heard French, uncertainly, and nobody has voted yet."""
    bench.settings = Settings(chunk_seconds=10.0)
    return lost_event(bench)


def half_a_vote(bench: Bench) -> UploadEvent:
    event = left_settling(bench)
    for chunk in bench.chunks(event)[:2]:
        bench.jobs.requeue(replace(chunk.task, run=2))
    return event


def quiet_replay(bench: Bench) -> UploadEvent:
    event = cut(bench)
    bench.work()
    first, *results = [data for data in bench.drop(topics.RESULTS) if b"Sealed" not in data]
    for data in results:
        take_result(data, bench.assembler())
    bench.jobs.give_up(job_id(event), decode(first, ChunkResult).index, 1, "crash")
    look(bench)
    assert bench.job(event).state is JobState.PARTIAL
    take_result(first, bench.assembler())
    return event


def overdue(bench: Bench) -> UploadEvent:
    event = cut(bench)
    bench.work(limit=1)
    bench.assemble()
    bench.clock.sleep(JOB_SECONDS)
    return event


SCENES = [lost_messages, lost_event, lost_vote, left_settling, half_a_vote, quiet_replay, overdue]


def french_at_first(window: WindowAudio) -> tuple[str, float]:
    if window.language is not None:
        return window.language, 1.0
    return ("fr", 0.4) if any(found.text == " w003" for found in tones(window.samples)) else ("en", 0.9)


class Stage:
    """A scene that can be played again and again, each time from the same state of the same stores."""

    def __init__(self, home: Path, scene: Callable[[Bench], UploadEvent]) -> None:
        self._home = home
        self._takes = 0
        bench = self._bench(home / "first", 1_700_000_000.0)
        self.event = scene(bench)
        self._now = bench.clock.now() + max(SETTLE_SECONDS, REPLAY_SECONDS, LOST_SECONDS)
        bench.close()

    def bench(self) -> Bench:
        self._takes += 1
        home = self._home / str(self._takes)
        shutil.copytree(self._home / "first", home)
        return self._bench(home, self._now)

    def _bench(self, home: Path, now: float) -> Bench:
        home.mkdir(exist_ok=True)
        bench = Bench(home, TickingClock(now))
        bench.recogniser.hears = french_at_first
        return bench


def play_out(bench: Bench, event: UploadEvent) -> None:
    """Let the timer tick until the job is at rest; it must end well, whatever was done before."""
    rounds = 0
    while not bench.job(event).at_rest:
        rounds += 1
        assert rounds < 12
        bench.work()
        bench.assemble()
        look(bench, 2 * LOST_SECONDS)
    late = bench.job(event).state is JobState.PARTIAL
    assert {chunk.reason for chunk in bench.chunks(event)} == ({None, TOO_LATE} if late else {None})
    assert late or bench.text(event) == words(COUNT)
    assert not bench.jobs.any_pending(job_id(event))


@pytest.mark.parametrize("scene", SCENES)
def test_a_reconciler_may_die_before_each_of_its_effects(
    tmp_path: Path, scene: Callable[[Bench], UploadEvent]
) -> None:
    stage = Stage(tmp_path, scene)
    died = 0
    while True:
        bench = stage.bench()
        effects = 0

        def die(call: str, _: object, last: int = died) -> None:
            nonlocal effects
            effects += call in EFFECTS
            if effects > last:
                raise Died

        ports = {name: Faulty(getattr(bench, name), die) for name in PORTS}
        try:
            reconcile(bench.reconciler(**ports), bench.clock.now())
        except Died:
            died += 1
            play_out(bench, stage.event)
            bench.close()
            continue
        play_out(bench, stage.event)
        bench.close()
        break
    assert died >= 2


@pytest.mark.parametrize("scene", SCENES)
def test_another_reconciler_may_run_before_each_effect_of_one(
    tmp_path: Path, scene: Callable[[Bench], UploadEvent]
) -> None:
    stage = Stage(tmp_path, scene)
    turn = met = 0
    while turn == met:
        bench = stage.bench()
        effects = 0

        def other(call: str, _: object, bench: Bench = bench, turn: int = turn) -> None:
            nonlocal effects, met
            effects += call in EFFECTS
            if call in EFFECTS and effects == turn + 1:
                met += 1
                reconcile(bench.reconciler(), bench.clock.now())

        ports = {name: Faulty(getattr(bench, name), other) for name in PORTS}
        look(bench, **ports)
        copies = Counter(decode(data, ChunkTask) for data in waiting(bench))
        assert set(copies.values()) <= {1}, "nothing is sent by both"
        play_out(bench, stage.event)
        bench.close()
        turn += 1
    assert met >= 2


def waiting(bench: Bench) -> list[bytes]:
    """What waits for the workers; it goes on waiting."""
    found = []
    for name in (topics.CHUNKS_HIGH, topics.CHUNKS_LOW):
        got = bench.queue.pull(name, 1_000)
        bench.queue.nack(name, [delivery.lease for delivery in got])
        found += [delivery.data for delivery in got]
    return found


def test_bounds_can_be_shortened(bench: Bench) -> None:
    event = cut(bench)
    lose(bench)
    assert look(bench, 2, bounds=Bounds(lost=2.0)).deeds == (Deed(job_id(event), Action.RESENT, 1),)


def test_a_chunk_that_was_given_up_meanwhile_is_not_counted(bench: Bench) -> None:
    event = cut(bench)

    def first(call: str, args: tuple[Any, ...]) -> None:
        if call == "give_up":
            bench.jobs.give_up(*args[:3], "another's reason")

    found = look(bench, JOB_SECONDS, jobs=Faulty(bench.jobs, first))
    assert found.deeds[0] == Deed(job_id(event), Action.EXPIRED, 0)
    assert bench.chunks(event)[0].state is ChunkState.MISSING


def test_a_vote_whose_event_was_lost_is_held(bench: Bench) -> None:
    bench.recogniser.hears = french_at_first
    event = lost_vote(bench)
    assert look(bench).deeds == (Deed(job_id(event), Action.SETTLED),)
    assert bench.job(event).state is JobState.TRANSCRIBING
    assert {window.language for task in lose(bench) for window in task.windows} == {"en"}
