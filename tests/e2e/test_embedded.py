"""The embedded pipeline: all stages in one process, with real speech and with what is quicker."""

import threading
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from longscribe import embedded, wiring
from longscribe.core import topics
from longscribe.core.limits import SAMPLE_RATE
from longscribe.core.settings import Settings
from longscribe.core.transcript import Kind, Status
from longscribe.documents import JobState
from longscribe.embedded import Embedded
from longscribe.errors import BadInput, Busy, Gone, NoSpace, Transient
from longscribe.ports import Samples, WindowAudio
from tests.e2e.commands import tone_machine
from tests.standins import PcmMedia, ToneRecogniser, silence, spoken, tones, words

SETTINGS = Settings(language="en", chunk_seconds=10.0)


def pcm(path: Path, samples: Samples) -> Path:
    path.write_bytes(samples.tobytes())
    return path


def wait(work: Embedded, *jobs: str) -> None:
    """Until all have ended; raises what ended a stage."""
    for job_id in jobs:
        while not work.jobs.job(job_id).state.ended:
            work.check()
            threading.Event().wait(0.02)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def test_a_recording_becomes_a_transcript(tmp_path: Path, home: Path) -> None:
    with Embedded(home, SETTINGS, tone_machine()) as work:
        job_id = work.submit(pcm(tmp_path / "talk.pcm", spoken(100)))
        work.start()
        wait(work, job_id)
        transcript = work.transcript(job_id)
    assert transcript.text.split() == words(100)
    assert transcript.status is Status.COMPLETE
    assert transcript.duration == len(spoken(100)) / SAMPLE_RATE
    assert transcript.receipt.chunks == transcript.receipt.attempts > 5
    assert work.problems == []


def test_nothing_is_left_running(tmp_path: Path, home: Path) -> None:
    before = set(threading.enumerate())
    media = PcmMedia()
    with Embedded(home, SETTINGS, tone_machine(ToneRecogniser(seconds=0.2), media)) as work:
        work.submit(pcm(tmp_path / "talk.pcm", spoken(300)))
        work.start()
    assert set(threading.enumerate()) <= before
    assert media.open == 0


def test_opened_and_closed_without_work(home: Path) -> None:
    with Embedded(home, SETTINGS, tone_machine()) as work:
        work.check()
    assert (home / "lock").exists()


def test_an_unfinished_job_of_another_model_is_not_given_up(tmp_path: Path, home: Path) -> None:
    first, second = pcm(tmp_path / "first.pcm", spoken(60)), pcm(tmp_path / "second.pcm", spoken(20))
    with Embedded(home, SETTINGS, tone_machine()) as work:
        job_id = work.submit(first)
    other = replace(SETTINGS, model="small")
    with Embedded(home, other, tone_machine(ToneRecogniser(model="small"))) as work:
        work.submit(second)
        with pytest.raises(BadInput, match=f"{job_id}.* waits for the model 'base'"):
            work.start()
    with Embedded(home, SETTINGS, tone_machine()) as work:
        work.submit(first)
        work.jobs.move(work.submit(second), JobState.CHUNKING, JobState.CANCELLED)
        work.start()
        wait(work, job_id)
        assert work.transcript(job_id).text.split() == words(60)


def test_a_job_is_there_as_soon_as_it_is_submitted(tmp_path: Path, home: Path) -> None:
    """Whoever watches finds it, though its recording is cut only after the others."""
    with Embedded(home, SETTINGS, tone_machine()) as work:
        job_id = work.submit(pcm(tmp_path / "talk.pcm", spoken(10)))
        assert work.jobs.job(job_id).state is JobState.CHUNKING


def test_a_directory_has_one_process(tmp_path: Path, home: Path) -> None:
    with Embedded(home, SETTINGS, tone_machine()):
        with pytest.raises(Busy, match="Another longscribe is at work"):
            Embedded(home, SETTINGS, tone_machine())
    with Embedded(home, SETTINGS, tone_machine()):
        pass


def test_a_directory_that_cannot_be_opened_is_not_kept_locked(tmp_path: Path, home: Path) -> None:
    home.mkdir()
    (home / "queue.sqlite").write_bytes(b"no database" * 1_000)
    for _ in range(2):
        with pytest.raises(Exception, match="damaged"):
            Embedded(home, SETTINGS, tone_machine())
    (home / "queue.sqlite").unlink()
    with Embedded(home, SETTINGS, tone_machine()):
        pass


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="cannot be written"):
        Embedded(tmp_path / "file" / "home", SETTINGS, tone_machine())


