"""Every bug still has its place, and the tests bite."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bugs.bugs import BUGS, Bug
from tests.bugs.planting import ROOT, Tree, hunt
from tests.tiers import units

QUICK = Bug("", "core/ids.py", '"""', '"""', ("tests/unit/test_ids.py",))


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_has_its_place(bug: Bug) -> None:
    source = (ROOT / "src" / "longscribe" / bug.file).read_text(encoding="utf-8")
    compile(bug.planted(source), bug.file, "exec")
    assert bug.old != bug.new
    assert all((ROOT / tests).exists() for tests in bug.tests)


def test_no_two_are_the_same() -> None:
    assert len({bug.name for bug in BUGS}) == len({(bug.file, bug.old) for bug in BUGS}) == len(BUGS) == 25


def test_each_is_caught(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """One of them as a rule; ``make prove`` and ``make bugs`` take all."""
    for bug in [BUGS[number] for number in units(1)]:
        caught = hunt(bug, Tree(tmp_path / "tree"))
        record_property(f"caught by {caught.suite}" if caught else "survived", 1)
        assert caught, f"it survived: {bug.name}"


def test_what_no_test_notices_survives(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    whole = (ROOT / "src/longscribe/core/ids.py").read_text(encoding="utf-8")
    harmless = replace(QUICK, old=whole[-40:], new=f"{whole[-40:]}\n# nothing\n")
    assert hunt(harmless, tree, suites=()) is None
    assert (tree.home / "src/longscribe/core/ids.py").read_text(encoding="utf-8") == whole, "it is taken out again"


def test_what_crashes_at_once_is_no_bug(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="crashes at once"):
        hunt(replace(QUICK, old="import hashlib\n", new="import nothing_of_the_kind\n"), Tree(tmp_path), suites=())


def test_a_test_that_fails_anyway_has_caught_nothing(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    (tree.home / "tests/unit/test_ids.py").write_text("def test_it():\n    assert False\n")
    with pytest.raises(RuntimeError, match="fail without the bug too"):
        hunt(replace(QUICK, old="import hashlib\n", new="import hashlib  # noqa\n"), tree, suites=())
