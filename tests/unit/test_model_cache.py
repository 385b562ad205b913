import errno
import multiprocessing
import shutil
from pathlib import Path

import pytest

from longscribe.adapters.model_cache import shared
from longscribe.errors import BadInput


@pytest.fixture
def model(tmp_path):
    """A model of two files, one of them a link as in the hub's cache."""
    directory = tmp_path / "models" / "toy"
    directory.mkdir(parents=True)
    (tmp_path / "blob").write_bytes(b"weights")
    (directory / "model.bin").symlink_to(tmp_path / "blob")
    (directory / "config.json").write_text("{}")
    return directory


def test_the_first_copies_and_the_second_takes_it(model, tmp_path):
    copy = shared(model, tmp_path / "shm" / "cache")
    assert (copy / "model.bin").read_bytes() == b"weights"
    assert not (copy / "model.bin").is_symlink()
    made = (copy / "model.bin").stat().st_ino
    assert shared(model, copy.parent) == copy
    assert (copy / "model.bin").stat().st_ino == made
    assert sorted(path.name for path in copy.parent.iterdir()) == [copy.name, f"{copy.name}.lock"]


def test_another_revision_has_its_own_copy(model, tmp_path):
    old = shared(model, tmp_path / "cache")
    (tmp_path / "blob").write_bytes(b"retrained")
    new = shared(model, tmp_path / "cache")
    assert (old / "model.bin").read_bytes() == b"weights"
    assert (new / "model.bin").read_bytes() == b"retrained"


def slowly(file, target):
    """Copy, noting that it was done, so slowly that others come meanwhile."""
    with Path(file.parents[2] / "copied").open("a") as log:
        log.write("x")
    multiprocessing.Event().wait(0.2)
    (target / file.name).write_bytes(file.read_bytes())


def take(model, cache):
    shutil.copy2 = slowly
    shared(model, cache)


def test_processes_that_come_at_once_copy_it_once(model, tmp_path):
    context = multiprocessing.get_context("spawn")
    takers = [context.Process(target=take, args=(model, tmp_path / "cache")) for _ in range(3)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert [taker.exitcode for taker in takers] == [0, 0, 0]
    assert len((tmp_path / "copied").read_text()) == 2  # files


def test_what_a_dead_process_left_is_made_anew(model, tmp_path):
    copy = shared(model, tmp_path / "cache")
    copy.rename(copy.with_name(f".{copy.name}"))
    (copy.with_name(f".{copy.name}") / "model.bin").write_bytes(b"wei")
    assert (shared(model, tmp_path / "cache") / "model.bin").read_bytes() == b"weights"


def test_a_cache_that_is_full_is_named_and_left_empty(model, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(BadInput, match=r"toy does not fit into .*; enlarge it"):
        shared(model, tmp_path / "cache")
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_a_cache_that_cannot_be_written_is_named(model, tmp_path):
    (tmp_path / "cache").write_text("a file in the way")
    with pytest.raises(BadInput, match=r"No model can be kept in .*; name another cache"):
        shared(model, tmp_path / "cache")
