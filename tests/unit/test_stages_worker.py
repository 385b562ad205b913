"""The worker stage: which delivered tasks are run, on what audio, and what is said of it."""

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from longscribe.core import ids, topics
from longscribe.core.settings import Settings
from longscribe.documents import ChunkState, JobState
from longscribe.errors import DecodeError, Gone, Poison
from longscribe.messages import ChunkRefused, ChunkResult, ChunkTask, UploadEvent, decode, encode
from longscribe.stages import chunker
from longscribe.stages.worker import Prepared, Unrun, conclude, prepare
from tests.standins import BURST, Bench, ToneRecogniser, job_id, spoken, tones, words


@pytest.fixture
def event(bench: Bench) -> UploadEvent:
    """Forty words, cut into chunks that wait."""
    made = bench.upload(spoken(40), vocabulary="Ada, Grace")
    chunker.chunk(made, bench.chunker())
    bench.drop(topics.RESULTS)
    return made


def task(bench: Bench, event: UploadEvent, index: int = 0) -> ChunkTask:
    return bench.jobs.chunk(job_id(event), index).task


def ready(bench: Bench, of: ChunkTask) -> Prepared:
    prepared = prepare(encode(of), bench.worker())
    assert isinstance(prepared, Prepared)
    return prepared


def finish(bench: Bench, event: UploadEvent) -> None:
    bench.work()
    assert bench.assemble()[-1] == "written"
    assert bench.job(event).state is JobState.COMPLETE


def test_a_waiting_task_is_prepared_with_each_windows_audio(bench: Bench, event: UploadEvent) -> None:
    heard: list[str] = []
    for chunk in bench.chunks(event):
        prepared = ready(bench, chunk.task)
        assert prepared.task == chunk.task
        for number, (window, audio) in enumerate(zip(chunk.task.windows, prepared.windows, strict=True)):
            assert len(audio.samples) == window.samples
            assert audio.language == "en"
            assert audio.vocabulary == ("Ada", "Grace")
            assert audio.seed == ids.seed(job_id(event), chunk.task.index, number)
            heard += [found.text.strip() for found in tones(audio.samples)]
    assert heard == words(40)


def test_a_pinned_window_is_heard_in_its_own_language(bench: Bench, event: UploadEvent) -> None:
    of = task(bench, event)
    assert of.language == "en"
    pinned = replace(of, run=2, windows=(replace(of.windows[0], language="de"), *of.windows[1:]))
    bench.jobs.requeue(pinned)
    assert [audio.language for audio in ready(bench, pinned).windows] == ["de"] + ["en"] * (len(of.windows) - 1)


def test_the_result_is_in_the_recordings_time_and_says_who_made_it(bench: Bench, event: UploadEvent) -> None:
    talk = spoken(40)
    of = task(bench, event, 1)
    prepared = ready(bench, of)
    result = conclude(prepared, bench.recogniser.recognise(prepared.windows), 1.23456, 2, bench.worker())
    assert [decode(data, ChunkResult) for data in bench.drop(topics.RESULTS)] == [result]
    assert (result.job_id, result.index, result.run, result.settings_hash) == (
        of.job_id,
        1,
        1,
        of.settings_hash,
    )
    for window in result.windows:
        assert window.words
        for found in window.words:
            assert found.end - found.start == BURST
            assert tones(talk[found.start : found.end])[0].text == found.text
    made = result.provenance
    assert (made.model, made.compute_type, made.device) == ("base", "int8", "cpu")
    assert (made.version, made.worker, made.device_seconds, made.attempt) == ("test", "bench", 1.235, 2)


def test_another_count_of_results_than_of_windows_is_never_published(bench: Bench, event: UploadEvent) -> None:
    with pytest.raises(ValueError, match="zip"):
        conclude(ready(bench, task(bench, event)), [], 1.0, 1, bench.worker())
    assert bench.drop(topics.RESULTS) == []


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b'{"type":"Sealed","job_id":"x","version":1}'])
def test_what_is_no_task_is_poison(bench: Bench, data: bytes) -> None:
    with pytest.raises(DecodeError):
        prepare(data, bench.worker())


def test_a_deleted_job_is_gone(bench: Bench, event: UploadEvent) -> None:
    of = task(bench, event)
    bench.jobs.delete_job(job_id(event))
    assert prepare(encode(of), bench.worker()) is Unrun.GONE


def test_a_chunk_that_is_not_there_is_gone(bench: Bench, event: UploadEvent) -> None:
    of = replace(task(bench, event), index=99)
    assert prepare(encode(of), bench.worker()) is Unrun.GONE


def test_a_task_of_another_run_is_dropped(bench: Bench, event: UploadEvent) -> None:
    of = task(bench, event)
    bench.jobs.requeue(replace(of, run=2))
    assert prepare(encode(of), bench.worker()) is Unrun.OTHER_RUN
    assert isinstance(prepare(encode(replace(of, run=2)), bench.worker()), Prepared)


def test_a_task_of_a_job_begun_afresh_with_other_settings_is_dropped(bench: Bench, event: UploadEvent) -> None:
    of = task(bench, event)
    bench.jobs.delete_job(job_id(event))
    chunker.chunk(replace(event, metadata={"language": "de"}), bench.chunker())
    assert prepare(encode(of), bench.worker()) is Unrun.OTHER_RUN


