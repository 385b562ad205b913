"""Settings: each bound one below, at and one above; each refusal a sentence."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from longscribe.core import limits
from longscribe.core.languages import LANGUAGES
from longscribe.core.settings import COMPUTE_TYPES, FORMATS, Settings, from_metadata
from longscribe.errors import BadInput, OverLimit


def test_the_defaults_can_be_honoured() -> None:
    assert Settings().checked() == Settings()


@pytest.mark.parametrize("language", [None, *sorted(LANGUAGES)])
def test_every_language_of_whisper(language: str | None) -> None:
    assert Settings(language=language).checked().language == language


@pytest.mark.parametrize("kind", COMPUTE_TYPES)
def test_every_compute_type(kind: str) -> None:
    assert Settings(compute_type=kind).checked().compute_type == kind


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (Settings(language="xx"), "Unknown language 'xx'"),
        (Settings(language="English"), "give a code such as 'en'"),
        (Settings(language=""), "Unknown language"),
        (Settings(formats=("txt", "doc")), "Unknown format 'doc'"),
        (Settings(formats=()), "No format is left"),
        (Settings(compute_type="int4"), "Unknown compute type 'int4'"),
        (Settings(model=""), "The model's name is empty"),
        (Settings(vocabulary=("Ada", " ")), "empty or not printable"),
        (Settings(vocabulary=("Ada\x1b[31m",)), "empty or not printable"),
        (Settings(chunk_seconds=float("nan")), "out of bounds"),
        (Settings(chunk_seconds=float("inf")), "out of bounds"),
    ],
)
def test_what_cannot_be_honoured_is_one_sentence(settings: Settings, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence) as caught:
        settings.checked()
    assert str(caught.value).endswith(".")
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("seconds", "good"),
    [
        (limits.MIN_CHUNK_SECONDS - 0.01, False),
        (limits.MIN_CHUNK_SECONDS, True),
        (limits.MIN_CHUNK_SECONDS + 0.01, True),
        (limits.MAX_CHUNK_SECONDS - 0.01, True),
        (limits.MAX_CHUNK_SECONDS, True),
        (limits.MAX_CHUNK_SECONDS + 0.01, False),
    ],
)
def test_the_bounds_of_the_chunk_length(seconds: float, good: bool) -> None:
    if good:
        Settings(chunk_seconds=seconds).checked()
    else:
        with pytest.raises(OverLimit, match="give 10 to 300 seconds"):
            Settings(chunk_seconds=seconds).checked()


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_the_bounds_of_the_vocabulary(over: int) -> None:
    many = Settings(vocabulary=tuple(f"Ada {n}" for n in range(limits.MAX_VOCABULARY_TERMS + over)))
    long = Settings(vocabulary=("a" * (limits.MAX_TERM_CHARACTERS + over),))
    for settings in (many, long):
        if over <= 0:
            assert settings.checked() == settings
        else:
            with pytest.raises(OverLimit, match=r"at most 100|longer than 60"):
                settings.checked()


def test_each_term_counts_once() -> None:
    given = Settings(vocabulary=("Ada", "Grace", " Ada ") * limits.MAX_VOCABULARY_TERMS)
    assert given.checked().vocabulary == ("Ada", "Grace")


def test_hashes_tell_settings_apart_and_stay_the_same_for_ever() -> None:
    changed = [
        Settings(language="en"),
        Settings(vocabulary=("Ada",)),
        Settings(formats=("txt",)),
        Settings(model="tiny"),
        Settings(compute_type="int8"),
        Settings(word_times=True),
        Settings(chunk_seconds=45.0),
        Settings(),
    ]
    assert len({settings.hash() for settings in changed}) == len(changed)
    assert Settings().hash() == replace(Settings(language="en"), language=None).hash()
    assert len(Settings().hash()) == 16


def test_metadata_overrides_the_defaults() -> None:
    defaults = Settings(model="tiny", language="en")
    metadata = {
        "Language": " de ",
        "vocabulary": "Ada Lovelace, , Grace",
        "formats": "txt,json",
        "word-times": "TRUE",
        "chunk_seconds": "45",
        "compute-type": "int8",
    }
    assert from_metadata(metadata, defaults) == Settings(
        model="tiny",
        language="de",
        vocabulary=("Ada Lovelace", "Grace"),
        formats=("txt", "json"),
        word_times=True,
        chunk_seconds=45.0,
        compute_type="int8",
    )
    assert from_metadata({}, defaults) == defaults
    assert from_metadata({"language": "auto", "word_times": "false"}, defaults).language is None


@pytest.mark.parametrize(
    ("key", "text", "sentence"),
    [
        ("colour", "red", "Unknown setting 'colour'; known are .*language"),
        ("chunk_seconds", "long", "'long' is no number"),
        ("chunk_seconds", "9.9", "out of bounds"),
        ("word_times", "perhaps", "give true or false"),
        ("formats", " , ", "No format is left"),
        ("language", "", "Unknown language"),
    ],
)
def test_metadata_that_cannot_be_read_is_one_sentence(key: str, text: str, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        from_metadata({key: text}, Settings())


@given(st.dictionaries(st.sampled_from([*Settings.__struct_fields__, "x"]), st.text(max_size=20)))
def test_any_metadata_gives_settings_that_can_be_honoured_or_a_sentence(metadata: dict[str, str]) -> None:
    with suppress(BadInput):
        settings = from_metadata(metadata, Settings())
        assert settings.checked() == settings
        assert set(settings.formats) <= set(FORMATS)
