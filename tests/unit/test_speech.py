"""Levels, smoothing and pauses; and what webrtcvad makes of speech made on the spot."""

import numpy as np
import pytest

from longscribe.adapters.speech import WebRtcDetector
from longscribe.core import speech
from longscribe.core.limits import FRAME, GRID, SAMPLE_RATE
from longscribe.core.speech import LEAD
from longscribe.messages import Judged, Missing, Span
from longscribe.ports import Heard, Samples, SpeechDetector


def frames_of(text: str) -> np.ndarray:
    """One verdict a character: ``#`` is speech."""
    return np.array([character == "#" for character in text], np.bool_)


def heard_of(text: str) -> Heard:
    return Heard(frames_of(text), (Judged(0, len(text) * FRAME, "ear"),))


def analysed(heard: np.ndarray, *missing: Missing, level: float = -20.0) -> speech.Analysis:
    power = speech.power(np.full(len(heard), level, np.float32))
    return speech.analyse(heard, power, Span(0, len(heard) * FRAME), missing)


def voiced(seconds: float, seed: int = 3) -> Samples:
    """Something like speech: a voice of 120 Hz through three formants, in syllables of 250 ms."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = 120 + 20 * np.sin(2 * np.pi * 0.7 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    tone = np.zeros(len(time))
    for harmonic in range(1, 30):
        shape = sum(np.exp(-(((harmonic * 120 - formant) / 200) ** 2)) for formant in (600, 1_200, 2_500))
        tone += (shape + 0.02) * np.sin(harmonic * phase)
    tone *= 0.55 - 0.45 * np.cos(2 * np.pi * 4 * time)
    tone = 0.15 * tone / np.abs(tone).max() + rng.normal(0, 3e-4, len(time))
    return (tone * 32_768).astype(np.int16)


def floor(seconds: float, seed: int = 4) -> Samples:
    """A quiet room."""
    return np.random.default_rng(seed).normal(0, 8, int(seconds * SAMPLE_RATE)).astype(np.int16)


class TestLevels:
    def test_known_signals(self) -> None:
        square = np.full(FRAME, -32_768, np.int16)
        sine = (16_384 * np.sin(2 * np.pi * np.arange(FRAME) / 16)).astype(np.int16)
        silence = np.zeros(FRAME, np.int16)
        level = speech.levels(np.concatenate([square, sine, silence]))
        assert level.dtype == np.float32
        assert level == pytest.approx([0.0, -9.03, -100.0], abs=0.01)

    def test_one_bit_is_above_silence(self) -> None:
        assert speech.levels(np.ones(FRAME, np.int16))[0] == pytest.approx(-90.3, abs=0.01)

    def test_the_last_part_of_a_frame_counts_alone(self) -> None:
        level = speech.levels(np.concatenate([np.zeros(FRAME, np.int16), np.full(1, 16_384, np.int16)]))
        assert level == pytest.approx([-100.0, -6.02], abs=0.01)

    def test_nothing_has_no_level(self) -> None:
        assert len(speech.levels(np.zeros(0, np.int16))) == 0

    def test_the_mean_of_levels_is_that_of_their_power(self) -> None:
        power = speech.power(np.array([-20.0, -100.0], np.float32))
        assert speech.mean_level(int(power.sum()), 2) == pytest.approx(-23.0)
        assert speech.mean_level(int(power[1]), 1) == -100.0
        assert speech.mean_level(0, 0) == -100.0


class TestFrames:
    def test_a_part_of_a_frame_takes_the_last_verdict(self) -> None:
        samples = np.zeros(2 * FRAME + 1, np.int16)
        assert speech.frames(0, samples, heard_of(" #")).speech.tolist() == [False, True, True]
        assert speech.frames(0, samples, heard_of("# ")).speech.tolist() == [True, False, False]

    def test_less_than_a_frame_is_no_speech(self) -> None:
        got = speech.frames(160, np.zeros(5, np.int16), heard_of(""))
        assert (got.start, got.speech.tolist(), got.level.tolist()) == (160, [False], [-100.0])

    def test_who_judged_them_is_told_by_the_recordings_time(self) -> None:
        judged = Judged(0, FRAME, "one"), Judged(FRAME, 2 * FRAME, "other")
        got = speech.frames(GRID, np.zeros(2 * FRAME, np.int16), Heard(frames_of("# "), judged))
        assert got.judged == (
            Judged(GRID, GRID + FRAME, "one"),
            Judged(GRID + FRAME, GRID + 2 * FRAME, "other"),
        )


class TestRegions:
    def region(self, text: str) -> list[tuple[int, int]]:
        first, last = speech.runs(analysed(frames_of(text)).region)
        return [(int(a), int(b)) for a, b in zip(first, last, strict=True)]

    def test_no_frames_no_region(self) -> None:
        assert self.region("") == []

    def test_speech_is_padded_but_not_beyond_the_recording(self) -> None:
        assert self.region(" " * 30 + "#" * 10 + " " * 30) == [(10, 60)]
        assert self.region(" " * 5 + "#" * 10 + " " * 5) == [(0, 20)]

    def test_a_click_is_no_speech(self) -> None:
        assert self.region(" " * 30 + "#" * (speech.OPEN - 1) + " " * 30) == []
        assert self.region(" " * 30 + "#" * speech.OPEN + " " * 30) == [(10, 56)]

    def test_a_click_does_not_lengthen_a_region(self) -> None:
        assert self.region("#" * 10 + " " * 100 + "##" + " " * 100) == [(0, 30)]

    def test_short_pauses_stay_long_ones_go(self) -> None:
        short = 2 * speech.PAD + speech.FILL
        assert self.region("#" * 10 + " " * short + "#" * 10) == [(0, 20 + short)]
        assert self.region("#" * 10 + " " * (short + 1) + "#" * 10) == [(0, 30), (short - 9, 21 + short)]

    def test_nothing_farther_than_the_reach_matters(self) -> None:
        heard = np.random.default_rng(5).random(3_000) < 0.3
        heard = np.repeat(heard, 7)
        whole = analysed(heard).region
        for start, end in ((1_000, 1_400), (7, 900), (15_000, 21_000)):
            first = max(0, start - speech.REACH)
            part = analysed(heard[first : end + speech.REACH]).region
            assert (part[start - first : end - first] == whole[start:end]).all()


class TestDoubt:
    """Levels swing by 40 dB within a region, as speech does, unless a test fills them."""

    def doubted(self, text: str, *, filled: bool = False) -> list[tuple[int, int]]:
        heard = frames_of(text)
        level = np.where(heard & (np.arange(len(heard)) % 5 > 0), -20, -35 if filled else -60).astype(np.float32)
        first, last = speech.doubtful(heard, level)
        return [(int(a), int(b)) for a, b in zip(first, last, strict=True)]

    def test_nothing_is_doubted_where_nothing_was_heard(self) -> None:
        assert self.doubted("") == []
        assert self.doubted(" " * 3_000) == []

    def test_a_region_is_doubted_from_ten_seconds_on(self) -> None:
        enough = "#" * (speech.UNBROKEN - 2 * speech.PAD)
        silence = " " * 100
        assert self.doubted(silence + enough[1:] + silence) == []
        assert self.doubted(silence + enough + silence) == [(80, 80 + speech.UNBROKEN)]

    def test_pauses_too_short_to_be_silence_do_not_end_it(self) -> None:
        phrases = ("#" * 200 + " " * (2 * speech.PAD + speech.FILL)) * 6
        assert self.doubted(phrases) == [(0, len(phrases) - speech.FILL - speech.PAD)]
        phrases = ("#" * 200 + " " * (2 * speech.PAD + speech.FILL + 1)) * 6
        assert self.doubted(phrases) == []

    def test_a_short_region_is_doubted_if_nothing_in_it_is_quiet(self) -> None:
        text = " " * 100 + "#" * 200 + " " * 100
        assert self.doubted(text) == []
        assert self.doubted(text, filled=True) == [(80, 320)]


class TestMissing:
    def test_only_frames_without_a_sample_left_are_gone(self) -> None:
        heard = np.ones(20, np.bool_)
        found = analysed(heard, Missing(FRAME + 1, 4 * FRAME, "a"), Missing(4 * FRAME, 5 * FRAME - 1, "b"))
        assert np.flatnonzero(~found.kept).tolist() == [2, 3]
        assert found.region.all()
        found = analysed(heard, Missing(2 * FRAME, 2 * FRAME + 7, "a"), Missing(2 * FRAME + 7, 3 * FRAME, "b"))
        assert np.flatnonzero(~found.speech).tolist() == [2]

    def test_what_lies_outside_does_not_matter(self) -> None:
        heard = np.ones(10, np.bool_)
        power = speech.power(np.full(10, -20, np.float32))
        whole = Span(10 * FRAME, 20 * FRAME - 3)
        gaps = [Missing(0, 10 * FRAME, "before"), Missing(19 * FRAME, 40 * FRAME, "the last frame and beyond")]
        assert np.flatnonzero(~speech.analyse(heard, power, whole, gaps).kept).tolist() == [9]

    def test_a_verdict_on_missing_audio_counts_for_nothing(self) -> None:
        assert not analysed(np.ones(50, np.bool_), Missing(0, 50 * FRAME, "damaged")).region.any()


class TestPauses:
    def test_a_cut_goes_where_a_silence_begins_or_in_the_middle_of_a_pause(self) -> None:
        found = analysed(frames_of("#" * 100 + " " * 30 + "#" * 100 + " " * 200 + "#" * 100))
        assert found.cuts.tolist() == [115, 230 + speech.PAD]

    def test_a_stop_consonant_is_no_pause(self) -> None:
        found = analysed(frames_of("#" * 100 + " " * (speech.PAUSE - 1) + "#" * 100))
        assert len(found.cuts) == 0
        assert found.through_speech(105)

    def test_hushed_speech_is_a_pause(self) -> None:
        level = np.full(400, -20, np.float32)
        level[200:220] = -50
        power = speech.power(level)
        found = speech.analyse(np.ones(400, np.bool_), power, Span(0, 400 * FRAME), [])
        assert found.cuts.tolist() == [210]
        assert found.region.all(), "what is hushed is still heard"
        assert [found.through_speech(place) for place in (199, 200, 210, 220, 221)] == [True, *[False] * 3, True]

    def test_a_place_at_the_edge_of_speech_is_not_within(self) -> None:
        found = analysed(np.ones(300, np.bool_), Missing(100 * FRAME, 105 * FRAME, "damaged"))
        assert [found.through_speech(place) for place in (99, 100, 103, 105, 106)] == [True, *[False] * 3, True]


class TestWebRtc:
    detector: SpeechDetector = WebRtcDetector()

    def test_it_hears_speech_between_silences(self) -> None:
        samples = np.concatenate([floor(4), voiced(5), floor(4, seed=9)])
        verdicts = self.detector.detect(samples, 0).speech
        assert verdicts.dtype == np.bool_
        assert len(verdicts) == 1_300
        assert verdicts[405:895].mean() > 0.99
        assert verdicts[:395].mean() < 0.05
        assert verdicts[950:].mean() < 0.05

    def test_it_hears_faint_speech_too(self) -> None:
        samples = np.concatenate([floor(4), voiced(5), floor(4, seed=9)])
        faint = np.rint(samples * 10 ** (-34 / 20)).astype(np.int16)
        assert self.detector.detect(faint, 0).speech[405:895].mean() > 0.99

    def test_digital_silence_is_silence(self) -> None:
        assert not self.detector.detect(np.zeros(SAMPLE_RATE, np.int16), 0).speech.any()

    @pytest.mark.parametrize("count", [0, 1, FRAME - 1, FRAME, 4 * FRAME + 1, 7 * FRAME])
    @pytest.mark.parametrize("lead", [0, 1, 481, 3 * FRAME])
    def test_a_verdict_for_each_whole_frame(self, count: int, lead: int) -> None:
        assert len(self.detector.detect(np.zeros(lead + count, np.int16), lead).speech) == count // FRAME

    @pytest.mark.parametrize("odd", [1, 160, 479])
    def test_blocks_begin_at_the_end_of_the_lead(self, odd: int) -> None:
        samples = np.concatenate([floor(1), voiced(2), floor(1)])
        lead = 10 * 3 * FRAME
        expected = self.detector.detect(samples[odd:], lead).speech
        assert (self.detector.detect(samples, lead + odd).speech == expected).all()

    def test_it_remembers_nothing(self) -> None:
        samples = np.concatenate([voiced(2), floor(2)])
        first = self.detector.detect(samples, 0).speech
        self.detector.detect(voiced(3, seed=8), 0)
        assert (self.detector.detect(samples, 0).speech == first).all()

    def test_a_seam_with_a_lead_loses_nothing(self) -> None:
        samples = np.concatenate([floor(3), voiced(6), floor(2, seed=5), voiced(6, seed=6), floor(3, seed=7)])
        whole = analysed(self.detector.detect(samples, 0).speech).region
        for seam in range(LEAD, len(samples) - SAMPLE_RATE, 13_600):
            verdicts = self.detector.detect(samples[seam - LEAD :], LEAD).speech
            before = self.detector.detect(samples[:seam], 0).speech
            region = analysed(np.concatenate([before, verdicts])).region
            spoken = np.zeros(2_000, np.bool_)
            spoken[300:900] = spoken[1_100:1_700] = True
            assert whole[spoken].all()
            assert region[spoken].all(), f"speech lost at a seam at {seam / SAMPLE_RATE:.2f} s"
