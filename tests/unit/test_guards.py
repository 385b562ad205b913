import numpy as np
import pytest

from longscribe.core import guards
from longscribe.core.guards import Attempt, best, echoes, loops, speechless, steady, verdict
from longscribe.core.limits import SAMPLE_RATE
from longscribe.messages import Guard

PROSE = " Printing, in the only sense with which we are at present concerned, differs from most of the arts."


def attempt(text=PROSE, tokens=tuple(range(30)), log_probability=-0.2, no_speech=0.01, **more):
    return Attempt(text, tokens, log_probability, no_speech, **more)


def tone(seconds, level=0.1):
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (level * 32767 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)


def hiss(seconds):
    return (np.random.default_rng(1).standard_normal(int(seconds * SAMPLE_RATE)) * 300).astype(np.int16)


def syllables(seconds):
    """A sound that swells and fades four times a second, as speech does."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (tone(seconds) * np.abs(np.sin(2 * np.pi * 2 * time)) ** 3).astype(np.int16)


def test_good_text_passes():
    assert verdict(attempt(), ()) == ()


@pytest.mark.parametrize(("value", "fails"), [(-1.001, True), (-1.0, False), (-0.999, False)])
def test_a_low_probability_fails(value, fails):
    assert (Guard.LOW_PROBABILITY in verdict(attempt(log_probability=value), ())) == fails


def test_text_that_compresses_too_well_fails():
    assert verdict(attempt(text=" so we went home again" * 12), ()) == (Guard.COMPRESSION,)
    assert guards.compression_ratio(PROSE) < 1.5


def test_a_decoding_cut_by_the_length_limit_fails():
    assert verdict(attempt(cut=True), ()) == (Guard.REPETITION,)


@pytest.mark.parametrize(
    ("tokens", "looping"),
    [
        ([7] * 16, True),
        ([7] * 15, False),
        ([1, 2] * 8, True),
        ([1, 2] * 7 + [1], False),
        ([1, 2, 3, 4, 5] * 4, True),
        ([1, 2, 3, 4, 5] * 3 + [1, 2, 3, 4], False),
        ([9, 9, 3, *([1, 2, 3, 4] * 4), 8], True),  # in the middle
        (list(range(guards.LONGEST_PERIOD)) * 4, True),
        (list(range(guards.LONGEST_PERIOD + 1)) * 4, False),
        (list(range(200)), False),
        ([], False),
    ],
)
def test_a_phrase_four_times_in_a_row_is_a_loop(tokens, looping):
    assert loops(tokens) == looping
    assert (Guard.REPETITION in verdict(attempt(tokens=tuple(tokens)), ())) == looping


@pytest.mark.parametrize(
    ("text", "vocabulary", "echo"),
    [
        (" Kubernetes, Terraform, Firestore, and Eventarc.", ("Kubernetes", "Terraform", "Firestore"), True),
        (" KUBERNETES terraform Firestore", ("x", "Kubernetes", "Terraform", "Firestore"), True),
        (" We use Kubernetes and Terraform with Firestore.", ("Kubernetes", "Terraform", "Firestore"), False),
        (" Firestore, Terraform, Kubernetes.", ("Kubernetes", "Terraform", "Firestore"), True),
        (" Kubernetes, Kubernetes.", ("Kubernetes", "Terraform", "Firestore"), True),
        (" So Firestore, Terraform, Kubernetes.", ("Kubernetes", "Terraform", "Firestore"), False),
        (" So Kubernetes, Terraform.", ("Kubernetes", "Terraform", "Firestore"), False),
        (" Ann Lee, Bob Roy.", ("Ann Lee", "Bob Roy"), True),
        (" Ann Lee met Bob Roy.", ("Ann Lee", "Bob Roy"), False),
        (" Susann Lee, Bob Roy.", ("Ann Lee", "Bob Roy"), False),
        (" Ann Lee.", ("Ann Lee",), True),
        (" Ann Lee.", ("?!", "Ann Lee"), True),
        (" Ann Lee, Ann.", ("Ann", "Ann Lee"), True),
        (" Ann.", ("Ann Lee",), False),
        (" ?!", ("?!", "Ann Lee"), False),
        (PROSE, (), False),
    ],
)
def test_the_vocabulary_in_its_own_order_is_an_echo(text, vocabulary, echo):
    assert echoes(text, vocabulary) == echo
    assert (Guard.PROMPT_ECHO in verdict(attempt(text=text), vocabulary)) == echo


def test_every_fault_is_named():
    text = " a b c" * 40
    faults = verdict(attempt(text=text, tokens=(1, 2, 3) * 40, log_probability=-2), ("a", "b", "c"))
    assert faults == (Guard.LOW_PROBABILITY, Guard.COMPRESSION, Guard.REPETITION, Guard.PROMPT_ECHO)


@pytest.mark.parametrize("sound", [np.zeros(SAMPLE_RATE, np.int16), tone(1), hiss(1), tone(0.01), hiss(30)])
def test_silence_a_tone_and_a_hiss_are_steady(sound):
    assert steady(sound)


def test_syllables_are_not_steady():
    assert not steady(syllables(2))
    assert not steady(np.concatenate([hiss(5), syllables(0.5), hiss(5)]))
    assert not steady((syllables(2) + hiss(2) * 3).astype(np.int16))


class TestSpeechless:
    def test_doubt_and_a_low_probability(self):
        assert speechless(attempt(no_speech=0.61, log_probability=-1.1), syllables(5))

    def test_doubt_and_a_steady_sound(self):
        assert speechless(attempt(text=" you", no_speech=0.9), hiss(0.5))

    def test_doubt_and_hardly_a_word(self):
        assert speechless(attempt(text=" Thank you.", no_speech=0.7), syllables(10.1))
        assert not speechless(attempt(text=" Thank you.", no_speech=0.7), syllables(9.9))

    def test_doubt_alone_is_not_enough(self):
        assert not speechless(attempt(no_speech=0.99), syllables(5))

    def test_without_doubt_nothing_is_dropped(self):
        assert not speechless(attempt(text=" Yes.", no_speech=0.6, log_probability=-3), hiss(30))

    def test_no_word_or_no_audio_says_nothing(self):
        assert speechless(attempt(text=" . . .", no_speech=0), syllables(2))
        assert speechless(attempt(text="", tokens=(), no_speech=0), syllables(2))
        assert speechless(attempt(no_speech=0), np.empty(0, np.int16))


def test_the_best_attempt_has_the_fewest_faults_then_the_highest_probability():
    looping = (attempt(log_probability=-0.1), (Guard.COMPRESSION, Guard.REPETITION))
    poor = (attempt(log_probability=-1.5), (Guard.LOW_PROBABILITY,))
    better = (attempt(log_probability=-1.2, temperature=0.2), (Guard.LOW_PROBABILITY,))
    same = (attempt(log_probability=-1.2, temperature=0.4), (Guard.LOW_PROBABILITY,))
    assert best([looping, poor, better, same]) == better
    assert best([poor, (attempt(log_probability=-3), ())])[1] == ()


def test_an_echo_is_kept_only_if_there_is_nothing_else():
    echo = (attempt(log_probability=-0.1), (Guard.PROMPT_ECHO,))
    poor = (attempt(log_probability=-3), (Guard.LOW_PROBABILITY, Guard.COMPRESSION))
    assert best([echo, poor]) == poor
    assert best([echo]) == echo
