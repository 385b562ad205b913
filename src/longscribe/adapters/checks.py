"""The doctor's checks of this machine: what is installed, what it has, and the home that the state lies in."""

import os
import platform
import shutil
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from longscribe.adapters.local import lock
from longscribe.operating.doctor import Check, Verdict

OLDEST_PYTHON = (3, 11)
OLDEST_AV = (18, 0)
"""The wheels before it hold an FFmpeg with a critical flaw, CVE-2026-8461: 8.1.1 in that of 17.1.0."""

LEAST_MEMORY = 2**30
"""Bytes. The decoding processes take up to 363 MB (see the README's figures), the weights of base 145 MB; its
batches come on top."""

LEAST_DISK = 2**30
"""Bytes. An hour of speech waits as at most 115 MB: 16,000 samples a second of two bytes, before FLAC."""

Answer = tuple[Verdict, str, str | None]


def machine_checks(model: str, models: Path) -> list[Check]:
    """Return the checks of what is installed and of what the machine has, for ``model`` kept under ``models``."""
    return [
        *light_checks(),
        ("ctranslate2", lambda: _installed("ctranslate2")),
        ("faster-whisper", lambda: _installed("faster-whisper")),
        ("processor", processor),
        ("memory", memory),
        ("model", lambda: whisper(model, models)),
    ]


def light_checks() -> list[Check]:
    """Return the checks of a machine on which no model runs."""
    return [
        ("python", python),
        ("longscribe", lambda: _installed("longscribe")),
        ("media", media),
    ]


def home_checks(home: Path) -> list[Check]:
    """Return the checks of the directory that state is kept in."""
    return [
        ("home", lambda: writable(home)),
        ("disk", lambda: disk(home)),
        ("lock", lambda: locked(home)),
    ]


def python() -> Answer:
    """Check the interpreter."""
    found = f"Python {platform.python_version()} on {platform.system()} ({platform.machine()})"
    if sys.version_info < OLDEST_PYTHON:
        return Verdict.FAIL, found, "use Python 3.11 or newer"
    return Verdict.OK, found, None


def _installed(package: str) -> Answer:
    try:
        return Verdict.OK, f"{package} {version(package)}", None
    except PackageNotFoundError:
        return Verdict.FAIL, f"{package} is not installed", "run make demo in its clone"


def media() -> Answer:
    """Check what decodes recordings."""
    import av

    found = f"av {av.__version__}, FFmpeg {av.ffmpeg_version_info}"
    if tuple(int(part) for part in av.__version__.split(".")[:2]) < OLDEST_AV:
        return Verdict.FAIL, f"{found}, which has a critical flaw", "install av 18 or newer"
    return Verdict.OK, found, None


def processor() -> Answer:
    """Check what the model can run on."""
    from longscribe.adapters.hardware import choose, cores

    chosen = choose()
    return Verdict.OK, f"{cores()} cores; the model runs on {chosen.device} in {chosen.compute_type}", None


def memory() -> Answer:
    """Check the memory that is free for use."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = _available()
    found = f"{_gib(total)}" if free is None else f"{_gib(free)} of {_gib(total)} are free"
    if (total if free is None else free) < LEAST_MEMORY:
        return Verdict.WARN, found, "end what else is running, or choose a smaller model"
    return Verdict.OK, found, None


def _available(table: Path = Path("/proc/meminfo")) -> int | None:
    """Return the bytes that a process may still take; None where the system does not tell."""
    try:
        lines = table.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def whisper(model: str, models: Path) -> Answer:
    """Check that the model is there and as it was published."""
    from longscribe.adapters.models import known_files, packaged

    kept = known_files(model, models)
    if kept is not None:
        directory, damaged = kept
        if damaged:
            wrong = f"{model} in {directory} is damaged: {', '.join(damaged)}"
            return Verdict.FAIL, wrong, "delete that directory; it is made again when next needed"
        return Verdict.OK, f"{model} in {directory}", None
    if packaged(model):
        return Verdict.OK, f"{model} will be put together from its packages when first needed", None
    return Verdict.WARN, f"{model} is not on this machine", "it is fetched when first needed, which takes a network"


def writable(home: Path) -> Answer:
    """Check that state can be kept."""
    try:
        with tempfile.TemporaryFile(dir=home) as file:
            file.write(b"\0")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return Verdict.FAIL, f"{home} cannot be written ({error.strerror})", "check its permissions and the disk"
    return Verdict.OK, f"{home} can be written", None


def disk(home: Path) -> Answer:
    """Check the space that is left for state and transcripts."""
    free = shutil.disk_usage(home).free
    found = f"{_gib(free)} are free in {home}"
    if free < LEAST_DISK:
        return Verdict.WARN, found, "make room: an hour of speech may take 115 MB while it is worked on"
    return Verdict.OK, found, None


def locked(home: Path) -> Answer:
    """Check who works in the home: nobody is fine too."""
    held = lock.holder(home)
    if held is None:
        return Verdict.OK, "nobody is at work here", None
    return Verdict.OK, f"process {held.pid} is at work here, with the model {held.model}", None


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
