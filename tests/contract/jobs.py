"""What every `Jobs` adapter keeps to."""

import pytest
from msgspec.structs import replace

from longscribe.core.progress import MOVES
from longscribe.core.settings import Settings
from longscribe.documents import Chunk, ChunkState, Job, JobState, Seal, Worker
from longscribe.errors import Gone, IllegalMove
from longscribe.messages import (
    BlobRef,
    ChunkResult,
    ChunkTask,
    Missing,
    Priority,
    Provenance,
    Silence,
    Span,
    Window,
    WindowResult,
    Word,
)
from longscribe.ports import Clock, Jobs
from tests.contract.threads import together

RATE = 16_000
SEAL = Seal(samples=100 * RATE, chunks=3, silences=(Silence(90 * RATE, 100 * RATE, -61.5),))
LEGAL = [(source, target) for source, targets in MOVES.items() for target in sorted(targets)]
ILLEGAL = [(source, target) for source in JobState for target in JobState if target not in MOVES[source]]


def make_job(job_id: str = "job-1", state: JobState = JobState.CHUNKING, created: float = 1.0) -> Job:
    return Job(
        job_id=job_id,
        recording=BlobRef("uploads", "ünï ../\n--> code.mp3", 2**62),
        size=5,
        settings=Settings(language="de", vocabulary=("Œuvre",)),
        state=state,
        created=created,
        updated=created,
    )


def make_task(index: int = 0, run: int = 1, job_id: str = "job-1") -> ChunkTask:
    start = index * 30 * RATE
    return ChunkTask(
        job_id=job_id,
        index=index,
        run=run,
        settings_hash="0" * 16,
        audio=BlobRef("chunks", f"{job_id}/{index:06d}.flac", 7),
        audio_start=start,
        start=start,
        end=start + 30 * RATE,
        windows=(Window(start, start + 20 * RATE, (Span(start, start + 9 * RATE),)),),
        speech=9 * RATE,
        priority=Priority.HIGH,
        model="base",
    )


def make_chunk(index: int = 0, run: int = 1, job_id: str = "job-1") -> Chunk:
    task = make_task(index, run, job_id)
    return Chunk(
        task=task,
        silences=(Silence(task.end - 10 * RATE, task.end - RATE, -70.25),),
        missing=(Missing(task.end - RATE, task.end, "damaged"),),
    )


def make_result(index: int = 0, run: int = 1, job_id: str = "job-1", text: str = " hello") -> ChunkResult:
    return ChunkResult(
        job_id=job_id,
        index=index,
        run=run,
        settings_hash="0" * 16,
        windows=(WindowResult((Word(1, 2, text, 0.5),), "en", 0.75, -0.25),),
        provenance=Provenance("base", "int8", "cpu", "0.1.0", "worker", 1.5, 1),
    )


