from itertools import pairwise
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.core.limits import SAMPLE_RATE
from longscribe.core.merging import MergedWord, Merger, merge, place
from longscribe.core.text import normalised
from longscribe.documents import Chunk, ChunkState
from longscribe.messages import Guard, Missing, Span, Window, Word
from tests.unit.builders import done, heard, one_window, patient, task

S = SAMPLE_RATE
JITTER = S * 4 // 10


def texts(words):
    return [word.text.strip() for word in words]


# Placing


def test_a_word_is_placed_by_its_span():
    window = Window(0, 10 * S, (Span(1 * S, 3 * S), Span(7 * S, 10 * S)))
    words = [Word(S, 2 * S - 100, " one", 0.9), Word(2 * S + 100, 3 * S, " two", 0.8)]
    assert place(window, words) == [
        Word(2 * S, 3 * S - 100, " one", 0.9),
        Word(7 * S + 100, 8 * S, " two", 0.8),
    ]


def test_a_word_over_a_dropped_silence_stays_where_most_of_it_is():
    window = Window(0, 10 * S, (Span(0, 2 * S), Span(8 * S, 10 * S)))
    (mostly_before,) = place(window, [Word(S, 2 * S + 900, " one", 0.9)])
    (mostly_after,) = place(window, [Word(2 * S - 900, 3 * S, " two", 0.9)])
    assert (mostly_before.start, mostly_before.end) == (S, 2 * S)
    assert (mostly_after.start, mostly_after.end) == (8 * S, 9 * S)


def test_a_word_without_length_between_spans_begins_the_later():
    window = Window(0, 10 * S, (Span(0, 2 * S), Span(8 * S, 10 * S)))
    (word,) = place(window, [Word(2 * S, 2 * S, " one", 0.9)])
    assert word.start == word.end == 8 * S


@patient
@given(
    st.lists(st.tuples(st.integers(0, 50_000), st.integers(1, 100_000)), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(-5_000, 500_000), st.integers(-5_000, 500_000)), max_size=20),
)
def test_placed_words_lie_in_spans_in_order_whatever_the_model_says(layout, times):
    spans, at = [], 0
    for silence, speech in layout:
        spans.append(Span(at + silence, at + silence + speech))
        at += silence + speech
    window = Window(0, at, tuple(spans))
    found = place(window, [Word(start, end, " w", 0.5) for start, end in times])
    assert len(found) == len(times)
    for word in found:
        assert any(span.start <= word.start <= word.end <= span.end for span in spans)
    assert all(before.start <= after.start and before.end <= after.start for before, after in pairwise(found))


# Streams of words, heard by windows that overlap where speech was cut


def listen(truth: list[Word], window: Window, random: Random, jitter: int, edges: str) -> list[Word]:
    """What a window hears: whole words with their times jittered, and at its edges parts of words, or none."""
    (span,) = window.spans
    words = []
    for word in truth:
        whole = span.start <= word.start and word.end <= span.end
        if not whole and (word.end <= span.start or word.start >= span.end):
            continue
        if not whole and (edges == "lost" or random.random() < 0.3):
            continue
        text = word.text if whole else " " + "garble"[: random.randrange(1, 6)] + str(random.randrange(9))
        start = word.start - span.start + random.randint(-jitter, jitter)
        words.append(Word(start, start + word.end - word.start, text, 0.9))
    return words


def chunks_of(truth, cuts, length, overlap, random, jitter, edges="garbled", language="en"):
    bounds = [0, *cuts, length]
    chunks = []
    for index, (start, end) in enumerate(pairwise(bounds)):
        reach = Span(max(0, start - overlap), min(length, end + overlap))
        window = Window(start, end, (reach,))
        words = listen(truth, window, random, jitter, edges)
        chunks.append(done(task(index, start, end, [window]), [heard(place(window, words), language)]))
    return chunks