def test_a_task_of_a_job_begun_afresh_with_the_same_settings_is_dropped(bench: Bench, event: UploadEvent) -> None:
    """Its audio is gone: run, it would fail until the new job's chunk was given up."""
    of = task(bench, event)
    bench.jobs.delete_job(job_id(event))
    bench.blobs.delete("chunks", of.audio.name)
    chunker.chunk(event, bench.chunker())
    assert task(bench, event) == replace(of, audio=task(bench, event).audio) != of
    assert prepare(encode(of), bench.worker()) is Unrun.OTHER_RUN


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
def test_a_task_of_a_job_that_was_ended_is_dropped(bench: Bench, event: UploadEvent, state: JobState) -> None:
    bench.jobs.move(job_id(event), JobState.TRANSCRIBING, state)
    assert prepare(encode(task(bench, event)), bench.worker()) is Unrun.ENDED


def test_a_chunk_that_was_answered_is_a_duplicate(bench: Bench, event: UploadEvent) -> None:
    assert bench.work(limit=1) == 1
    bench.assemble()
    assert bench.jobs.chunk(job_id(event), 0).state is ChunkState.DONE
    assert prepare(encode(task(bench, event)), bench.worker()) is Unrun.DUPLICATE


def test_a_message_sent_again_is_run_as_the_first_would_be(bench: Bench, event: UploadEvent) -> None:
    """And as the same task: a worker that has both in hand knows them for one."""
    of = task(bench, event)
    assert ready(bench, replace(of, resent=True)).task == of


@pytest.mark.parametrize("ended", ["done", "missing", "finished"])
def test_a_message_sent_again_for_nothing_is_a_duplicate(bench: Bench, event: UploadEvent, ended: str) -> None:
    of = replace(task(bench, event), resent=True)
    if ended == "missing":
        bench.jobs.give_up(job_id(event), 0, 1, "poison")
    else:
        bench.work(limit=1 if ended == "done" else 1_000)
        bench.assemble()
    assert prepare(encode(of), bench.worker()) is Unrun.DUPLICATE


def test_another_models_answer_is_no_duplicate(bench: Bench, event: UploadEvent) -> None:
    bench.work(limit=1)
    bench.assemble()
    again = replace(task(bench, event), run=2, model="other")
    bench.jobs.requeue(again)
    other = bench.worker(recogniser=ToneRecogniser(model="other"))
    assert isinstance(prepare(encode(again), other), Prepared)


def test_a_task_for_another_model_is_refused_in_one_sentence(bench: Bench, event: UploadEvent) -> None:
    of = task(bench, event)
    assert prepare(encode(of), bench.worker(recogniser=ToneRecogniser(model="other"))) is Unrun.REFUSED
    (refused,) = [decode(data, ChunkRefused) for data in bench.drop(topics.RESULTS)]
    assert (refused.job_id, refused.index, refused.run, refused.settings_hash) == (
        of.job_id,
        of.index,
        of.run,
        of.settings_hash,
    )
    assert "'base'" in refused.reason
    assert "'other'" in refused.reason


def test_a_language_the_model_does_not_know_is_refused(bench: Bench, event: UploadEvent) -> None:
    bench.recogniser.unknown = "en"
    assert prepare(encode(task(bench, event)), bench.worker()) is Unrun.REFUSED
    (refused,) = [decode(data, ChunkRefused) for data in bench.drop(topics.RESULTS)]
    assert "does not know the language 'en'" in refused.reason


def test_a_chunk_that_was_given_up_may_still_be_run(bench: Bench, event: UploadEvent) -> None:
    bench.jobs.give_up(job_id(event), 0, 1, "poison")
    assert isinstance(prepare(encode(task(bench, event)), bench.worker()), Prepared)


def test_a_chunk_of_a_finished_job_is_a_replay_and_runs_again(bench: Bench, event: UploadEvent) -> None:
    finish(bench, event)
    assert isinstance(prepare(encode(task(bench, event)), bench.worker()), Prepared)


def test_a_replay_whose_audio_was_cleaned_up_is_dropped(bench: Bench, event: UploadEvent) -> None:
    finish(bench, event)
    of = task(bench, event)
    bench.blobs.delete("chunks", of.audio.name)
    assert prepare(encode(of), bench.worker()) is Unrun.GONE


def test_audio_that_is_not_there_fails_the_delivery(bench: Bench, event: UploadEvent) -> None:
    of = task(bench, event)
    bench.blobs.delete("chunks", of.audio.name)
    with pytest.raises(Gone):
        prepare(encode(of), bench.worker())


def test_audio_that_cannot_be_read_is_poison(bench: Bench, event: UploadEvent, tmp_path: Path) -> None:
    of = task(bench, event)
    bench.blobs.delete("chunks", of.audio.name)
    audio = bench.blobs.create("chunks", of.audio.name, b"noise")
    bench.jobs.delete_job(job_id(event))
    chunker.chunk(event, bench.chunker())
    assert task(bench, event).audio == audio
    with pytest.raises(Poison):
        prepare(encode(task(bench, event)), bench.worker())


def test_no_language_pinned_is_left_to_the_model(bench: Bench) -> None:
    bench.settings = Settings(chunk_seconds=10.0)
    event = bench.upload(np.asarray(spoken(20)))
    chunker.chunk(event, bench.chunker())
    assert ready(bench, task(bench, event)).windows[0].language is None
