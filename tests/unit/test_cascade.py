"""Silero, and the cascade that asks it where webrtcvad hears no silence: on speech made on the spot, in noise."""

import subprocess
import sys
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hibari import Hibari

from benchmarks.missed_speech import noise, truth
from longscribe import wiring
from longscribe.adapters.silero import BATCH, STEP, Silero, locate
from longscribe.adapters.speech import Cascade, WebRtcDetector
from longscribe.core import speech
from longscribe.core.limits import FRAME, GRID, SAMPLE_RATE
from longscribe.core.speech import LEAD
from longscribe.demo_text import PARAGRAPHS
from longscribe.errors import BadInput
from longscribe.messages import Judged, Span
from longscribe.ports import Heard, Samples, Verdicts

PAUSE = 6 * SAMPLE_RATE


@dataclass(frozen=True)
class Talk:
    samples: Samples
    spoken: Verdicts

    def noisy(self, kind: str, snr: float) -> Samples:
        heard = self.samples[np.repeat(self.spoken, FRAME)].astype(np.float64)
        added = noise(kind, len(self.samples)) * np.sqrt(np.square(heard).mean()) * 10 ** (-snr / 20)
        return np.clip(np.rint(self.samples + added), -32_768, 32_767).astype(np.int16)


def said(paragraphs: tuple[str, ...], pause: int) -> Talk:
    """Paragraphs read by a synthetic voice, ``pause`` samples of a quiet room around each."""
    voice = Hibari()
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    room = np.random.default_rng(1).normal(0, 8, pause).astype(np.int16)
    parts = [room]
    for paragraph in paragraphs:
        frame = av.AudioFrame.from_ndarray((voice(paragraph) * 32_767).astype(np.int16)[None], "s16", "mono")
        frame.sample_rate = voice.sample_rate
        parts += [out.to_ndarray()[0] for out in resampler.resample(frame)]
        parts.append(room)
    samples = np.concatenate(parts)
    samples = samples[: len(samples) // FRAME * FRAME]
    return Talk(samples, truth(samples, [{"start": 0.0, "end": len(samples) / SAMPLE_RATE}]))


@pytest.fixture(scope="module")
def talk() -> Talk:
    return said(tuple(PARAGRAPHS[:5]), PAUSE)


@pytest.fixture(scope="module")
def silero() -> Silero:
    return Silero(locate())


@pytest.fixture(scope="module")
def cascade(silero: Silero) -> Cascade:
    return Cascade(WebRtcDetector(), silero)


def region(verdicts: Verdicts) -> Verdicts:
    """What the planner makes of them."""
    count = len(verdicts)
    return speech.analyse(verdicts, np.ones(count, np.int64), Span(0, count * FRAME), []).region


def shares(verdicts: Verdicts, talk: Talk) -> tuple[float, float]:
    """Return which part of the speech is missed and which part of the silence is kept."""
    found = region(verdicts)
    missed, kept = talk.spoken & ~found, found & ~talk.spoken
    return float(missed.sum() / talk.spoken.sum()), float(kept.sum() / (~talk.spoken).sum())


class TestInNoise:
    @pytest.mark.parametrize(
        ("kind", "snr", "most"),
        [
            ("pink", 20, 0.3),
            ("pink", 10, 0.3),
            ("pink", 5, 0.3),
            ("white", 10, 0.3),
            ("late", 10, 0.4),
            ("swelling", 10, 0.6),  # falls silent every seven seconds, as speech does
        ],
    )
    def test_no_speech_is_lost_and_silence_is_found(
        self, cascade: Cascade, talk: Talk, kind: str, snr: int, most: float
    ) -> None:
        missed, kept = shares(cascade.detect(talk.noisy(kind, snr), 0).speech, talk)
        assert missed <= 0.001
        assert kept < most

    def test_webrtcvad_alone_keeps_the_noise(self, talk: Talk) -> None:
        assert shares(WebRtcDetector().detect(talk.noisy("white", 5), 0).speech, talk) == (0.0, 1.0)

    def test_silero_judges_what_is_kept_of_the_noise(self, cascade: Cascade, talk: Talk) -> None:
        heard = cascade.detect(talk.noisy("late", 10), 0)
        second = np.zeros(len(heard.speech), np.bool_)
        for one in heard.judged:
            second[one.start // FRAME : one.end // FRAME] = one.detector == "silero-v6"
        late = np.arange(len(second)) > len(second) // 2
        assert second[late & region(heard.speech)].mean() > 0.9
        assert second[~region(heard.speech)].mean() < 0.5

    def test_dense_clean_speech_costs_time_but_no_word(self, cascade: Cascade) -> None:
        dense = said(tuple(PARAGRAPHS), SAMPLE_RATE // 5)
        assert region(WebRtcDetector().detect(dense.samples, 0).speech).mean() > 0.99, "it leaves no silence"
        heard = cascade.detect(dense.samples, 0)
        assert sum(one.end - one.start for one in heard.judged if one.detector == "silero-v6") > 0.9 * len(
            dense.samples
        )
        assert shares(heard.speech, dense)[0] <= 0.0005

    @pytest.mark.parametrize("seam", [7, 20, 33])
    def test_a_seam_with_a_lead_loses_nothing(self, cascade: Cascade, talk: Talk, seam: int) -> None:
        samples, at = talk.noisy("pink", 10), seam * SAMPLE_RATE
        before = cascade.detect(samples[:at], 0).speech
        after = cascade.detect(samples[at - LEAD :], LEAD).speech
        assert shares(np.concatenate([before, after]), talk)[0] <= 0.001


@dataclass
class Scripted:
    """Hears what it is told to, and notes what it was asked."""

    name: str
    heard: Verdicts
    asked: list[tuple[int, int]] = field(default_factory=list)  #: samples, lead

    def detect(self, samples: Samples, lead: int) -> Heard:
        self.asked.append((len(samples), lead))
        count = (len(samples) - lead) // FRAME
        return Heard(np.resize(self.heard, count), (Judged(0, len(samples) - lead, self.name),))


def verdicts(*parts: tuple[float, bool]) -> Verdicts:
    return np.concatenate([np.full(round(seconds * 100), heard) for seconds, heard in parts])


def lively(heard: Verdicts) -> Samples:
    """Sound whose level swings as speech does."""
    loud = heard & (np.arange(len(heard)) % 5 > 0)
    return np.repeat(np.where(loud, 5_000, 20), FRAME).astype(np.int16)


class TestWhoIsAsked:
    no = np.zeros(1, np.bool_)

    def asked(self, heard: Verdicts, lead: float = 0, tail: int = 0) -> tuple[Heard, list[tuple[int, int]]]:
        second = Scripted("second", self.no)
        samples = np.concatenate(
            [np.zeros(round(lead * SAMPLE_RATE), np.int16), lively(heard), np.zeros(tail, np.int16)]
        )
        got = Cascade(Scripted("first", heard), second).detect(samples, round(lead * SAMPLE_RATE))
        ends = [one.end for one in got.judged]
        assert [one.start for one in got.judged] == [0, *ends[:-1]]
        assert ends[-1] == len(samples) - round(lead * SAMPLE_RATE)
        assert all(one.detector != other.detector for one, other in pairwise(got.judged))
        return got, second.asked

    def test_nobody_where_there_is_silence(self) -> None:
        heard = verdicts((3, True), (2, False), (8, True), (1, False))
        got, asked = self.asked(heard)
        assert (got.speech == heard).all()
        assert asked == []
        assert [one.detector for one in got.judged] == ["first"]

    @pytest.mark.parametrize("count", [0, 1, FRAME - 1])
    def test_nobody_about_less_than_a_frame(self, count: int) -> None:
        got = Cascade(WebRtcDetector(), Scripted("second", self.no)).detect(np.zeros(count, np.int16), 0)
        assert got.judged == (Judged(0, count, "webrtcvad-1"),)
        assert len(got.speech) == 0

    def test_the_second_has_the_last_word_on_what_holds_no_silence(self) -> None:
        heard = verdicts((2, True), (6, False), (12, True), (5, False))
        got, asked = self.asked(heard, tail=FRAME // 2)
        assert asked == [(int(15.4 * SAMPLE_RATE), LEAD)]
        assert (got.speech == verdicts((2, True), (23, False))).all()
        bounds = [(one.start / SAMPLE_RATE, one.detector) for one in got.judged]
        assert bounds == [(0, "first"), (7.8, "second"), (20.2, "first")]

    def test_a_part_of_a_frame_goes_with_the_last(self) -> None:
        got, _ = self.asked(verdicts((2, False), (12, True)), tail=FRAME - 1)
        assert got.judged[-1] == Judged(int(1.8 * SAMPLE_RATE), 14 * SAMPLE_RATE + FRAME - 1, "second")

    @pytest.mark.parametrize(("lead", "warm"), [(0, 0), (1, 1), (5, 3)])
    def test_it_is_warmed_by_what_is_there(self, lead: float, warm: float) -> None:
        _, asked = self.asked(verdicts((12, True)), lead)
        assert asked == [((12 + warm) * SAMPLE_RATE, warm * SAMPLE_RATE)]

    def test_regions_nearer_than_its_lead_are_judged_in_one_go(self) -> None:
        _, asked = self.asked(verdicts((12, True), (3.4, False), (12, True)))
        assert asked == [(int(27.4 * SAMPLE_RATE), 0)]
        _, asked = self.asked(verdicts((12, True), (3.41, False), (12, True)))
        assert asked == [(int(12.2 * SAMPLE_RATE), 0), (int(15.2 * SAMPLE_RATE), LEAD)]

    def test_what_lies_between_regions_stays_the_firsts(self) -> None:
        heard = verdicts((12, True), (1.2, False), (0.1, True), (1.2, False), (12, True))
        got, _ = self.asked(heard)
        assert got.speech[1_320:1_330].all()
        assert got.speech.sum() == 10
        assert [one.detector for one in got.judged] == ["second", "first", "second"]


class TestSilero:
    def test_it_hears_speech_between_silences(self, silero: Silero, talk: Talk) -> None:
        found = region(silero.detect(talk.samples, 0).speech)
        assert found[talk.spoken].all()
        assert found[~talk.spoken].mean() < 0.3
        assert not silero.detect(np.zeros(SAMPLE_RATE, np.int16), 0).speech.any()

    @pytest.mark.parametrize("count", [0, 1, FRAME - 1, FRAME, STEP, STEP + 1, BATCH * STEP + 1])
    @pytest.mark.parametrize("lead", [0, 1, STEP - 1, 3 * FRAME])
    def test_a_verdict_for_each_whole_frame(self, silero: Silero, count: int, lead: int) -> None:
        heard = silero.detect(np.zeros(lead + count, np.int16), lead)
        assert len(heard.speech) == count // FRAME
        assert heard.judged == (Judged(0, count, "silero-v6"),)

    def test_it_remembers_nothing_and_batches_change_nothing(
        self, silero: Silero, talk: Talk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        expected = silero._probabilities(talk.samples)
        assert len(expected) > 2 * BATCH
        monkeypatch.setattr("longscribe.adapters.silero.BATCH", 77)
        assert (silero._probabilities(talk.samples) == expected).all()

    def test_a_frame_in_two_steps_is_speech_if_either_is(
        self, silero: Silero, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        steps = np.array([0, 0.2, 0, 0.19, 0], np.float32)
        monkeypatch.setattr(silero, "_probabilities", lambda _: steps)
        heard = silero.detect(np.zeros(5 * STEP, np.int16), 0).speech
        assert np.flatnonzero(heard).tolist() == [3, 4, 5, 6]

    def test_a_model_that_is_not_there_is_one_sentence(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match=r"is not at .*; run make demo"):
            wiring.detector(tmp_path / "gone.onnx")

    def test_a_file_that_is_no_model_is_one_sentence(self, tmp_path: Path) -> None:
        broken, other = tmp_path / "broken.onnx", tmp_path / "other.onnx"
        silence = np.zeros(STEP, np.int16)
        broken.write_bytes(locate().read_bytes()[:100_000])
        with pytest.raises(BadInput, match="is no ONNX model"):
            Silero(broken).detect(silence, 0)
        other.write_bytes(locate().read_bytes().replace(b"input", b"sound"))
        with pytest.raises(BadInput, match="another model"):
            Silero(other).detect(silence, 0)

    def test_the_model_is_found_without_importing_who_brings_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        program = (
            "import sys; from longscribe import wiring; from longscribe.stages import chunker; wiring.detector();"
            "heavy = ('faster_whisper', 'ctranslate2', 'torch', 'onnxruntime');"
            "print([name for name in heavy if name in sys.modules])"
        )
        got = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert (got.stdout, got.stderr) == ("[]\n", "")
        monkeypatch.setattr("longscribe.adapters.silero.find_spec", lambda name: None)
        with pytest.raises(BadInput, match="run make demo"):
            locate()

    def test_it_is_what_a_whole_stretch_needs(self, cascade: Cascade) -> None:
        """A stretch of decoding in which all is noise."""
        loud = np.random.default_rng(3).normal(0, 2_000, LEAD + GRID).astype(np.int16)
        heard = cascade.detect(loud, LEAD)
        assert heard.judged == (Judged(0, GRID, "silero-v6"),)
        assert region(heard.speech).mean() < 0.05