def spoken(vocabulary, random, count=60, space=" "):
    """A stream of words, back to back as in fast speech."""
    words, at = [], S // 2
    for number in range(count):
        length = random.randint(S // 5, S * 6 // 10)
        words.append(Word(at, at + length, space + vocabulary(number), 0.9))
        at += length + random.randint(0, S // 10)
    return words, at + S


def cuts_in(length, random):
    """Cuts that leave each window more than its overlaps."""
    return list(range(8 * S + random.randrange(S), length - 6 * S, 8 * S))


@patient
@given(st.randoms(use_true_random=False), st.sampled_from(["garbled", "lost"]))
def test_no_word_is_lost_or_doubled_where_speech_was_cut(random, edges):
    truth, length = spoken(lambda number: f"word{number}", random)
    chunks = chunks_of(truth, cuts_in(length, random), length, S, random, JITTER, edges)
    assert texts(merge(chunks)) == texts(truth)


@patient
@given(st.randoms(use_true_random=False))
def test_common_words_in_between_do_not_mislead(random):
    vocabulary = "the of and a to it is in that was".split()
    truth, length = spoken(
        lambda number: vocabulary[random.randrange(10)] if number % 2 else f"word{number}", random
    )
    chunks = chunks_of(truth, cuts_in(length, random), length, S * 3 // 2, random, S // 5)
    assert texts(merge(chunks)) == texts(truth)


@patient
@given(st.randoms(use_true_random=False))
def test_no_no_no_is_said_as_often_as_it_was(random):
    truth, length = spoken(lambda number: "no", random)
    chunks = chunks_of(truth, cuts_in(length, random), length, S * 3 // 2, random, S // 20)
    assert len(merge(chunks)) == len(truth)


@patient
@given(st.randoms(use_true_random=False), st.sampled_from(["ja", "zh", "th"]))
def test_languages_without_spaces(random, language):
    letters = "กขฃคฅฆงจฉชซฌญฎฏฐฑฒณด" if language == "th" else "今日天气很好我们去公园散步吧你觉得怎么样"
    truth, length = spoken(lambda number: letters[number % 20], random, space="")
    chunks = chunks_of(truth, cuts_in(length, random), length, S * 3 // 2, random, S // 10, language=language)
    assert "".join(texts(merge(chunks))) == "".join(texts(truth))


def test_two_windows_may_part_the_same_characters_into_other_words():
    first, second = Window(0, 3 * S, (Span(0, 4 * S),)), Window(3 * S, 6 * S, (Span(2 * S, 6 * S),))
    a = [Word(0, 2 * S, "今天", 0.9), Word(2 * S, 4 * S, "天气", 0.9)]
    b = [Word(0, S, "天", 0.9), Word(S, 2 * S, "气", 0.9), Word(2 * S, 3 * S, "好", 0.9)]
    chunk = done(task(0, 0, 6 * S, [first, second]), [heard(place(first, a), "zh"), heard(place(second, b), "zh")])
    assert "".join(texts(merge([chunk]))) == "今天天气好"


def overlapping(a, b):
    first, second = Window(0, 3 * S, (Span(0, 4 * S),)), Window(3 * S, 6 * S, (Span(2 * S, 6 * S),))
    return done(task(0, 0, 6 * S, [first, second]), [heard(place(first, a)), heard(place(second, b))])


def test_case_and_punctuation_do_not_part_two_hearings():
    a = [Word(S, 2 * S, " so", 0.9), Word(2 * S, 3 * S, " Hello,", 0.9), Word(3 * S, 4 * S, " wor", 0.9)]
    b = [Word(0, S, " hello", 0.9), Word(S, 2 * S, " world.", 0.9)]
    assert texts(merge([overlapping(a, b)])) in (["so", "Hello,", "world."], ["so", "hello", "world."])


def test_where_no_word_agrees_each_goes_to_its_side_of_the_cut():
    a = [Word(S, 2 * S, " one", 0.9), Word(2 * S, 3 * S, " two", 0.9), Word(3 * S, 4 * S, " tree", 0.9)]
    b = [Word(0, S, " to", 0.9), Word(S, 2 * S, " three", 0.9), Word(2 * S, 3 * S, " -", 0.9)]
    assert texts(merge([overlapping(a, b)])) == ["one", "two", "three", "-"]


def test_a_side_without_words_takes_nothing_from_the_other():
    a = [Word(S, 2 * S, " one", 0.9), Word(2 * S, 3 * S, " two", 0.9)]
    assert texts(merge([overlapping(a, [])])) == ["one", "two"]
    assert texts(merge([overlapping([], [Word(S, 2 * S, " three", 0.9)])])) == ["three"]


def test_an_equal_word_far_off_in_time_is_another_word():
    a = [Word(0, S // 10, " go", 0.9)]
    b = [Word(S, 2 * S, " go", 0.9)]
    assert texts(merge([overlapping(a, b)])) == ["go", "go"]


# Chunks


@patient
@given(st.randoms(use_true_random=False))
def test_order_and_repeats_change_nothing(random):
    truth, length = spoken(lambda number: f"word{number}", random)
    chunks = chunks_of(truth, cuts_in(length, random), length, S, random, JITTER)
    if random.random() < 0.5:
        lost = random.randrange(len(chunks))
        chunks[lost] = Chunk(task=chunks[lost].task, state=ChunkState.MISSING, reason="poison")
    merged = merge(chunks)
    again = chunks * 2 + [Chunk(task=chunk.task) for chunk in chunks if chunk.result]
    random.shuffle(again)
    assert merge(again) == merged
    assert all(before.start <= after.start and before.end <= after.start for before, after in pairwise(merged))


def test_the_latest_run_counts():
    first = one_window([Word(0, S, " old", 0.9)], S)
    second = one_window([Word(0, S, " new", 0.9)], S)
    of = msgspec.structs.replace(first.task, run=1)
    second = msgspec.structs.replace(second, task=of, result=msgspec.structs.replace(second.result, run=1))
    assert texts(merge([second, first])) == texts(merge([first, second])) == ["new"]


def test_words_that_only_a_lost_neighbour_owns_are_left_to_it():
    a = Window(0, 3 * S, (Span(0, 5 * S),))
    b = Window(3 * S, 6 * S, (Span(2 * S, 7 * S),))
    c = Window(6 * S, 9 * S, (Span(5 * S, 9 * S),))
    words = [Word(0, S, " first", 0.9), Word(S * 2, S * 3, " mine", 0.9), Word(S * 3, S * 4, " beyond", 0.9)]
    after = [Word(0, S // 2, " before", 0.9), Word(S, 2 * S, " last", 0.9)]
    chunks = [
        done(task(0, 0, 3 * S, [a]), [heard(place(a, words))]),
        Chunk(task=task(1, 3 * S, 6 * S, [b]), state=ChunkState.MISSING, reason="poison"),
        done(task(2, 6 * S, 9 * S, [c]), [heard(place(c, after))]),
    ]
    merged = merge(chunks)
    assert texts(merged) == ["first", "mine", "last"]
    assert [word.after_missing for word in merged] == [False, False, True]


def test_the_first_word_after_a_damaged_stretch_says_so():
    window = Window(0, 10 * S, (Span(0, 4 * S), Span(5 * S, 10 * S)))
    words = [Word(S, 2 * S, " one", 0.9), Word(5 * S, 6 * S, " two", 0.9), Word(7 * S, 8 * S, " three", 0.9)]
    chunk = done(task(0, 0, 10 * S, [window]), [heard(words)], missing=(Missing(4 * S, 5 * S, "damaged"),))
    assert [word.after_missing for word in merge([chunk])] == [False, True, False]


def test_words_carry_their_windows_guards_and_are_cleaned():
    (word,) = merge([one_window([Word(0, S, "a\x00\nb", 0.9)], S, guards=(Guard.REPETITION,))])
    assert word == MergedWord(0, S, " a\ufffd b", 0.9, (Guard.REPETITION,), "en")


def test_a_windows_first_word_is_parted_from_the_one_before_where_the_language_has_spaces():
    word = [Word(0, S, "おはよう", 0.9)]
    assert merge([one_window(word, S, "ja")])[0].text == "おはよう"
    assert merge([one_window(word, S, "en")])[0].text == " おはよう"


def test_a_result_for_other_windows_is_refused():
    chunk = one_window([], S)
    with pytest.raises(ValueError, match="zip"):
        merge([msgspec.structs.replace(chunk, task=task(0, 0, S, []))])


@patient
@given(st.randoms(use_true_random=False))
def test_fed_one_by_one_the_merger_never_takes_back_a_word(random):
    truth, length = spoken(lambda number: f"word{number}", random)
    chunks = chunks_of(truth, cuts_in(length, random), length, S, random, JITTER)
    merger = Merger()
    words = []
    for chunk in chunks:
        final = merger.feed(chunk)
        assert [word.text for word in final] == [word.text for word in merge(chunks)[len(words) :][: len(final)]]
        words += final
    assert words + merger.finish() == merge(chunks)
    assert merger.finish() == []


def test_normalised_words():
    assert normalised(" Don’t,") == normalised("don't") == "dont"
    assert normalised("ＡＢＣ１") == "abc1"
    assert normalised(" …") == ""
