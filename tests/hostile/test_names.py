"""Names are data: none leaves its folder, none takes another's place, none reaches a terminal or a log as it is."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from longscribe import cli, watching
from longscribe.adapters.local.deliveries import Deliveries
from longscribe.adapters.local.files import Files
from longscribe.cli.store import completed
from longscribe.core import ids, uploads
from longscribe.core.settings import Settings
from longscribe.errors import BadInput, LongscribeError, OverLimit
from longscribe.messages import BlobRef, UploadEvent
from longscribe.operating.finding import find
from longscribe.stages import chunker
from longscribe.wiring import UPLOADS_BUCKET, local_stores
from tests.hostile.names import COUNT, NAMES, fits_a_folder
from tests.standins import Bench
from tests.tiers import units

Record = Callable[[str, object], None]


def everything(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if not path.is_dir())


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A store's directory, beside which nothing may change."""
    (tmp_path / "precious.txt").write_bytes(b"precious")
    store = tmp_path / "one" / "two" / "store"
    store.mkdir(parents=True)
    yield store
    beside = [path for path in everything(tmp_path) if not path.is_relative_to(store)]
    assert beside == [tmp_path / "precious.txt"]
    assert beside[0].read_bytes() == b"precious"


def test_there_are_as_many_as_promised() -> None:
    assert len(set(NAMES)) == len(NAMES) == COUNT == 500


