"""The chunker: what it writes, in which order, and what another try makes of a first one that died."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from longscribe.adapters.local.files import Files
from longscribe.core import ids, limits, topics
from longscribe.core.coverage import check, coverage
from longscribe.core.limits import GRID, SAMPLE_RATE
from longscribe.documents import Chunk, ChunkState, JobState
from longscribe.errors import BadInput, Gone, NoSpace
from longscribe.messages import BlobRef, ChunkTask, Priority, Sealed, decode, decode_result
from longscribe.ports import Heard, Samples
from longscribe.stages import chunker
from longscribe.stages.chunker import Chunked
from tests.contract.clocks import ManualClock
from tests.standins import Bench, Faulty, LevelDetector, PcmMedia, job_id, silence, spoken, tones, words

TALK = spoken(360)
"""About five minutes: two full stretches of decoding and a part."""


class Died(Exception):
    """The process ended here."""


def plan(chunks: Sequence[Chunk]) -> list[Chunk]:
    """The chunks without what differs from one try to the next: times and generations."""
    return [
        replace(chunk, updated=0.0, task=replace(chunk.task, audio=replace(chunk.task.audio, generation=0)))
        for chunk in chunks
    ]


def queued(bench: Bench) -> list[ChunkTask]:
    return [
        decode(data, ChunkTask) for topic in (topics.CHUNKS_HIGH, topics.CHUNKS_LOW) for data in bench.drop(topic)
    ]


def test_a_recording_becomes_chunks_that_tile_it_and_hold_all_its_words(bench: Bench) -> None:
    event = bench.upload(TALK)
    assert chunker.chunk(event, bench.chunker()) is Chunked.SEALED
    job, chunks = bench.job(event), bench.chunks(event)
    assert job.state is JobState.TRANSCRIBING
    assert job.seal is not None
    assert job.seal.samples == len(TALK)
    assert job.seal.chunks == len(chunks) > 10
    assert [chunk.task.start for chunk in chunks[1:]] == [chunk.task.end for chunk in chunks[:-1]]
    check(coverage([replace(chunk, state=ChunkState.DONE) for chunk in chunks], job.seal), len(TALK))
    heard: list[str] = []
    for chunk in chunks:
        samples = bench.media.decode_chunk(bench.blobs.read(chunk.task.audio))
        assert chunk.task.windows[-1].spans[-1].end - chunk.task.audio_start == len(samples)
        assert np.array_equal(samples, TALK[chunk.task.audio_start :][: len(samples)])
        heard += [found.text.strip() for found in tones(samples)]
    assert heard == words(360)


def test_tasks_say_what_their_documents_say(bench: Bench) -> None:
    event = bench.upload(TALK, language="de", chunk_seconds="20")
    chunker.chunk(event, bench.chunker())
    chunks = bench.chunks(event)
    tasks = queued(bench)
    assert sorted(tasks, key=lambda task: task.index) == [chunk.task for chunk in chunks]
    for task in tasks:
        assert task.language == "de"
        assert task.run == 1
        assert task.settings_hash == bench.job(event).settings.hash()
        assert task.speech <= 20 * SAMPLE_RATE
        assert (task.priority is Priority.HIGH) >= (task.index < topics.FIRST_CHUNKS)
    assert bench.job(event).settings == replace(bench.settings, language="de", chunk_seconds=20.0)


def test_first_chunks_and_those_full_of_speech_are_urgent(bench: Bench) -> None:
    talk = np.concatenate([spoken(60), *(np.concatenate([spoken(12), silence(60)]) for _ in range(4)), spoken(60)])
    event = bench.upload(talk)
    chunker.chunk(event, bench.chunker())
    by_topic = {
        topic: [decode(data, ChunkTask) for data in bench.drop(topic)]
        for topic in (topics.CHUNKS_HIGH, topics.CHUNKS_LOW)
    }
    assert {0, 1, 2, 3} <= {task.index for task in by_topic[topics.CHUNKS_HIGH]}
    assert by_topic[topics.CHUNKS_LOW]
    for topic, tasks in by_topic.items():
        for task in tasks:
            heavy = task.speech >= topics.HEAVY * (task.end - task.start)
            assert (topic == topics.CHUNKS_HIGH) == (heavy or task.index < 4)


def test_each_chunk_is_blob_then_document_then_message_and_the_seal_comes_last(bench: Bench) -> None:
    steps: list[tuple[str, int]] = []

    def note(call: str, args: tuple[Any, ...]) -> None:
        if call == "create":
            steps.append(("blob", int(args[1][-11:-5])))
        elif call == "create_chunk":
            steps.append(("document", args[0].task.index))
        elif call == "publish" and args[0] != topics.RESULTS:
            steps.append(("message", decode(args[1], ChunkTask).index))
        elif call in ("seal", "publish"):
            steps.append((call, -1))

    event = bench.upload(TALK)
    with ThreadPoolExecutor(chunker.DEPTH) as executor:
        ports = bench.chunker(
            blobs=Faulty(bench.blobs, note),
            jobs=Faulty(bench.jobs, note),
            queue=Faulty(bench.queue, note),
            executor=executor,
        )
        chunker.chunk(event, ports)
    for chunk in bench.chunks(event):
        of = [step for step, index in steps if index == chunk.task.index]
        assert of == ["blob", "document", "message"]
    assert [step for step, _ in steps[-2:]] == ["seal", "publish"]
    assert [decode_result(data) for data in bench.drop(topics.RESULTS)] == [Sealed(job_id(event))]


def test_chunks_are_queued_while_cutting_goes_on(bench: Bench) -> None:
    waiting: list[int] = []

    class Watched(PcmMedia):
        def _stretches(self, *args: Any) -> Any:
            for stretch in super()._stretches(*args):
                waiting.append(bench.queue.backlog(topics.CHUNKS_HIGH))
                yield stretch

    chunker.chunk(bench.upload(np.concatenate([TALK, TALK])), bench.chunker(media=Watched()))
    assert waiting[0] == 0
    assert 0 < waiting[2] < waiting[4], "a stretch is cut before the next but one is decoded"


def test_an_event_that_comes_again_changes_nothing(bench: Bench) -> None:
    event = bench.upload(TALK)
    chunker.chunk(event, bench.chunker())
    before = bench.job(event), bench.chunks(event)
    queued(bench)
    assert chunker.chunk(event, bench.chunker()) is Chunked.KNOWN
    assert (bench.job(event), bench.chunks(event)) == before
    assert queued(bench) == []


def test_silence_is_sealed_without_a_chunk(bench: Bench) -> None:
    event = bench.upload(silence(150))
    assert chunker.chunk(event, bench.chunker()) is Chunked.SEALED
    seal = bench.job(event).seal
    assert seal is not None
    assert (seal.samples, seal.chunks) == (150 * SAMPLE_RATE, 0)
    assert [(quiet.start, quiet.end, quiet.level) for quiet in seal.silences] == [(0, 150 * SAMPLE_RATE, -100.0)]
    assert bench.assemble() == ["written"]
    assert bench.job(event).state is JobState.COMPLETE
    assert bench.text(event) == []


def test_a_stretch_that_cannot_be_decoded_is_missing_and_the_rest_is_there(bench: Bench) -> None:
    talk = TALK.copy()
    talk[GRID] = PcmMedia.LOST
    event = bench.upload(talk)
    chunker.chunk(event, bench.chunker())
    bench.work()
    assert bench.assemble()[-1] == "written"
    assert bench.job(event).state is JobState.PARTIAL
    lost = [(missing.start, missing.end) for chunk in bench.chunks(event) for missing in chunk.missing]
    assert lost[0][0] == GRID
    assert lost[-1][1] == 2 * GRID
    text = [text for text in bench.text(event) if text != "cut"]
    assert text == [word for word in words(360) if word in text]
    assert len(text) > 180


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        ({"language": "klingon"}, "Unknown language 'klingon'"),
        ({"colour": "red"}, "Unknown setting 'colour'"),
        ({"chunk_seconds": "5"}, "out of bounds"),
    ],
)
def test_settings_that_cannot_be_honoured_fail_the_job(
    bench: Bench, metadata: dict[str, str], sentence: str
) -> None:
    event = bench.upload(TALK, **metadata)
    assert chunker.chunk(event, bench.chunker()) is Chunked.REFUSED
    job = bench.job(event)
    assert job.state is JobState.FAILED
    assert sentence in (job.reason or "")
    assert bench.media.starts == []  # nothing was decoded
    assert chunker.chunk(event, bench.chunker()) is Chunked.REFUSED


def test_what_the_caller_will_not_have_fails_the_job(bench: Bench) -> None:
    event = bench.upload(TALK)
    job = chunker.open_job(event, bench.settings, bench.jobs, bench.clock, "Give another.")
    assert (job.state, job.reason) == (JobState.FAILED, "Give another.")
    assert chunker.chunk(event, bench.chunker()) is Chunked.REFUSED


def test_what_is_no_audio_fails_the_job(bench: Bench) -> None:
    event = bench.upload(b"BAD" * 100)
    assert chunker.chunk(event, bench.chunker()) is Chunked.REFUSED
    job = bench.job(event)
    assert (job.state, job.reason) == (JobState.FAILED, "It is no audio; give a recording.")
    assert queued(bench) == []


@pytest.mark.parametrize(("over", "outcome"), [(-1, Chunked.SEALED), (0, Chunked.SEALED), (1, Chunked.REFUSED)])
def test_the_limit_on_bytes_is_checked_before_anything_is_read(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, over: int, outcome: Chunked
) -> None:
    event = bench.upload(silence(2))
    monkeypatch.setattr(limits, "MAX_RECORDING_BYTES", event.size - over)
    assert chunker.chunk(event, bench.chunker()) is outcome
    assert len(bench.media.starts) == (outcome is Chunked.SEALED)
    if over > 0:
        assert f"over the limit of {event.size - 1:,}" in (bench.job(event).reason or "")


@pytest.mark.parametrize(("over", "outcome"), [(-1, Chunked.SEALED), (0, Chunked.SEALED), (1, Chunked.REFUSED)])
def test_the_limit_on_chunks(bench: Bench, monkeypatch: pytest.MonkeyPatch, over: int, outcome: Chunked) -> None:
    first = bench.upload(TALK)
    chunker.chunk(first, bench.chunker())
    count = len(bench.chunks(first))
    monkeypatch.setattr(limits, "MAX_CHUNKS", count - over)
    second = bench.upload(TALK, "again.pcm")
    assert chunker.chunk(second, bench.chunker()) is outcome
    assert bench.media.open == 0
    if over > 0:
        assert f"more than {count - 1} chunks" in (bench.job(second).reason or "")


def test_a_recording_that_was_replaced_meanwhile_fails_its_job(bench: Bench) -> None:
    event = bench.upload(TALK)
    bench.upload(TALK[: 60 * SAMPLE_RATE])
    assert chunker.chunk(event, bench.chunker()) is Chunked.REFUSED
    assert bench.job(event).state is JobState.FAILED
    assert "deleted or overwritten" in (bench.job(event).reason or "")


class Ticking(ManualClock):
    """A second passes whenever somebody looks."""

    def now(self) -> float:
        self.sleep(1)
        return super().now()


def test_when_the_time_is_up_it_stops_and_the_next_call_goes_on(bench: Bench) -> None:
    talk = np.concatenate([TALK, TALK, TALK])
    expected, seal = _uninterrupted(bench, talk)
    event = bench.upload(talk)
    clock = Ticking()
    assert chunker.chunk(event, bench.chunker(clock=clock), until=clock.now() + 4) is Chunked.UNFINISHED
    written = len(bench.chunks(event))
    assert 0 < written < len(expected)
    assert bench.job(event).state is JobState.CHUNKING
    assert bench.media.open == 0
    assert chunker.chunk(event, bench.chunker(clock=clock), until=clock.now() + 1_000) is Chunked.SEALED
    assert _same(plan(bench.chunks(event)), expected)
    sealed = bench.job(event).seal
    assert sealed.chunker_seconds > bench.job(event).chunker_seconds > 0
    assert replace(sealed, chunker_seconds=0.0) == seal


def test_the_first_chunk_is_announced_once_it_is_queued(bench: Bench) -> None:
    waiting: list[int] = []
    event = bench.upload(TALK)
    ports = bench.chunker(started=lambda: waiting.append(bench.queue.backlog(topics.CHUNKS_HIGH)))
    chunker.chunk(event, ports)
    assert waiting == [1]


def _uninterrupted(bench: Bench, talk: Samples) -> tuple[list[Chunk], object]:
    event = bench.upload(talk, "whole.pcm")
    chunker.chunk(event, bench.chunker())
    queued(bench)
    bench.drop(topics.RESULTS)
    return plan(bench.chunks(event)), bench.job(event).seal


def _same(chunks: list[Chunk], others: list[Chunk]) -> bool:
    def anonymous(chunk: Chunk) -> Chunk:
        task = chunk.task
        return replace(chunk, task=replace(task, job_id="", audio=replace(task.audio, name="")))

    return [anonymous(chunk) for chunk in chunks] == [anonymous(chunk) for chunk in others]


@pytest.mark.parametrize("call", ["create", "create_chunk", "publish"])
@pytest.mark.parametrize("after", [1, 4, 9, 14])
def test_a_chunker_that_died_goes_on_and_gives_the_same_plan(bench: Bench, call: str, after: int) -> None:
    expected, seal = _uninterrupted(bench, TALK)
    calls = 0

    def die(made: str, _: object) -> None:
        nonlocal calls
        calls += made == call
        if calls > after:
            raise Died

    event = bench.upload(TALK)
    dying = {name: Faulty(getattr(bench, name), die) for name in ("blobs", "jobs", "queue")}
    with pytest.raises(Died):
        chunker.chunk(event, bench.chunker(**dying))
    first = {task.index for task in queued(bench)}
    kept = {chunk.task.index: chunk for chunk in bench.chunks(event)}
    assert bench.media.open == 0
    assert chunker.chunk(event, bench.chunker()) is Chunked.SEALED
    again = bench.chunks(event)
    assert _same(plan(again), expected)
    assert bench.job(event).seal == seal
    assert {**{chunk.task.index: chunk for chunk in again}, **kept} == {chunk.task.index: chunk for chunk in again}
    second = {task.index for task in queued(bench)}
    assert first | second == set(range(len(again)))


def test_a_chunker_that_died_late_does_not_decode_from_the_start(bench: Bench) -> None:
    talk = np.concatenate([TALK, TALK, TALK])
    expected, seal = _uninterrupted(bench, talk)
    event = bench.upload(talk)
    with pytest.raises(ConnectionError):
        chunker.chunk(event, bench.chunker(media=PcmMedia(dies_after=6)))
    media = PcmMedia()
    assert chunker.chunk(event, bench.chunker(media=media)) is Chunked.SEALED
    assert media.starts[0] >= 3 * GRID  # of six stretches one was being listened to, and one is context
    assert _same(plan(bench.chunks(event)), expected)
    assert bench.job(event).seal == seal


def test_going_on_queues_again_only_the_last_chunks_that_are_pending(bench: Bench) -> None:
    event = bench.upload(np.concatenate([TALK, TALK]))
    with pytest.raises(ConnectionError):
        chunker.chunk(event, bench.chunker(media=PcmMedia(dies_after=4)))
    written = len(bench.chunks(event))
    assert written > chunker.DEPTH + 4
    tasks = bench.work(limit=written - 2)
    assert tasks == written - 2
    bench.assemble()
    pending = {chunk.task.index for chunk in bench.chunks(event) if chunk.state is ChunkState.PENDING}
    last = set(range(written - chunker.DEPTH, written))
    queued(bench)
    chunker.chunk(event, bench.chunker())
    assert {task.index for task in queued(bench) if task.index < written} == pending & last


def test_a_hole_left_by_writes_side_by_side_is_filled(bench: Bench) -> None:
    expected, _ = _uninterrupted(bench, TALK)

    def fail(call: str, args: tuple[Any, ...]) -> None:
        if call == "create" and args[1] == ids.chunk_blob(job_id(event), 3):
            raise NoSpace("The disk is full.")

    event = bench.upload(TALK)
    with ThreadPoolExecutor(chunker.DEPTH) as executor, pytest.raises(NoSpace):
        chunker.chunk(event, bench.chunker(blobs=Faulty(bench.blobs, fail), executor=executor))
    indices = [chunk.task.index for chunk in bench.chunks(event)]
    assert 3 not in indices
    assert bench.job(event).state is JobState.CHUNKING
    assert chunker.chunk(event, bench.chunker()) is Chunked.SEALED
    assert _same(plan(bench.chunks(event)), expected)


def test_nothing_is_left_running_when_the_last_writes_fail(bench: Bench) -> None:
    """The first write fails at once, the others take longer: they have ended on return all the same."""
    gate = threading.Event()
    begun: list[str] = []
    ended: list[str] = []

    class Lagging(Files):
        def create(self, bucket: str, name: str, data: bytes) -> BlobRef:
            begun.append(name)
            if name.endswith("000000.flac"):
                raise NoSpace("The disk is full.")
            gate.wait(5)
            ended.append(name)
            return bench.blobs.create(bucket, name, data)

    event = bench.upload(spoken(40))
    threading.Timer(0.2, gate.set).start()
    with ThreadPoolExecutor(chunker.DEPTH) as executor:
        with pytest.raises(NoSpace):
            chunker.chunk(event, bench.chunker(blobs=Lagging({}), executor=executor))
        assert len(begun) > 2
        assert sorted(ended) == sorted(begun)[1:]


def test_one_decoded_stretch_more_or_less_gives_the_same_chunks(bench: Bench) -> None:
    expected, seal = _uninterrupted(bench, TALK)
    event = bench.upload(TALK)
    chunker.chunk(event, bench.chunker(media=PcmMedia(stretch=3 * GRID)))
    assert _same(plan(bench.chunks(event)), expected)
    assert bench.job(event).seal == seal


class Ending(PcmMedia):
    """Calls ``end`` before the third stretch of each decoding: by then the first was planned."""

    def __init__(self, end: Any) -> None:
        super().__init__()
        self._end = end
        self.decoded = 0

    def _stretches(self, *args: Any) -> Any:
        for number, stretch in enumerate(super()._stretches(*args)):
            if number == 2:
                self._end()
            self.decoded += 1
            yield stretch


def cancel(bench: Bench, job: str) -> None:
    bench.jobs.move(job, JobState.CHUNKING, JobState.CANCELLED)


def test_a_cancelled_job_is_cut_no_further_and_its_audio_is_gone(bench: Bench) -> None:
    event = bench.upload(np.concatenate([TALK] * 3))
    media = Ending(lambda: cancel(bench, job_id(event)))
    reads = []
    jobs = Faulty(bench.jobs, lambda call, _: reads.append(call))
    assert chunker.chunk(event, bench.chunker(media=media, jobs=jobs)) is Chunked.STOPPED
    assert media.decoded <= 4  # one is listened to ahead
    assert media.open == 0
    assert reads.count("job") <= 5  # one a stretch, one at the end, one after clearing
    assert bench.chunks(event)  # what was cut stays documented
    assert bench.job(event).state is JobState.CANCELLED
    assert list(bench.blobs.names("chunks")) == []
    assert bench.drop(topics.RESULTS) == []
    assert chunker.chunk(event, bench.chunker()) is Chunked.KNOWN


def test_of_a_job_that_is_deleted_while_it_is_cut_nothing_comes_back(bench: Bench) -> None:
    event = bench.upload(np.concatenate([TALK] * 3))
    media = Ending(lambda: bench.jobs.delete_job(job_id(event)))
    assert chunker.chunk(event, bench.chunker(media=media)) is Chunked.STOPPED
    with pytest.raises(Gone):
        bench.job(event)
    assert bench.chunks(event) == []
    assert list(bench.blobs.names("chunks")) == []


@pytest.mark.parametrize("how", ["recording", "damage"])
def test_a_job_that_ended_meanwhile_stays_as_it_is_whatever_fails_then(bench: Bench, how: str) -> None:
    event = bench.upload(np.concatenate([TALK] * 3))

    def end() -> None:
        cancel(bench, job_id(event))
        if how == "damage":
            raise BadInput("It is no audio.")
        (bench.home / event.recording.name).unlink()

    assert chunker.chunk(event, bench.chunker(media=Ending(end))) is Chunked.STOPPED
    job = bench.job(event)
    assert (job.state, job.reason) == (JobState.CANCELLED, None)
    assert list(bench.blobs.names("chunks")) == []


def test_of_two_chunkers_at_once_the_slower_leaves_the_job_as_it_is(bench: Bench) -> None:
    event = bench.upload(np.concatenate([TALK, TALK]))
    overtaken = False

    def overtake(call: str, _: object) -> None:
        nonlocal overtaken
        if call == "create" and not overtaken:
            overtaken = True
            assert chunker.chunk(event, bench.chunker()) is Chunked.SEALED

    assert chunker.chunk(event, bench.chunker(blobs=Faulty(bench.blobs, overtake))) is Chunked.KNOWN
    audio = {chunk.task.audio.name for chunk in bench.chunks(event)}
    assert set(bench.blobs.names("chunks")) == audio
    assert bench.job(event).state is JobState.TRANSCRIBING


class Listening(LevelDetector):
    """Hears the second stretch only once a chunk of the first was encoded; or fails at it."""

    def __init__(self, fails: bool = False) -> None:
        self.encoded = threading.Event()
        self.now = 0
        self._calls = 0
        self._fails = fails

    def detect(self, samples: Samples, lead: int) -> Heard:
        self.now += 1
        self._calls += 1
        try:
            if self._calls == 2:
                assert self.encoded.wait(10), "nothing was cut meanwhile"
                if self._fails:
                    raise Died
            return super().detect(samples, lead)
        finally:
            self.now -= 1


class Telling(PcmMedia):
    def __init__(self, encoded: threading.Event, dies_after: int | None = None) -> None:
        super().__init__(dies_after=dies_after)
        self._encoded = encoded

    def encode(self, samples: Samples) -> bytes:
        self._encoded.set()
        return super().encode(samples)


def test_the_next_stretch_is_listened_to_while_one_is_cut(bench: Bench) -> None:
    expected, seal = _uninterrupted(bench, TALK)
    event = bench.upload(TALK)
    ears = Listening()
    assert chunker.chunk(event, bench.chunker(detector=ears, media=Telling(ears.encoded))) is Chunked.SEALED
    assert _same(plan(bench.chunks(event)), expected)
    assert bench.job(event).seal == seal


@pytest.mark.parametrize("fault", ["media", "detector"])
def test_nobody_listens_any_more_when_it_fails(bench: Bench, fault: str) -> None:
    ears = Listening(fails=fault == "detector")
    media = Telling(ears.encoded, dies_after=2 if fault == "media" else None)
    with pytest.raises(ConnectionError if fault == "media" else Died):
        chunker.chunk(bench.upload(TALK), bench.chunker(detector=ears, media=media))
    assert (ears.now, media.open) == (0, 0)
    assert not any(thread.name.startswith("listener") for thread in threading.enumerate())
