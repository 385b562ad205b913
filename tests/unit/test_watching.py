"""What a person sees, and files written whole or not at all."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.errors import BadInput, NoSpace
from longscribe.watching import printable, write_whole


@given(st.text(st.characters()))
def test_what_is_shown_cannot_steer_a_terminal(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert shown.encode().decode() == shown
    assert printable(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("talk.mp3", "talk.mp3"),
        ("Gespräch – 会議.m4a", "Gespräch – 会議.m4a"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("two\nlines", r"two\nlines"),
        ("\u202ereversed", r"\u202ereversed"),
        (os.fsdecode(b"caf\xe9"), r"caf\udce9"),
    ],
)
def test_what_could_steer_is_spelled_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_file_is_written_over_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "talk.txt"
    write_whole(path, b"old")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "kind", "sentence"),
    [
        (errno.ENOSPC, NoSpace, "is full; make room"),
        (errno.EDQUOT, NoSpace, "is full; make room"),
        (errno.EFBIG, NoSpace, "is full; make room"),
        (errno.EACCES, BadInput, "cannot be written"),
    ],
)
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception], sentence: str, call: str
) -> None:
    path = tmp_path / "talk.txt"
    path.write_bytes(b"old")

    def fail(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(*((os, "fsync", fail) if call == "fsync" else (Path, "replace", fail)))
    with pytest.raises(kind, match=sentence):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="choose another --out"):
        write_whole(tmp_path / "nowhere" / "talk.txt", b"new")
