"""What is shipped: each lock whole and hashed, listed as a bill of materials, FFmpeg's version looked at."""

import json
import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import av
import pytest
from packaging.requirements import Requirement

from deploy.plans import ROOT

LOCKS = sorted(path.stem for path in (ROOT / "requirements").glob("*.txt"))
SHIPPED = ("functions", "worker", "gpu")
"""The locks of what runs on Google Cloud."""

PINNED = r"^([a-z0-9][a-z0-9._-]*(?:\[[^]]*\])?)==(\S+)"


def locked(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    return dict(re.findall(PINNED, text, re.M))


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_has_its_hashes(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    entries = [entry for entry in re.split(r"\n(?=[a-z0-9])", text) if re.match(PINNED, entry)]
    assert len(entries) == len(locked(name)) > 0
    assert [entry for entry in entries if not re.search(r"--hash=sha256:[0-9a-f]{64}", entry)] == []
    assert "://" not in text
    # No other line, so nothing can hide in one.
    assert (
        re.sub(r"(?m)^(#.*|[a-z0-9][^ ]*==[^ ]+( ; [^\\]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?)\n", "", text)
        == ""
    )


def asked(name: str) -> list[Requirement]:
    """Return what `make lock` takes from pyproject.toml for a lock."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (options,) = re.findall(rf"^\t\$\(LOCK\) (.*) -o requirements/{name}\.txt$", makefile, re.M)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    group = re.fullmatch(r"--group pyproject\.toml:(\w+)", options)
    if group:
        return [Requirement(each) for each in project["dependency-groups"][group[1]]]
    extras = re.fullmatch(r"pyproject\.toml((?: --extra \w+)*)", options)
    assert extras
    parts = [
        project["project"]["optional-dependencies"][extra] for extra in re.findall(r"--extra (\w+)", extras[1])
    ]
    return [Requirement(each) for part in (project["project"]["dependencies"], *parts) for each in part]


@pytest.mark.parametrize("name", LOCKS)
def test_each_lock_holds_what_pyproject_asks_for(name: str) -> None:
    versions = {package.partition("[")[0]: version for package, version in locked(name).items()}
    wanted = asked(name)
    assert wanted
    assert [str(each) for each in wanted if not each.specifier.contains(versions.get(each.name, "0"))] == []


def test_every_lock_is_told_of() -> None:
    page = (ROOT / "requirements" / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| `([a-z]+)\.txt` \|", page, re.M)) == LOCKS


@pytest.mark.parametrize(("name", "beside"), [("operator", "demo"), ("gpu", "worker")])
def test_locks_that_share_an_environment_agree(name: str, beside: str) -> None:
    one, other = locked(name), locked(beside)
    assert {package: one[package] for package in one.keys() & other} == {
        package: other[package] for package in one.keys() & other
    }


def test_an_operators_lock_is_all_that_commands_on_google_cloud_take(tmp_path: Path) -> None:
    """Nobody is logged in here: that is as far as a command comes, with the clients of all services imported."""
    home = tmp_path / "bare"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    options = ["--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps"]
    lock = ROOT / "requirements" / "operator.txt"
    subprocess.run([python, "-m", "pip", "install", *options, "-r", lock], check=True)
    bare = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "NO_GCE_CHECK": "true",
        "PYTHONPATH": str(ROOT / "src"),
    }
    main = "from longscribe.cli import main; main()"
    for words in (["status"], ["watch", "talk.mp3"], ["doctor"]):
        done = subprocess.run(
            [python, "-c", main, *words, "--project", "p"], env=bare, capture_output=True, text=True, check=False
        )
        said = done.stdout + done.stderr
        assert "gcloud auth application-default login" in " ".join(said.split()), said
        assert (done.returncode, "Traceback" in said) == (1, False), said


@pytest.mark.parametrize("name", SHIPPED)
def test_the_bill_of_materials_is_the_lock_and_the_same_each_time(name: str, tmp_path: Path) -> None:
    made = []
    for number in (1, 2):
        out = tmp_path / f"{number}.json"
        tool = Path(sys.executable).with_name("cyclonedx-py")
        lock = ROOT / "requirements" / f"{name}.txt"
        command = [tool, "requirements", lock, "--output-reproducible", "--output-file", out]
        subprocess.run(command, check=True, capture_output=True)
        made.append(out.read_bytes())
    assert made[0] == made[1]
    bill = json.loads(made[0])
    assert bill["bomFormat"] == "CycloneDX"
    listed = {component["name"]: component["version"] for component in bill["components"]}
    assert listed == {package.partition("[")[0]: version for package, version in locked(name).items()}


@pytest.mark.parametrize("name", ["functions", "worker"])
def test_ffmpeg_is_past_its_critical_flaw(name: str) -> None:
    """CVE-2026-8461; no scanner of packages sees inside the wheel: so what is shipped is looked into here."""
    assert locked(name)["av"] == locked("dev")["av"] == av.__version__
    assert tuple(map(int, av.ffmpeg_version_info.lstrip("n").split("."))) >= (8, 1, 2)
    assert {library["license"] for library in av._core.library_meta.values()} == {"LGPL version 3 or later"}


def test_images_are_pinned() -> None:
    text = (ROOT / "gpu_service" / "Dockerfile").read_text(encoding="utf-8")
    (base,) = re.findall(r"^ARG PYTHON=(\S+)$", text, re.M)
    assert re.fullmatch(r"\d+\.\d+\.\d+-slim-[a-z]+(@sha256:[0-9a-f]{64})?", base)
    assert re.findall(r"^FROM ([a-z]+:\S+)", text, re.M) == ["python:${PYTHON}"]
