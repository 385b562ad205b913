"""What only files do: encoded names, recordings anywhere on the disk, crashes, full disks."""

import errno
import os
import time
from pathlib import Path

import pytest

from longscribe.adapters.local import files as module
from longscribe.adapters.local.files import Files
from longscribe.core.limits import MAX_NAME_BYTES
from longscribe.errors import BadInput, Gone, NoSpace, OverLimit, Transient
from longscribe.messages import BlobRef
from tests.contract.blobs import HOSTILE
from tests.contract.children import (
    Child,
    create_all,
    read_without_rights,
    replace_for_ever,
    write_without_space,
)

LOCAL_ONLY = ["", ".", "..", "line\nbreak", "\r", "\udcff.mp3", "\ud83d\ude00", "\U0001f600"]
"""Names the cloud refuses, but a directory may hold, or somebody may try."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store" / "bucket"


@pytest.fixture
def files(root: Path) -> Files:
    return Files({"bucket": root})


def everything(directory: Path) -> list[Path]:
    return [path.relative_to(directory) for path in directory.rglob("*") if not path.is_dir()]


def test_no_name_reaches_outside_its_bucket(tmp_path: Path, root: Path, files: Files) -> None:
    names = HOSTILE + LOCAL_ONLY
    for number, name in enumerate(names):
        assert files.read(files.create("bucket", name, b"%d" % number)) == b"%d" % number
    assert list(files.names("bucket")) == sorted(names)
    paths = everything(tmp_path)
    assert len(paths) == len(names)
    for path in paths:
        assert path.parts[:2] == ("store", "bucket")
        assert all(part.isascii() and part.isprintable() and len(part) <= 201 for part in path.parts), path


@pytest.mark.parametrize("name", ["abc/000001.flac", "a.txt", "talk_2-b.words.json", "a/b/c.x", "A" * 100 + ".txt"])
def test_plain_names_are_paths(root: Path, files: Files, name: str) -> None:
    files.create("bucket", name, b"1")
    assert (root / name).read_bytes() == b"1"


def test_foreign_files_in_a_bucket_are_not_listed(root: Path, files: Files) -> None:
    files.create("bucket", "a b", b"1")
    for path in ("no-dot", "with space.txt", "%/plain", "%/=a.txt%2", "%/=%61"):
        (root / path).write_bytes(b"")
    assert list(files.names("bucket")) == ["a b"]


def test_a_names_length_is_bounded(files: Files) -> None:
    files.create("bucket", "ü" * (MAX_NAME_BYTES // 2), b"1")
    for call in (files.create, files.replace):
        with pytest.raises(OverLimit):
            call("bucket", "ü" * (MAX_NAME_BYTES // 2) + "a", b"1")
    assert len(list(files.names("bucket"))) == 1


def test_a_store_can_be_moved(tmp_path: Path, root: Path, files: Files) -> None:
    ref = files.create("bucket", "abc/1.flac", b"1")
    root.parent.rename(tmp_path / "moved")
    assert Files({"bucket": tmp_path / "moved" / "bucket"}).read(ref) == b"1"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "recordings" / "my talk.mp3"
    path.parent.mkdir()
    path.write_bytes(b"0123456789")
    return path


def test_a_recording_anywhere_is_read(files: Files, recording: Path) -> None:
    found = files.stat(str(recording.parent), recording.name)
    assert found.size == 10
    assert files.stat(str(recording.parent), recording.name) == found
    assert files.read(found.ref, 2, 5) == b"234"


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(b"0123456789!"),
        lambda path: os.truncate(path, 5),
        lambda path: (time.sleep(0.02), path.write_bytes(b"9876543210")),
        lambda path: (path.with_name("new").write_bytes(b"9876543210"), path.with_name("new").replace(path)),
    ],
    ids=["longer", "shorter", "overwritten", "replaced"],
)
def test_a_changed_recording_is_another_generation(files: Files, recording: Path, change: object) -> None:
    old = files.stat(str(recording.parent), recording.name).ref
    change(recording)
    assert files.stat(str(recording.parent), recording.name).ref.generation != old.generation
    with pytest.raises(Gone, match="changed"):
        files.read(old)


@pytest.mark.parametrize("data", [b"01234567890", b"9876543210"], ids=["in size only", "in inode only"])
def test_a_kept_time_of_change_does_not_hide_a_change(files: Files, recording: Path, data: bytes) -> None:
    old = files.stat(str(recording.parent), recording.name).ref
    times = (recording.stat().st_atime_ns, recording.stat().st_mtime_ns)
    if len(data) == 10:
        recording.with_name("copy").write_bytes(data)
        recording.with_name("copy").replace(recording)
    recording.write_bytes(data)
    os.utime(recording, ns=times)
    assert files.stat(str(recording.parent), recording.name).ref.generation != old.generation


def test_a_recording_changed_while_it_is_read_is_noticed(
    files: Files, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = files.stat(str(recording.parent), recording.name).ref
    pread = os.pread

    def slow_pread(descriptor: int, count: int, start: int) -> bytes:
        data = pread(descriptor, count, start)
        recording.write_bytes(b"other bytes")
        return data

    monkeypatch.setattr(os, "pread", slow_pread)
    with pytest.raises(Gone):
        files.read(ref)


def test_a_file_that_shrinks_while_it_is_read_ends_the_read(
    files: Files, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = files.stat(str(recording.parent), recording.name).ref
    monkeypatch.setattr(os, "pread", lambda descriptor, count, start: b"")
    assert files.read(ref) == b""


def test_recordings_are_never_written(files: Files, recording: Path) -> None:
    bucket = str(recording.parent)
    for call in (
        lambda: files.create(bucket, "new.txt", b""),
        lambda: files.replace(bucket, recording.name, b""),
        lambda: files.delete(bucket, recording.name),
    ):
        with pytest.raises(BadInput, match="reading only"):
            call()
    assert everything(recording.parent) == [Path(recording.name)]
    assert recording.read_bytes() == b"0123456789"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../recordings/my talk.mp3",
        "my talk.mp3/",
        "folder",
        "pipe",
        "\0",
        "\ud800",
        "none",
        "a" * 999,
    ],
)
def test_only_plain_files_of_the_directory_itself_are_recordings(files: Files, recording: Path, name: str) -> None:
    (recording.parent / "folder").mkdir()
    os.mkfifo(recording.parent / "pipe")
    with pytest.raises((Gone, BadInput)):
        files.stat(str(recording.parent), name)
    with pytest.raises((Gone, BadInput)):
        files.read(BlobRef(str(recording.parent), name, 1))
    assert list(files.names(str(recording.parent))) == ["my talk.mp3"]


@pytest.mark.parametrize("bucket", ["", "none", "relative/path", "..", "/none", "/nul\0", "/\ud800"])
def test_what_is_no_bucket_is_gone(files: Files, bucket: str) -> None:
    with pytest.raises(Gone):
        files.stat(bucket, "a.mp3")
    with pytest.raises(Gone):
        list(files.names(bucket))


def test_recordings_are_listed_by_prefix(files: Files, recording: Path) -> None:
    (recording.parent / "my song.mp3").symlink_to(recording)
    bytes_name = os.fsdecode(b"\xff.mp3")
    (recording.parent / bytes_name).write_bytes(b"1")
    bucket = str(recording.parent)
    assert list(files.names(bucket)) == ["my song.mp3", "my talk.mp3", bytes_name]
    assert list(files.names(bucket, "my s")) == ["my song.mp3"]
    assert files.read(files.stat(bucket, bytes_name).ref) == b"1"


def test_messages_are_fit_for_a_terminal(files: Files, recording: Path) -> None:
    with pytest.raises(Gone) as caught:
        files.stat(str(recording.parent), "\x1b[2J\n\udcff")
    assert str(caught.value).isprintable()
    assert str(caught.value).isascii()


def test_what_may_not_be_used_is_bad_input(recording: Path) -> None:
    recording.parent.chmod(0)
    try:
        reports = Child(read_without_rights, recording.parent, recording.name).rest()
    finally:
        recording.parent.chmod(0o700)
    assert [report[0] for report in reports] == ["BadInput"] * 6, reports
    assert all("; " in report[1] for report in reports), "each says what to do"


def test_a_killed_writer_leaves_whole_objects(root: Path, files: Files) -> None:
    size = 600_000
    turns = torn = 0
    while turns < 8 or not torn:
        assert turns < 60, "no kill came in the middle of a write"
        child = Child(replace_for_ever, root, size)
        assert child.first() is not None
        time.sleep(0.003 * (turns % 8))
        reported = child.kill()
        turns += 1
        torn += any((root / ".partial").iterdir())
        for name in files.names("bucket"):
            data = files.read(files.stat("bucket", name).ref)
            assert (len(data), len(set(data))) == (size, 1), name
        made = {int(name[5:-4]) for name in files.names("bucket", "made/")}
        assert made >= set(reported), "what was reported as written is there"
        for number in made:
            files.delete("bucket", f"made/{number}.bin")


def test_what_a_killed_writer_left_is_removed_at_the_next_start(root: Path, files: Files) -> None:
    files.create("bucket", "a.bin", b"1")
    (root / ".partial" / "left").write_bytes(b"half")
    assert list(files.names("bucket")) == ["a.bin"]
    Files({"bucket": root})
    assert everything(root) == [Path("a.bin")]


def test_a_start_does_not_disturb_a_writer(root: Path, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def late_link(source: Path, target: Path) -> None:
        Files({"bucket": root})
        link(source, target)

    monkeypatch.setattr(os, "link", late_link)
    assert files.read(files.create("bucket", "a.bin", b"1")) == b"1"


def test_of_many_creating_processes_one_wins_and_all_agree(root: Path, files: Files) -> None:
    children = [Child(create_all, root, mark, 30) for mark in range(4)]
    refs = [child.rest()[0] for child in children]
    assert refs[1:] == refs[:1] * 3
    for ref in refs[0]:
        data = files.read(ref)
        assert (len(data), len(set(data))) == (9_000, 1)
    assert len(everything(root)) == 30, "nothing unfinished is left"


def test_without_space_nothing_half_is_left(root: Path, files: Files) -> None:
    """A file size limit is a disk that is really full, for one process only."""
    reports = {report[:2]: report[2] for report in Child(write_without_space, root, 50_000).rest()}
    assert reports.pop(("create", "old.bin")) is True, "what is there needs no space"
    assert {name for name, _ in reports.values()} == {"NoSpace"}
    assert all(str(root) in text and "free some space" in text for _, text in reports.values())
    assert everything(root) == [Path("old.bin")]
    assert files.read(files.stat("bucket", "old.bin").ref) == b"old"


@pytest.mark.parametrize(
    ("number", "expected"),
    [(errno.ENOSPC, NoSpace), (errno.EDQUOT, NoSpace), (errno.EROFS, BadInput), (errno.EIO, Transient)],
)
@pytest.mark.parametrize("call", ["write", "fsync", "link", "open"])
def test_the_systems_errors_become_ours(
    root: Path, files: Files, monkeypatch: pytest.MonkeyPatch, number: int, expected: type[Exception], call: str
) -> None:
    files.create("bucket", "a.bin", b"1")

    def fail(*arguments: object, **options: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(module.os, call, fail)
        with pytest.raises(expected, match=str(root)):
            files.create("bucket", "b.bin", b"2")
    assert everything(root) == [Path("a.bin")]


def test_a_folder_that_cannot_be_listed_is_not_an_empty_one(root: Path, files: Files) -> None:
    root.parent.mkdir()
    root.write_bytes(b"")
    with pytest.raises(Gone):
        list(files.names("bucket"))
