"""A folder of people's own as a bucket: every name as it is, no way out of it, and who still writes."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from longscribe.adapters.local.deliveries import Deliveries
from longscribe.adapters.local.files import Files
from longscribe.adapters.local.folder import listing, mark, remote, written
from longscribe.errors import BadInput, Gone
from longscribe.messages import BlobRef
from tests.contract.blobs import HOSTILE


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.m4a").write_bytes(b"secret")
    (tmp_path / "uploads" / "inter views").mkdir(parents=True)
    (tmp_path / "uploads" / "inter views" / "a.m4a").write_bytes(b"0123456789")
    return tmp_path / "uploads"


@pytest.fixture
def files(root: Path) -> Files:
    return Files({}, {"uploads": root})


NAME = "inter views/a.m4a"


def test_names_are_paths(root: Path, files: Files) -> None:
    odd = os.fsdecode(b"caf\xe9\n.m4a")
    (root / odd).write_bytes(b"1")
    assert list(files.names("uploads")) == [odd, NAME]
    assert list(files.names("uploads", "inter")) == [NAME]
    found = files.stat("uploads", NAME)
    assert (found.size, found.ref.bucket, found.ref.name) == (10, "uploads", NAME)
    assert files.read(found.ref, 2, 5) == b"234"
    assert files.read(files.stat("uploads", odd).ref) == b"1"


def test_a_change_is_another_generation(root: Path, files: Files) -> None:
    old = files.stat("uploads", NAME).ref
    (root / NAME).write_bytes(b"other")
    assert files.stat("uploads", NAME).ref != old
    with pytest.raises(Gone, match="changed"):
        files.read(old)


def test_a_job_does_not_depend_on_where_the_folder_lies(root: Path, files: Files) -> None:
    old = files.stat("uploads", NAME).ref
    root.rename(root.with_name("moved"))
    assert Files({}, {"uploads": root.with_name("moved")}).stat("uploads", NAME).ref == old


def test_uploads_are_deleted_but_never_written(root: Path, files: Files) -> None:
    for call in (files.create, files.replace):
        with pytest.raises(BadInput, match="reading only"):
            call("uploads", "new.m4a", b"")
    for _ in range(2):
        files.delete("uploads", NAME)
    assert list(files.names("uploads")) == []


@pytest.mark.parametrize(
    "name",
    [
        *HOSTILE,
        "../outside/secret.m4a",
        "inter views/../../outside/secret.m4a",
        "link/secret.m4a",
        "link.m4a",
        "inter views",
        "pipe",
        "",
        ".",
        "..",
        "inter views//a.m4a",
        "/",
        "\0",
        "\ud800",
    ],
)
def test_no_name_reaches_outside(tmp_path: Path, root: Path, files: Files, name: str) -> None:
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "link.m4a").symlink_to(tmp_path / "outside" / "secret.m4a")
    os.mkfifo(root / "pipe")
    with pytest.raises((Gone, BadInput)):
        files.stat("uploads", name)
    with pytest.raises((Gone, BadInput)):
        files.read(BlobRef("uploads", name, 1))
    if name not in ("link.m4a", "pipe", "inter views"):
        files_before = sorted(tmp_path.rglob("*"))
        with suppress(BadInput):
            files.delete("uploads", name)
        assert sorted(tmp_path.rglob("*")) == files_before
    assert list(files.names("uploads")) == [NAME]
    assert (tmp_path / "outside" / "secret.m4a").read_bytes() == b"secret"


def test_a_folder_that_cannot_be_read_is_told(root: Path) -> None:
    (root / "file").write_bytes(b"")
    told: list[OSError] = []
    assert list(listing(root / "file", told.append)) == []
    assert isinstance(told[0], NotADirectoryError)
    assert list(listing(root / "nowhere", told.append)) == []
    assert len(told) == 1


def seen_and_asked(root: Path, ask: bool = True) -> bool | None:
    return written(root, NAME, mark((root / NAME).stat()), ask)


def test_nobody_writes(root: Path) -> None:
    assert seen_and_asked(root) is False
    assert seen_and_asked(root, ask=False) is None


WRITER = "import sys; f = open(sys.argv[1], 'r+b'); print(flush=True); sys.stdin.read()"


@pytest.fixture
def writer(root: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Another process that has the file open for writing, and does nothing."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, root / NAME], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_another_process_writes(root: Path, writer: "subprocess.Popen[bytes]") -> None:
    assert seen_and_asked(root) is True
    assert seen_and_asked(root, ask=False) is None
    writer.kill()
    writer.wait()
    assert seen_and_asked(root) is False


def test_what_changed_since_it_was_seen_is_being_written(root: Path) -> None:
    before = mark((root / NAME).stat())
    (root / NAME).write_bytes(b"more and more")
    for ask in (True, False):
        assert written(root, NAME, before, ask) is True
    with pytest.raises(FileNotFoundError):
        written(root, "nowhere.m4a", before, ask=True)


def test_asking_harms_nobody_who_opens_the_file_meanwhile(root: Path) -> None:
    """The kernel breaks a lease with a signal that would end the process, were it not chosen with care."""
    opening = "import os, sys\nwhile not os.path.exists(sys.argv[2]): open(sys.argv[1], 'r+b').close()"
    enough = root.with_name("enough")
    with subprocess.Popen([sys.executable, "-c", opening, root / NAME, enough]) as process:
        answers, began = set(), time.monotonic()
        try:
            while process.poll() is None and time.monotonic() < began + (1.5 if len(answers) == 2 else 20):
                answers.add(seen_and_asked(root))
        finally:
            enough.touch()
    assert answers == {True, False}
    assert process.returncode == 0


MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:45 / /srv/share rw shared:7 master:2 - nfs4 host:/share rw,vers=4.2
31 22 0:46 / /srv/cloud rw - fuse.rclone remote: rw
torn line
"""


def test_where_leases_tell_nothing() -> None:
    assert remote(os.makedev(0, 45), MOUNTS)
    assert remote(os.makedev(0, 46), MOUNTS)
    assert not remote(os.makedev(8, 1), MOUNTS)
    assert not remote(os.makedev(9, 9), MOUNTS)


def test_names_are_given_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "served.sqlite"
    odd = os.fsdecode(b"caf\xe9")
    deliveries = Deliveries(path)
    assert deliveries.claim("a.m4a", ["a", "a.m4a"]) == "a"
    assert deliveries.claim("a.wav", ["a", "a.wav"]) == "a.wav"
    assert deliveries.claim(odd + ".m4a", [odd]) == odd
    deliveries.tell("job", 1.1)
    deliveries.tell("job", 1_700_000_000.123456)
    deliveries.close()
    again = Deliveries(path)
    assert again.claim("a.wav", ["b"]) == "a.wav"
    assert again.claim(odd + ".m4a", ["b"]) == odd
    assert again.told() == {"job": 1_700_000_000.123456}
    with pytest.raises(ValueError, match="taken"):
        again.claim("b.m4a", ["a", "a.wav"])
    again.close()
