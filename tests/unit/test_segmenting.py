from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.core.limits import SAMPLE_RATE
from longscribe.core.merging import MergedWord
from longscribe.core.segmenting import MAX_CHARACTERS, MAX_SAMPLES, Segmenter, segments
from longscribe.core.text import ends_clause, ends_sentence
from longscribe.messages import Guard
from tests.unit.builders import patient

S = SAMPLE_RATE


def said(text, pace=S // 2, start=0, **rest):
    """The words of ``text`` at an even pace."""
    return [
        MergedWord(start + number * pace, start + (number + 1) * pace, f" {word}", 0.5, **rest)
        for number, word in enumerate(text.split())
    ]


def test_a_sentence_each():
    found = segments(said("Hello there. How are you? Fine"))
    assert [segment.text for segment in found] == ["Hello there.", "How are you?", "Fine"]
    assert [(segment.start, segment.end) for segment in found] == [(0.0, 1.0), (1.0, 2.5), (2.5, 3.0)]


def test_a_segment_is_in_one_language():
    found = segments(said("We met her", language="en") + said("sur le pont", start=2 * S, language="fr"))
    assert [(segment.language, segment.text) for segment in found] == [("en", "We met her"), ("fr", "sur le pont")]


def test_times_confidence_guards_and_words():
    words = [
        MergedWord(16, 8_000, " One", 0.9, (Guard.REPETITION,)),
        MergedWord(8_000, 16_000, " two.", 0.6789, (Guard.LOW_PROBABILITY,)),
    ]
    (segment,) = segments(words)
    assert (segment.start, segment.end, segment.confidence, segment.speaker) == (0.001, 1.0, 0.789, None)
    assert segment.guards == (Guard.LOW_PROBABILITY, Guard.REPETITION)
    assert [word.text for word in segment.words] == [" One", " two."]
    assert segment.words[1].confidence == 0.679


def test_a_long_pause_ends_any_segment_and_a_short_one_a_long_sentence():
    short = "one two three"
    long = " ".join(["sentence"] * 10)
    for text, pause, parts in [(short, 0.7, 1), (short, 2.0, 2), (long, 0.69, 1), (long, 0.7, 2)]:
        first = said(text)
        words = first + said("more", start=first[-1].end + int(pause * S))
        assert len(segments(words)) == parts, (text, pause)


def test_what_is_missing_is_never_within_a_segment():
    words = said("one two")
    words += said("three", start=words[-1].end, after_missing=True)
    assert [segment.text for segment in segments(words)] == ["one two", "three"]


def test_a_long_sentence_breaks_at_a_comma_rather_late():
    text = " ".join(["word"] * 20) + " first, " + " ".join(["word"] * 20) + " second, " + " ".join(["word"] * 20)
    found = segments(said(text, pace=S // 5))
    assert [segment.text.split()[-1] for segment in found] == ["second,", "word"]


def test_without_a_comma_at_its_longest_pause():
    words = said(" ".join(["word"] * 30), pace=S // 5)
    words += said(" ".join(["word"] * 30), pace=S // 5, start=words[-1].end + S * 6 // 10)
    assert len(segments(words)[0].words) == 30


def test_no_segment_of_slow_speech_is_too_long():
    found = segments(said(" ".join(["word"] * 100), pace=S * 2))
    assert all(segment.end - segment.start <= 30 for segment in found)
    assert len(found) == 7


def test_a_word_too_long_for_any_segment_stands_alone():
    long = "x" * (MAX_CHARACTERS + 60)
    assert [segment.text for segment in segments(said(f"one {long} two"))] == ["one", long, "two"]


WORDS = st.lists(
    st.tuples(
        st.integers(0, 3 * S),
        st.integers(0, 4 * S),
        st.sampled_from([" one", " two,", " three.", " Mr.", " Four", "五。", " x" * 60, "!", " 3.", " …"]),
        st.booleans(),
    ).map(lambda drawn: drawn if drawn[3] else (drawn[0] // 6, drawn[1] // 4, *drawn[2:])),
    max_size=60,
)


def stream(drawn):
    ends = list(accumulate(pause + length for pause, length, *_ in drawn))
    return [
        MergedWord(end - length, end, text, 0.5, after_missing=lone and pause > 2 * S)
        for end, (pause, length, text, lone) in zip(ends, drawn, strict=True)
    ]


@patient
@given(WORDS, st.data())
def test_fed_in_portions_it_gives_the_same_segments(drawn, data):
    words = stream(drawn)
    segmenter = Segmenter()
    found, at = [], 0
    while at < len(words):
        more = data.draw(st.integers(1, min(4, len(words) - at)))
        next_start = words[at + more].start if at + more < len(words) else words[-1].end + 9 * S
        end = words[at + more - 1].end
        upto = data.draw(st.sampled_from([end, next_start]) | st.integers(end, next_start))
        found += segmenter.feed(words[at : at + more], upto)
        at += more
    assert found + segmenter.finish() == segments(words)
    assert segmenter.finish() == []


@patient
@given(WORDS)
def test_segments_hold_every_word_once_within_bounds(drawn):
    words = stream(drawn)
    found = segments(words)
    assert [word.text for segment in found for word in segment.words] == [word.text for word in words]
    for segment in found:
        if len(segment.words) > 1:
            assert sum(len(word.text) for word in segment.words) <= MAX_CHARACTERS
            assert segment.words[-1].start - segment.start <= MAX_SAMPLES / S + 0.001


def test_the_frontier_closes_a_segment_that_no_word_can_continue():
    segmenter = Segmenter()
    assert segmenter.feed(said("one two"), upto=S) == []
    assert segmenter.feed([], upto=3 * S - 1) == []
    (segment,) = segmenter.feed([], upto=3 * S)
    assert segment.text == "one two"


@pytest.mark.parametrize(
    ("word", "following", "ends"),
    [
        (" end.", " Next", True),
        (" end.", "", True),
        (" end", " Next", False),
        (" Mr.", " Smith", False),
        (" (Dr.", " Smith", False),
        (" J.", " Smith", False),
        (" U.S.", " Army", False),
        (" e.g.", " This", False),
        (" 3.", "14", False),
        (" 1999.", " Then", True),
        (" said.", " and", False),
        (" wait...", " and", False),
        (" wait…", " And", True),
        (" what?", " and", True),
        (' "Go!"', " he", True),
        (' done."', " “Next", True),
        (" end.", " “next", False),
        ("です。", "今", True),
        ("か？", "今", True),
    ],
)
def test_sentence_ends(word, following, ends):
    assert ends_sentence(word, following) is ends


def test_clause_ends():
    assert ends_clause(" one,")
    assert ends_clause("一、")
    assert ends_clause(' "one,"')
    assert not ends_clause(" one.")
