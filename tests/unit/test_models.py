import errno
import hashlib
import os
import sys
from pathlib import Path

import faster_whisper.utils
import pytest

from longscribe.adapters.models import PACKAGED, WEIGHTS, Packaged, locate
from longscribe.errors import BadInput, NoSpace, Permanent

PART = b"weights in "
REST = b"two packages"


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """A model 'toy' in two packages that are installed for the test."""
    for name, data in (("toy_part1", PART), ("toy_part2", REST)):
        inside = tmp_path / "site" / name / "data"
        inside.mkdir(parents=True)
        (inside.parent / "__init__.py").write_text("")
        (inside / "model.part").write_bytes(data)
    (tmp_path / "site" / "toy_part1" / "data" / "config.json").write_text("{}")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return {
        "toy": Packaged(
            files={
                WEIGHTS: [("toy_part1", "data/model.part"), ("toy_part2", "data/model.part")],
                "config.json": [("toy_part1", "data/config.json")],
            },
            sums={WEIGHTS: hashlib.sha256(PART + REST).hexdigest()},
        )
    }


@pytest.fixture
def hub(monkeypatch):
    """The model hub: ``hub.local`` is what its cache holds, ``hub.remote`` what it would send."""

    class Hub:
        local: Path | None = None
        remote: Path | None = None
        asked = 0

        def download(self, name, local_files_only=False):
            if not local_files_only:
                self.asked += 1
            found = self.local if local_files_only else self.remote
            if found is None:
                raise FileNotFoundError(name)
            return str(found)

    hub = Hub()
    monkeypatch.setattr(faster_whisper.utils, "download_model", hub.download)
    return hub


def a_model(directory):
    directory.mkdir(parents=True)
    (directory / WEIGHTS).write_bytes(b"w")
    return directory


def test_a_directory_is_taken_as_it_is(tmp_path):
    assert locate(str(a_model(tmp_path / "own")), tmp_path / "cache") == tmp_path / "own"


def test_parts_are_joined_once_and_kept(tmp_path, packaged, hub):
    kept = locate("toy", tmp_path / "cache", packaged)
    assert kept == tmp_path / "cache" / "toy"
    assert (kept / WEIGHTS).read_bytes() == PART + REST
    assert sorted(path.name for path in kept.iterdir()) == ["config.json", WEIGHTS]
    assert [path.name for path in kept.parent.iterdir()] == ["toy"]  # nothing is left lying about
    assert kept.stat().st_mode & 0o777 == 0o755
    before = (kept / WEIGHTS).stat().st_mtime_ns
    assert locate("toy", tmp_path / "cache", {}) == kept  # even when the packages are gone
    assert (kept / WEIGHTS).stat().st_mtime_ns == before
    assert hub.asked == 0


def test_a_damaged_package_is_named_and_leaves_nothing(tmp_path, packaged):
    (tmp_path / "site" / "toy_part2" / "data" / "model.part").write_bytes(b"two packagEs")
    with pytest.raises(Permanent, match=r"file model\.bin is not the published one"):
        locate("toy", tmp_path / "cache", packaged)
    assert list((tmp_path / "cache").iterdir()) == []


def test_two_that_join_at_once_agree(tmp_path, packaged, monkeypatch):
    rename = Path.rename

    def slower(self, target):
        a_model(target)  # the other process was first
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", slower)
    kept = locate("toy", tmp_path / "cache", packaged)
    assert (kept / WEIGHTS).read_bytes() == b"w"
    assert [path.name for path in kept.parent.iterdir()] == ["toy"]


def test_a_full_disk_is_told(tmp_path, packaged, monkeypatch):
    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NoSpace, match=str(tmp_path / "cache")):
        locate("toy", tmp_path / "cache", packaged)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_told(tmp_path, packaged):
    (tmp_path / "cache").write_text("a file in the way")
    with pytest.raises(BadInput, match="cannot be kept in"):
        locate("toy", tmp_path / "cache", packaged)


def test_a_rename_that_fails_is_told(tmp_path, packaged, monkeypatch):
    def refused(self, target):
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(BadInput, match="Permission denied"):
        locate("toy", tmp_path / "cache", packaged)


def test_the_hubs_local_cache_comes_before_the_hub(tmp_path, hub):
    hub.local = a_model(tmp_path / "local")
    assert locate("small", tmp_path / "cache") == hub.local
    assert hub.asked == 0


def test_a_download_that_was_broken_off_is_done_again(tmp_path, hub):
    hub.local = tmp_path  # holds no weights
    hub.remote = a_model(tmp_path / "remote")
    assert locate("small", tmp_path / "cache") == hub.remote


@pytest.mark.parametrize("name", ["small", "someone/whisper-of-theirs"])
def test_the_hub_is_asked_for_what_is_nowhere_else(name, tmp_path, hub):
    hub.remote = a_model(tmp_path / "remote")
    assert locate(name, tmp_path / "cache") == hub.remote


def test_a_package_that_is_not_installed_does_not_count(tmp_path, packaged, hub):
    sys.path.remove(str(tmp_path / "site"))
    hub.remote = a_model(tmp_path / "remote")
    assert locate("small", tmp_path / "cache", {"small": packaged["toy"]}) == hub.remote


def test_without_the_hub_one_is_told_what_is_here(tmp_path, packaged, hub):
    a_model(tmp_path / "cache" / "mine")
    with pytest.raises(BadInput, match=r"hub cannot be reached.*On this machine there are: mine, toy\."):
        locate("large-v3", tmp_path / "cache", packaged)
    with pytest.raises(BadInput, match=r"there are: none\."):
        locate("large-v3", tmp_path / "empty", {})


def test_an_unknown_name_is_told_what_there_is(tmp_path, packaged, hub):
    with pytest.raises(BadInput, match=r"Unknown model 'huge'; give one of base, .*there are: toy\."):
        locate("huge", tmp_path / "cache", packaged)
    assert hub.asked == 0


def test_a_name_with_a_slash_never_leads_into_the_cache(tmp_path, hub):
    a_model(tmp_path / "secret")
    (tmp_path / "cache").mkdir()
    with pytest.raises(BadInput):
        locate("../secret", tmp_path / "cache")


def test_the_published_sums_are_complete_for_base():
    assert set(PACKAGED["base"].sums) == set(PACKAGED["base"].files)
    assert all(WEIGHTS in model.sums for model in PACKAGED.values())
