"""The vote on a recording's language."""

from itertools import permutations

import pytest
from msgspec.structs import replace

from longscribe.core import voting
from longscribe.documents import Chunk, ChunkState
from longscribe.messages import Span, Window, WindowResult, Word
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


@pytest.mark.parametrize(("probability", "certain"), [(0.79, False), (0.8, True), (0.81, True)])
def test_from_when_on_a_detection_stands(probability: float, certain: bool) -> None:
    of = chunk(0, (100, "de", probability))
    assert voting.settled(of) is certain
    assert voting.outvoted(of, "en") is not certain


def test_a_chunk_is_settled_when_all_its_windows_are() -> None:
    assert not voting.settled(chunk(0, (100, "de", 0.9), (100, "de", 0.5)))
    assert voting.settled(replace(chunk(0, (100, "de", 0.5)), result=None, state=ChunkState.MISSING))


def test_only_uncertain_chunks_of_another_language_are_outvoted() -> None:
    assert not voting.outvoted(chunk(0, (100, "en", 0.1)), "en")
    assert voting.outvoted(chunk(0, (100, "en", 0.9), (100, "de", 0.5)), "en")
    assert not voting.outvoted(chunk(0, (100, "de", 0.5), pinned="de"), "en")
    assert not voting.outvoted(replace(chunk(0, (100, "de", 0.5)), result=None), "en")
