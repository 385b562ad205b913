"""Each function's bundle: the same bytes each time, and whole: it runs where nothing else is installed."""

import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from local_cloud import deployment, emulators
from local_cloud.deployment import ROOT, Functions, LocalCloud
from longscribe.documents import JobState
from tests.cloud.people import Person, speech
from tests.cloud.test_end_to_end import HASHING

BUILT = ROOT / "build" / "functions"
HEAVY = ("ctranslate2", "faster_whisper", "torch")


def bundled() -> dict[str, bytes]:
    subprocess.run([sys.executable, ROOT / "functions" / "bundle.py"], check=True)
    return {path.name: path.read_bytes() for path in sorted(BUILT.glob("*.zip"))}


def test_the_same_sources_give_the_same_bytes() -> None:
    first = bundled()
    assert set(first) == {"assembler.zip", "chunker.zip", "reconciler.zip"}
    (ROOT / "src" / "longscribe" / "messages.py").touch()
    assert bundled() == first


def test_a_bundle_has_the_prices() -> None:
    bundled()
    with ZipFile(BUILT / "assembler.zip") as archive:
        assert "longscribe/prices.toml" in archive.namelist()


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has what a bundle asks for and nothing else."""
    bundled()
    home = tmp_path_factory.mktemp("bare")
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    options = ["--quiet", "--disable-pip-version-check", "--require-hashes"]
    locked = BUILT / "chunker" / "requirements.txt"
    subprocess.run([python, "-m", "pip", "install", *options, "-r", locked], check=True)
    return python


def test_a_bundle_brings_no_speech_model(bare: Path) -> None:
    script = f"import importlib.util; print([name for name in {HEAVY!r} if importlib.util.find_spec(name)])"
    found = subprocess.run([bare, "-c", script], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


@pytest.fixture
def local(
    bare: Path, cloud: emulators.Emulators, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalCloud]:
    """A deployment whose functions run from their bundles."""
    source = Functions(BUILT, str(bare))
    with (tmp_path / "log").open("wb") as log:
        with deployment.running(cloud, log, {"LONGSCRIBE_MODEL": "base"}, workers=0, source=source) as made:
            for name, value in made.hosts.environment().items():
                monkeypatch.setenv(name, value)
            made.add_worker(HASHING).wait()
            yield made


def test_the_functions_work_from_their_bundles(local: LocalCloud) -> None:
    person = Person(local)
    assert person.ended(person.upload("talk.flac", speech(60))).state is JobState.COMPLETE
