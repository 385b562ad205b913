"""The real models, tiny.en and base, on speech made here."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from longscribe.adapters import whisper
from longscribe.adapters.models import locate
from longscribe.adapters.whisper import CONTEXT, PROMPT_BUDGET, Whisper
from longscribe.core import guards
from longscribe.core.limits import MAX_TERM_CHARACTERS, MAX_VOCABULARY_TERMS, SAMPLE_RATE, WINDOW
from longscribe.errors import BadInput, Transient
from longscribe.messages import Guard
from longscribe.ports import WindowAudio
from tests import voices
from tests.voices import english

SENTENCES = (*voices.SENTENCES, "Yes.")


@pytest.fixture(scope="session")
def spoken():
    """Each sentence as samples at 16 kHz."""
    return [english(sentence) for sentence in SENTENCES]


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def tiny(cache):
    return Whisper(locate("tiny.en", cache), "tiny.en", device="cpu")


@pytest.fixture(scope="session")
def base(cache):
    return Whisper(locate("base", cache), "base", device="cpu")


def test_a_model_says_which_languages_it_knows(tiny, base):
    assert base.knows("de")
    assert not base.knows("yue")
    assert tiny.knows("en")
    assert not tiny.knows("de")


def test_every_lane_is_warmed_up(tiny, monkeypatch):
    heard = []
    recognise = tiny.recognise

    def listening(windows):
        heard.append(recognise(windows))
        return heard[-1]

    monkeypatch.setattr(tiny, "recognise", listening)
    tiny.warm_up()
    assert len(heard) == tiny.lanes
    assert [result.words for results in heard for result in results] == [()] * tiny.lanes


def window(samples, language="en", vocabulary=(), seed=1):
    return WindowAudio(samples, language, vocabulary, seed)


def plain(text):
    return re.findall(r"\w+", text.lower().replace("harbor", "harbour"))


@pytest.mark.parametrize("model", ["tiny", "base"])
def test_speech_becomes_its_words(model, spoken, request):
    engine = request.getfixturevalue(model)
    results = engine.recognise([window(samples) for samples in spoken])
    said = [plain(sentence) for sentence in SENTENCES]
    heard = [plain(result.text) for result in results]
    wrong = sum(len(set(a) ^ set(b)) for a, b in zip(said, heard, strict=True))
    assert wrong <= 8
    assert heard[1] == said[1]
    assert heard[4] == ["yes"]
    assert all(result.guards == () and result.temperature == 0 for result in results[:4])
    assert all(-1 < result.log_probability < 0 for result in results[:4])


def test_word_times_are_in_order_and_inside_the_window(base, spoken):
    pause = np.zeros(2 * SAMPLE_RATE, np.int16)
    samples = np.concatenate([spoken[1], pause, spoken[3]])
    words = base.recognise([window(samples)])[0].words
    bounds = [time for word in words for time in (word.start, word.end)]
    assert bounds == sorted(bounds)
    assert bounds[0] >= 0
    assert bounds[-1] <= len(samples)
    assert all(0 < word.probability <= 1 and word.text.startswith(" ") for word in words)
    second = next(word for word in words if word.text == " Please")
    assert abs(second.start - len(spoken[1]) - len(pause)) < 0.6 * SAMPLE_RATE
    assert abs(words[-1].end - len(samples)) < 0.6 * SAMPLE_RATE


def test_a_window_alone_and_in_any_company_is_the_same_to_the_bit(base, spoken, monkeypatch):
    long = np.concatenate(spoken)
    assert len(long) < WINDOW
    noise = (np.random.default_rng(0).standard_normal(5 * SAMPLE_RATE) * 300).astype(np.int16)
    windows = [
        window(long, None),
        window(spoken[1], "fr"),
        window(spoken[3], "en", ("Ada Lovelace", "Grace Hopper")),
        window(noise, None),
        window(spoken[2][: len(spoken[1])]),  # as many frames as the second
    ]
    alone = [base.recognise([one])[0] for one in windows]
    monkeypatch.setattr(base, "batch", 5)
    assert base.recognise(windows) == alone
    assert base.recognise(windows[::-2]) == alone[::-2]
    assert alone[0].language == "en"
    assert alone[0].language_probability > 0.9
    assert (alone[1].language, alone[1].language_probability) == ("fr", 1.0)


def test_several_threads_at_once_get_the_same(tiny, spoken):
    windows = [window(samples) for samples in spoken[:2]]
    alone = tiny.recognise(windows)
    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(tiny.recognise, [windows] * 3)) == [alone] * 3


@pytest.mark.parametrize(("model", "seconds"), [("tiny", 1), ("tiny", 30), ("base", 30)])
def test_where_nobody_speaks_there_are_no_words(model, seconds, request):
    engine = request.getfixturevalue(model)
    time = np.arange(seconds * SAMPLE_RATE) / SAMPLE_RATE
    noise = np.random.default_rng(3).standard_normal(seconds * SAMPLE_RATE)
    sounds = [
        np.zeros(len(time)),
        noise * 32768 * 10 ** (-40 / 20),
        noise * 32768 * 10 ** (-20 / 20),
        3000 * np.sin(2 * np.pi * 440 * time),
        3000 * np.sin(2 * np.pi * 100 * time),
    ]
    results = engine.recognise([window(sound.clip(-32768, 32767).astype(np.int16)) for sound in sounds])
    assert [result.words for result in results] == [()] * len(sounds)
    assert {result.guards for result in results} == {(Guard.NO_SPEECH,)}


@pytest.mark.parametrize("vocabulary", [("Oyelaran",), ("Oyelaran", "Szczepan"), ("Thank you", "yes", "Ada")])
def test_where_nobody_speaks_the_vocabulary_does_not_come_back(base, vocabulary):
    random = np.random.default_rng(5)
    time = np.arange(12 * SAMPLE_RATE) / SAMPLE_RATE
    noise = random.standard_normal(len(time))
    sounds = [
        noise * 0.15,
        noise * 0.03,
        np.where(random.random(len(time)) < 0.0005, 0.5, 0.0) + noise * 0.001,  # clicks
        noise * 0.05 * (1 + np.sin(2 * np.pi * 0.7 * time)),  # it swells and fades
    ]
    results = base.recognise(
        [window((sound * 32767).clip(-32768, 32767).astype(np.int16), vocabulary=vocabulary) for sound in sounds]
    )
    assert {term for term in vocabulary for result in results if term.lower() in result.text.lower()} == set()


@pytest.mark.parametrize("samples", [0, 1, 100, 161, 1600])
def test_a_sliver_of_audio_is_no_error(tiny, spoken, samples):
    result = tiny.recognise([window(spoken[0][:samples])])[0]
    assert all(0 <= word.start <= word.end <= samples for word in result.words)


def test_an_english_model_takes_no_other_language(tiny, spoken):
    result = tiny.recognise([window(spoken[4], None)])[0]
    assert (result.language, result.language_probability) == ("en", 1.0)
    with pytest.raises(BadInput, match=r"model tiny\.en does not know the language 'de'"):
        tiny.recognise([window(spoken[4], "de")])


def test_a_language_newer_than_the_model_is_refused(base, spoken):
    with pytest.raises(BadInput, match="'yue'"):
        base.recognise([window(spoken[4], "yue")])


def test_the_largest_vocabulary_fits_the_prompt(tiny, spoken):
    vocabulary = tuple(f"{n:03d}" + "x" * (MAX_TERM_CHARACTERS - 3) for n in range(MAX_VOCABULARY_TERMS))
    prompt = tiny._prompt("en", vocabulary)
    assert PROMPT_BUDGET / 2 < len(prompt) <= CONTEXT // 2 + 3
    names = tuple(f"Name{n}" for n in range(MAX_VOCABULARY_TERMS))
    result = tiny.recognise([window(spoken[1], vocabulary=names)])[0]
    assert plain(result.text) == plain(SENTENCES[1])


def test_a_vocabulary_over_the_budget_is_cut_at_whole_terms_and_counted(tiny, spoken):
    many = tuple(f"Petrosyan{n}" for n in range(MAX_VOCABULARY_TERMS))
    long = "𓀀" * MAX_TERM_CHARACTERS  # four tokens each
    some = tiny.recognise([window(spoken[4], vocabulary=many)])[0]
    assert 0 < some.unused_terms < len(many)
    kept = many[: len(many) - some.unused_terms]
    assert tiny._prompt("en", many) == tiny._prompt("en", kept)
    assert tiny.recognise([window(spoken[4], vocabulary=kept)])[0] == msgspec.structs.replace(some, unused_terms=0)
    assert tiny.recognise([window(spoken[4], vocabulary=(long, "Ada"))])[0].unused_terms == 2
    assert tiny.recognise([window(spoken[4], vocabulary=("Ada", long))])[0].unused_terms == 1


@pytest.mark.parametrize("model", ["tiny", "base"])
def test_terms_that_look_like_commands_are_text(model, spoken, request):
    engine = request.getfixturevalue(model)
    terms = ("<|endoftext|>", "<|startoftranscript|><|fr|><|translate|>", "<|nospeech|>", "<|notimestamps|>")
    prompt = engine._prompt("en", terms)
    commands = [token for token in prompt if token >= engine._id("<|endoftext|>")]
    assert commands == [engine._id("<|startofprev|>"), *engine._prompt("en", ())]
    result = engine.recognise([window(spoken[1], vocabulary=terms)])[0]
    assert plain(result.text) == plain(SENTENCES[1])


def test_ordinary_words_as_terms_do_no_harm(base, spoken):
    terms = ("the", "behind", "Please", "boats", "a")
    results = base.recognise([window(samples, vocabulary=terms) for samples in spoken[1:4]])
    without = base.recognise([window(samples) for samples in spoken[1:4]])
    assert [plain(result.text) for result in results] == [plain(result.text) for result in without]


def test_text_as_long_as_the_decoder_allows_can_be_aligned(tiny, spoken, monkeypatch):
    monkeypatch.setattr(tiny, "_suppressed", [*tiny._suppressed, tiny._id("<|endoftext|>")])  # it never ends
    monkeypatch.setattr(guards, "TEMPERATURES", ())
    monkeypatch.setattr(guards, "best", lambda tried: tried[-1])  # the one with all the room there is
    result = tiny.recognise([window(spoken[1])])[0]
    assert Guard.REPETITION in result.guards
    assert len(result.words) > 200


@pytest.mark.parametrize(
    ("sentence", "names"),
    [
        ("The report by Lindqvist was read aloud by Nwosu, while I made coffee.", ("Lindqvist", "Nwosu")),
        ("Nobody told Ceridwen that Kowalczyk had already paid for the boat.", ("Ceridwen", "Kowalczyk")),
        ("Messages from Eventarc come twice.", ("Eventarc",)),
    ],
)
def test_the_vocabulary_spells_names_that_the_model_misses(base, sentence, names):
    samples = english(sentence)
    without, told = base.recognise([window(samples), window(samples, vocabulary=names)])
    assert [name for name in names if name in without.text] == []
    assert [name for name in names if name in told.text] == list(names)
    assert told.guards == ()


def test_a_vocabulary_that_comes_back_is_decoded_again_without_it(base, spoken, monkeypatch):
    vocabulary = ("apple", "trees", "behind")  # what is spoken, so it comes back in its order
    told = []
    generate = base._generate

    def noted(model, encoded, prompts, *args, **options):
        told.append(len(prompts[0]))
        return generate(model, encoded, prompts, *args, **options)

    monkeypatch.setattr(base, "_generate", noted)
    result = base.recognise([window(spoken[1], vocabulary=vocabulary)])[0]
    assert told[0] > told[1] == 4  # the second time, no prompt
    assert plain(result.text) == plain(SENTENCES[1])
    assert result.guards == ()


def test_fallback_depends_on_the_seed_and_on_nothing_before(tiny, spoken, monkeypatch):
    monkeypatch.setattr(guards, "LOG_PROBABILITY", 0.0)  # nothing passes
    monkeypatch.setattr(guards, "TEMPERATURES", (1.0,))
    monkeypatch.setattr(guards, "best", lambda tried: tried[-1])  # the sampled one
    monkeypatch.setattr(whisper, "BEST_OF", 1)
    monkeypatch.setattr(guards, "speechless", lambda *_: False)
    noise = np.random.default_rng(5).standard_normal(len(spoken[3])) * 900
    hard = window((spoken[3] / 8 + noise).astype(np.int16), seed=11)
    first = tiny.recognise([hard])[0]
    others = [tiny.recognise([replace(hard, seed=seed)])[0] for seed in (12, 13, 14)]
    assert tiny.recognise([window(spoken[4]), hard])[1] == first
    assert any(other.text != first.text for other in others)
    assert first.temperature == 1.0
    assert first.guards == (Guard.LOW_PROBABILITY,)


def test_what_fails_to_the_end_is_flagged_and_the_best_attempt_kept(tiny, spoken, monkeypatch):
    usual = tiny.recognise([window(spoken[4])])[0]
    monkeypatch.setattr(guards, "LOG_PROBABILITY", 0.0)
    result = tiny.recognise([window(spoken[4])])[0]
    assert result.guards == (Guard.LOW_PROBABILITY,)
    assert result.log_probability >= usual.log_probability
    assert result.words


def test_a_text_cut_by_the_length_limit_is_decoded_again_in_full(tiny, spoken, monkeypatch):
    generate = tiny._generate

    def short(*args, **options):
        if options["beam_size"] == 1:
            options["most"] = 5
        return generate(*args, **options)

    monkeypatch.setattr(tiny, "_generate", short)
    result = tiny.recognise([window(spoken[1])])[0]
    assert plain(result.text) == plain(SENTENCES[1])
    assert result.guards == ()


class TestMemory:
    @pytest.fixture
    def engine(self, tiny, monkeypatch):
        """An engine that reports no memory for more than ``engine.fits`` windows."""
        recognise = tiny._recognise

        def scarce(windows):
            if len(windows) > tiny.fits:
                raise self.error
            return recognise(windows)

        monkeypatch.setattr(tiny, "_recognise", scarce)
        monkeypatch.setattr(tiny, "batch", 4)
        tiny.fits = 1
        self.error = RuntimeError("CUDA failed with error out of memory")
        return tiny

    def test_the_batch_is_halved_and_stays_so(self, engine, spoken):
        results = engine.recognise([window(samples) for samples in spoken])
        assert plain(results[1].text) == plain(SENTENCES[1])
        assert len(results) == len(spoken)
        assert engine.batch == 1

    def test_too_little_for_one_window_is_transient(self, engine, spoken):
        engine.fits = 0
        self.error = MemoryError()
        with pytest.raises(Transient, match="One window alone"):
            engine.recognise([window(spoken[4])])

    def test_another_fault_is_not_taken_for_it(self, engine, spoken):
        self.error = RuntimeError("CUDA driver version is insufficient")
        with pytest.raises(RuntimeError, match="driver"):
            engine.recognise([window(spoken[0]), window(spoken[4])])
        assert engine.batch == 4