def test_submitted_again_it_stays_as_it_is(tmp_path: Path, home: Path) -> None:
    talk = pcm(tmp_path / "talk.pcm", spoken(40))
    recogniser = ToneRecogniser()
    for _ in range(2):
        with Embedded(home, SETTINGS, tone_machine(recogniser)) as work:
            job_id = work.submit(talk)
            work.start()
            wait(work, job_id)
    heard = [text for batch in recogniser.batches for text in batch]
    assert len(heard) == len(set(heard))


@pytest.mark.parametrize("how", ["settings", "afresh", "failed"])
def test_begun_afresh(tmp_path: Path, home: Path, how: str) -> None:
    talk = pcm(tmp_path / "talk.pcm", spoken(40))
    with Embedded(home, SETTINGS, tone_machine()) as work:
        job_id = work.submit(talk)
        if how == "failed":
            work.jobs.move(job_id, JobState.CHUNKING, JobState.FAILED, reason="a mishap")
        work.start()
        wait(work, job_id)
        if how == "failed":
            with pytest.raises(BadInput, match="a mishap"):
                work.transcript(job_id)
    settings = Settings(language="de", chunk_seconds=10.0) if how == "settings" else SETTINGS
    recogniser = ToneRecogniser()
    with Embedded(home, settings, tone_machine(recogniser)) as work:
        assert work.submit(talk, afresh=how == "afresh") == job_id
        work.start()
        wait(work, job_id)
        transcript = work.transcript(job_id)
    assert recogniser.batches
    assert transcript.settings == settings
    assert transcript.language == settings.language
    assert transcript.text.split() == words(40)


def test_forgetting_a_job_leaves_nothing_of_it(tmp_path: Path, home: Path) -> None:
    with Embedded(home, SETTINGS, tone_machine()) as work:
        job_id = work.submit(pcm(tmp_path / "talk.pcm", spoken(40)))
        work.start()
        wait(work, job_id)
        assert list(work.blobs.names(wiring.CHUNKS_BUCKET))
        work.forget(job_id)
        assert list(work.blobs.names(wiring.CHUNKS_BUCKET)) == []
        assert list(work.blobs.names(wiring.TRANSCRIPTS_BUCKET)) == []
        with pytest.raises(Gone):
            work.jobs.job(job_id)


def test_bad_input_fails_its_own_job_only(tmp_path: Path, home: Path) -> None:
    (tmp_path / "bad.pcm").write_bytes(b"BAD" * 100)
    with Embedded(home, SETTINGS, tone_machine()) as work:
        bad = work.submit(tmp_path / "bad.pcm")
        good = work.submit(pcm(tmp_path / "talk.pcm", spoken(20)))
        work.start()
        wait(work, bad, good)
        with pytest.raises(BadInput, match="It is no audio"):
            work.transcript(bad)
        assert work.transcript(good).text.split() == words(20)


def test_what_went_wrong_on_the_way_is_told_without_what_was_said(tmp_path: Path, home: Path) -> None:
    failures = iter([RuntimeError("canary"), Passing("Try again.")])

    def fail(_: object) -> None:
        for error in failures:
            raise error

    with Embedded(home, SETTINGS, tone_machine(ToneRecogniser(before=fail))) as work:
        job_id = work.submit(pcm(tmp_path / "talk.pcm", spoken(40)))
        work.start()
        wait(work, job_id)
    assert sorted(work.problems) == ["RuntimeError", "Try again."]


class Passing(Transient):
    """An error of ours."""


def test_what_ends_a_stage_is_raised_to_whoever_watches(tmp_path: Path, home: Path) -> None:
    def full(_: object) -> None:
        raise NoSpace("The disk is full.")

    with Embedded(home, SETTINGS, tone_machine(ToneRecogniser(before=full))) as work:
        job_id = work.submit(pcm(tmp_path / "talk.pcm", spoken(40)))
        work.start()
        with pytest.raises(NoSpace):
            wait(work, job_id)


