import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from longscribe.adapters.words import BREAK, PAUSE, Speller, Voice
from longscribe.core.limits import SAMPLE_RATE

SECOND = SAMPLE_RATE


@pytest.fixture(scope="module")
def tokenizer():
    """One token a byte, but for two that are words."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: number for number, character in enumerate(alphabet)}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return made


def split(tokenizer, text, language="en"):
    tokens = tokenizer.encode(text).ids
    words = list(Speller(tokenizer).words(tokens, language))
    edges = [0, *(last for _, _, last in words)]
    assert [first for _, first, _ in words] == edges[:-1]
    assert edges[-1] == len(tokens)
    assert "".join(word for word, _, _ in words) == text
    return [word for word, _, _ in words]


@pytest.mark.parametrize(
    ("text", "language", "words"),
    [
        (" We met, twice.", "en", [" We", " met,", " twice."]),
        (" It's 3.5 %", "en", [" It's", " 3.5", " %"]),
        (" well-known…", "en", [" well-known…"]),
        ("Über Öl", "de", ["Über", " Öl"]),
        (" ¿Qué? ¡No!", "es", [" ¿Qué?", " ¡No!"]),
        ("你好。再见", "zh", ["你", "好。", "再", "见"]),
        ("你好 再", "en", ["你好", " 再"]),
        (" 👍🏽 yes", "en", [" 👍🏽", " yes"]),
        ("", "en", []),
    ],
)
def test_tokens_become_words(tokenizer, text, language, words):
    assert split(tokenizer, text, language) == words


def test_a_character_cut_short_at_the_end_stays_with_its_word(tokenizer):
    tokens = tokenizer.encode(" Öl Ü").ids[:-1]
    assert [word for word, _, _ in Speller(tokenizer).words(tokens, "de")] == [" Öl", " \ufffd"]


@pytest.fixture(scope="module")
def voice():
    """A second of pause, one of voice, two of pause, one of voice, half a second of pause."""
    random = np.random.default_rng(0)
    parts = [(1.0, 10), (1.0, 3000), (2.0, 10), (1.0, 3000), (0.5, 10)]
    return Voice(
        np.concatenate([random.standard_normal(int(seconds * SECOND)) * level for seconds, level in parts]).astype(
            np.int16
        )
    )


@pytest.mark.parametrize(
    ("word", "trimmed"),
    [
        ((0, 2 * SECOND), (SECOND, 2 * SECOND)),  # a pause before it
        ((SECOND, 3 * SECOND), (SECOND, 2 * SECOND)),  # after it
        ((5 * SECOND // 2, 11 * SECOND // 2), (4 * SECOND, 5 * SECOND)),  # on both sides
        ((2 * SECOND, 3 * SECOND), (2 * SECOND, 3 * SECOND)),  # nothing else
        ((SECOND - PAUSE + 320, 2 * SECOND + PAUSE - 320), (SECOND - PAUSE + 320, 2 * SECOND + PAUSE - 320)),
        ((SECOND, SECOND), (SECOND, SECOND)),
        ((9 * SECOND, 9 * SECOND), (9 * SECOND, 9 * SECOND)),
    ],
)
@pytest.mark.parametrize("text", [" word", " end."])
def test_pauses_are_taken_off_a_word(voice, text, word, trimmed):
    assert voice.trim(text, *word) == trimmed


@pytest.mark.parametrize(
    ("text", "word", "trimmed"),
    [
        (" and", (3 * SECOND // 2, 9 * SECOND // 2), (4 * SECOND, 9 * SECOND // 2)),  # the one before echoes on
        (" and", (SECOND, 5 * SECOND), (4 * SECOND, 5 * SECOND)),
        (" end.", (SECOND, 4 * SECOND + BREAK // 2), (SECOND, 2 * SECOND)),  # the next one has begun
        (" 'end,'", (SECOND, 4 * SECOND + BREAK // 2), (SECOND, 2 * SECOND)),
        (" 18,25.", (SECOND, 5 * SECOND), (SECOND, 5 * SECOND)),  # a number of two words
        (" end.", (0, 4 * SECOND + BREAK // 2), (SECOND, 2 * SECOND)),
        (" and", (SECOND, 11 * SECOND // 2), (4 * SECOND, 5 * SECOND)),
    ],
)
def test_a_word_lies_on_one_side_of_a_pause(voice, text, word, trimmed):
    assert voice.trim(text, *word) == trimmed


def test_in_noise_times_are_left_alone():
    noisy = (np.random.default_rng(0).standard_normal(2 * SECOND) * np.repeat([500, 3000], SECOND)).astype(np.int16)
    assert Voice(noisy).trim(" word", 0, 2 * SECOND) == (0, 2 * SECOND)
    assert Voice(np.empty(0, np.int16)).trim(" word", 0, 0) == (0, 0)
