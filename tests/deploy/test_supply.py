"""What is shipped: each lock whole and hashed, listed as a bill of materials, FFmpeg's version looked at."""

import json
import re
import subprocess
import sys
from pathlib import Path

import av
import pytest

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
