"""What changed between two transcripts: applied to the one, the hunks give the other."""

import time

from hypothesis import given
from hypothesis import strategies as st

from longscribe.core.differing import differences
from longscribe.core.transcript import Provenance, Receipt, Recording, Segment, Status, Transcript
from tests.unit.builders import SETTINGS, patient


def transcript(*segments: tuple[float, float, str], language: str = "en") -> Transcript:
    return Transcript(
        job_id="job",
        recording=Recording("uploads", "talk.mp3"),
        duration=segments[-1][1] if segments else 1.0,
        language=language,
        status=Status.COMPLETE,
        settings=SETTINGS,
        text="",
        segments=tuple(Segment(start=start, end=end, text=text, confidence=0.9) for start, end, text in segments),
        coverage=(),
        provenance=Provenance(versions=(), models=(), compute_types=(), devices=(), chunks=()),
        receipt=Receipt(device_seconds=0.0, chunks=1, attempts=1, retried=0),
    )


def test_a_word_that_changed_is_shown_with_its_time_and_what_stands_around_it() -> None:
    before = transcript(
        (0.0, 3.0, "The harbour was quiet."), (4.0, 9.0, "Nobody remembered who had painted it green.")
    )
    after = transcript(
        (0.0, 3.0, "The harbour was quiet."), (4.1, 9.0, "Nobody remembered who has painted it green.")
    )
    found = differences(before, after)
    (hunk,) = found.hunks
    assert (hunk.start, hunk.end) == (4.0, 9.0)
    assert (hunk.lead, hunk.before, hunk.after, hunk.trail) == (
        "Nobody remembered who",
        "had",
        "has",
        "painted it green.",
    )
    assert (found.words_before, found.words_after, found.removed, found.added) == (11, 11, 1, 1)


def test_the_same_text_cut_into_other_sentences_is_no_change() -> None:
    before = transcript((0.0, 3.0, "one two"), (3.0, 6.0, "three four"))
    after = transcript((0.2, 1.0, "one"), (1.2, 6.0, "two three four"))
    assert differences(before, after).hunks == ()


def test_words_put_in_where_something_was_missing() -> None:
    before = transcript((0.0, 3.0, "one two"), (20.0, 22.0, "five"))
    after = transcript((0.0, 3.0, "one two"), (8.0, 9.0, "three four"), (20.0, 22.0, "five"))
    (hunk,) = differences(before, after).hunks
    assert (hunk.start, hunk.end, hunk.before, hunk.after) == (8.0, 9.0, "", "three four")


def test_nothing_at_all() -> None:
    assert differences(transcript(), transcript()).hunks == ()
    (hunk,) = differences(transcript((0.0, 1.0, "word")), transcript()).hunks
    assert (hunk.before, hunk.after) == ("word", "")


def test_a_language_without_spaces_is_compared_by_characters() -> None:
    found = differences(
        transcript((0.0, 2.0, "今天天气很好"), language="zh"), transcript((0.0, 2.0, "今天空气很好"), language="zh")
    )
    (hunk,) = found.hunks
    assert (hunk.lead, hunk.before, hunk.after, hunk.trail) == ("今天", "天", "空", "气很好")
    assert found.words_before == 6


SEGMENTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.text("abc ", max_size=8)), max_size=12)


def laid_out(drawn: list[tuple[int, int, str]]) -> Transcript:
    at = 0
    segments = []
    for pause, length, text in drawn:
        segments.append((float(at + pause), float(at + pause + length), text))
        at += pause + length
    return transcript(*segments)


@patient
@given(SEGMENTS, SEGMENTS)
def test_hunks_account_for_every_word_that_differs(one: list, other: list) -> None:
    before, after = laid_out(one), laid_out(other)
    found = differences(before, after)
    assert found.words_before - found.removed == found.words_after - found.added >= 0
    assert sum(len(hunk.before.split()) for hunk in found.hunks) == found.removed
    assert sum(len(hunk.after.split()) for hunk in found.hunks) == found.added
    starts = [hunk.start for hunk in found.hunks]
    assert all(hunk.start <= hunk.end for hunk in found.hunks)
    assert len(starts) == len(found.hunks)


@patient
@given(SEGMENTS)
def test_a_transcript_does_not_differ_from_itself(drawn: list) -> None:
    assert differences(laid_out(drawn), laid_out(drawn)).hunks == ()


def test_hours_of_text_take_seconds() -> None:
    """Twelve hours in which every sentence changed: some 100,000 words."""
    before = transcript(
        *((5.0 * number, 5.0 * number + 4, f"the a of to and in word{number}") for number in range(9_000))
    )
    after = transcript(
        *((5.0 * number, 5.0 * number + 4, f"the of a to in it word{number}x") for number in range(9_000))
    )
    began = time.process_time()
    assert differences(before, after).removed > 9_000
    assert time.process_time() - began < 20
