"""The operator's commands as plain functions, on the stages' own stores."""

from typing import Any

import pytest
from msgspec.structs import replace

from longscribe import documents
from longscribe.core import topics
from longscribe.core.limits import MAX_ATTEMPTS_EMBEDDED
from longscribe.core.settings import Settings
from longscribe.documents import ChunkState, JobState
from longscribe.errors import BadInput, Gone
from longscribe.messages import ChunkRefused, ChunkResult, UploadEvent, decode, encode
from longscribe.operating import ending
from longscribe.operating.comparing import compare
from longscribe.operating.dead_letters import dead_letters
from longscribe.operating.finding import find
from longscribe.operating.ports import Worker, together
from longscribe.operating.rerunning import before_name, model_of, refused, rerun, under_way
from longscribe.operating.status import QUIET_SECONDS, overview, status
from longscribe.stages import chunker
from longscribe.stages.assembler import GIVEN_UP, Assembled, take_result
from longscribe.stages.reconciler import heal
from tests.operations import ADVICE, WORKER, operations
from tests.standins import Bench, Faulty, ToneRecogniser, job_id, spoken, tones, words

COUNT = 60


class Died(Exception):
    """The process ended here."""


@pytest.fixture
def event(bench: Bench) -> UploadEvent:
    """A recording that is cut."""
    made = bench.upload(spoken(COUNT))
    chunker.chunk(made, bench.chunker())
    return made


@pytest.fixture
def finished(bench: Bench, event: UploadEvent) -> UploadEvent:
    """One that is transcribed, its audio cleaned up."""
    bench.work()
    bench.assemble()
    ending.drop(job_id(event), bench.blobs, "chunks")
    return event


def again(bench: Bench, event: UploadEvent, *indices: int, model: str = "base") -> None:
    rerun(bench.job(event), indices, model, operations(bench), bench.media)


def runs(bench: Bench, event: UploadEvent) -> list[int]:
    return [chunk.task.run for chunk in bench.chunks(event)]


def mishear(bench: Bench, wrong: str) -> None:
    """Let the recogniser hear nothing in the windows that hold a word."""

    class Deaf(ToneRecogniser):
        def recognise(self, windows: Any) -> Any:
            return [
                replace(result, words=()) if f" {wrong}" in result.text else result
                for result in super().recognise(windows)
            ]

    bench.recogniser = Deaf()


# Which job.


def test_a_job_is_found_by_its_id_its_beginning_and_its_name(bench: Bench, event: UploadEvent) -> None:
    job = bench.job(event)
    for text in (job.job_id, job.job_id[:4], "talk.pcm"):
        assert find(bench.jobs, text).job == job
        assert find(bench.jobs, text).remark is None


@pytest.mark.parametrize("text", ["nope", "", "talk", "TALK.PCM"])
def test_what_fits_no_job_is_told_with_those_there_are(bench: Bench, event: UploadEvent, text: str) -> None:
    with pytest.raises(BadInput, match=rf"There is no job '{text}'.*{job_id(event)} \(talk.pcm\)"):
        find(bench.jobs, text)


def test_a_beginning_that_is_too_short_or_of_two_jobs_is_not_enough(bench: Bench, event: UploadEvent) -> None:
    with pytest.raises(BadInput, match="There is no job"):
        find(bench.jobs, job_id(event)[:3])
    other = replace(bench.job(event), job_id=job_id(event)[:10] + "x", created=0.0)
    bench.jobs.create_job(other)
    with pytest.raises(BadInput, match=f"More than one job begins.*{other.job_id}"):
        find(bench.jobs, job_id(event)[:10])
    assert find(bench.jobs, other.job_id).job == other


def test_of_several_of_one_name_it_is_the_newest_and_that_is_said(bench: Bench, event: UploadEvent) -> None:
    newer = replace(bench.job(event), job_id="another", created=bench.job(event).created + 1)
    bench.jobs.create_job(newer)
    found = find(bench.jobs, "talk.pcm")
    assert found.job == newer
    assert "2 jobs are of talk.pcm" in (found.remark or "")