def test_no_name_leaves_a_bucket_or_takes_anothers_place(outside: Path, record_property: Record) -> None:
    files = Files({"bucket": outside / "bucket"})
    stored: dict[str, bytes] = {}
    for number, name in enumerate(NAMES):
        try:
            files.create("bucket", name, b"%d" % number)
        except OverLimit:
            assert len(name.encode("utf-8", "surrogatepass")) > 1_024
            continue
        stored[name] = b"%d" % number
    paths = everything(outside)
    assert len(paths) == len(stored)
    assert all(part.isascii() and part.isprintable() for path in paths for part in path.relative_to(outside).parts)
    assert list(files.names("bucket")) == sorted(stored)
    for name, data in stored.items():
        assert files.read(files.stat("bucket", name).ref) == data
    for name in [*stored][:: len(stored) // 20]:
        assert name in files.names("bucket", name[: len(name) // 2])
    for name in stored:
        files.delete("bucket", name)
    assert everything(outside) == []
    record_property("names stored", len(stored))


def test_no_name_reaches_out_of_a_folder_of_peoples_own(outside: Path, tmp_path: Path) -> None:
    uploads_folder = outside / "uploads"
    uploads_folder.mkdir()
    files = Files({}, {"uploads": uploads_folder})
    there: dict[str, bytes] = {}
    for number, name in enumerate(NAMES):
        if fits_a_folder(name):
            with suppress(FileExistsError, NotADirectoryError, IsADirectoryError):  # another is in its way
                path = uploads_folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"%d" % number)
                there[name] = b"%d" % number
    (uploads_folder / "out").symlink_to(tmp_path)
    for name in [*NAMES, "out/precious.txt"]:
        if name in there:
            assert files.read(files.stat("uploads", name).ref) == there[name]
            continue
        for call in (
            lambda name=name: files.stat("uploads", name),
            lambda name=name: files.read(BlobRef("uploads", name, 1)),
        ):
            with pytest.raises(LongscribeError) as caught:
                call()
            assert str(caught.value).isprintable()
        with suppress(BadInput):  # too long for a file
            files.delete("uploads", name)
    assert list(files.names("uploads")) == sorted(there)


def test_no_two_names_are_one_job() -> None:
    made = {
        ids.job_id(bucket, name, generation) for name in NAMES for bucket in ("a", "ab") for generation in (1, 11)
    }
    assert len(made) == 4 * COUNT
    assert all(one.isascii() and one.isalnum() for one in made)
    blobs = {ids.chunk_blob(one, 0) for one in made}
    assert len(blobs) == 4 * COUNT
    assert all(".." not in name for name in blobs)


def test_no_two_recordings_are_delivered_into_one_transcript(outside: Path, record_property: Record) -> None:
    names = [name for name in NAMES if fits_a_folder(name) and uploads.is_recording(name)]
    claimed: dict[str, str] = {}
    deliveries = Deliveries(outside / "served.sqlite")
    try:
        for name in names:
            with suppress(OverLimit):
                uploads.check_name(name)
                claimed[name] = deliveries.claim(name, uploads.bases(name, first=True))
        assert {name: deliveries.claim(name, uploads.bases(name, first=False)) for name in claimed} == claimed
    finally:
        deliveries.close()
    assert len(claimed) > COUNT // 2
    written = [f"{base}.{kind}" for base in claimed.values() for kind in ("json", "srt", "vtt", "txt")]
    assert len(set(written)) == len(written)
    for path in written:
        root = outside / "transcripts"
        assert os.path.normpath(root / path).startswith(f"{root}/")
        assert all(len(os.fsencode(part)) <= 255 for part in path.split("/"))
    record_property("names delivered", len(claimed))


def test_a_name_comes_through_messages_and_documents_as_it_was(bench: Bench) -> None:
    for name in NAMES:
        event = UploadEvent(BlobRef("uploads", name, 1), 1, {})
        job = chunker.open_job(event, bench.settings, bench.jobs, bench.clock)
        assert bench.jobs.job(job.job_id).recording.name == name
        assert find(bench.jobs, job.job_id).job.job_id == job.job_id
    assert len(list(bench.jobs.jobs())) == len(NAMES)


# What is printed

MEANT = {"\n"}
"""The one control character of our own."""


def harmless(printed: str) -> bool:
    """Whether nothing in it could steer a terminal or turn what follows."""
    return all(char.isprintable() or char in MEANT for char in printed)


SHOWN = [name for name in NAMES if not re.search("[\ud800-\udc7f\udd00-\udfff]", name)]
"""Those that a file can have: a lone surrogate must stand for a byte."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory in which jobs of hostile names have ended, wait, or are cut."""
    directory = tmp_path / "served"
    stores = local_stores(directory / ".longscribe")
    try:
        for number, name in enumerate(SHOWN):
            event = UploadEvent(BlobRef(UPLOADS_BUCKET, name, 1), 1, {})
            refusal = f"It is no recording {name!r}; give one." if number % 3 else None
            chunker.open_job(event, Settings(language="en"), stores.jobs, stores.clock, refusal)
    finally:
        stores.close()
    return directory


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """A command in this process: its exit code, and all it printed."""
    monkeypatch.setattr(watching, "POLL_SECONDS", 0.02)

    def ran(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["longscribe", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    return ran


COMMANDS = ("status", "watch", "diff", "receipt", "rerun", "dead-letters", "cancel", "delete")


def test_no_command_prints_a_name_that_steers_a_terminal(home: Path, run: Run, record_property: Record) -> None:
    for arguments in (("status",), ("dead-letters",), ("doctor", "--model", "tiny.en")):
        for more in ((), ("--json",)):
            _, printed = run(*arguments, "--dir", home, *more)
            assert harmless(printed), (arguments, more)
    stores = local_stores(home / ".longscribe")
    jobs = sorted(stores.jobs.jobs(), key=lambda job: job.job_id)
    stores.close()
    assert len(jobs) == len(SHOWN)
    tried = [jobs[number] for number in units(12) if number < len(jobs)]
    for number, job in enumerate(tried):
        for at, command in enumerate(COMMANDS):
            if command == "watch" and not job.state.ended:
                continue  # it would follow it
            arguments = (*(("--yes",) if command == "delete" else ()), *(("--json",) if (number + at) % 2 else ()))
            _, printed = run(command, job.job_id, "--dir", home, *arguments)
            assert harmless(printed), (command, arguments)
    record_property("names shown by every command", len(tried))


def test_a_job_that_is_named_is_found_and_what_is_asked_is_not_printed_raw(home: Path, run: Run) -> None:
    for name in SHOWN[:: len(SHOWN) // 6]:
        if name and not name.startswith("-"):
            _, printed = run("status", name.replace("\0", ""), "--dir", home)
            assert harmless(printed)


def test_a_shell_is_offered_no_name_that_steers_it(home: Path) -> None:
    context = SimpleNamespace(params={"directory": home, "project": None})
    offered = [both for start in "a.\x1b0123456789abcdef" for both in completed(context, start)]
    assert len(offered) > COUNT // 2
    assert all(text.isprintable() for both in offered for text in both)
