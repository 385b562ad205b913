"""Following a job: the text that came piece by piece is the transcript's."""

import random

import pytest
from msgspec.structs import replace

from longscribe.core import topics
from longscribe.core.assembly import assemble
from longscribe.core.settings import Settings
from longscribe.core.transcript import Segment
from longscribe.documents import JobState
from longscribe.errors import Gone
from longscribe.follow import Follower
from longscribe.messages import ChunkResult, UploadEvent, decode, encode
from longscribe.ports import WindowAudio
from longscribe.stages import chunker
from longscribe.stages.assembler import take_dead_letter, take_result
from tests.standins import Bench, PcmMedia, job_id, silence, spoken, tones, words

COUNT = 120


def transcript(bench: Bench, event: UploadEvent) -> tuple[Segment, ...]:
    job = bench.job(event)
    return assemble(job, bench.chunks(event), job.language).segments


def text(segments: list[Segment]) -> list[str]:
    return [word for segment in segments for word in segment.text.split()]


@pytest.fixture
def event(bench: Bench) -> UploadEvent:
    made = bench.upload(spoken(COUNT))
    chunker.chunk(made, bench.chunker())
    return made


@pytest.mark.parametrize("seed", range(6))
def test_all_pieces_are_the_transcript_in_whatever_order_results_come(
    bench: Bench, event: UploadEvent, seed: int
) -> None:
    bench.work()
    messages = bench.drop(topics.RESULTS)
    random.Random(seed).shuffle(messages)
    follower = Follower(bench.jobs, job_id(event))
    segments = follower.look().segments
    assert segments == []
    for data in messages:
        take_result(data, bench.assembler())
        segments += follower.look().segments
    assert tuple(segments) == transcript(bench, event)
    assert text(segments) == words(COUNT)
    assert follower.look().segments == []


def test_text_appears_before_the_end(bench: Bench, event: UploadEvent) -> None:
    bench.work(limit=6)
    bench.assemble()
    segments = Follower(bench.jobs, job_id(event)).look().segments
    early = text(segments)
    assert len(early) > COUNT // 5
    assert early == words(COUNT)[: len(early)]


def test_looking_late_gives_everything_at_once(bench: Bench, event: UploadEvent) -> None:
    bench.work()
    bench.assemble()
    view = Follower(bench.jobs, job_id(event)).look()
    assert view.job.state is JobState.COMPLETE
    assert tuple(view.segments) == transcript(bench, event)


def test_the_frontier_waits_for_the_chunk_that_is_not_there(bench: Bench, event: UploadEvent) -> None:
    bench.work()
    sealed, *results = bench.drop(topics.RESULTS)
    first = next(data for data in results if decode(data, ChunkResult).index == 0)
    rest = [data for data in results if data != first]
    follower = Follower(bench.jobs, job_id(event))
    for data in rest:
        take_result(data, bench.assembler())
        view = follower.look()
        assert view.segments == []
    assert view.progress.done == len(rest)
    assert 0 < view.progress.done_samples < view.progress.known_samples
    take_result(first, bench.assembler())
    assert text(follower.look().segments) == words(COUNT)
    assert sealed


def test_progress_grows_while_a_recording_is_cut_and_ends_at_its_length(bench: Bench) -> None:
    talk = spoken(400)
    event = bench.upload(talk)
    with pytest.raises(ConnectionError):
        chunker.chunk(event, bench.chunker(media=PcmMedia(dies_after=2)))
    follower = Follower(bench.jobs, job_id(event))
    before = follower.look().progress
    assert before.done == before.done_samples == 0
    assert 0 < before.known_samples < len(talk)
    chunker.chunk(event, bench.chunker())
    sealed = follower.look().progress
    assert sealed.known_samples == len(talk)
    assert sealed.known == len(bench.chunks(event))
    done = [0]
    while not bench.job(event).state.ended:
        bench.work(limit=3)
        bench.assemble()
        done.append(follower.look().progress.done_samples)
    last = follower.look().progress
    assert done == sorted(done)
    assert (last.done_samples, last.done) == (len(talk), last.known)


def test_silence_after_the_last_word_is_done_when_its_chunks_are(bench: Bench) -> None:
    event = bench.upload(silence(150))
    chunker.chunk(event, bench.chunker())
    view = Follower(bench.jobs, job_id(event)).look()
    assert (view.progress.done_samples, view.progress.known_samples) == (150 * 16_000, 150 * 16_000)


def test_a_chunk_given_up_does_not_hold_up_the_rest(bench: Bench, event: UploadEvent) -> None:
    lost = bench.jobs.chunk(job_id(event), 1).task
    unheard = {found.text.strip() for found in tones(bench.media.decode_chunk(bench.blobs.read(lost.audio)))}
    bench.work()
    follower = Follower(bench.jobs, job_id(event))
    segments: list[Segment] = []
    for data in bench.drop(topics.RESULTS):
        if b'"Sealed"' in data or decode(data, ChunkResult).index != 1:
            take_result(data, bench.assembler())
            segments += follower.look().segments
    take_dead_letter(encode(lost), bench.assembler())
    segments += follower.look().segments
    assert bench.job(event).state is JobState.PARTIAL
    assert tuple(segments) == transcript(bench, event)
    assert text(segments) == [word for word in words(COUNT) if word not in unheard]


def test_text_whose_language_may_be_outvoted_is_held_back(bench: Bench) -> None:
    bench.settings = Settings(chunk_seconds=10.0)
    doubtful = words(COUNT)[30]

    def hears(window: WindowAudio) -> tuple[str, float]:
        if window.language:
            return window.language, 1.0
        heard = {found.text.strip() for found in tones(window.samples)}
        return ("fr", 0.4) if doubtful in heard else ("en", 0.95)

    bench.recogniser.hears = hears
    event = bench.upload(spoken(COUNT))
    chunker.chunk(event, bench.chunker())
    follower = Follower(bench.jobs, job_id(event))
    bench.work()
    bench.assemble()
    assert bench.job(event).state is JobState.TRANSCRIBING  # sent back
    early = follower.look().segments
    assert early
    assert doubtful not in text(early)
    bench.work()
    bench.assemble()
    late = follower.look().segments
    assert tuple(early + late) == transcript(bench, event)


def test_a_failed_job_has_no_text(bench: Bench) -> None:
    event = bench.upload(b"BAD")
    chunker.chunk(event, bench.chunker())
    view = Follower(bench.jobs, job_id(event)).look()
    assert view.job.state is JobState.FAILED
    assert view.segments == []
    assert replace(view.job, updated=0.0).reason == "It is no audio; give a recording."


def test_a_deleted_job_is_gone(bench: Bench, event: UploadEvent) -> None:
    follower = Follower(bench.jobs, job_id(event))
    bench.jobs.delete_job(job_id(event))
    with pytest.raises(Gone):
        follower.look()