def test_not_all_candidates_are_named(bench: Bench, event: UploadEvent) -> None:
    for number in range(30):
        bench.jobs.create_job(replace(bench.job(event), job_id=f"job{number}"))
    with pytest.raises(BadInput, match="and 21 more"):
        find(bench.jobs, "nope")


def test_there_is_no_job_at_all(bench: Bench) -> None:
    with pytest.raises(BadInput, match="there are: none"):
        find(bench.jobs, "talk.pcm")


# Status.


def test_the_status_of_a_job_under_way(bench: Bench, event: UploadEvent) -> None:
    count = len(bench.chunks(event))
    bench.clock.sleep(10)
    bench.work(limit=3)
    bench.assemble()
    found = status(bench.job(event), operations(bench))
    done = [chunk for chunk in bench.chunks(event) if chunk.state is ChunkState.DONE]
    assert (found.state, found.cut, found.chunks, found.chunks_waiting) == (
        JobState.TRANSCRIBING,
        True,
        count,
        count - 3,
    )
    seconds = sum(chunk.task.end - chunk.task.start for chunk in done) / 16_000
    assert 0 <= found.done_seconds - seconds < 0.2  # the silence after the last chunk counts as done
    assert found.known_seconds == len(spoken(COUNT)) / 16_000
    assert found.speed == pytest.approx(seconds / 10, abs=0.01)
    assert found.seconds_left == pytest.approx(
        (found.known_seconds - found.done_seconds) / (seconds / 10), rel=0.01
    )
    assert found.frontier == pytest.approx(done[-1].task.end / 16_000)
    blocker = found.blocked_by
    assert blocker is not None
    assert (blocker.index, blocker.cut, blocker.run, blocker.waits_seconds) == (3, True, 1, 10.0)
    assert blocker.start == found.frontier
    assert found.results == {"base": 3}
    assert found.last_result == bench.clock.now()
    assert (found.notice, found.worker) == (None, WORKER)


def test_the_status_of_a_job_that_is_still_cut(bench: Bench, event: UploadEvent) -> None:
    other = replace(bench.job(event), job_id="other", state=JobState.CHUNKING, seal=None)
    bench.jobs.create_job(other)
    found = status(other, operations(bench))
    assert (found.cut, found.known_seconds, found.seconds_left, found.speed) == (False, 0.0, None, None)
    assert found.blocked_by is not None
    assert (found.blocked_by.index, found.blocked_by.cut, found.blocked_by.start) == (0, False, None)


def test_the_status_of_a_finished_job(bench: Bench, finished: UploadEvent) -> None:
    found = status(bench.job(finished), operations(bench, None))
    assert (found.state, found.chunks_waiting, found.blocked_by, found.notice) == (
        JobState.COMPLETE,
        0,
        None,
        None,
    )
    assert found.done_seconds == found.known_seconds == found.frontier
    assert found.speed is None
    assert len(found.transcripts) == 4
    (line,) = overview(operations(bench)).jobs
    assert (line.done_seconds, line.known_seconds, line.missing_seconds) == (
        found.done_seconds,
        found.known_seconds,
        0.0,
    )


def test_all_jobs_in_short_the_newest_first(bench: Bench, event: UploadEvent) -> None:
    bench.clock.sleep(5)
    later = bench.upload(spoken(20), "later.pcm")
    chunker.chunk(later, bench.chunker())
    found = overview(operations(bench))
    assert [job.name for job in found.jobs] == ["later.pcm", "talk.pcm"]
    assert found.worker == WORKER


def test_a_job_deleted_while_all_are_listed_is_left_out(bench: Bench, event: UploadEvent) -> None:
    def gone(call: str, _: object) -> None:
        if call == "chunks":
            raise Gone("It was deleted.")

    ops = replaced(bench, jobs=Faulty(bench.jobs, gone))
    assert overview(ops).jobs == ()


