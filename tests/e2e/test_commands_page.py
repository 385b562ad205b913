"""The page of the operator's commands, and their help: every example runs, every member is told of."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer

from longscribe import cli, wiring
from longscribe.cli.operate import WatchedEnd, WatchedSegment
from longscribe.cli.rerun import DeadLetters, Ended, Replayed
from longscribe.cli.seek_preview import SeekPreview
from longscribe.core.differing import Hunk
from longscribe.documents import JobState
from longscribe.operating import accounts, comparing, dead_letters, doctor, ending, ports, status
from longscribe.planning import constants, estimate
from tests.e2e.conftest import Command
from tests.standins import spoken

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")

STRUCTS: list[type[msgspec.Struct]] = [
    status.Overview,
    status.JobSummary,
    status.JobStatus,
    status.Blocker,
    status.Stretch,
    ports.Worker,
    WatchedSegment,
    WatchedEnd,
    Ended,
    comparing.Comparison,
    Hunk,
    DeadLetters,
    dead_letters.DeadLetter,
    Replayed,
    ending.Cancelled,
    ending.Deleted,
    doctor.Report,
    doctor.Finding,
    SeekPreview,
    accounts.JobReceipt,
    estimate.Plan,
    estimate.Range,
    estimate.PricedBy,
    constants.Constant,
]

ANSWERS: dict[str, type[msgspec.Struct]] = {
    "status": status.JobStatus,
    "rerun": Ended,
    "diff": comparing.Comparison,
    "dead-letters": DeadLetters,
    "cancel": ending.Cancelled,
    "delete": ending.Deleted,
    "doctor": doctor.Report,
    "receipt": accounts.JobReceipt,
}
"""What each command writes with ``--json``: `status` for one job, `dead-letters` without ``--replay``."""


def section(kind: type) -> str:
    found = re.search(rf"^### {kind.__name__}\n.*?(?=^#|\Z)", PAGE, re.M | re.S)
    assert found, f"docs/commands.md has no section {kind.__name__}"
    return found.group()


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__name__)
def test_the_page_tells_of_every_member_and_its_type(kind: type[msgspec.Struct]) -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([a-z ]+) \|", section(kind), re.M)
    fields = msgspec.structs.fields(kind)
    inherited = (
        {field.name for field in msgspec.structs.fields(status.JobSummary)} if kind is status.JobStatus else set()
    )
    assert [name for name, _ in rows] == [field.name for field in fields if field.name not in inherited]
    properties = _properties(kind)
    for name, told in rows:
        assert sorted(told.replace(" of strings", "").replace(" of integers", "").split(" or ")) == sorted(
            properties[name]
        ), name


def _properties(kind: type[msgspec.Struct]) -> dict[str, list[str]]:
    _, components = msgspec.json.schema_components([kind])
    return {name: _kinds(found, components) for name, found in components[kind.__name__]["properties"].items()}


def _kinds(found: dict[str, Any], components: dict[str, Any]) -> list[str]:
    if "$ref" in found:
        return _kinds(components[found["$ref"].rsplit("/", 1)[1]], components)
    if "anyOf" in found:
        return [kind for each in found["anyOf"] for kind in _kinds(each, components)]
    return [found.get("type", "string")]  # an enumeration has no type of its own


def commands() -> dict[str, typer.models.CommandInfo]:
    return {
        (each.name or each.callback.__name__).replace("_", "-"): each
        for each in cli.app.registered_commands
        if each.callback is not None
    }


def helped() -> Iterator[str]:
    for name, command in commands().items():
        assert command.epilog, f"{name} has no example"
        if name != "serve":  # it would run for ever; test_serve.py starts and stops it
            yield command.epilog.removeprefix("Example: ")


EXAMPLES = sorted(
    example
    for example in {*helped(), *re.findall(r"^longscribe .*$", PAGE, re.M)}
    if "--project" not in example  # tests/cloud/test_operator.py runs those
)


def test_every_command_is_on_the_page_and_answers_in_json() -> None:
    operators = set(commands()) - {"transcribe", "serve"}
    assert set(re.findall(r"^## ([a-z-]+)$", PAGE, re.M)) == operators
    assert operators - {"watch", "seek-preview", "plan"} == set(ANSWERS)


@pytest.fixture
def store(longscribe: Command, tones: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in which an interview was transcribed, and one chunk of it transcribed again."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "interview.m4a").write_bytes(spoken(60).tobytes())
    options = ("--language", "en", "--out", "transcripts", "--chunk-length", 10)
    assert longscribe("transcribe", "interview.m4a", *options).code == 0
    assert longscribe("rerun", "interview.m4a", "--chunk", 1, "--dir", "transcripts").code == 0
    return tmp_path / "transcripts"


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_runs(longscribe: Command, store: Path, example: str) -> None:
    name, *arguments = shlex.split(example)[1:]
    if name == "cancel":
        _reopen(store)
    done = longscribe(name, *arguments)
    assert (done.code, "Traceback" in done.stderr) == (0, False), done.stderr
    if name in ANSWERS and "--json" in arguments:
        all_jobs = name == "status" and "interview.m4a" not in arguments
        msgspec.json.decode(done.stdout, type=status.Overview if all_jobs else ANSWERS[name], strict=True)


def _reopen(store: Path) -> None:
    """Let the interview be under way, with nobody at work on it."""
    stores = wiring.local_stores(store / ".longscribe")
    (job,) = stores.jobs.jobs()
    stores.jobs.move(job.job_id, JobState.COMPLETE, JobState.TRANSCRIBING)
    stores.close()


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_what_is_written_for_programs_is_what_the_page_says(longscribe: Command, store: Path, name: str) -> None:
    job = [] if name in ("doctor", "dead-letters") else ["interview.m4a"]
    if name == "cancel":
        _reopen(store)
    done = longscribe(name, *job, *(["--yes"] if name == "delete" else []), "--dir", store, "--json")
    assert done.code == 0, done.stderr
    kind = ANSWERS[name]
    written = json.loads(done.stdout)
    assert set(written) == {field.name for field in msgspec.structs.fields(kind)}
    msgspec.json.decode(done.stdout, type=kind, strict=True)


@pytest.mark.parametrize("of", [("interview.m4a",), ("--hours", 0.5, "--spot")])
def test_what_plan_writes_for_programs_is_what_the_page_says(
    longscribe: Command, store: Path, of: tuple[object, ...]
) -> None:
    done = longscribe("plan", *of, "--json")
    assert done.code == 0, done.stderr
    assert set(json.loads(done.stdout)) == {field.name for field in msgspec.structs.fields(estimate.Plan)}
    msgspec.json.decode(done.stdout, type=estimate.Plan, strict=True)


def test_each_line_of_watch_is_what_the_page_says(longscribe: Command, store: Path) -> None:
    done = longscribe("watch", "interview.m4a", "--dir", store, "--json")
    *lines, end = done.stdout.splitlines()
    assert lines
    for line in lines:
        msgspec.json.decode(line, type=WatchedSegment, strict=True)
        assert set(json.loads(line)) == {field.name for field in msgspec.structs.fields(WatchedSegment)}
    assert msgspec.json.decode(end, type=WatchedEnd, strict=True).state is JobState.COMPLETE
