"""Puts a bug into a copy of the sources, and asks the tests, suite after suite, until one fails.

The copy runs in a virtual environment of its own, which borrows this one's packages: whatever a test starts, in
whatever environment, runs the copy's modules. A test counts as having caught the bug only if it passes without it.
"""

import json
import os
import shutil
import subprocess
import sysconfig
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bugs.bugs import Bug

ROOT = Path(__file__).parents[2]
SUITES = ("unit", "contract", "simulation", "hostile", "e2e", "cloud")
"""Folders of tests, in order of what they cost. Those of the deployment look at no Python."""

PASSED, FAILED = 0, 1
"""What pytest returns."""


@dataclass(frozen=True)
class Caught:
    """The first test that failed."""

    suite: str
    test: str  #: as pytest names it


class Tree:
    """A copy of what git knows of or would add, at ``home``."""

    def __init__(self, home: Path) -> None:
        self.home = home
        listed = subprocess.run(
            ["/usr/bin/env", "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            check=True,
            capture_output=True,
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (ROOT / name).exists():  # else it is deleted, and git does not know yet
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, home / name, follow_symlinks=False)
        self._bin = home / ".venv" / "bin"
        venv.create(home / ".venv", symlinks=True)
        (packages,) = (home / ".venv").glob("lib/python*/site-packages")
        borrowed = sysconfig.get_path("purelib")
        (packages / "copy.pth").write_text(f"{home / 'src'}\nimport site; site.addsitedir({borrowed!r})\n")
        command = self._bin / "longscribe"
        command.write_text(f"#!{self._bin / 'python'}\nfrom longscribe.cli import main\nmain()\n")
        command.chmod(0o755)

    @contextmanager
    def bug(self, bug: Bug) -> Iterator[None]:
        """Have the bug in the copy for a while. Raises `ValueError` if it has no place, or crashes at once."""
        path = self.home / "src" / "longscribe" / bug.file
        whole = path.read_text(encoding="utf-8")
        path.write_text(bug.planted(whole), encoding="utf-8")
        try:
            module = "longscribe." + bug.file.removesuffix(".py").replace("/", ".")
            shown = self._run("-c", f"import {module} as module; print(module.__file__)")
            if shown.stdout.split() != [str(path)]:
                raise ValueError(f"{bug.name!r} crashes at once: {shown.stderr.strip()[-300:]}")
            yield
        finally:
            path.write_text(whole, encoding="utf-8")

    def test(self, *arguments: str) -> tuple[int, list[str]]:
        """Run tests until one fails; return the code and what failed. Raises `RuntimeError` if none can run."""
        found = self.home / ".pytest_cache/v/cache/lastfailed"
        done = self._run("-m", "pytest", "-q", "-x", "--timeout=120", "--hypothesis-profile=hasty", *arguments)
        if done.returncode not in (PASSED, FAILED):
            raise RuntimeError(f"The tests {' '.join(arguments)} could not be run:\n{done.stdout[-3_000:]}")
        return done.returncode, list(json.loads(found.read_text())) if done.returncode == FAILED else []

    def _run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        # Neither a proof under way nor this very test run is the copy's business.
        variables = {
            name: value for name, value in os.environ.items() if not name.startswith(("LONGSCRIBE_PRO", "PYTEST"))
        }
        return subprocess.run(
            [self._bin / "python", *arguments],
            cwd=self.home,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )


def hunt(bug: Bug, tree: Tree, suites: Sequence[str] = SUITES) -> Caught | None:
    """Return what caught the bug; None if it survived the tests that ought to catch it, and then all ``suites``."""
    for tests in (*bug.tests, *(f"tests/{suite}" for suite in suites)):
        with tree.bug(bug):
            code, failed = tree.test(tests)
        if code == FAILED:
            # The very tests that failed must pass where there is no bug.
            again, _ = tree.test("--last-failed", "--last-failed-no-failures=none", tests)
            if again != PASSED:
                raise RuntimeError(f"{failed} fail without the bug too.")
            return Caught(tests.split("/")[1], failed[0])
    return None
