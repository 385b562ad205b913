"""Messages: whatever was encoded decodes to itself, and everything else is one `DecodeError`."""

import json
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.core.limits import MAX_MESSAGE_BYTES
from longscribe.errors import DecodeError
from longscribe.messages import (
    VERSION,
    BlobRef,
    ChunkRefused,
    ChunkResult,
    ChunkTask,
    Guard,
    Priority,
    Provenance,
    Sealed,
    Span,
    UploadEvent,
    Window,
    WindowResult,
    Word,
    decode,
    decode_result,
    encode,
)

TEXT = st.text(max_size=20)
SAMPLES = st.integers(0, 2**40)
REFS = st.builds(BlobRef, TEXT, TEXT, st.integers(0, 2**63 - 1))
WINDOWS = st.builds(Window, SAMPLES, SAMPLES, st.lists(st.builds(Span, SAMPLES, SAMPLES), max_size=3).map(tuple))
PROBABILITIES = st.floats(0, 1)
HEARD = st.builds(
    WindowResult,
    st.lists(st.builds(Word, SAMPLES, SAMPLES, TEXT, PROBABILITIES), max_size=3).map(tuple),
    TEXT,
    PROBABILITIES,
    st.floats(-10, 0),
    PROBABILITIES,
    st.lists(st.sampled_from(Guard), max_size=2).map(tuple),
)
EVENTS = st.builds(UploadEvent, REFS, SAMPLES, st.dictionaries(TEXT, TEXT, max_size=3))
TASKS = st.builds(
    ChunkTask,
    TEXT,
    SAMPLES,
    SAMPLES,
    TEXT,
    REFS,
    SAMPLES,
    SAMPLES,
    SAMPLES,
    st.lists(WINDOWS, max_size=3).map(tuple),
    SAMPLES,
    st.sampled_from(Priority),
    TEXT,
    st.none() | TEXT,
    st.booleans(),
)
MADE = st.builds(Provenance, TEXT, TEXT, TEXT, TEXT, TEXT, st.floats(0, 1e6), SAMPLES)
RESULTS = st.builds(ChunkResult, TEXT, SAMPLES, SAMPLES, TEXT, st.lists(HEARD, max_size=3).map(tuple), MADE)
REFUSALS = st.builds(ChunkRefused, TEXT, SAMPLES, SAMPLES, TEXT, TEXT)
SEALS = st.builds(Sealed, TEXT)
ANY = st.one_of(EVENTS, TASKS, RESULTS, REFUSALS, SEALS)


@given(ANY)
def test_what_was_encoded_decodes_to_itself(message: UploadEvent | ChunkTask | ChunkResult | Sealed) -> None:
    data = encode(message)
    assert decode(data, type(message)) == message
    assert json.loads(data)["type"] == type(message).__name__
    assert json.loads(data)["version"] == VERSION


@given(st.one_of(RESULTS, SEALS))
def test_the_results_topic_carries_two_kinds(message: ChunkResult | Sealed) -> None:
    assert decode_result(encode(message)) == message


@given(ANY, st.sampled_from([UploadEvent, ChunkTask, ChunkResult, Sealed]))
def test_another_kind_is_a_decode_error(message: UploadEvent, kind: type[UploadEvent]) -> None:
    if not isinstance(message, kind):
        with pytest.raises(DecodeError):
            decode(encode(message), kind)


@given(st.one_of(EVENTS, TASKS))
def test_the_results_topic_takes_no_other_kind(message: UploadEvent | ChunkTask) -> None:
    with pytest.raises(DecodeError):
        decode_result(encode(message))


@given(st.binary(max_size=200))
def test_any_bytes_give_a_message_or_a_decode_error(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(data, ChunkTask)


@given(RESULTS, st.data())
def test_damaged_bytes_give_a_message_or_a_decode_error(message: ChunkResult, data: st.DataObject) -> None:
    encoded = bytearray(encode(message))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    with suppress(DecodeError):
        assert isinstance(decode(bytes(encoded), ChunkResult), ChunkResult)


@given(TASKS, st.data())
def test_a_missing_field_is_a_decode_error(message: ChunkTask, data: st.DataObject) -> None:
    members = json.loads(encode(message))
    del members[data.draw(st.sampled_from(sorted(members.keys() - {"language", "resent", "type"})))]
    with pytest.raises(DecodeError):
        decode(json.dumps(members).encode(), ChunkTask)


def test_another_version_says_which() -> None:
    data = encode(Sealed("job", version=VERSION + 1))
    with pytest.raises(DecodeError, match=f"of version {VERSION + 1}, this code reads {VERSION}"):
        decode(data, Sealed)


def test_a_newer_version_may_have_fields_we_do_not_know() -> None:
    with pytest.raises(DecodeError, match="deploy the newer"):
        decode(b'{"type":"Novel","version":9,"colour":"red"}', Sealed)


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_the_limit_on_size(over: int) -> None:
    empty = len(encode(Sealed("")))
    message = Sealed("x" * (MAX_MESSAGE_BYTES - empty + over))
    data = encode(message)
    assert len(data) == MAX_MESSAGE_BYTES + over
    if over <= 0:
        assert decode(data, Sealed) == message
    else:
        with pytest.raises(DecodeError, match="larger than"):
            decode(data, Sealed)


def test_an_error_quotes_nothing_of_the_message() -> None:
    result = json.loads(encode(Sealed("job")))
    result["job_id"] = ["canary"]
    with pytest.raises(DecodeError) as caught:
        decode(json.dumps(result).encode(), Sealed)
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_messages_are_values() -> None:
    with pytest.raises(AttributeError):
        Sealed("job").job_id = "other"  # type: ignore[misc]
    assert msgspec.structs.replace(Sealed("job")) == Sealed("job")


def test_lengths_and_text() -> None:
    assert Span(3, 10).samples == 7
    assert Window(0, 100, (Span(0, 10), Span(20, 50))).samples == 40
    heard = WindowResult((Word(0, 1, " Hello", 0.9), Word(1, 2, " you.", 0.9)), "en", 1.0, -0.1)
    assert heard.text == " Hello you."
