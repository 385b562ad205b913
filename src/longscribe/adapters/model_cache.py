"""One copy of a model for all processes of a node, in memory: what `LONGSCRIBE_MODEL_CACHE` names."""

import errno
import fcntl
import hashlib
import shutil
from pathlib import Path

from longscribe.errors import BadInput


def shared(model: Path, cache: Path) -> Path:
    """Return the copy of the directory ``model`` in ``cache``, made by whichever process comes first.

    The others wait for it. Another revision of a model of that name has a copy of its own. Raises `BadInput` if it
    does not fit or cannot be written.
    """
    copy = cache / f"{model.name}-{_revision(model)}"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / f"{copy.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # whoever dies lets go of it
            if not copy.is_dir():
                _make(model, copy)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise BadInput(
                f"The model {model.name} does not fit into {cache}; enlarge it, or set no cache."
            ) from error
        raise BadInput(f"No model can be kept in {cache} ({error.strerror}); name another cache.") from error
    return copy


def _make(model: Path, copy: Path) -> None:
    """Copy the model's files; the copy gets its name only when it is whole."""
    making = copy.with_name(f".{copy.name}")
    shutil.rmtree(making, ignore_errors=True)  # of one that died
    try:
        making.mkdir()
        for file in model.iterdir():
            shutil.copy2(file, making)
        making.rename(copy)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _revision(model: Path) -> str:
    """Return what changes with the model's files."""
    files = sorted((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in model.iterdir())
    return hashlib.sha256(repr(files).encode()).hexdigest()[:12]
