"""The vote on a recording's language."""

from itertools import permutations

import pytest
from msgspec.structs import replace

from longscribe.core import voting
from longscribe.documents import Chunk, ChunkState
from longscribe.messages import ChunkTask, Guard, Span, Window, WindowResult, Word
from tests.unit.builders import done, task

WORDS = (Word(0, 10, " Hello", 0.9),)
Heard = tuple[int, str, float]


def chunk(index: int, *heard: Heard, words: tuple[Word, ...] = WORDS, pinned: str | None = None) -> Chunk:
    """A chunk whose windows hold so many samples, in a language heard with a probability."""
    windows = [Window(0, samples, (Span(0, samples),)) for samples, _, _ in heard]
    of = replace(task(index, 0, 1_000, windows), language=pinned)
    return done(of, [WindowResult(words, language, probability, -0.1) for _, language, probability in heard])


def test_the_language_with_the_most_speech_wins() -> None:
    chunks = [chunk(0, (100, "en", 0.9)), chunk(1, (300, "de", 0.9)), chunk(2, (150, "en", 0.9))]
    assert voting.vote(chunks) == "de"
    assert {voting.vote(order) for order in permutations(chunks)} == {"de"}


def test_probability_weighs() -> None:
    assert voting.vote([chunk(0, (100, "en", 0.9), (150, "de", 0.5))]) == "en"


def test_a_tie_goes_by_the_alphabet_in_any_order() -> None:
    chunks = [chunk(0, (100, "fr", 0.5)), chunk(1, (100, "de", 0.5))]
    assert voting.vote(chunks) == voting.vote(chunks[::-1]) == "de"


def test_windows_without_words_do_not_vote() -> None:
    chunks = [chunk(0, (900, "nn", 0.99), words=()), chunk(1, (100, "en", 0.4))]
    assert voting.vote(chunks) == "en"
    assert voting.vote(chunks[:1]) is None


def test_chunks_without_a_result_do_not_vote() -> None:
    of = chunk(0, (900, "de", 0.9))
    assert voting.vote([replace(of, result=None, state=ChunkState.MISSING), chunk(1, (1, "en", 0.9))]) == "en"
    assert voting.vote([]) is None


def test_text_that_failed_the_guards_is_no_evidence_unless_there_is_no_other() -> None:
    music = doubted(chunk(0, (9_000, "sn", 0.75)))
    assert voting.vote([music, chunk(1, (100, "en", 0.5))]) == "en"
    assert voting.vote([music]) == "sn"


@pytest.mark.parametrize(("probability", "certain"), [(0.79, False), (0.8, True), (0.81, True)])
def test_from_when_on_a_detection_stands(probability: float, certain: bool) -> None:
    of = chunk(0, (100, "de", probability))
    assert voting.settled(of) is certain
    assert (voting.outvoted([of], "en") == []) is certain


def test_a_chunk_is_settled_when_all_its_windows_are() -> None:
    assert not voting.settled(chunk(0, (100, "de", 0.9), (100, "de", 0.5)))
    assert voting.settled(replace(chunk(0, (100, "de", 0.5)), result=None, state=ChunkState.MISSING))


def pins(tasks: list[ChunkTask]) -> list[tuple[int, int, list[str | None]]]:
    """Each task's index and run, and what its windows are pinned to."""
    return [(task.index, task.run, [window.language for window in task.windows]) for task in tasks]


def test_only_uncertain_windows_of_another_language_are_overruled() -> None:
    chunks = [
        chunk(0, (100, "en", 0.1)),
        chunk(1, (100, "en", 0.9), (100, "de", 0.5), (100, "en", 0.3)),
        chunk(2, (100, "de", 0.5), pinned="de"),
        replace(chunk(3, (100, "de", 0.5)), result=None),
        chunk(4, (100, "fr", 0.95), (100, "nn", 0.7)),
    ]
    assert pins(voting.outvoted(chunks, "en")) == [(1, 1, [None, "en", None]), (4, 1, [None, "en"])]


def test_a_language_that_another_window_is_certain_of_stands() -> None:
    uncertain, certain = chunk(0, (100, "fr", 0.6)), chunk(1, (100, "fr", 0.9))
    assert voting.outvoted([uncertain, certain], "en") == []
    assert pins(voting.outvoted([uncertain, doubted(certain)], "en")) == [(0, 1, ["en"])]
    wordless = chunk(1, (100, "fr", 0.9), words=())
    assert pins(voting.outvoted([uncertain, wordless], "en")) == [(0, 1, ["en"])]


def test_a_pinned_window_is_not_sent_back_again() -> None:
    (task,) = voting.outvoted([chunk(0, (100, "de", 0.5), (100, "en", 0.9))], "en")
    again = done(task, [WindowResult(WORDS, "de", 0.5, -0.1), WindowResult(WORDS, "en", 0.9, -0.1)])
    assert voting.outvoted([again], "en") == []


def doubted(of: Chunk) -> Chunk:
    """The chunk, its text failed by a guard."""
    assert of.result is not None
    windows = tuple(replace(heard, guards=(Guard.LOW_PROBABILITY,)) for heard in of.result.windows)
    return replace(of, result=replace(of.result, windows=windows))