def test_a_poison_chunk_is_missing_and_the_rest_is_there(tmp_path: Path, home: Path) -> None:
    def fail(windows: Sequence[WindowAudio]) -> None:
        if any(found.text == " w050" for window in windows for found in tones(window.samples)):
            raise RuntimeError

    with Embedded(home, SETTINGS, tone_machine(ToneRecogniser(before=fail))) as work:
        job_id = work.submit(pcm(tmp_path / "talk.pcm", spoken(100)))
        work.start()
        wait(work, job_id)
        transcript = work.transcript(job_id)
    assert transcript.status is Status.PARTIAL
    text = transcript.text.split()
    assert "w050" not in text
    assert text == [word for word in words(100) if word in text]
    assert len(text) > 80
    assert any(part.kind is Kind.MISSING for part in transcript.coverage)


def test_a_crash_between_two_steps_is_healed(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every message of a job is lost, as after a crash between documents and messages."""
    monkeypatch.setattr(embedded, "HEAL_SECONDS", 0.05)
    talk = pcm(tmp_path / "talk.pcm", spoken(60))
    gate = threading.Event()
    with Embedded(home, SETTINGS, tone_machine(ToneRecogniser(before=lambda _: (gate.wait(10), None)[1]))) as work:
        job_id = work.submit(talk)
        work.start()
        while work.jobs.job(job_id).state is JobState.CHUNKING:
            work.check()
            threading.Event().wait(0.01)
        work.stop()
        gate.set()
    stores = wiring.local_stores(home)
    stores.queue.void_leases()
    for subscription in (topics.CHUNKS_HIGH, topics.CHUNKS_LOW, topics.RESULTS):
        while got := stores.queue.pull(subscription, 100):
            stores.queue.acknowledge(subscription, [delivery.lease for delivery in got])
    stores.close()
    with Embedded(home, SETTINGS, tone_machine()) as work:
        assert work.submit(talk) == job_id
        work.start()
        wait(work, job_id)
        assert work.transcript(job_id).text.split() == words(60)


PARAGRAPHS = [
    "The lighthouse keeper wrote down every ship that passed the northern cape.",
    "In the morning the harbour was quiet, and the gulls had left for the open sea.",
    "Nobody remembered who had painted the old boat green, but everybody liked it.",
]


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real speech, spoken on the spot, with pauses between the paragraphs."""
    from hibari import Hibari

    voice = Hibari()
    parts = [part for text in PARAGRAPHS for part in (voice(text), np.zeros(3 * voice.sample_rate, np.float32))]
    samples = (np.concatenate(parts).clip(-1, 1) * 32_767).astype("<i2")
    path = tmp_path_factory.mktemp("speech") / "keeper.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(voice.sample_rate)
        file.writeframes(samples.tobytes())
    return path


@pytest.fixture
def whisper(models: Path) -> wiring.Machine:
    """A small Whisper and everything else as in production."""
    return wiring.machine(Settings(model="tiny.en"), {"LONGSCRIBE_MODELS": str(models)})


def test_real_speech(speech: Path, whisper: wiring.Machine, home: Path) -> None:
    with Embedded(home, Settings(language="en", model="tiny.en"), whisper) as work:
        job_id = work.submit(speech)
        work.start()
        wait(work, job_id)
        transcript = work.transcript(job_id)
    assert transcript.status is Status.COMPLETE
    spoken_words = {word.strip(",.").lower() for text in PARAGRAPHS for word in text.split()}
    heard = {word.strip(",.").lower() for word in transcript.text.split()}
    assert len(heard & spoken_words) >= 0.85 * len(spoken_words)
    assert transcript.text.count("\n") == len(PARAGRAPHS) - 1  # a paragraph a pause
    assert transcript.provenance.models == ("tiny.en",)
    assert transcript.provenance.devices == ("cpu",) or transcript.provenance.devices == ("cuda",)
    assert all(part.start < part.end for part in transcript.coverage)
    assert sum(part.kind is Kind.SILENT for part in transcript.coverage) >= len(PARAGRAPHS)


def test_digital_silence_says_nothing_with_a_real_model(
    tmp_path: Path, whisper: wiring.Machine, home: Path
) -> None:
    path = tmp_path / "hush.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(silence(35).tobytes())
    with Embedded(home, Settings(model="tiny.en"), whisper) as work:
        job_id = work.submit(path)
        work.start()
        wait(work, job_id)
        transcript = work.transcript(job_id)
    assert (transcript.text, transcript.segments, transcript.status) == ("", (), Status.COMPLETE)
