"""How long a worker takes to load its model: from the disk, and from a cache in memory that its node shares.

    python -m benchmarks.loading [--model base] [--cache /dev/shm/longscribe-models] [--rounds 3] [--json OUT.json]

Every row is a fresh process each time; medians count. *Cold* means that the system kept no file of the model in
memory (dropping them takes root, else those rows are left out): a node that has just pulled the image may be so or
so. The first process of a node copies the model into the cache, the second finds it there.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.figures import keep
from longscribe.adapters.models import locate

DROP = Path("/proc/sys/vm/drop_caches")

PROCESS = """
import sys, time
from pathlib import Path
from longscribe.adapters.memory import keep_memory
from longscribe.adapters.model_cache import shared
from longscribe.adapters.whisper import Whisper
keep_memory()
path, cache = Path(sys.argv[1]), sys.argv[2]
began = time.perf_counter()
if cache:
    path = shared(path, Path(cache))
copied = time.perf_counter()
whisper = Whisper(path, path.name)
loaded = time.perf_counter()
whisper.warm_up()
print(copied - began, loaded - copied, time.perf_counter() - loaded)
"""


def drop() -> None:
    """Have the system forget the files it keeps in memory."""
    os.sync()
    DROP.write_text("3\n")


def started(model: Path, cache: Path | None) -> list[float]:
    """Return the seconds of a fresh process for copying, loading and warming up."""
    command = [sys.executable, "-c", PROCESS, str(model), "" if cache is None else str(cache)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [float(part) for part in done.stdout.split()]


def measure(model: Path, cache: Path, rounds: int) -> list[dict[str, Any]]:
    """Return a row for each way to load."""

    def disk() -> list[float]:
        return started(model, None)

    def first() -> list[float]:
        shutil.rmtree(cache, ignore_errors=True)
        return started(model, cache)

    def second() -> list[float]:
        return started(model, cache)

    ways: list[tuple[str, bool, Callable[[], list[float]]]] = [
        ("disk, cold", True, disk),
        ("disk", False, disk),
        ("cache, first process, cold", True, first),
        ("cache, first process", False, first),
        ("cache, second process", False, second),
    ]
    taken: dict[str, list[list[float]]] = {}
    for _ in range(rounds):
        for name, cold, way in ways:
            if cold and not os.access(DROP, os.W_OK):
                continue
            if cold:
                drop()
            taken.setdefault(name, []).append(way())
    rows = []
    for name, runs in taken.items():
        copy, load, warm = (round(statistics.median(parts), 2) for parts in zip(*runs, strict=True))
        rows.append({"name": name, "copy": copy, "load": load, "warm_up": warm})
    return rows


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="base")
    parser.add_argument("--cache", type=Path, default=Path("/dev/shm/longscribe-models"))  # noqa: S108 -- shared memory
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.cache.exists():
        sys.exit(f"{options.cache} is there already; name a cache that nobody uses.")
    began = time.perf_counter()
    model = locate(options.model, Path(tempfile.gettempdir()) / "longscribe-models")
    megabytes = round(sum(file.stat().st_size for file in model.iterdir()) / 1e6)
    print(f"{options.model}, {megabytes} MB, ready after {time.perf_counter() - began:.1f} s")
    try:
        rows = measure(model, options.cache, options.rounds)
    finally:
        shutil.rmtree(options.cache, ignore_errors=True)
    print("| from | copy s | load s | warm up s |\n|---|---|---|---|")
    for row in rows:
        print(f"| {row['name']} | {row['copy']} | {row['load']} | {row['warm_up']} |")
    if options.json:
        figures = {"model": options.model, "megabytes": megabytes, "rows": rows}
        keep(options.json, figures)


if __name__ == "__main__":
    main()
