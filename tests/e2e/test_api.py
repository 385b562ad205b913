"""The Python interface: typed results, and a stream that can be left at any time."""

import asyncio
import threading
import wave
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

import longscribe
from longscribe import api, wiring
from longscribe.adapters.media.av_media import AvMedia
from longscribe.core.transcript import Segment, Status, Transcript
from longscribe.embedded import Embedded
from longscribe.errors import BadInput, NoSpace, OverLimit
from longscribe.ports import WindowAudio
from tests.e2e.commands import tone_machine
from tests.standins import PcmMedia, ToneRecogniser, spoken, tones, words

COUNT = 120


@pytest.fixture
def media() -> PcmMedia:
    return PcmMedia()


@pytest.fixture
def recogniser() -> ToneRecogniser:
    return ToneRecogniser()


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, media: PcmMedia, recogniser: ToneRecogniser) -> None:
    monkeypatch.setattr(wiring, "machine", lambda *_: tone_machine(recogniser, media))
    monkeypatch.setattr(api, "POLL_SECONDS", 0.01)


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    path = tmp_path / "talk.pcm"
    path.write_bytes(spoken(COUNT).tobytes())
    return path


async def collect(*args: object, **options: object) -> list[Segment]:
    return [segment async for segment in longscribe.stream(*args, **options)]  # type: ignore[arg-type]


def test_transcribe_returns_a_typed_transcript(talk: Path) -> None:
    transcript = longscribe.transcribe(talk, language="en", chunk_seconds=10.0)
    assert isinstance(transcript, Transcript)
    assert transcript.status is Status.COMPLETE
    assert transcript.text.split() == words(COUNT)
    assert transcript.settings.chunk_seconds == 10.0
    assert [word.text.strip() for segment in transcript.segments for word in segment.words] == words(COUNT)
    assert transcript.coverage[0].start == 0
    assert transcript.coverage[-1].end == transcript.duration


def test_a_path_may_be_text(talk: Path) -> None:
    assert longscribe.transcribe(str(talk)).text.split() == words(COUNT)


def test_all_streamed_segments_are_the_transcripts(talk: Path) -> None:
    transcript = longscribe.transcribe(talk, language="en", chunk_seconds=10.0)
    streamed = asyncio.run(collect(talk, language="en", chunk_seconds=10.0))
    assert all(isinstance(segment, Segment) for segment in streamed)
    assert tuple(streamed) == transcript.segments


def test_segments_come_while_work_goes_on(talk: Path, recogniser: ToneRecogniser) -> None:
    """The last window is not heard before the first segment has come."""
    come = threading.Event()
    waited: list[bool] = []

    def wait(windows: Sequence[WindowAudio]) -> None:
        if any(found.text == f" {words(COUNT)[-1]}" for window in windows for found in tones(window.samples)):
            waited.append(come.wait(20))

    recogniser.before = wait

    async def first() -> str:
        async for segment in longscribe.stream(talk, language="en", chunk_seconds=10.0):
            come.set()
            return segment.text
        raise AssertionError

    assert asyncio.run(first()).startswith("w000")
    longscribe.transcribe(talk, language="en", chunk_seconds=10.0)
    assert all(waited)


def test_leaving_a_stream_early_stops_everything(
    recogniser: ToneRecogniser, media: PcmMedia, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the first words were heard, the model goes on only when it is told to stop: the rest is not heard."""
    before = set(threading.enumerate())
    long = tmp_path / "long.pcm"
    long.write_bytes(spoken(4 * COUNT).tobytes())
    recogniser.batch = 1
    awaited = set(words(COUNT // 2))
    stopped = threading.Event()

    def hold(windows: Sequence[WindowAudio]) -> None:
        if not awaited:
            stopped.wait(20)
        awaited.difference_update(word.text.strip() for window in windows for word in tones(window.samples))

    recogniser.before = hold
    stop = Embedded.stop

    def stopping(work: Embedded) -> None:
        stop(work)
        stopped.set()

    monkeypatch.setattr(Embedded, "stop", stopping)

    async def leave() -> None:
        async for _ in longscribe.stream(long, language="en", chunk_seconds=10.0, state=tmp_path / "state"):
            break

    asyncio.run(leave())
    assert stopped.is_set()
    assert set(threading.enumerate()) <= before
    assert media.open == 0
    heard = len(recogniser.batches)
    assert longscribe.transcribe(
        long, language="en", chunk_seconds=10.0, state=tmp_path / "state"
    ).text.split() == words(4 * COUNT)
    assert 0 < heard < len(recogniser.batches)


def children() -> set[str]:
    """The processes this one has started and not yet buried."""
    found: set[str] = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # a thread that has just ended
            found.update((task / "children").read_text().split())
    return found


def test_leaving_a_stream_early_ends_the_decoders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recogniser: ToneRecogniser
) -> None:
    path = tmp_path / "long.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(spoken(1_500).tobytes())
    monkeypatch.setattr(wiring, "machine", lambda *_: tone_machine(recogniser, AvMedia(2)))
    before = children()
    seen: set[str] = set()
    recogniser.before = lambda _: seen.update(children() - before)

    async def leave() -> None:
        async for _ in longscribe.stream(path, language="en", chunk_seconds=10.0):
            break

    asyncio.run(leave())
    assert seen
    assert children() <= before


def test_state_keeps_the_work_done(talk: Path, recogniser: ToneRecogniser, tmp_path: Path) -> None:
    first = longscribe.transcribe(talk, state=tmp_path / "state")
    count = len(recogniser.batches)
    assert longscribe.transcribe(talk, state=tmp_path / "state") == first
    assert asyncio.run(collect(talk, state=tmp_path / "state")) == list(first.segments)
    assert len(recogniser.batches) == count


def test_without_state_nothing_is_kept(talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    longscribe.transcribe(talk)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_bad_input_is_raised(tmp_path: Path, talk: Path) -> None:
    with pytest.raises(BadInput, match="There is no file"):
        longscribe.transcribe(tmp_path / "nowhere.pcm")
    with pytest.raises(OverLimit, match="out of bounds"):
        longscribe.transcribe(talk, chunk_seconds=1.0)
    with pytest.raises(TypeError):
        longscribe.transcribe(talk, colour="red")  # type: ignore[call-arg]
    (tmp_path / "bad.pcm").write_bytes(b"BAD")
    with pytest.raises(BadInput, match="It is no audio"):
        longscribe.transcribe(tmp_path / "bad.pcm")
    with pytest.raises(BadInput, match="It is no audio"):
        asyncio.run(collect(tmp_path / "bad.pcm"))


def test_what_ends_a_stage_is_raised(talk: Path, recogniser: ToneRecogniser) -> None:
    def full(_: object) -> None:
        raise NoSpace("The disk is full.")

    recogniser.before = full
    with pytest.raises(NoSpace):
        longscribe.transcribe(talk)
    with pytest.raises(NoSpace):
        asyncio.run(collect(talk))


def test_two_recordings_at_the_same_time(talk: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pcm"
    other.write_bytes(spoken(40, first=200).tobytes())

    async def both() -> tuple[list[Segment], list[Segment]]:
        one, two = await asyncio.gather(collect(talk), collect(other))
        return one, two

    one, two = asyncio.run(both())
    assert " ".join(segment.text for segment in one).split() == words(COUNT)
    assert " ".join(segment.text for segment in two).split() == words(40, first=200)