def replaced(bench: Bench, **ports: Any) -> Any:
    from dataclasses import replace as other

    return other(operations(bench), **ports)


def test_a_name_that_is_no_text_is_shown_as_far_as_it_goes(bench: Bench) -> None:
    bench.settings = replace(bench.settings, formats=("txt",))
    event = bench.upload(spoken(10), "caf\udce9.pcm")
    chunker.chunk(event, bench.chunker())
    (line,) = overview(operations(bench)).jobs
    assert line.name == "caf?.pcm"
    assert find(bench.jobs, "caf?.pcm").job == bench.job(event)


def test_chunks_that_wait_with_nobody_at_work_are_told(bench: Bench, event: UploadEvent) -> None:
    count = len(bench.chunks(event))
    found = status(bench.job(event), operations(bench, None))
    assert found.notice == f"{count} chunks wait and nobody is at work here: {ADVICE}."
    bench.work(limit=count - 1)
    bench.assemble()
    (line,) = overview(operations(bench, None)).jobs
    assert (line.notice or "").startswith("1 chunk waits")


@pytest.mark.parametrize(("after", "told"), [(QUIET_SECONDS - 1, False), (QUIET_SECONDS, True)])
def test_chunks_that_wait_without_a_result_for_ten_minutes_are_told(
    bench: Bench, event: UploadEvent, after: float, told: bool
) -> None:
    bench.work(limit=2)
    bench.clock.sleep(3_000)
    bench.assemble()
    bench.clock.sleep(after)
    found = status(bench.job(event), operations(bench))
    assert (found.notice is not None) == told
    if told:
        assert "nothing has come for 10 minutes, though process 7 is at work here" in (found.notice or "")
    fresh = replace(WORKER, since=bench.clock.now())
    assert status(bench.job(event), operations(bench, fresh)).notice is None


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (JobState.CHUNKING, "The recording is not cut to its end"),
        (JobState.SETTLING, "The transcript is not written"),
    ],
)
def test_a_job_that_nobody_ends_is_told(bench: Bench, event: UploadEvent, state: JobState, sentence: str) -> None:
    other = replace(bench.job(event), job_id="other", state=state)
    bench.jobs.create_job(other)
    assert (status(other, operations(bench, None)).notice or "").startswith(sentence)


@pytest.mark.parametrize(("waited", "told"), [(-1, False), (599, False), (600, True)])
def test_on_the_cloud_chunks_may_wait_until_a_worker_has_come(
    bench: Bench, event: UploadEvent, waited: float, told: bool
) -> None:
    bench.clock.sleep(waited)
    ops = replaced(bench, patience=600.0, worker=lambda: None)
    found = status(bench.job(event), ops).notice
    count = len(bench.chunks(event))
    assert found == (f"{count} chunks wait and no worker has pulled for 10 minutes: {ADVICE}." if told else None)


def test_one_chunk_that_waits_is_told_though_others_were_cut_since(bench: Bench, event: UploadEvent) -> None:
    bench.clock.sleep(600)
    bench.work(limit=1)
    bench.assemble()
    assert "no worker" in (
        status(bench.job(event), replaced(bench, patience=600.0, worker=lambda: None)).notice or ""
    )


@pytest.mark.parametrize("state", [JobState.CHUNKING, JobState.SETTLING])
def test_on_the_cloud_what_no_worker_does_is_not_laid_to_them(
    bench: Bench, event: UploadEvent, state: JobState
) -> None:
    other = replace(bench.job(event), job_id="other", state=state)
    bench.jobs.create_job(other)
    ops = replaced(bench, patience=600.0, worker=lambda: None)
    bench.clock.sleep(QUIET_SECONDS - 1)
    assert status(other, ops).notice is None
    bench.clock.sleep(1)
    assert (status(other, ops).notice or "").endswith(" and nothing has come for 10 minutes: start another.")


def test_the_embedded_default_has_no_patience_even_with_a_clock_that_went_back(
    bench: Bench, event: UploadEvent
) -> None:
    bench.clock.sleep(-60)
    assert "nobody is at work here" in (status(bench.job(event), operations(bench, None)).notice or "")


