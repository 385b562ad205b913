"""The command line: what it writes, says and returns, on good and on bad input."""

import json
import os
import tempfile
import wave
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from longscribe import __version__, wiring
from longscribe.adapters.media.av_media import AvMedia
from longscribe.core import limits
from longscribe.embedded import checked
from longscribe.errors import BadInput, NoSpace, Permanent
from longscribe.ports import Samples, WindowAudio
from tests.e2e.commands import sentences, tone_machine, transcripts
from tests.e2e.conftest import Command
from tests.standins import ToneRecogniser, silence, spoken, words
from tests.standins import tones as hear


def pcm(path: Path, samples: Samples | None = None) -> Path:
    path.write_bytes((spoken(30) if samples is None else samples).tobytes())
    return path


def wav(path: Path, samples: Samples) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(limits.SAMPLE_RATE)
        file.writeframes(samples.tobytes())
    return path


WAV_HEADER = (
    b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"
    b"\x80>\x00\x00\x00}\x00\x00\x02\x00\x10\x00data\x00\x00\x00\x00"
)
"""A recording of no samples."""


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where transcripts go; it is not there yet."""
    return tmp_path / "some" / "out"


@pytest.mark.usefixtures("tones")
def test_every_format_is_written(longscribe: Command, tmp_path: Path, out: Path) -> None:
    done = longscribe("transcribe", pcm(tmp_path / "talk.pcm"), "--out", out, "--language", "en")
    assert (done.code, done.stdout) == (0, "")
    assert sorted(path.name for path in out.iterdir()) == [
        ".longscribe",
        "talk.json",
        "talk.srt",
        "talk.txt",
        "talk.vtt",
    ]
    assert (out / "talk.txt").read_text().split() == words(30)
    document = json.loads((out / "talk.json").read_text())
    assert (document["status"], document["language"]) == ("complete", "en")
    assert "words" not in document["segments"][0]
    assert (out / "talk.vtt").read_text().startswith("WEBVTT")
    assert " --> " in (out / "talk.srt").read_text()
    assert "talk.pcm" in done.stderr
    assert not list((out / ".longscribe" / "chunks").rglob("*.flac"))  # no audio stays behind


@pytest.mark.usefixtures("tones")
def test_settings_reach_the_transcript(longscribe: Command, tmp_path: Path, out: Path) -> None:
    options = ["--language", "auto", "--vocabulary", "Ada, Grace", "--formats", "json", "--word-times"]
    more = ["--chunk-length", "30", "--model", "small", "--compute-type", "int8"]
    done = longscribe("transcribe", pcm(tmp_path / "talk.pcm"), "--out", out, *options, *more)
    assert done.code == 0
    assert sorted(path.name for path in out.iterdir()) == [".longscribe", "talk.json"]
    document = json.loads((out / "talk.json").read_text())
    assert document["settings"] == {
        "language": None,
        "vocabulary": ["Ada", "Grace"],
        "formats": ["json"],
        "model": "small",
        "compute_type": "int8",
        "word_times": True,
        "chunk_seconds": 30.0,
    }
    spelled = [word["text"].strip() for segment in document["segments"] for word in segment["words"]]
    assert spelled == words(30)


@pytest.mark.usefixtures("tones")
def test_terms_that_found_no_room_are_named(
    longscribe: Command, recogniser: ToneRecogniser, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hear = recogniser.recognise
    monkeypatch.setattr(
        recogniser, "recognise", lambda windows: [replace(heard, unused_terms=2) for heard in hear(windows)]
    )
    given = ["--vocabulary", "Ada, Grace, Mary"]
    done = longscribe("transcribe", pcm(tmp_path / "talk.pcm"), "--out", out, "--language", "en", *given)
    assert done.code == 0
    assert "2 of the 3 terms of the vocabulary found no room in the model's prompt" in done.stderr
    assert done.stderr.count("Grace, Mary") == 1
    assert json.loads((out / "talk.json").read_text())["unused_vocabulary"] == ["Grace", "Mary"]


@pytest.mark.usefixtures("tones")
def test_several_recordings_at_once(longscribe: Command, tmp_path: Path, out: Path) -> None:
    files = [pcm(tmp_path / f"talk{number}.pcm", spoken(20, first=50 * number)) for number in range(4)]
    done = longscribe("transcribe", *files, "--out", out)
    assert done.code == 0
    for number, path in enumerate(files):
        assert (out / f"{path.stem}.txt").read_text().split() == words(20, first=50 * number)
        assert path.name in done.stderr


@pytest.mark.usefixtures("tones")
def test_the_current_directory_is_the_default(
    longscribe: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pcm(tmp_path / "talk.pcm")
    monkeypatch.chdir(tmp_path)
    assert longscribe("transcribe", "talk.pcm").code == 0
    assert (tmp_path / "talk.txt").read_text().split() == words(30)


@pytest.mark.usefixtures("tones")
def test_a_link_to_a_recording_is_named_after_the_link(longscribe: Command, tmp_path: Path, out: Path) -> None:
    (tmp_path / "link.pcm").symlink_to(pcm(tmp_path / "talk.pcm"))
    assert longscribe("transcribe", tmp_path / "link.pcm", "--out", out).code == 0
    assert (out / "link.txt").read_text().split() == words(30)


@pytest.mark.usefixtures("tones")
def test_silence_is_complete_and_without_words(longscribe: Command, tmp_path: Path, out: Path) -> None:
    done = longscribe("transcribe", pcm(tmp_path / "hush.pcm", silence(140)), "--out", out)
    assert done.code == 0
    assert (out / "hush.txt").read_text() == ""
    document = json.loads((out / "hush.json").read_text())
    assert (document["status"], document["language"], document["segments"]) == ("complete", None, [])
    assert [(part["start"], part["end"], part["kind"]) for part in document["coverage"]] == [(0.0, 140.0, "silent")]


def test_what_is_missing_is_named_and_returns_3(
    longscribe: Command, tmp_path: Path, out: Path, recogniser: ToneRecogniser, tones: None
) -> None:
    def fail(windows: Sequence[WindowAudio]) -> None:
        if any(found.text == " w020" for window in windows for found in hear(window.samples)):
            raise RuntimeError("the device went mad, quoting what was said")

    recogniser.before = fail
    done = longscribe("transcribe", pcm(tmp_path / "talk.pcm"), "--out", out, "--chunk-length", 10)
    assert done.code == 3
    document = json.loads((out / "talk.json").read_text())
    assert document["status"] == "partial"
    lost = [part for part in document["coverage"] if part["kind"] == "missing"]
    assert lost
    for part in lost:
        assert f"missing {part['start']:.1f} s to {part['end']:.1f} s: every attempt" in " ".join(
            done.stderr.split()
        )
    assert "quoting" not in done.stderr  # a foreign error's words may hold speech
    text = (out / "talk.txt").read_text()
    assert "w000" in text
    assert "w020" not in text


BAD_ARGUMENTS = [
    (["nowhere.pcm"], "There is no file"),
    (["talk.pcm/inside.pcm"], "There is no file"),
    (["folder"], "not a file"),
    (["/dev/null"], "not a file"),
    (["empty.pcm"], "is empty"),
    (["x" * 300], "cannot be used"),
    (["loop.pcm"], "cannot be used"),
    (["talk.pcm", "folder/talk.wav"], "would both write talk.*"),
    (["talk.pcm", "talk.pcm"], "would both write talk.*"),
    (["talk.pcm", "nowhere.pcm"], "There is no file"),
    (["talk.pcm", "--language", "klingon"], "Unknown language 'klingon'"),
    (["talk.pcm", "--formats", "txt,doc"], "Unknown format 'doc'"),
    (["talk.pcm", "--formats", ","], "No format is left"),
    (["talk.pcm", "--chunk-length", "9.9"], "out of bounds"),
    (["talk.pcm", "--chunk-length", "300.1"], "out of bounds"),
    (["talk.pcm", "--chunk-length", "nan"], "out of bounds"),
    (["talk.pcm", "--compute-type", "int3"], "Unknown compute type"),
    (["talk.pcm", "--vocabulary", "a" * 61], "longer than 60"),
]


@pytest.mark.parametrize(("arguments", "sentence"), BAD_ARGUMENTS)
@pytest.mark.usefixtures("tones")
def test_bad_input_is_one_sentence_and_writes_nothing(
    longscribe: Command,
    tmp_path: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop.pcm").symlink_to("loop.pcm")
    (tmp_path / "empty.pcm").touch()
    pcm(tmp_path / "talk.pcm")
    pcm(tmp_path / "folder" / "talk.wav")
    done = longscribe("transcribe", *arguments, "--out", out)
    assert done.code == 2
    (said,) = sentences(done.stderr)
    assert said.startswith("longscribe: ")
    assert sentence in said
    assert said[-1] in ".?"
    assert not out.exists()


@pytest.mark.parametrize("arguments", [["--colour"], [], ["talk.pcm", "--chunk-length", "long"]])
@pytest.mark.usefixtures("tones")
def test_wrong_usage_returns_2(longscribe: Command, arguments: list[str]) -> None:
    assert longscribe("transcribe", *arguments).code == 2


@pytest.mark.usefixtures("tones")
def test_an_out_that_cannot_be_written(longscribe: Command, tmp_path: Path) -> None:
    talk = pcm(tmp_path / "talk.pcm")
    done = longscribe("transcribe", talk, "--out", talk)
    assert done.code == 2
    (said,) = sentences(done.stderr)
    assert "cannot be written" in said
    assert "--out" in said


def test_a_model_that_cannot_be_had(longscribe: Command, tmp_path: Path, out: Path) -> None:
    done = longscribe("transcribe", pcm(tmp_path / "talk.pcm"), "--out", out, "--model", "no-such-model")
    assert done.code == 2
    (said,) = sentences(done.stderr)
    assert "no-such-model" in said
    assert not out.exists()


@pytest.fixture
def real_media(monkeypatch: pytest.MonkeyPatch, recogniser: ToneRecogniser) -> None:
    """Recordings are decoded as they are in production."""
    monkeypatch.setattr(wiring, "machine", lambda *_: tone_machine(recogniser, AvMedia(2)))


@pytest.mark.usefixtures("real_media")
def test_a_recording_in_a_real_format(longscribe: Command, tmp_path: Path, out: Path) -> None:
    talk = wav(tmp_path / "talk.wav", spoken(200))
    done = longscribe("transcribe", talk, "--out", out, "--language", "en")
    assert done.code == 0, done.stderr
    assert (out / "talk.txt").read_text().split() == words(200)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("notes.txt", b"These are notes, and no recording.\n" * 50),
        ("notes.mp3", b"These are notes, and no recording.\n" * 50),
        ("zeros.wav", bytes(10_000)),
        ("header.wav", WAV_HEADER),
        ("list.mp3", b"ffconcat version 1.0\nfile talk.wav\n"),
        ("one.wav", b"R"),
    ],
)
@pytest.mark.usefixtures("real_media")
def test_what_is_no_audio_is_refused_and_writes_nothing(
    longscribe: Command, tmp_path: Path, out: Path, name: str, data: bytes
) -> None:
    wav(tmp_path / "talk.wav", spoken(3))
    (tmp_path / name).write_bytes(data)
    done = longscribe("transcribe", tmp_path / name, "--out", out)
    assert done.code == 2
    assert name in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in out.iterdir()] == [".longscribe"]


@pytest.mark.usefixtures("real_media")
def test_a_good_recording_beside_a_bad_one_is_written(longscribe: Command, tmp_path: Path, out: Path) -> None:
    good = wav(tmp_path / "good.wav", spoken(20))
    bad = tmp_path / "bad.mp3"
    bad.write_bytes(b"no audio at all " * 100)
    done = longscribe("transcribe", bad, good, "--out", out)
    assert done.code == 2
    assert (out / "good.txt").read_text().split() == words(20)
    assert not list(out.glob("bad.*"))


@contextmanager
def nobody() -> Iterator[None]:
    """Be no superuser for a while."""
    if os.getuid() != 0:
        yield
        return
    os.setresuid(65_534, 65_534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


def test_a_recording_that_may_not_be_read() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        secret = pcm(Path(folder) / "secret.pcm")
        secret.chmod(0)
        with nobody(), pytest.raises(BadInput, match=r"secret.pcm cannot be read; change its permissions\."):
            checked(secret)


@pytest.mark.parametrize("name", ["\x1b[31mred\x07.pcm", "two\nlines.pcm", "[bold]x.pcm", "\u202ereversed.pcm"])
@pytest.mark.usefixtures("tones")
def test_a_name_cannot_steer_the_terminal(longscribe: Command, tmp_path: Path, out: Path, name: str) -> None:
    missing = longscribe("transcribe", tmp_path / f"no{name}", "--out", out)
    assert missing.code == 2
    talk = pcm(tmp_path / name)
    done = longscribe("transcribe", talk, "--out", out)
    assert done.code == 0
    (tmp_path / name).write_bytes(b"BAD")
    refused = longscribe("transcribe", talk, "--out", out)
    assert refused.code == 2
    for said in (missing, done, refused):
        assert not {"\x1b", "\x07", "\u202e"} & set(said.stderr)
    if name.startswith("["):
        assert name in done.stderr
    assert "Traceback" not in missing.stderr + done.stderr + refused.stderr


@pytest.mark.usefixtures("tones")
def test_a_transcript_is_never_written_over_a_recording(longscribe: Command, tmp_path: Path) -> None:
    talk, other = pcm(tmp_path / "talk.txt"), pcm(tmp_path / "talk.srt.pcm")
    before = talk.read_bytes()
    for files in ([talk], [other, talk]):
        done = longscribe("transcribe", *files, "--out", tmp_path)
        assert (done.code, "written over a recording" in done.stderr) == (2, True)
    assert talk.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"talk.txt", "talk.srt.pcm"}
    assert longscribe("transcribe", talk, "--out", tmp_path, "--formats", "srt").code == 0


@pytest.mark.parametrize(("length", "code"), [(249, 0), (250, 0), (251, 2)])
@pytest.mark.usefixtures("tones")
def test_a_name_too_long_for_its_transcripts_is_told_before_the_work(
    longscribe: Command, tmp_path: Path, out: Path, length: int, code: int
) -> None:
    talk = pcm(tmp_path / f"{'n' * length}.pcm")
    done = longscribe("transcribe", talk, "--out", out)
    assert done.code == code, done.stderr
    assert out.exists() == (code == 0)


@pytest.mark.usefixtures("tones")
def test_a_name_that_is_no_text(longscribe: Command, tmp_path: Path, out: Path) -> None:
    talk = pcm(tmp_path / os.fsdecode(b"caf\xe9.pcm"))
    done = longscribe("transcribe", talk, "--out", out)
    assert done.code == 0, done.stderr
    (text,) = out.glob("*.txt")
    assert os.fsencode(text.name) == b"caf\xe9.txt"
    assert text.read_text().split() == words(30)
    (document,) = out.glob("*.json")
    assert json.loads(document.read_text())["status"] == "complete"


@pytest.mark.usefixtures("tones")
def test_an_unforeseen_end_of_a_stage_returns_1(
    longscribe: Command, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> ToneRecogniser:
        raise Permanent("The model is damaged; fetch it again.")

    machine = tone_machine()
    monkeypatch.setattr(wiring, "machine", lambda *_: wiring.Machine(machine.media, machine.detector, broken))
    done = longscribe("transcribe", pcm(tmp_path / "talk.pcm"), "--out", out)
    assert done.code == 1
    assert sentences(done.stderr)[-1] == "longscribe: The model is damaged; fetch it again."


def test_a_full_disk_is_one_sentence_and_the_same_command_goes_on(
    longscribe: Command,
    tmp_path: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    recogniser: ToneRecogniser,
    tones: None,
) -> None:
    def full(_: object) -> None:
        raise NoSpace("The disk is full; make room and run the same command again.")

    recogniser.before = full
    talk = pcm(tmp_path / "talk.pcm")
    done = longscribe("transcribe", talk, "--out", out)
    assert done.code == 2
    assert sentences(done.stderr)[-1].startswith("longscribe: The disk is full")
    recogniser.before = lambda _: None
    assert longscribe("transcribe", talk, "--out", out).code == 0
    assert (out / "talk.txt").read_text().split() == words(30)


@pytest.mark.usefixtures("tones")
def test_an_earlier_transcript_survives_a_failure_to_write_the_new_one(
    longscribe: Command, tmp_path: Path, out: Path
) -> None:
    talk = pcm(tmp_path / "talk.pcm")
    longscribe("transcribe", talk, "--out", out)
    before = transcripts(out, "talk")
    (out / "talk.json").unlink()
    (out / "talk.json").mkdir()  # cannot be written over
    done = longscribe("transcribe", talk, "--out", out, "--force")
    assert done.code == 2
    assert "cannot be written" in done.stderr
    (out / "talk.json").rmdir()
    assert longscribe("transcribe", talk, "--out", out).code == 0
    assert transcripts(out, "talk") == before
    assert not list(out.glob(".longscribe-*.partial"))


def test_version(longscribe: Command) -> None:
    done = longscribe("--version")
    assert (done.code, done.stdout) == (0, f"longscribe {__version__}\n")


@pytest.mark.parametrize("command", [["--help"], ["transcribe", "--help"]])
def test_help(longscribe: Command, command: list[str]) -> None:
    done = longscribe(*command)
    assert done.code == 0
    assert "transcribe" in done.stdout


@pytest.mark.usefixtures("tones")
def test_noise_that_is_no_speech_is_transcribed_without_words(
    longscribe: Command, tmp_path: Path, out: Path
) -> None:
    noise = np.random.default_rng(1).integers(-90, 90, 60 * limits.SAMPLE_RATE).astype(np.int16)
    assert longscribe("transcribe", pcm(tmp_path / "hiss.pcm", noise), "--out", out).code == 0
    assert (out / "hiss.txt").read_text() == ""
