"""Damaged recordings through the whole command: what decodes is transcribed, what does not is named everywhere."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from longscribe import wiring
from longscribe.adapters.media.av_media import AvMedia
from longscribe.core.limits import SAMPLE_RATE
from longscribe.core.subtitles import SHORTEST
from longscribe.messages import Word
from longscribe.ports import Samples
from tests.e2e.conftest import Command
from tests.hostile.damaged import FORMATS, encode, packets, whole
from tests.standins import BURST, LevelDetector, ToneRecogniser, spoken, word, words

COUNT = 40
EDGE = 0.15
"""Seconds by which a codec smears a tone."""

LOUD = 3_000
"""Well below a tone's 8,000, well above what a codec adds around it."""


def rough_tones(samples: Samples) -> tuple[Word, ...]:
    """The whole words in samples that a codec has been at."""
    frame = SAMPLE_RATE // 100
    loud = np.abs(samples[: len(samples) // frame * frame].reshape(-1, frame).astype(int)).max(axis=1) > LOUD
    edges = np.flatnonzero(np.diff(np.concatenate(([False], loud, [False])))) * frame
    found = []
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if abs(end - start - BURST) <= 4 * frame:
            middle = samples[(start + end) // 2 - BURST // 4 : (start + end) // 2 + BURST // 4]
            peak = int(np.argmax(np.abs(np.fft.rfft(middle, SAMPLE_RATE)))) / 10
            found.append(Word(start, end, f" {word(round(peak) - 30)}", 0.9))
    return tuple(found)


@pytest.fixture
def ears(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real decoding, and a recogniser that tells worn tones apart."""
    monkeypatch.setattr("tests.standins.tones", rough_tones)
    machine = wiring.Machine(AvMedia(1), LevelDetector(), ToneRecogniser)
    monkeypatch.setattr(wiring, "machine", lambda *_: machine)


def at_rate(samples: npt.NDArray[np.number], rate: int, before: int = SAMPLE_RATE) -> Samples:
    times = np.arange(len(samples) * rate // before) * before / rate
    return np.interp(times, np.arange(len(samples)), samples).astype(np.int16)


def tones_in(kind: str) -> bytes:
    return encode(kind, at_rate(spoken(COUNT), FORMATS[kind].rate))


def said(count: int) -> list[tuple[str, float, float]]:
    """Each word with its times in seconds, found in what went in."""
    return [
        (one.text.strip(), one.start / SAMPLE_RATE, one.end / SAMPLE_RATE) for one in rough_tones(spoken(count))
    ]


def with_holes(data: bytes) -> bytes:
    damaged = bytearray(data)
    for share in (0.3, 0.6):
        at = int(len(data) * share)
        damaged[at : at + 9_000] = bytes(9_000)
    return bytes(damaged)


def cut(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


@dataclass
class Stretch:
    start: float
    end: float


def missing(document: dict[str, list[dict[str, object]]]) -> list[Stretch]:
    parts = [part for part in document["coverage"] if part["kind"] == "missing"]
    return [Stretch(float(str(part["start"])), float(str(part["end"]))) for part in parts]


def check_names(stretches: list[Stretch], stderr: str, out: Path, stem: str) -> None:
    """Whether SRT, VTT and stderr name what the JSON does."""
    shown = " ".join(stderr.split())
    srt, vtt = ((out / f"{stem}.{kind}").read_text() for kind in ("srt", "vtt"))
    cues = [seconds(found) for found in re.findall(r"([\d:,]+) --> [^\n]+\n\[missing", srt)]
    notes = [seconds(found) for found in re.findall(r"NOTE ([\d:.]+) to [^\n]+ missing", vtt)]
    assert notes == pytest.approx([one.start for one in stretches], abs=0.001)
    assert cues == pytest.approx(notes, abs=SHORTEST / 1000)  # a cue waits for the one before
    for one in stretches:
        assert f"missing {one.start:.1f} s to {one.end:.1f} s: " in shown


def seconds(clock: str) -> float:
    hours, minutes, rest = clock.replace(",", ".").split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        ("mp3", with_holes),
        ("m4a", with_holes),
        ("flac", cut),
        ("wav", cut),
        ("ogg", with_holes),
        ("opus", with_holes),
        ("webm", with_holes),
        ("mp4", cut),
        ("fragments", with_holes),
    ],
)
@pytest.mark.usefixtures("ears")
def test_every_format_is_transcribed_as_far_as_it_decodes(
    longscribe: Command, tmp_path: Path, kind: str, damage: Callable[[bytes], bytes]
) -> None:
    talk, out = tmp_path / f"talk.{kind}", tmp_path / "out"
    talk.write_bytes(damage(tones_in(kind)))
    done = longscribe("transcribe", talk, "--out", out, "--language", "en")
    assert done.code == 3, done.stderr
    document = json.loads((out / "talk.json").read_text())
    assert document["status"] == "partial"
    stretches = missing(document)
    check_names(stretches, done.stderr, out, "talk")
    heard = (out / "talk.txt").read_text().split()
    for text, start, end in said(COUNT):
        if not any(one.start - EDGE < end and start < one.end + EDGE for one in stretches):
            assert text in heard
        elif any(one.start < (start + end) / 2 < one.end for one in stretches):
            assert text not in heard
    assert [text for text in heard if text in words(COUNT)] == sorted(heard)
    assert 0.2 < sum(one.end - one.start for one in stretches) < 15


@pytest.mark.usefixtures("ears")
def test_a_file_that_cannot_tell_how_much_is_gone(longscribe: Command, tmp_path: Path) -> None:
    (tmp_path / "talk.opus").write_bytes(cut(tones_in("opus")))
    done = longscribe("transcribe", tmp_path / "talk.opus", "--out", tmp_path / "out")
    assert done.code == 3
    assert "does not tell how much is gone" in done.stderr
    srt = (tmp_path / "out" / "talk.srt").read_text()
    assert "[missing: the file is cut off" in srt
    assert "0.0 s" not in srt


@pytest.mark.usefixtures("ears")
def test_a_good_recording_beside_a_damaged_one_is_complete(longscribe: Command, tmp_path: Path) -> None:
    good, bad, out = tmp_path / "good.flac", tmp_path / "bad.mp3", tmp_path / "out"
    good.write_bytes(tones_in("flac"))
    bad.write_bytes(with_holes(tones_in("mp3")))
    done = longscribe("transcribe", bad, good, "--out", out)
    assert done.code == 3
    assert (out / "good.txt").read_text().split() == words(COUNT)
    assert json.loads((out / "good.json").read_text())["status"] == "complete"
    assert json.loads((out / "bad.json").read_text())["status"] == "partial"
    assert "good.flac: missing" not in " ".join(done.stderr.split())


@pytest.mark.usefixtures("ears")
def test_headers_alone_are_refused_and_nothing_is_written(longscribe: Command, tmp_path: Path) -> None:
    files = []
    for kind in FORMATS:
        files.append(tmp_path / f"{kind}.{kind}")
        files[-1].write_bytes(whole(kind)[: packets(kind)[0].first or 7])
    done = longscribe("transcribe", *files, "--out", tmp_path / "out")
    assert done.code == 2
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert [line.partition(": ")[0] for line in lines] == [file.name for file in files]
    assert all(re.search(r"[;,] [^;]+\.$", line) for line in lines)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".longscribe"]


SENTENCES = (
    "The lighthouse keeper wrote down every ship that passed the northern cape.",
    "Nobody remembered who had painted the old boat green, but everybody liked it.",
    "In the morning the harbour was quiet, and the gulls had left for the open sea.",
    "Please send the blue folder to the second floor before noon.",
)


def test_real_speech_with_a_hole_and_real_speech_cut_off(
    longscribe: Command, tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hibari import Hibari

    voice, pause = Hibari(), 1.5
    parts = [np.asarray(voice(sentence)) for sentence in SENTENCES]
    ends = np.cumsum([len(part) / voice.sample_rate + pause for part in parts])
    rest = np.zeros(int(pause * voice.sample_rate))
    speech = np.concatenate([both for part in parts for both in (part, rest)]).clip(-1, 1) * 32_767
    monkeypatch.setenv("LONGSCRIBE_MODELS", str(models))
    for kind, name in (("mp3", "hole.mp3"), ("webm", "cut.webm")):
        data = bytearray(encode(kind, at_rate(speech, FORMATS[kind].rate, voice.sample_rate)))
        middle = int(len(data) * ((ends[1] + ends[2] - pause) / 2) / ends[3])  # of the third sentence
        if kind == "mp3":
            data[middle : middle + 20_000] = bytes(20_000)
        else:
            del data[middle:]
        (tmp_path / name).write_bytes(data)
    out = tmp_path / "out"
    files = [tmp_path / "hole.mp3", tmp_path / "cut.webm"]
    done = longscribe("transcribe", *files, "--out", out, "--language", "en", "--model", "tiny.en")
    assert done.code == 3, done.stderr
    for stem in ("hole", "cut"):
        document = json.loads((out / f"{stem}.json").read_text())
        (lost,) = missing(document)
        assert ends[1] < lost.start < ends[2]
        check_names([lost], done.stderr, out, stem)
        text = document["text"].lower()
        assert "lighthouse keeper" in text
        assert "boat green" in text
        assert ("blue folder" in text) == (stem == "hole")
        assert "open sea" not in text or lost.end < ends[2] - pause