def test_workers_are_told_of_as_one() -> None:
    def worker(pulled: float, model: str = "base", since: float = 5.0) -> documents.Worker:
        return documents.Worker(f"w-{pulled}-{since}", model, "cuda", pulled, since)

    assert together([], 1_000) is None
    assert together([worker(400)], 1_000) is None
    one = together([worker(399), worker(401)], 1_000)
    assert one == Worker(name="1 worker", since=5.0, model="base")
    assert one.here == "1 worker is at work here"
    two = together([worker(900, since=7.0), worker(950, since=6.0)], 1_000)
    assert two == Worker(name="2 workers", since=6.0, model="base")
    assert two.here == "2 workers are at work here"
    mixed = together([worker(900), worker(950, "small")], 1_000)
    assert mixed is not None
    assert mixed.model is None


# Rerun.


def test_one_chunk_is_transcribed_again_and_the_rest_stays(bench: Bench, finished: UploadEvent) -> None:
    before = bench.chunks(finished)
    again(bench, finished, 2, model="small")
    bench.recogniser.model = "small"
    assert under_way(bench.job(finished))
    assert bench.work() == 1
    assert bench.assemble() == ["written"]
    after = bench.chunks(finished)
    assert [chunk.task.run for chunk in after] == [2 if chunk.task.index == 2 else 1 for chunk in after]
    assert after[2].task.model == "small"
    assert status(bench.job(finished), operations(bench)).results == {"base": len(after) - 1, "small": 1}
    assert [one for one in after if one.task.index != 2] == [one for one in before if one.task.index != 2]
    assert bench.text(finished) == words(COUNT)
    assert bench.job(finished).state is JobState.COMPLETE


def test_all_chunks_are_transcribed_again(bench: Bench, finished: UploadEvent) -> None:
    again(bench, finished)
    assert bench.work() == len(bench.chunks(finished))
    assert bench.assemble()[-1] == "written"
    assert set(runs(bench, finished)) == {2}
    assert bench.text(finished) == words(COUNT)


def test_documents_then_the_job_then_messages(bench: Bench, finished: UploadEvent) -> None:
    steps: list[str] = []

    def note(call: str, args: tuple[Any, ...]) -> None:
        if call in ("replace", "create", "requeue", "move", "publish"):
            steps.append(call)

    ports = {name: Faulty(getattr(bench, name), note) for name in ("blobs", "jobs", "queue")}
    rerun(bench.job(finished), [0, 1], "base", replaced(bench, **ports), bench.media)
    assert steps == ["replace", "create", "create", "requeue", "requeue", "move", "publish", "publish"]


@pytest.mark.parametrize("dies_at", ["replace", "create", "requeue", "move", "publish"])
@pytest.mark.parametrize("after", [0, 1])
def test_a_rerun_that_died_is_made_whole_by_the_next(
    bench: Bench, finished: UploadEvent, dies_at: str, after: int
) -> None:
    calls = 0

    def die(call: str, _: object) -> None:
        nonlocal calls
        calls += call == dies_at
        if calls > after:
            raise Died

    ports = {name: Faulty(getattr(bench, name), die) for name in ("blobs", "jobs", "queue")}
    try:
        rerun(bench.job(finished), [0, 1], "base", replaced(bench, **ports), bench.media)
    except Died:
        pass
    else:
        assert (dies_at, after) in (("replace", 1), ("move", 1))  # it calls these once only
    again(bench, finished, 1)
    heal(job_id(finished), bench.assembler())
    bench.work()
    bench.assemble()
    assert bench.job(finished).state is JobState.COMPLETE
    assert all(chunk.state is ChunkState.DONE for chunk in bench.chunks(finished))
    assert runs(bench, finished)[1] >= 2
    assert bench.text(finished) == words(COUNT)
    assert compare(bench.job(finished), operations(bench)).hunks == ()


