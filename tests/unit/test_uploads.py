"""Which files of a folder are recordings, when they have arrived, and what their transcripts are called."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.core import uploads
from longscribe.core.limits import MAX_NAME_BYTES
from longscribe.core.uploads import Arrivals, bases, check_name, is_recording, read_sidecar
from longscribe.errors import BadInput, OverLimit


@pytest.mark.parametrize(
    "name", ["a.m4a", "interviews/a.m4a", "no ending", "a.part.m4a", "parts/a.mp3", "a.json", "é.M4A"]
)
def test_recordings(name: str) -> None:
    assert is_recording(name)


@pytest.mark.parametrize(
    "name",
    [
        ".a.m4a",
        ".a.m4a.Xy12",
        ".stversions/a.m4a",
        "a.m4a.part",
        "a.m4a.PART",
        "Unconfirmed 12.crdownload",
        "a.download/a.m4a",
        "a.m4a.filepart",
        "a.m4a.tmp",
        "a.m4a~",
        "~a.m4a",
        "a.m4a.settings.json",
        "a.m4a.error.txt",
        "Thumbs.db",
        "interviews/desktop.ini",
    ],
)
def test_what_is_no_recording(name: str) -> None:
    assert not is_recording(name)


def test_a_name_leaves_room_for_those_beside_it() -> None:
    check_name("ü" * 120 + "/" + "a" * 241)
    for name in ("a" * 242, "ü" * 121, "\udcff" * 242, "/".join(["a" * 200] * 6)):
        with pytest.raises(OverLimit, match="too long"):
            check_name(name)
    assert 241 + len(uploads.SIDECAR) == 255
    assert len("/".join(["a" * 200] * 6)) > MAX_NAME_BYTES


def test_a_sidecar_is_a_flat_object_of_strings() -> None:
    assert read_sidecar(b' {"language": "de", "word_times": "true"}\n') == {"language": "de", "word_times": "true"}
    assert read_sidecar(b"{}") == {}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'"en"',
        b'{"word_times": true}',
        b'{"language": null}',
        b'{"a": {"b": "c"}}',
        b'{"language": "\xff"}',
        b'{"vocabulary": "' + b"a" * uploads.MAX_SIDECAR_BYTES + b'"}',
    ],
)
def test_any_other_sidecar_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput, match=r"^The settings in the file .* cannot be read; .*\.$"):
        read_sidecar(data)


def test_what_transcripts_are_called() -> None:
    assert list(islice(bases("interviews/a.m4a", first=True), 4)) == [
        "interviews/a",
        "interviews/a.m4a",
        "interviews/a.m4a-2",
        "interviews/a.m4a-3",
    ]
    assert next(bases("interviews/a.m4a", first=False)) == "interviews/a.m4a"
    assert uploads.stem("v1.2/talk") == "v1.2/talk"


@given(st.lists(st.sampled_from(["a", "a.m4a", "a.wav", "a.m4a.wav", "b/a.m4a", "a-2", "a.m4a-2"]), unique=True))
def test_no_two_recordings_share_a_name(names: list[str]) -> None:
    taken: set[str] = set()
    for name in names:
        taken.add(next(base for base in bases(name, first=True) if base not in taken))
    assert len(taken) == len(names)


def test_a_file_has_been_as_it_is_since_it_last_changed() -> None:
    arrivals: Arrivals[int] = Arrivals()
    assert arrivals.look([("a", 1)], 10.0) == {"a": (1, 10.0)}
    assert arrivals.look([("a", 1), ("b", 5)], 11.0) == {"a": (1, 10.0), "b": (5, 11.0)}
    assert arrivals.look([("a", 2), ("b", 5)], 12.0) == {"a": (2, 12.0), "b": (5, 11.0)}


def test_a_file_that_vanished_starts_anew() -> None:
    arrivals: Arrivals[int] = Arrivals()
    arrivals.look([("a", 1)], 10.0)
    assert arrivals.look([], 11.0) == {}
    assert arrivals.look([("a", 1)], 12.0) == {"a": (1, 12.0)}


def test_a_file_is_passed_until_it_changes_or_comes_again() -> None:
    arrivals: Arrivals[int] = Arrivals()
    arrivals.look([("a", 1)], 10.0)
    arrivals.passed("a", 1)
    assert arrivals.look([("a", 1)], 11.0) == {}
    assert arrivals.look([("a", 1)], 12.0) == {}
    assert arrivals.look([("a", 2)], 13.0) == {"a": (2, 13.0)}
    arrivals.passed("a", 2)
    assert arrivals.look([], 14.0) == {}
    assert arrivals.look([("a", 2)], 15.0) == {"a": (2, 15.0)}
