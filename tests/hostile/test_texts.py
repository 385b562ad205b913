"""What is said cannot forge a cue, a tag or a time: read back through other libraries' parsers it is the same."""

from collections.abc import Callable

import numpy as np
import pytest

from tests.tiers import units
from tests.unit.test_rendering import HOSTILE, read_back, transcript

LETTERS = "abc ABC 0123 ,.:;!? <>&{}\\-/'\"#=|*_~`()[]\n\r\t" + "".join(map(chr, (*range(32), *range(0x7F, 0xA0))))
WRITINGS = (
    "éßñ日本語한국어กขคשלוםمرحبا😀👩\u200d👧e\u0301\u0300\u200b\u200c\u200e\u200f\u202a\u202e\u2028\u2029\ufeff"
)
FORGED = (
    "00:00:01,000 --> 00:00:02,000", "00:01.000 --> 00:02.000 align:start", "\n\n1\n", "WEBVTT\n\n", "NOTE\n",
    "STYLE\n", "-->", "--\u200b>", "&lt;", "&#60;", "<c.red>", "</c>", "<v Bob>", "<00:00:01.000>", "{\\an8}",
    "\\N", "1", "\ufeff1",
)  # fmt: skip


def text(random: np.random.Generator) -> str:
    """A word of what nobody says."""
    if random.random() < 0.3:
        return HOSTILE[random.integers(0, len(HOSTILE))]
    if random.random() < 0.3:
        return FORGED[random.integers(0, len(FORGED))]
    signs = LETTERS if random.random() < 0.6 else f"{LETTERS}{WRITINGS}\ud800"
    return "".join(signs[at] for at in random.integers(0, len(signs), random.integers(0, 40)))


def words(number: int) -> list[tuple[int, int, str]]:
    """Text ``number``: up to 25 words with their times in milliseconds."""
    random = np.random.default_rng([12, number])
    found, at = [], 0
    for _ in range(random.integers(1, 25)):
        start = at + int(random.integers(0, 3_000))
        at = start + int(random.integers(0, 2_000))
        found.append((start, at, " " * int(random.integers(0, 2)) + text(random)))
    return found


def test_texts_are_read_back_as_they_were(record_property: Callable[[str, object], None]) -> None:
    for number in units(200):
        read_back(transcript(words(number)))
    record_property("texts", len(units(200)))


def test_each_of_what_is_forged_is_said_by_some_text() -> None:
    said = "".join(word for number in range(200) for *_, word in words(number))
    assert all(sign in said for sign in ("-->", "<", "&", "\n\n", "\u202e", "\x1b", "ש", "\ud800"))


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_piece_alone(forged: str) -> None:
    read_back(transcript([(0, 900, f" {forged}"), (900, 1_800, forged), (4_000, 5_000, f" and {forged} again")]))