def test_a_job_that_somebody_else_changed_meanwhile_is_left(bench: Bench, finished: UploadEvent) -> None:
    job = bench.job(finished)
    bench.jobs.move(job.job_id, JobState.COMPLETE, JobState.SETTLING)
    with pytest.raises(BadInput, match="changed by somebody else"):
        rerun(job, [0], "base", operations(bench), bench.media)


def test_a_rerun_under_way_goes_on_with_its_model(bench: Bench, finished: UploadEvent) -> None:
    again(bench, finished, 1, model="small")
    job = bench.job(finished)
    ops = operations(bench)
    assert rerun(job, [2], "small", ops, bench.media).chunks == ()
    assert runs(bench, finished)[2] == 1
    assert model_of(job, None, ops) == model_of(job, "small", ops) == "small"
    with pytest.raises(BadInput, match="A rerun with the model 'small' is under way"):
        model_of(job, "base", ops)


def test_the_model_is_the_jobs_own_unless_another_is_given(bench: Bench, finished: UploadEvent) -> None:
    assert model_of(bench.job(finished), None, operations(bench)) == "base"
    assert model_of(bench.job(finished), "small", operations(bench)) == "small"


@pytest.mark.parametrize(
    ("indices", "sentence"), [([99], r"no chunk 99; it has chunks 0 to \d"), ([-1, 0, 77], "no chunk -1, 77")]
)
def test_chunks_that_are_not_there(bench: Bench, finished: UploadEvent, indices: list[int], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        again(bench, finished, *indices)
    assert set(runs(bench, finished)) == {1}


def test_silence_has_nothing_to_rerun(bench: Bench) -> None:
    event = bench.upload(b"\0" * 320_000)
    chunker.chunk(event, bench.chunker())
    bench.assemble()
    with pytest.raises(BadInput, match="it has none, for nobody spoke"):
        again(bench, event)


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (JobState.TRANSCRIBING, "wait until it has ended"),
        (JobState.CHUNKING, "wait until it has ended"),
        (JobState.FAILED, "transcribe the recording again"),
        (JobState.CANCELLED, "transcribe the recording again"),
    ],
)
def test_a_job_without_a_transcript_is_not_rerun(
    bench: Bench, event: UploadEvent, state: JobState, sentence: str
) -> None:
    other = replace(bench.job(event), job_id="other", state=state)
    bench.jobs.create_job(other)
    with pytest.raises(BadInput, match=sentence):
        rerun(other, [], "base", operations(bench), bench.media)


def test_jobs_whose_chunks_another_model_would_lose_are_found(bench: Bench, finished: UploadEvent) -> None:
    ops = operations(bench)
    assert refused(bench.job(finished), "small", ops) is None
    other = bench.upload(spoken(20), "other.pcm")
    chunker.chunk(other, bench.chunker())
    assert refused(bench.job(finished), "base", ops) is None
    assert refused(bench.job(finished), "small", ops) == bench.job(other)
    assert refused(bench.job(other), "small", ops) is None


def test_a_refused_rerun_keeps_the_older_text(bench: Bench, finished: UploadEvent) -> None:
    again(bench, finished, 1, model="large")
    assert bench.work() == 0
    bench.assemble()
    assert bench.job(finished).state is JobState.COMPLETE
    assert bench.text(finished) == words(COUNT)
    (letter,) = dead_letters(operations(bench))
    assert (letter.chunk, letter.run, letter.attempts, letter.older_text) == (1, 2, None, True)
    assert "asks for the model 'large'" in letter.reason


# Diff.


def test_what_a_rerun_changed_is_shown(bench: Bench, event: UploadEvent) -> None:
    mishear(bench, "w020")
    bench.work()
    bench.assemble()
    lost = [word for word in words(COUNT) if word not in bench.text(event)]
    assert "w020" in lost
    with pytest.raises(BadInput, match="was never rerun"):
        compare(bench.job(event), operations(bench))
    bench.recogniser = ToneRecogniser()
    again(bench, event)
    with pytest.raises(BadInput, match="compare when it has ended"):
        compare(bench.job(event), operations(bench))
    bench.work()
    bench.assemble()
    found = compare(bench.job(event), operations(bench))
    assert " ".join(hunk.after for hunk in found.hunks).split() == lost
    assert (found.removed, found.added, found.words_after) == (0, len(lost), COUNT)
    at = found.hunks[0]
    assert at.start < 30 < at.end or at.start < at.end


