"""Recordings in which nobody speaks are complete, without words; what is no recording is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from longscribe.core.limits import SAMPLE_RATE
from tests.e2e.conftest import Command
from tests.hostile.damaged import FORMATS, packets, whole
from tests.hostile.recordings import encode, recording
from tests.hostile.test_media_refusals import wav

Wave = npt.NDArray[np.float64]


def times(seconds: float) -> Wave:
    return np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE


def noise(seconds: float, decibels: float) -> Wave:
    """White noise so far below full scale."""
    return np.random.default_rng(11).standard_normal(int(seconds * SAMPLE_RATE)) * 10 ** (decibels / 20)


def melody(seconds: float) -> Wave:
    """Plucked chords with overtones, two a second."""
    made = np.zeros(int(seconds * SAMPLE_RATE))
    for number in range(int(2 * seconds)):
        note = 220 * 2 ** ((0, 4, 7, 12, 9, 5, 2, 7)[number % 8] / 12)
        chord = [note, note * 5 / 4, note * 3 / 2]
        t = times(0.5)
        sound = sum(np.sin(2 * np.pi * tone * over * t) / over for tone in chord for over in (1, 2, 3, 4))
        made[number * SAMPLE_RATE // 2 :][: len(t)] += sound * np.exp(-5 * t) / 12
    return made


def written(wave: Wave) -> bytes:
    samples = (wave.clip(-1, 1) * 32_767).astype(np.int16)
    return encode(samples, "flac", "flac", SAMPLE_RATE, None)


WORDLESS: dict[str, Callable[[], bytes]] = {
    "silence.flac": lambda: written(np.zeros(40 * SAMPLE_RATE)),
    "long silence.flac": lambda: written(np.zeros(900 * SAMPLE_RATE)),
    "silence in mp3.mp3": lambda: encode(np.zeros(20 * SAMPLE_RATE, np.int16), "mp3", "libmp3lame", SAMPLE_RATE),
    "silence in opus.opus": lambda: encode(np.zeros(20 * 48_000, np.int16), "ogg", "libopus", 48_000),
    "room.flac": lambda: written(noise(40, -65)),
    "hiss.flac": lambda: written(noise(40, -40)),
    "loud hiss.flac": lambda: written(noise(40, -12)),
    "tone.flac": lambda: written(0.3 * np.sin(2 * np.pi * 440 * times(40))),
    "hum.flac": lambda: written(0.2 * np.sin(2 * np.pi * 50 * times(40))),
    "square.flac": lambda: written(0.2 * np.sign(np.sin(2 * np.pi * 200 * times(20)))),
    "sweep.flac": lambda: written(0.3 * np.sin(2 * np.pi * (100 + 90 * times(40)) * times(40))),
    "music.flac": lambda: written(melody(45)),
    "constant.flac": lambda: written(np.full(20 * SAMPLE_RATE, 0.5)),
    "click.flac": lambda: written(np.concatenate([np.zeros(8000), [1.0, -1.0], np.zeros(80_000)])),
    "one sample.wav": lambda: wav(data=bytes(2)),
    "one loud sample.wav": lambda: wav(data=b"\xff\x7f"),
    "one sample of 44.1 kHz.wav": lambda: wav(rate=44_100, data=bytes(2)),
    "a frame.wav": lambda: wav(data=bytes(320)),
}


def undecodable(kind: str) -> bytes:
    """A recording whose every packet is zeros."""
    data = bytearray(whole(kind))
    for packet in packets(kind):
        data[packet.first : packet.last] = bytes(packet.last - packet.first)
    return bytes(data)


NO_RECORDINGS: dict[str, Callable[[], bytes]] = {
    "empty.wav": lambda: b"",
    "header.wav": lambda: wav(data=b""),
    "header.flac": lambda: recording("flac", 5)[:60],
    "header.mp3": lambda: b"ID3\x04\x00\x00\x00\x00\x00\x0f\x76" + bytes(2038),
    "header.ogg": lambda: recording("opus", 5)[:150],
    "header.webm": lambda: recording("webm", 5)[:300],
    **{f"frames.{kind}": lambda kind=kind: undecodable(kind) for kind in FORMATS if kind != "wav"},
}
"""A WAV's frames are whatever its bytes are."""


@pytest.fixture
def real(longscribe: Command, models: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command with the real model, detector and decoder."""
    monkeypatch.setenv("LONGSCRIBE_MODELS", str(models))
    return lambda *arguments: longscribe("transcribe", *arguments, "--model", "tiny.en", "--language", "en")


def put(folder: Path, files: dict[str, Callable[[], bytes]]) -> list[Path]:
    for name, make in files.items():
        (folder / name).write_bytes(make())
    return [folder / name for name in files]


def test_where_nobody_speaks_the_transcript_is_complete_and_empty(
    real: Command, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    out = tmp_path / "out"
    done = real(*put(tmp_path, WORDLESS), "--out", out)
    assert done.code == 0, done.stderr
    said = {}
    for name in WORDLESS:
        document = json.loads((out / f"{Path(name).stem}.json").read_text())
        assert document["status"] == "complete"
        said[name] = document["text"]
        assert {part["kind"] for part in document["coverage"]} <= {"silent", "transcribed"}
        assert (out / f"{Path(name).stem}.txt").read_text() == document["text"]
    assert {name: text for name, text in said.items() if text} == {}
    record_property("recordings without a word", len(WORDLESS))


def test_what_is_no_recording_is_bad_input_and_nothing_is_written(
    real: Command, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    for path in put(tmp_path, NO_RECORDINGS):
        out = tmp_path / f"{path.name} out"
        done = real(path, "--out", out)
        assert done.code == 2, (path, done.stderr)
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert not out.exists() or [found.name for found in out.iterdir()] == [".longscribe"]
    record_property("files that are no recordings", len(NO_RECORDINGS))
