"""What nobody may log fails the test that logs it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.canaries import SAID, Canaries, Line
from tests.standins import TONES, word
from tests.voices import SENTENCES

ROOT = Path(__file__).parents[2]
LEAKING = """
import logging
import time

import pytest

from longscribe.errors import BadInput
from longscribe.observe import Log
from tests.canaries import CANARIES


def test_a_message() -> None:
    Log("worker", time.time)("It said w012")


def test_an_error_in_a_message() -> None:
    try:
        raise BadInput("Unknown language 'canarylang'.")
    except BadInput as error:
        Log("worker", time.time).failure(f"It failed: {error}", error)


def test_a_library() -> None:
    try:
        raise ValueError("canaryname.flac")
    except ValueError:
        logging.getLogger("some.library").exception("it failed")


def test_a_console() -> None:
    CANARIES.hear("canaryname.flac: taken\\\\nit said w339 there")


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory):
    with (tmp_path_factory.mktemp("service") / "log").open("wb") as log:
        CANARIES.follow(log)
        yield log
        log.write(b"and at its very end canaryterm\\\\n")


def test_a_service(log) -> None:
    log.write(b"one line\\\\nand canaryname\\\\n")
    log.flush()


def test_that_is_clean(log) -> None:
    log.write(b"nothing of the kind\\\\n")
    log.flush()
    CANARIES.hear("canaryname.flac: taken")
    Log("worker", time.time)("A chunk was heard", job="w0", chunk=12, worker="w1234")
"""
"""Every way to log what may not be."""


def test_every_leak_is_found_and_named(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_configure\n")
    (tmp_path / "test_leaking.py").write_text(LEAKING.replace("\\\\n", "\\n"))
    options = ["-q", "-p", "no:cacheprovider", "-c", ROOT / "pyproject.toml"]
    command = [sys.executable, "-m", "pytest", *options, tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout
    for leak in (
        "log: 'w012' in",
        "log: 'canary' in",
        "logger some.library: 'canary' in ValueError: canaryname.flac",
        "stderr: 'w339' in it said w339 there",
        "printed: 'canary' in and canaryname",
        "printed: 'canary' in and at its very end canaryterm",
    ):
        assert leak in done.stdout, done.stdout
    assert re.findall(r"^ERROR .*::(\w+)", done.stdout, re.MULTILINE) == [
        "test_a_message",
        "test_an_error_in_a_message",
        "test_a_library",
        "test_a_console",
        "test_a_service",
        "test_that_is_clean",  # the last one: it ends the service
    ]
    assert "6 passed, 6 errors" in done.stdout


def test_a_half_written_line_is_looked_at_when_it_is_whole(tmp_path: Path) -> None:
    canaries = Canaries()
    with (tmp_path / "log").open("wb", buffering=0) as log:
        canaries.follow(log)
        canaries.follow(log)
        log.write(b"nothing\nand w0")
        assert [line.canary for line in canaries.taken()] == [None]
        log.write(b"12\n")
        assert [line.canary for line in canaries.taken()] == ["w012"]
    assert (list(canaries.taken()), canaries.total) == ([], 2)


def test_whatever_is_said_in_tests_has_canaries() -> None:
    assert all(Line("", word(number), SAID).canary for number in range(TONES))
    assert sum(Line("", sentence, SAID).canary is not None for sentence in SENTENCES) == 3


@pytest.mark.parametrize("name", ["talk.pcm", "canaryname.flac", "Nairobi, kubectl", "interviews/b c.wav"])
def test_names_and_vocabulary_are_canaries_in_logs_and_not_on_consoles(name: str) -> None:
    assert Line("", f"taken: {name}").canary
    assert not Line("", f"taken: {name}", SAID).canary