def test_an_older_transcript_that_cannot_be_read(bench: Bench, finished: UploadEvent) -> None:
    bench.blobs.replace("transcripts", before_name(job_id(finished)), b"{}")
    with pytest.raises(BadInput, match="of another version; rerun the job again"):
        compare(bench.job(finished), operations(bench))


def test_a_job_that_was_cancelled_has_nothing_to_compare(bench: Bench, finished: UploadEvent) -> None:
    again(bench, finished)
    bench.jobs.move(job_id(finished), JobState.TRANSCRIBING, JobState.CANCELLED)
    with pytest.raises(BadInput, match="has no transcript to compare"):
        compare(bench.job(finished), operations(bench))


# Cancel.


def test_a_cancelled_jobs_chunks_are_dropped_unrun(bench: Bench, event: UploadEvent) -> None:
    bench.work(limit=2)
    bench.assemble()
    waiting = len(bench.chunks(event)) - 2
    done = ending.cancel(bench.job(event), operations(bench))
    assert (done.state, done.dropped) == (JobState.CANCELLED, waiting)
    assert list(bench.blobs.names("chunks")) == []
    assert bench.work() == 0
    assert bench.queue.backlog(topics.CHUNKS_HIGH) == bench.queue.backlog(topics.CHUNKS_LOW) == 0
    assert bench.job(event).reason == ending.CANCELLED
    with pytest.raises(BadInput, match="has ended already, as cancelled"):
        ending.cancel(bench.job(event), operations(bench))


def test_a_job_that_moves_on_while_it_is_cancelled_is_cancelled_all_the_same(
    bench: Bench, event: UploadEvent
) -> None:
    job = bench.job(event)
    bench.jobs.move(job.job_id, JobState.TRANSCRIBING, JobState.SETTLING)
    assert ending.cancel(job, operations(bench)).state is JobState.CANCELLED


def test_a_job_that_ends_while_it_is_cancelled_has_ended(bench: Bench, event: UploadEvent) -> None:
    job = bench.job(event)
    bench.work()
    bench.assemble()
    with pytest.raises(BadInput, match="has ended already, as complete"):
        ending.cancel(job, operations(bench))
    assert bench.text(event) == words(COUNT)


def test_a_cancelled_rerun_leaves_the_text_that_was_there(bench: Bench, finished: UploadEvent) -> None:
    again(bench, finished)
    bench.work(limit=2)
    late = bench.drop(topics.RESULTS)
    take_result(late[0], bench.assembler())
    done = ending.cancel(bench.job(finished), operations(bench))
    assert (done.state, done.dropped) == (JobState.COMPLETE, len(bench.chunks(finished)) - 1)
    assert list(bench.blobs.names("chunks")) == []
    assert bench.work() == 0
    assert take_result(late[1], bench.assembler()).what is Assembled.DROPPED
    assert bench.text(finished) == words(COUNT)
    assert list(dead_letters(operations(bench))) == []


# Delete.


def test_of_a_deleted_job_nothing_is_left_and_nothing_comes_back(bench: Bench, event: UploadEvent) -> None:
    bench.work(limit=3)
    late = bench.drop(topics.RESULTS)
    take_result(late[0], bench.assembler())
    done = ending.delete(bench.job(event), operations(bench))
    assert (done.upload, done.transcripts) == (False, ())
    assert (bench.home / "talk.pcm").exists()
    for data in late[1:]:
        assert take_result(data, bench.assembler()).what is Assembled.DROPPED
    assert bench.work() == 0
    assert bench.assemble() == []
    assert list(bench.jobs.jobs()) == bench.chunks(event) == []
    assert list(bench.blobs.names("chunks")) == list(bench.blobs.names("transcripts")) == []
    with pytest.raises(Gone):
        bench.job(event)


