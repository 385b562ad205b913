"""``make bundle``: each function with the shared package and its locked requirements, as a folder and as a zip.

The same input gives the same bytes: files in order, one fixed time, one mode. So a deployment that names a bundle
by its digest changes a function only when its code or its requirements did.
"""

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

from longscribe.adapters import silero

ROOT = Path(__file__).resolve().parents[1]
FUNCTIONS = ("chunker", "assembler", "reconciler")

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip can hold."""


def main() -> None:
    """Write ``build/functions/NAME/`` and ``build/functions/NAME.zip`` for each function."""
    out = ROOT / "build" / "functions"
    shutil.rmtree(out, ignore_errors=True)
    for name in FUNCTIONS:
        bundle(name, out / name)
        pack(out / name, out / f"{name}.zip")


def bundle(name: str, target: Path) -> None:
    """Put together one function's folder."""
    for path in sources(ROOT / "functions" / name):
        copy(path, target / path.relative_to(ROOT / "functions" / name))
    for path in sources(ROOT / "src" / "longscribe"):
        copy(path, target / path.relative_to(ROOT / "src"))
    copy(ROOT / "requirements" / "functions.txt", target / "requirements.txt")
    if name == "chunker":  # as data: the package that carries it would bring a speech model along
        copy(silero.locate(), target / "longscribe" / "adapters" / silero.MODEL)


def sources(folder: Path) -> Iterator[Path]:
    """Yield what is to be shipped of a folder."""
    yield from (
        path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix in (".py", ".toml", ".typed")
    )


def copy(source: Path, target: Path) -> None:
    """Copy one file, its folders made."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def pack(folder: Path, target: Path) -> None:
    """Zip a folder, the same bytes for the same files."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), EPOCH)
                entry.external_attr = 0o644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes())


if __name__ == "__main__":
    main()
