"""The README says what the measurements and the command line say."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec

from benchmarks import damage, passages
from benchmarks.report import END, FIGURES, START, report
from longscribe.core.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_figures_are_those_that_were_measured() -> None:
    section = README.partition(START)[2].partition(END)[0]
    assert section == report(), "python -m benchmarks.report"


def test_every_figure_says_when_it_was_taken() -> None:
    heads = re.findall(r"^(\*\*.*)", report(), re.M)
    assert len(heads) > 5
    assert [head for head in heads if not re.match(r"\*\*[^*]+\*\* \(20\d\d-\d\d-\d\d\)", head)] == []


def test_the_table_of_damage_is_what_was_measured() -> None:
    page = damage.PAGE.read_text(encoding="utf-8")
    section = page.partition(damage.START)[2].partition(damage.END)[0]
    assert section == damage.report(), "python -m benchmarks.damage"


def test_the_page_of_passages_says_what_was_measured() -> None:
    path = FIGURES / "passages.md"
    assert path.read_text(encoding="utf-8") == passages.page(json.loads(path.with_suffix(".json").read_text()))


def options(command: str) -> set[str]:
    shown = subprocess.run(
        [Path(sys.executable).with_name("longscribe"), command, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    found = set(re.findall(r"--[a-z][a-z-]+", shown.stdout)) - {"--help", "--out"}
    assert found
    return found


def test_every_option_of_the_command_is_in_the_readme() -> None:
    assert {option for option in options("transcribe") if f"`{option}" not in README} == set()


def test_every_option_of_the_service_is_explained() -> None:
    shared = options("transcribe")
    guide = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")
    assert {option for option in options("serve") - shared if f"`{option}" not in guide} == set()
    assert shared - options("serve") == {"--force"}


def test_every_setting_of_a_recording_is_in_the_readme() -> None:
    table = README.partition("| key | value |")[2].partition("\n\n")[0]
    keys = {key for row in table.splitlines()[2:] for key in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert keys == {field.name for field in msgspec.structs.fields(Settings)}


def test_every_folder_of_the_map_is_there() -> None:
    table = README.partition("| folder | holds |")[2].partition("\n\n")[0]
    folders = re.findall(r"^\| `([^`]+)`", table, re.M)
    assert len(folders) > 5
    assert [folder for folder in folders if not (ROOT / folder).is_dir()] == []


def test_linked_pages_exist() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link.partition("#")[0]).exists()] == []
