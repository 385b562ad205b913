from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.core.assembly import assemble
from longscribe.core.cutting import OVERLAP
from longscribe.core.limits import SAMPLE_RATE
from longscribe.core.passages import LONGEST, MOST, NEAR, THRESHOLD, passages
from longscribe.core.rendering import render
from longscribe.core.transcript import Reason
from longscribe.documents import Chunk, ChunkState, Seal
from longscribe.messages import Guard, Missing, Silence, Span, Window, WindowResult, Word
from tests.unit.builders import Plan, done, heard, job, patient, plans, task

S = SAMPLE_RATE


def fluent(start, end, probability=0.95, doubt=()):
    """Two words a second, sure but for those whose numbers are in ``doubt``."""
    return [
        Word(at, at + S // 2, f" w{number}", 0.1 if number in doubt else probability)
        for number, at in enumerate(range(start, end, S // 2))
    ]


def one(words, seconds=30, **result):
    """A chunk of one window, speech from end to end."""
    window = Window(0, seconds * S, (Span(0, seconds * S),))
    return done(task(0, 0, seconds * S, [window]), [msgspec.structs.replace(heard(words), **result)])


def told(chunks, seal=None):
    return [(passage.start, passage.end, *passage.reasons, passage.score) for passage in passages(chunks, seal)]


def test_sure_words_without_gaps_are_not_doubtful():
    assert told([one(fluent(0, 30 * S))]) == []


def test_silence_is_not_doubtful_however_long():
    window = Window(0, 100 * S, (Span(0, 2 * S), Span(98 * S, 100 * S)))
    words = fluent(0, 2 * S) + fluent(98 * S, 100 * S)
    assert told([done(task(0, 0, 100 * S, [window]), [heard(words)])]) == []


def test_a_run_of_doubtful_words_counts_and_single_ones_do_not():
    assert told([one(fluent(0, 30 * S, doubt=range(0, 60, 5)))]) == []
    assert told([one(fluent(0, 30 * S, doubt=(8, 9, 10)))]) == [(4.0, 5.5, Reason.WORDS, 2.7)]


def test_a_run_bears_a_sure_word_within_and_ends_with_its_last_doubtful_one():
    assert told([one(fluent(0, 30 * S, doubt=(8, 9, 11, 12)))]) == [(4.0, 6.5, Reason.WORDS, 3.7)]


def test_a_run_at_the_very_end_counts():
    assert told([one(fluent(0, 30 * S, doubt=(57, 58, 59)))]) == [(28.5, 30.0, Reason.WORDS, 2.7)]


def test_speech_in_which_hardly_a_word_was_recognised():
    words = fluent(0, 10 * S) + fluent(14 * S, 30 * S)
    assert told([one(words)]) == [(10.0, 14.0, Reason.UNWORDED, 10.0)]


def test_a_word_stretched_over_speech_stands_for_itself_only():
    words = [*fluent(0, 10 * S), Word(10 * S, 14 * S, " And", 0.9), *fluent(14 * S, 30 * S)]
    assert told([one(words)]) == [(10.0, 14.0, Reason.UNWORDED, 9.0)]


def test_of_a_gap_only_what_the_detector_took_for_speech_counts():
    window = Window(0, 30 * S, (Span(0, 10 * S), Span(19 * S, 30 * S)))
    words = fluent(0, 10 * S - S // 2) + fluent(21 * S, 30 * S)
    assert told([done(task(0, 0, 30 * S, [window]), [heard(words)])]) == [(9.5, 21.0, Reason.UNWORDED, 6.2)]


def test_no_words_at_all_and_less_of_it_where_the_model_heard_nobody():
    assert told([one([])]) == [(0.0, 30.0, Reason.UNWORDED, 75.0)]
    assert told([one([], guards=(Guard.NO_SPEECH,))]) == [(0.0, 30.0, Reason.UNWORDED, 30.0)]


@pytest.mark.parametrize("guard", [Guard.COMPRESSION, Guard.REPETITION, Guard.PROMPT_ECHO])
def test_a_window_that_failed_a_guard(guard):
    assert told([one(fluent(0, 30 * S), guards=(guard,))]) == [(0.0, 30.0, Reason.GUARDS, 75.0)]


def test_an_improbable_text_counts_as_far_as_the_model_doubts_it():
    chunk = one(fluent(0, 30 * S), guards=(Guard.LOW_PROBABILITY,), log_probability=-1.0)
    assert told([chunk]) == [(0.0, 30.0, Reason.GUARDS, 47.4)]


def test_only_a_high_temperature_is_doubtful():
    assert told([one(fluent(0, 30 * S), temperature=0.4)]) == []
    assert told([one(fluent(0, 30 * S), temperature=0.8)]) == [(0.0, 30.0, Reason.TEMPERATURE, 60.0)]


def test_reasons_that_meet_add_up():
    chunk = one(fluent(0, 30 * S, doubt=(4, 5)), guards=(Guard.REPETITION,), temperature=1.0)
    assert told([chunk]) == [(0.0, 30.0, Reason.GUARDS, Reason.TEMPERATURE, Reason.WORDS, 151.8)]


def test_what_is_missing_wherever_it_is_named():
    window = Window(0, 10 * S, (Span(0, 10 * S),))
    lost = Chunk(task=task(0, 0, 12 * S, [window]), state=ChunkState.MISSING, reason="poison")
    heard_ = done(
        task(1, 12 * S, 30 * S, [Window(12 * S, 30 * S, (Span(20 * S, 30 * S),))]),
        [heard(fluent(20 * S, 30 * S))],
        missing=(Missing(16 * S, 18 * S, "damaged"),),
        silences=(Silence(12 * S, 16 * S, -60.0), Silence(18 * S, 20 * S, -60.0)),
    )
    seal = Seal(50 * S, 2, missing=(Missing(40 * S, 50 * S, "cut off"),))
    found = [
        (0.0, 10.0, Reason.MISSING, 25.0),
        (40.0, 50.0, Reason.MISSING, 25.0),
        (16.0, 18.0, Reason.MISSING, 5.0),
    ]
    assert told([heard_, lost], seal) == found
    assert told([heard_, lost]) == [found[0], found[2]]


def seam_of(left, right):
    """Two windows that share 2 s around a cut through speech, and what each heard there, back to back."""
    first, second = Window(0, 10 * S, (Span(0, 11 * S),)), Window(10 * S, 20 * S, (Span(9 * S, 20 * S),))
    shared = [
        [
            Word(9 * S + n * S // 2, 9 * S + (n + 1) * S // 2, f" {word}", 0.95)
            for n, word in enumerate(text.split())
        ]
        for text in (left, right)
    ]
    results = [heard(fluent(0, 9 * S) + shared[0]), heard(shared[1] + fluent(11 * S, 20 * S))]
    return done(task(0, 0, 20 * S, [first, second]), results)


def test_a_seam_whose_sides_heard_other_words():
    assert told([seam_of("we were at home", "the weather to roam")]) == [(9.0, 11.0, Reason.SEAM, 3.0)]
    assert told([seam_of("we were at home", "We were at Rome")]) == []
    assert told([seam_of("we were at home", "We, were at home.")]) == []


def test_a_seam_to_a_chunk_that_is_not_done_is_none():
    both = seam_of("a b c d", "e f g h").task
    left, right = both.windows
    done_ = done(task(0, 0, 10 * S, [left]), [heard(fluent(0, 11 * S))])
    assert told([done_, Chunk(task=task(1, 10 * S, 20 * S, [right]))]) == []


def test_a_window_that_owns_no_speech_says_nothing():
    window = Window(0, 10 * S, (Span(10 * S, 11 * S),))
    of = task(0, 0, 10 * S, [window])
    assert told([done(of, [heard((), guards=(Guard.REPETITION,))], silences=(Silence(0, 10 * S, -60.0),))]) == []


def two_windows(before, after):
    """Two windows of 10 s, so that no run of words goes on from one to the other."""
    windows = [Window(at, at + 10 * S, (Span(at, at + 10 * S),)) for at in (0, 10 * S)]
    words = [fluent(0, 10 * S, doubt=before), fluent(10 * S, 20 * S, doubt=after)]
    return done(task(0, 0, 20 * S, windows), [heard(some) for some in words])


def test_neighbours_are_joined_and_those_further_off_are_not():
    assert told([two_windows((15, 16, 17), (2, 3, 4))]) == [(7.5, 12.5, Reason.WORDS, 5.4)]
    assert [passage[:2] for passage in told([two_windows((15, 16, 17), (3, 4, 5))])] == [(7.5, 9.0), (11.5, 13.0)]


def test_weak_neighbours_together_make_a_passage():
    assert told([two_windows((16, 17), ())]) == told([two_windows((), (2, 3))]) == []
    assert told([two_windows((16, 17), (2, 3))]) == [(8.0, 12.0, Reason.WORDS, 3.6)]


def test_a_bad_stretch_becomes_passages_of_bounded_length():
    windows = [Window(at, at + 20 * S, (Span(at, at + 20 * S),)) for at in range(0, 100 * S, 20 * S)]
    chunk = done(task(0, 0, 100 * S, windows), [heard(fluent(w.start, w.end, 0.2)) for w in windows])
    found = passages([chunk], None)
    assert sorted((passage.start, passage.end) for passage in found) == [
        (at, at + 20.0) for at in (0.0, 20.0, 40.0, 60.0, 80.0)
    ]


def test_what_overlaps_a_full_passage_begins_where_that_ends():
    words = fluent(0, 20 * S, 0.2) + fluent(20 * S, 30 * S)
    chunks = [
        one(words),
        done(
            task(1, 30 * S, 60 * S, [Window(30 * S, 60 * S, (Span(30 * S, 60 * S),))]),
            [heard(fluent(30 * S, 60 * S), guards=(Guard.REPETITION,))],
        ),
    ]
    assert [passage[:2] for passage in told(chunks)] == [(30.0, 60.0), (0.0, 20.0)]


def test_never_more_than_ten_and_the_worst_first():
    windows = [Window(at, at + 30 * S, (Span(at, at + 30 * S),)) for at in range(0, 600 * S, 30 * S)]
    results = [heard(fluent(w.start, w.end, doubt=range(8, 11 + number))) for number, w in enumerate(windows)]
    found = passages([done(task(0, 0, 600 * S, windows), results)], None)
    assert [passage.start for passage in found] == [30.0 * number + 4 for number in range(19, 9, -1)]
    assert len(found) == MOST


def test_equally_bad_ones_come_in_order_of_time():
    windows = [Window(at, at + 30 * S, (Span(at, at + 30 * S),)) for at in range(0, 600 * S, 30 * S)]
    results = [heard(fluent(w.start, w.end, doubt=range(8, 11))) for w in windows]
    found = passages([done(task(0, 0, 600 * S, windows), results)], None)
    assert [passage.start for passage in found] == [30.0 * number + 4 for number in range(10)]


# Any job


@st.composite
def results(draw: st.DrawFn) -> Plan:
    """A plan whose windows were recognised well, badly or not at all; they overlap where one speech was cut."""
    plan = draw(plans())
    speech: list[Span] = []
    for window in (window for chunk in plan.chunks for window in chunk.task.windows):
        for span in owned(window):
            before = speech.pop() if speech and speech[-1].end == span.start else span
            speech.append(Span(before.start, span.end))
    chunks = []
    for chunk in plan.chunks:
        cut = [_reaching(window, speech) for window in chunk.task.windows]
        of = msgspec.structs.replace(chunk.task, windows=tuple(cut))
        heard_ = tuple(_drawn(draw, window) for window in cut)
        result = chunk.result and msgspec.structs.replace(chunk.result, windows=heard_)
        chunks.append(msgspec.structs.replace(chunk, task=of, result=result))
    return plan._replace(chunks=chunks)


def owned(window: Window) -> list[Span]:
    return [Span(max(span.start, window.start), min(span.end, window.end)) for span in window.spans]


def _reaching(window: Window, speech: list[Span]) -> Window:
    """The window with `OVERLAP` more of the speech that it was cut from."""
    spans = owned(window)
    (first,) = (part for part in speech if part.start <= spans[0].start < part.end)
    (last,) = (part for part in speech if part.start < spans[-1].end <= part.end)
    spans[0] = Span(max(first.start, spans[0].start - OVERLAP), spans[0].end)
    spans[-1] = Span(spans[-1].start, min(last.end, spans[-1].end + OVERLAP))
    return msgspec.structs.replace(window, spans=tuple(spans))


def _drawn(draw: st.DrawFn, window: Window) -> WindowResult:
    times = sorted(draw(st.lists(st.integers(window.spans[0].start, window.spans[-1].end), max_size=20)))
    words = [Word(start, end, " w", draw(st.floats(0, 1))) for start, end in pairwise(times)]
    return WindowResult(
        words=tuple(words),
        language="en",
        language_probability=1.0,
        log_probability=draw(st.floats(-5, 0)),
        temperature=draw(st.sampled_from([0.0, 0.2, 0.6, 1.0])),
        guards=tuple(draw(st.sets(st.sampled_from(Guard), max_size=2))),
    )


@patient
@given(results(), st.randoms(use_true_random=False))
def test_passages_are_few_apart_and_within_the_recording(plan: Plan, random):
    found = passages(plan.chunks, plan.seal)
    assert len(found) <= MOST
    assert [passage.score for passage in found] == sorted((passage.score for passage in found), reverse=True)
    in_time = sorted(found, key=lambda passage: passage.start)
    assert all(before.end <= after.start for before, after in pairwise(in_time))
    for passage in found:
        assert 0 <= passage.start <= passage.end <= plan.seal.samples / S + 0.001
        assert passage.reasons
        assert len(set(passage.reasons)) == len(passage.reasons)
        assert passage.score >= THRESHOLD
    gaps = [after.start - before.end for before, after in pairwise(in_time)]
    joint = [after.end - before.start for before, after in pairwise(in_time)]
    if len(found) < MOST:
        # Weak findings between two passages may keep them apart, never bring them closer.
        assert all(
            gap > NEAR / S - 0.002 or both > LONGEST / S - 0.002 for gap, both in zip(gaps, joint, strict=True)
        )
    assert passages(random.sample(plan.chunks, len(plan.chunks)), plan.seal) == found


@pytest.mark.parametrize("first", [0, S // 4])
def test_what_is_missing_is_in_one_passage_though_others_begin_in_it(first):
    """Doubtful words, then speech without any, longer than a passage, and in it a stretch that is missing."""
    window = Window(0, 42 * S, (Span(0, S // 2), Span(6 * S, 42 * S)))
    words = [Word(0, first, " a", 0.0), Word(first, 2 * S, " b", 0.0)]
    chunk = done(task(0, 0, 42 * S, (window,)), [heard(words)], missing=(Missing(S // 2, 6 * S, "damaged"),))
    assert [found[:-1] for found in told([chunk], Seal(42 * S, 1))] == [
        (6, 42, Reason.UNWORDED),
        (0, 6, Reason.MISSING, Reason.WORDS, Reason.UNWORDED),
    ]


@patient
@given(results())
def test_every_long_missing_stretch_is_in_a_passage_while_there_is_room(plan: Plan):
    found = passages(plan.chunks, plan.seal)
    if len(found) == MOST:
        return
    for start, end, kind in plan.truth:
        if kind == "missing" and (end - start) / S >= 1:
            assert any(
                Reason.MISSING in passage.reasons
                and passage.start <= start / S + 0.001
                and end / S <= passage.end + 0.001
                for passage in found
            )


@patient
@given(results(), st.integers(1, 5), st.text(max_size=5))
def test_who_did_the_work_and_how_often_it_was_tried_changes_no_byte(plan: Plan, attempt: int, worker: str):
    def members(chunks):
        made = assemble(job(plan.seal.samples, len(chunks), **_ends(plan)), chunks, "en")
        return render(msgspec.structs.replace(made, provenance=NOBODY.provenance, receipt=NOBODY.receipt), "json")

    def by_another(chunk):
        if chunk.result is None:
            return chunk
        by = msgspec.structs.replace(chunk.result.provenance, attempt=attempt, worker=worker, device_seconds=9.0)
        result = msgspec.structs.replace(chunk.result, provenance=by)
        return msgspec.structs.replace(chunk, result=result, updated=float(attempt))

    again = [by_another(chunk) for chunk in reversed(plan.chunks)]
    assert members(again) == members(plan.chunks)


def _ends(plan: Plan):
    return {"silences": plan.seal.silences, "missing": plan.seal.missing}


NOBODY = assemble(job(0, 0), [], None)