def test_a_finished_jobs_upload_and_transcripts_are_deleted(bench: Bench) -> None:
    event = bench.upload(spoken(20), "upload.pcm")
    chunker.chunk(event, bench.chunker())
    bench.work()
    bench.assemble()
    done = ending.delete(bench.job(event), operations(bench))
    assert (done.upload, done.chunks, len(done.transcripts)) == (True, 2, 4)
    assert not (bench.home / "upload.pcm").exists()
    assert list(bench.blobs.names("transcripts")) == []


def test_a_job_that_moves_on_while_it_is_deleted_is_deleted(bench: Bench, event: UploadEvent) -> None:
    job = bench.job(event)
    bench.jobs.move(job.job_id, JobState.TRANSCRIBING, JobState.SETTLING)
    ending.delete(job, operations(bench))
    assert list(bench.jobs.jobs()) == []


# Dead letters.


def test_chunks_given_up_are_listed_and_healed_by_a_rerun(bench: Bench, event: UploadEvent) -> None:
    bench.recogniser.before = lambda windows: fail_on(windows, "w020")
    for _ in range(MAX_ATTEMPTS_EMBEDDED * len(bench.chunks(event))):
        for subscription in (topics.CHUNKS_HIGH, topics.CHUNKS_LOW):
            try:
                bench.work()
            except RuntimeError:
                bench.clock.sleep(100)
                bench.queue.pull(subscription, 0)
    bench.assemble()
    assert bench.job(event).state is JobState.PARTIAL
    (letter,) = dead_letters(operations(bench))
    assert (letter.name, letter.run, letter.attempts, letter.reason, letter.older_text) == (
        "talk.pcm",
        1,
        MAX_ATTEMPTS_EMBEDDED,
        GIVEN_UP,
        False,
    )
    assert list(dead_letters(operations(bench), job_id(event))) == [letter]
    assert list(dead_letters(operations(bench), "other")) == []
    found = status(bench.job(event), operations(bench))
    assert [part.reason for part in found.missing][:1] == [GIVEN_UP]
    assert found.passages[0].reasons == ("missing",)
    assert found.missing_seconds == pytest.approx(sum(part.end - part.start for part in found.missing))
    (worst, *_) = found.passages
    assert worst.reasons[0] == "missing"
    assert any(part.start <= worst.start < part.end for part in found.missing)
    bench.recogniser = ToneRecogniser()
    again(bench, event, letter.chunk)
    bench.work()
    bench.assemble()
    assert bench.job(event).state is JobState.COMPLETE
    assert bench.text(event) == words(COUNT)
    assert list(dead_letters(operations(bench))) == []
    assert compare(bench.job(event), operations(bench)).missing_before > 0


def fail_on(windows: Any, word: str) -> None:
    if any(found.text.strip() == word for window in windows for found in tones(window.samples)):
        raise RuntimeError


def test_a_chunk_that_was_refused_is_listed_with_the_reason(bench: Bench, event: UploadEvent) -> None:
    task = bench.chunks(event)[1].task
    refusal = ChunkRefused(task.job_id, 1, 1, task.settings_hash, "it asks for another model")
    take_result(encode(refusal), bench.assembler())
    (letter,) = dead_letters(operations(bench))
    assert (letter.chunk, letter.attempts, letter.reason) == (1, None, "it asks for another model")


def test_results_of_an_older_run_that_come_late_change_nothing(bench: Bench, event: UploadEvent) -> None:
    bench.settings = Settings(language="en", chunk_seconds=10.0)
    bench.work()
    results = bench.drop(topics.RESULTS)
    for data in results:
        take_result(data, bench.assembler())
    again(bench, event, 0)
    older = next(data for data in results if b'"ChunkResult"' in data and decode(data, ChunkResult).index == 0)
    assert take_result(older, bench.assembler()).what is Assembled.DROPPED