class JobsContract:
    """Subclass, and supply the fixtures ``clock`` and ``jobs``: an empty store."""

    @pytest.fixture
    def clock(self) -> Clock:
        raise NotImplementedError

    @pytest.fixture
    def jobs(self, clock: Clock) -> Jobs:
        raise NotImplementedError

    def test_a_job_comes_back_as_it_was_stored(self, jobs: Jobs) -> None:
        job = make_job()
        assert jobs.create_job(job) == job
        assert jobs.job("job-1") == job

    def test_the_older_job_stays(self, jobs: Jobs) -> None:
        older = jobs.create_job(make_job())
        assert jobs.create_job(replace(make_job(), size=99, created=2.0)) == older
        assert jobs.job("job-1") == older

    def test_an_unknown_job_is_gone(self, jobs: Jobs) -> None:
        for call in (
            lambda: jobs.job("none"),
            lambda: jobs.seal("none", SEAL),
            lambda: jobs.move("none", JobState.CHUNKING, JobState.FAILED),
        ):
            with pytest.raises(Gone):
                call()

    def test_jobs_come_newest_first(self, jobs: Jobs) -> None:
        assert list(jobs.jobs()) == []
        for name, created in (("a", 2.0), ("b", 3.5), ("c", 1.0)):
            jobs.create_job(make_job(name, created=created))
        assert [job.job_id for job in jobs.jobs()] == ["b", "a", "c"]

    def test_the_unfinished_are_those_not_at_rest(self, jobs: Jobs) -> None:
        assert list(jobs.unfinished()) == []
        for state in JobState:
            jobs.create_job(make_job(state, state=state))
        late = jobs.amend(jobs.job(JobState.PARTIAL), replayed=True)
        working = {JobState.CHUNKING, JobState.TRANSCRIBING, JobState.SETTLING}
        assert {job.job_id for job in jobs.unfinished()} == working | {JobState.PARTIAL}
        assert late in list(jobs.unfinished())
        jobs.move(JobState.PARTIAL, JobState.PARTIAL, JobState.SETTLING, replayed=False)
        jobs.move(JobState.PARTIAL, JobState.SETTLING, JobState.COMPLETE)
        jobs.seal(JobState.CHUNKING, SEAL)
        jobs.move(JobState.TRANSCRIBING, JobState.TRANSCRIBING, JobState.FAILED, replayed=True)
        assert {job.job_id for job in jobs.unfinished()} == {JobState.CHUNKING, JobState.SETTLING}

    def test_every_unfinished_job_of_many_comes_though_they_are_changed_meanwhile(self, jobs: Jobs) -> None:
        together(4, lambda turn: [jobs.create_job(make_job(f"job-{n:03d}")) for n in range(turn, 230, 4)])
        seen = set()
        for job in jobs.unfinished():
            seen.add(job.job_id)
            jobs.move(job.job_id, JobState.CHUNKING, JobState.FAILED)
        assert len(seen) == 230
        assert list(jobs.unfinished()) == []

    def test_the_last_write_to_any_job_is_known(self, jobs: Jobs, clock: Clock) -> None:
        assert jobs.last_moved() == 0.0
        jobs.create_job(make_job("a", created=5.0))
        jobs.create_job(make_job("b", created=4.0))
        assert jobs.last_moved() == 5.0
        moved = jobs.move("b", JobState.CHUNKING, JobState.FAILED)
        assert moved is not None
        assert jobs.last_moved() == moved.updated > 5.0

    def test_an_amended_job_keeps_its_state(self, jobs: Jobs, clock: Clock) -> None:
        job = jobs.create_job(make_job())
        before = clock.now()
        amended = jobs.amend(job, replayed=True)
        assert amended == jobs.job("job-1")
        assert amended is not None
        assert amended.updated >= before
        assert replace(amended, replayed=False, updated=job.updated) == job
        clock.sleep(0.01)
        again = jobs.amend(amended)
        assert again is not None
        assert again.updated > amended.updated

    def test_what_was_written_since_is_not_amended(self, jobs: Jobs) -> None:
        old = jobs.create_job(make_job())
        sealed = jobs.seal("job-1", SEAL)
        assert jobs.amend(old, replayed=True) is None
        assert jobs.job("job-1") == sealed
        with pytest.raises(Gone):
            jobs.amend(make_job("none"), replayed=True)

    def test_of_many_amenders_one_wins(self, jobs: Jobs) -> None:
        job = jobs.create_job(make_job())
        amended = together(6, lambda number: jobs.amend(job, settled=float(number)))
        (winner,) = [job for job in amended if job is not None]
        assert jobs.job("job-1") == winner

    def test_sealing_moves_on_to_transcribing(self, jobs: Jobs, clock: Clock) -> None:
        jobs.create_job(make_job())
        clock.sleep(1)
        before = clock.now()
        sealed = jobs.seal("job-1", SEAL)
        assert (sealed.state, sealed.seal) == (JobState.TRANSCRIBING, SEAL)
        assert sealed.updated >= before
        assert jobs.job("job-1") == sealed

    def test_sealed_twice_is_sealed_once(self, jobs: Jobs) -> None:
        jobs.create_job(make_job())
        jobs.seal("job-1", SEAL)
        moved = jobs.move("job-1", JobState.TRANSCRIBING, JobState.SETTLING)
        assert jobs.seal("job-1", replace(SEAL, chunks=99)) == moved
        assert jobs.job("job-1") == moved

    @pytest.mark.parametrize("ended", [JobState.CANCELLED, JobState.FAILED])
    def test_an_ended_job_is_not_revived_by_its_seal(self, jobs: Jobs, ended: JobState) -> None:
        jobs.create_job(make_job())
        stopped = jobs.move("job-1", JobState.CHUNKING, ended)
        assert jobs.seal("job-1", SEAL) == stopped
        assert jobs.job("job-1") == stopped

    @pytest.mark.parametrize(("source", "target"), LEGAL)
    def test_legal_moves_set_what_they_bring(self, jobs: Jobs, source: JobState, target: JobState) -> None:
        jobs.create_job(make_job(state=source))
        refs = (BlobRef("transcripts", "a.txt", 3), BlobRef("transcripts", "a.json", 4))
        job = jobs.move("job-1", source, target, language="en", reason="so", transcripts=refs)
        assert job is not None
        assert (job.state, job.language, job.reason, job.transcripts) == (target, "en", "so", refs)
        assert jobs.job("job-1") == job
        assert replace(job, state=source, language=None, reason=None, transcripts=(), updated=1.0) == make_job(
            state=source
        )

    @pytest.mark.parametrize(("source", "target"), ILLEGAL)
    def test_illegal_moves_change_nothing(self, jobs: Jobs, source: JobState, target: JobState) -> None:
        stored = jobs.create_job(make_job(state=source))
        with pytest.raises(IllegalMove):
            jobs.move("job-1", source, target, reason="no")
        assert jobs.job("job-1") == stored

    def test_a_move_from_another_state_is_none(self, jobs: Jobs) -> None:
        stored = jobs.create_job(make_job())
        assert jobs.move("job-1", JobState.SETTLING, JobState.COMPLETE, reason="no") is None
        assert jobs.job("job-1") == stored

    def test_a_move_is_made_once(self, jobs: Jobs) -> None:
        jobs.create_job(make_job(state=JobState.TRANSCRIBING))
        assert jobs.move("job-1", JobState.TRANSCRIBING, JobState.SETTLING) is not None
        assert jobs.move("job-1", JobState.TRANSCRIBING, JobState.SETTLING) is None

    def test_of_many_movers_one_wins(self, jobs: Jobs) -> None:
        jobs.create_job(make_job(state=JobState.TRANSCRIBING))
        targets = [JobState.SETTLING, JobState.CANCELLED, JobState.FAILED, JobState.SETTLING]
        moved = together(
            4, lambda number: jobs.move("job-1", JobState.TRANSCRIBING, targets[number], reason=str(number))
        )
        (winner,) = [job for job in moved if job is not None]
        assert jobs.job("job-1") == winner

    def test_sealing_and_cancelling_at_once_leaves_one_of_both(self, jobs: Jobs) -> None:
        for turn in range(5):
            name = f"job-{turn}"
            jobs.create_job(make_job(name))
            sealed, cancelled = together(
                2,
                lambda number, name=name: (
                    jobs.seal(name, SEAL)
                    if number == 0
                    else jobs.move(name, JobState.CHUNKING, JobState.CANCELLED, reason="stop")
                ),
            )
            job = jobs.job(name)
            assert sealed == job
            assert cancelled in (None, job)
            assert job.state is (JobState.TRANSCRIBING if cancelled is None else JobState.CANCELLED)

    def test_of_many_creators_of_a_job_one_wins(self, jobs: Jobs) -> None:
        stored = together(6, lambda number: jobs.create_job(replace(make_job(), size=number)))
        assert len({job.size for job in stored}) == 1

    def test_a_chunk_comes_back_as_it_was_stored(self, jobs: Jobs, clock: Clock) -> None:
        before = clock.now()
        assert jobs.create_chunk(make_chunk(3))
        stored = jobs.chunk("job-1", 3)
        assert stored.updated >= before
        assert stored.queued == stored.updated
        assert replace(stored, updated=0.0, queued=0.0) == make_chunk(3)

    def test_a_chunk_is_created_once(self, jobs: Jobs) -> None:
        jobs.create_chunk(make_chunk())
        jobs.store_result(make_result())
        stored = jobs.chunk("job-1", 0)
        assert not jobs.create_chunk(make_chunk())
        assert jobs.chunk("job-1", 0) == stored

    def test_of_many_creators_of_a_chunk_one_wins(self, jobs: Jobs) -> None:
        assert sorted(together(6, lambda _: jobs.create_chunk(make_chunk()))) == [False] * 5 + [True]

    def test_an_unknown_chunk_is_gone(self, jobs: Jobs) -> None:
        jobs.create_chunk(make_chunk(1))
        for job_id, index in (("job-1", 0), ("job-2", 1)):
            with pytest.raises(Gone):
                jobs.chunk(job_id, index)

    def test_chunks_come_by_index(self, jobs: Jobs) -> None:
        for index in (10, 2, 0, 1):
            jobs.create_chunk(make_chunk(index))
        jobs.create_chunk(make_chunk(5, job_id="job-10"))
        jobs.store_result(make_result(2))
        jobs.give_up("job-1", 0, 1, "crash")
        assert [chunk.task.index for chunk in jobs.chunks("job-1")] == [0, 1, 2, 10]
        assert [chunk.task.index for chunk in jobs.chunks("job-1", 2)] == [2, 10]
        assert [chunk.task.index for chunk in jobs.chunks("job-1", 11)] == []
        assert list(jobs.chunks("none")) == []

    def test_every_chunk_of_a_long_job_comes(self, jobs: Jobs) -> None:
        together(4, lambda number: [jobs.create_chunk(make_chunk(index)) for index in range(number, 230, 4)])
        assert [chunk.task.index for chunk in jobs.chunks("job-1")] == list(range(230))

    def test_a_reader_may_write_between_two_chunks(self, jobs: Jobs) -> None:
        for index in range(3):
            jobs.create_chunk(make_chunk(index))
        for chunk in jobs.chunks("job-1"):
            assert jobs.store_result(make_result(chunk.task.index))
        assert not jobs.any_pending("job-1")

    def test_a_result_makes_its_chunk_done(self, jobs: Jobs, clock: Clock) -> None:
        jobs.create_chunk(make_chunk())
        clock.sleep(1)
        before = clock.now()
        assert jobs.store_result(make_result())
        chunk = jobs.chunk("job-1", 0)
        assert (chunk.state, chunk.result) == (ChunkState.DONE, make_result())
        assert chunk.updated >= before
        assert replace(chunk, state=ChunkState.PENDING, result=None, updated=0.0, queued=0.0) == make_chunk()

    def test_a_result_stored_twice_is_stored_once(self, jobs: Jobs) -> None:
        jobs.create_chunk(make_chunk())
        assert jobs.store_result(make_result())
        assert jobs.store_result(make_result())
        assert jobs.chunk("job-1", 0).result == make_result()

    def test_a_replay_overwrites(self, jobs: Jobs) -> None:
        jobs.create_chunk(make_chunk())
        jobs.store_result(make_result(text=" old"))
        assert jobs.store_result(make_result(text=" new"))
        assert jobs.chunk("job-1", 0).result == make_result(text=" new")

    def test_a_late_result_heals_a_chunk_given_up(self, jobs: Jobs) -> None:
        jobs.create_chunk(make_chunk())
        jobs.give_up("job-1", 0, 1, "too late")
        assert jobs.store_result(make_result())
        chunk = jobs.chunk("job-1", 0)
        assert (chunk.state, chunk.reason) == (ChunkState.DONE, None)
        assert chunk.overwritten == chunk.updated

    def test_another_result_overwrites_and_the_same_one_does_not(self, jobs: Jobs, clock: Clock) -> None:
        jobs.create_chunk(make_chunk())
        first = jobs.store_result(make_result())
        assert first is not None
        assert (first, first.overwritten) == (jobs.chunk("job-1", 0), 0.0)
        clock.sleep(0.01)
        assert jobs.store_result(make_result()) == first, "the same result is not written again"
        assert jobs.chunk("job-1", 0) == first
        same_text = replace(make_result(), provenance=Provenance("base", "int8", "cpu", "0.1.0", "other", 2.5, 2))
        again = jobs.store_result(same_text)
        assert again is not None
        assert (again.result, again.overwritten) == (same_text, again.updated)
        assert again.updated > first.updated
        other = jobs.store_result(make_result(text=" else"))
        assert other is not None
        assert other.overwritten == other.updated
        assert jobs.store_result(make_result(text=" else")) == other == jobs.chunk("job-1", 0)

    def test_a_result_under_other_settings_is_dropped(self, jobs: Jobs) -> None:
        jobs.create_chunk(make_chunk())
        stored = jobs.chunk("job-1", 0)
        assert jobs.store_result(replace(make_result(), settings_hash="1" * 16)) is None
        assert jobs.chunk("job-1", 0) == stored

    @pytest.mark.parametrize("run", [0, 2])
    def test_a_result_of_another_run_is_dropped(self, jobs: Jobs, run: int) -> None:
        jobs.create_chunk(make_chunk(run=1))
        stored = jobs.chunk("job-1", 0)
        assert not jobs.store_result(make_result(run=run))
        assert jobs.chunk("job-1", 0) == stored

    def test_effects_on_an_unknown_chunk_are_dropped(self, jobs: Jobs) -> None:
        assert not jobs.store_result(make_result())
        assert not jobs.give_up("job-1", 0, 1, "no")
        assert not jobs.requeue(make_task())
        assert list(jobs.chunks("job-1")) == []

    def test_giving_up_names_the_reason(self, jobs: Jobs) -> None:
        jobs.create_chunk(make_chunk())
        assert jobs.give_up("job-1", 0, 1, "the worker crashed")
        chunk = jobs.chunk("job-1", 0)
        assert (chunk.state, chunk.reason) == (ChunkState.MISSING, "the worker crashed")
        assert not jobs.any_pending("job-1")

    def test_only_a_pending_chunk_of_that_run_is_given_up(self, jobs: Jobs) -> None:
        for index in range(3):
            jobs.create_chunk(make_chunk(index))
        jobs.store_result(make_result(0))
        jobs.give_up("job-1", 1, 1, "first")
        assert not jobs.give_up("job-1", 0, 1, "done")
        assert not jobs.give_up("job-1", 1, 1, "second")
        assert not jobs.give_up("job-1", 2, 2, "another run")
        assert [chunk.reason for chunk in jobs.chunks("job-1")] == [None, "first", None]
        assert jobs.chunk("job-1", 2).state is ChunkState.PENDING

    @pytest.mark.parametrize("ended", ["pending", "done", "missing"])
    def test_a_requeued_chunk_is_pending_under_its_new_task(self, jobs: Jobs, ended: str) -> None:
        jobs.create_chunk(make_chunk())
        if ended == "done":
            jobs.store_result(make_result())
        if ended == "missing":
            jobs.give_up("job-1", 0, 1, "crash")
        task = replace(make_task(run=2), language="fr")
        assert jobs.requeue(task)
        kept = make_result() if ended == "done" else None
        assert replace(jobs.chunk("job-1", 0), updated=0.0, queued=0.0) == replace(
            make_chunk(), task=task, result=kept
        )
        assert jobs.any_pending("job-1")
        assert not jobs.store_result(make_result(run=1)), "a late writer of the older run"
        assert jobs.store_result(make_result(run=2))
        assert jobs.chunk("job-1", 0).result == make_result(run=2)

    def test_a_rerun_given_up_leaves_the_older_result(self, jobs: Jobs) -> None:
        jobs.create_chunk(make_chunk())
        jobs.store_result(make_result())
        jobs.requeue(make_task(run=2))
        assert jobs.give_up("job-1", 0, 2, "no such model")
        chunk = jobs.chunk("job-1", 0)
        assert (chunk.state, chunk.result, chunk.reason) == (ChunkState.DONE, make_result(), "no such model")
        assert not jobs.any_pending("job-1")

    @pytest.mark.parametrize("run", [0, 1, 3])
    def test_only_the_next_run_can_be_queued(self, jobs: Jobs, run: int) -> None:
        jobs.create_chunk(make_chunk(run=1))
        stored = jobs.chunk("job-1", 0)
        assert not jobs.requeue(make_task(run=run))
        assert jobs.chunk("job-1", 0) == stored

    def test_of_many_requeuers_one_wins(self, jobs: Jobs) -> None:
        jobs.create_chunk(make_chunk(run=1))
        assert sorted(together(6, lambda _: jobs.requeue(make_task(run=2)))) == [False] * 5 + [True]

    def test_a_result_and_a_requeue_at_once_never_mix(self, jobs: Jobs) -> None:
        for index in range(8):
            jobs.create_chunk(make_chunk(index))
            together(
                2,
                lambda number, index=index: (
                    jobs.store_result(make_result(index)) if number else jobs.requeue(make_task(index, run=2))
                ),
            )
            chunk = jobs.chunk("job-1", index)
            assert (chunk.task.run, chunk.state) == (2, ChunkState.PENDING)
            assert chunk.result in (None, make_result(index))

    def test_a_pending_chunk_is_sent_again_once_for_all_who_saw_it(self, jobs: Jobs, clock: Clock) -> None:
        jobs.create_chunk(make_chunk())
        seen = jobs.chunk("job-1", 0)
        clock.sleep(0.01)
        assert sorted(together(6, lambda _: jobs.resend(seen))) == [False] * 5 + [True]
        sent = jobs.chunk("job-1", 0)
        assert sent.queued == sent.updated > seen.queued
        assert replace(sent, queued=seen.queued, updated=seen.updated, sendings=1) == seen
        assert sent.sendings == 2
        assert jobs.resend(sent)
        assert jobs.chunk("job-1", 0).sendings == 3

    @pytest.mark.parametrize("ended", ["done", "missing", "requeued", "deleted"])
    def test_what_is_no_longer_pending_in_that_run_is_not_sent_again(self, jobs: Jobs, ended: str) -> None:
        jobs.create_chunk(make_chunk())
        seen = jobs.chunk("job-1", 0)
        if ended == "done":
            jobs.store_result(make_result())
        if ended == "missing":
            jobs.give_up("job-1", 0, 1, "crash")
        if ended == "requeued":
            jobs.requeue(make_task(run=2))
        if ended == "deleted":
            jobs.delete_job("job-1")
        stored = list(jobs.chunks("job-1"))
        assert not jobs.resend(seen)
        assert list(jobs.chunks("job-1")) == stored

    def test_a_new_run_counts_its_sendings_afresh(self, jobs: Jobs, clock: Clock) -> None:
        jobs.create_chunk(make_chunk())
        jobs.resend(jobs.chunk("job-1", 0))
        jobs.give_up("job-1", 0, 1, "crash")
        jobs.store_result(make_result())
        old = jobs.chunk("job-1", 0)
        assert old.overwritten > 0
        clock.sleep(0.01)
        jobs.requeue(make_task(run=2))
        new = jobs.chunk("job-1", 0)
        assert (new.sendings, new.overwritten, new.queued) == (1, 0.0, new.updated)
        assert new.queued > old.queued

    def test_pending_chunks_are_counted_and_listed(self, jobs: Jobs) -> None:
        assert jobs.count_pending("job-1") == 0
        assert list(jobs.pending("job-1")) == []
        together(4, lambda turn: [jobs.create_chunk(make_chunk(index)) for index in range(turn, 215, 4)])
        jobs.create_chunk(make_chunk(0, job_id="job-2"))
        for index in range(0, 215, 3):
            jobs.store_result(make_result(index))
        left = [index for index in range(215) if index % 3]
        assert jobs.count_pending("job-1") == len(left)
        assert [chunk.task.index for chunk in jobs.pending("job-1")] == left

    def test_a_reader_of_pending_chunks_may_end_them(self, jobs: Jobs) -> None:
        for index in range(3):
            jobs.create_chunk(make_chunk(index))
        for chunk in jobs.pending("job-1"):
            assert jobs.give_up("job-1", chunk.task.index, 1, "late")
        assert jobs.count_pending("job-1") == 0

    def test_the_last_queued_and_the_last_changed_are_known(self, jobs: Jobs, clock: Clock) -> None:
        def last() -> tuple[int, int]:
            queued, changed = jobs.last_queued("job-1"), jobs.last_changed("job-1")
            assert queued is not None
            assert changed is not None
            assert jobs.chunk("job-1", queued.task.index) == queued
            assert jobs.chunk("job-1", changed.task.index) == changed
            return queued.task.index, changed.task.index

        assert jobs.last_queued("job-1") is jobs.last_changed("job-1") is None
        for index in (1, 0, 2):
            jobs.create_chunk(make_chunk(index))
            clock.sleep(0.01)
        jobs.create_chunk(make_chunk(3, job_id="job-2"))
        assert last() == (2, 2)
        jobs.store_result(make_result(1))
        assert last() == (2, 1)
        clock.sleep(0.01)
        jobs.give_up("job-1", 2, 1, "crash")
        assert last() == (2, 2)
        clock.sleep(0.01)
        jobs.resend(jobs.chunk("job-1", 0))
        assert last() == (0, 0)
        clock.sleep(0.01)
        jobs.requeue(make_task(1, run=2))
        assert last() == (1, 1)

    def test_pending_chunks_are_known(self, jobs: Jobs) -> None:
        assert not jobs.any_pending("job-1")
        for index in range(3):
            jobs.create_chunk(make_chunk(index))
        jobs.create_chunk(make_chunk(0, job_id="job-2"))
        for index in range(3):
            assert jobs.any_pending("job-1")
            jobs.store_result(make_result(index))
        assert not jobs.any_pending("job-1")
        assert jobs.any_pending("job-2")

    def test_a_workers_last_report_counts(self, jobs: Jobs, clock: Clock) -> None:
        assert list(jobs.workers()) == []
        now = clock.now()
        jobs.report(Worker("w-2", "base", "cpu", now - 30))
        jobs.report(Worker("w-1", "base", "cuda", now - 20))
        jobs.report(Worker("w-2", "base", "cpu", now))
        assert list(jobs.workers()) == [Worker("w-1", "base", "cuda", now - 20), Worker("w-2", "base", "cpu", now)]

    def test_a_worker_not_seen_for_a_day_is_forgotten(self, jobs: Jobs, clock: Clock) -> None:
        jobs.report(Worker("old", "base", "cpu", clock.now() - 86_500))
        jobs.report(Worker("new", "base", "cpu", clock.now()))
        assert [worker.name for worker in jobs.workers()] == ["new"]

    def test_deleting_a_job_takes_its_chunks_along(self, jobs: Jobs) -> None:
        for name in ("job-1", "job-2"):
            jobs.create_job(make_job(name))
            for index in range(3):
                jobs.create_chunk(make_chunk(index, job_id=name))
        jobs.delete_job("job-1")
        jobs.delete_job("job-1")
        with pytest.raises(Gone):
            jobs.job("job-1")
        assert list(jobs.chunks("job-1")) == []
        assert not jobs.any_pending("job-1")
        assert len(list(jobs.chunks("job-2"))) == 3
        assert jobs.create_job(make_job(created=9.0)).created == 9.0
