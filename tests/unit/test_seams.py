import pytest

from longscribe.core.limits import SAMPLE_RATE
from longscribe.core.seams import seam
from longscribe.messages import Word

S = SAMPLE_RATE


def words(text, start=0):
    """One word a second."""
    return [Word(start + n * S, start + (n + 1) * S, part, 0.9) for n, part in enumerate(text.split())]


@pytest.mark.parametrize(("cut", "found"), [(1, (1, 0)), (2, (2, 1)), (3, (3, 2)), (4, (4, 3))])
def test_the_seam_goes_to_the_agreed_word_nearest_the_cut(cut, found):
    assert seam(words("one two three four"), words("two three four five", S), 0, cut * S, 5 * S) == found


def test_the_longest_run_is_trusted_even_if_another_match_is_nearer():
    tail, head = words("one x two three four"), words("one y two three four")
    assert seam(tail, head, 0, 0, 5 * S) == (2, 2)


def test_equal_words_too_far_apart_in_time_are_two():
    tail, head = [Word(0, S // 10, "go", 0.9)], [Word(S, 2 * S, "go", 0.9)]
    assert seam(tail, head, 0, S // 2, 2 * S) == (1, 0)


def test_a_seam_never_goes_through_a_word():
    tail = [Word(0, 2 * S, "今天", 0.9)]
    assert seam(tail, words("今 天"), 0, 2 * S, 2 * S) == (1, 2)
    assert seam(tail, words("今 天"), 0, 0, 2 * S) == (0, 0)
