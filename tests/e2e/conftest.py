"""What the end-to-end tests share."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from longscribe import cli, watching, wiring
from longscribe.core.settings import Settings
from tests.canaries import CANARIES
from tests.e2e.commands import tone_machine
from tests.standins import PcmMedia, ToneRecogniser


@dataclass
class Finished:
    """What a command said and returned."""

    code: int
    stderr: str
    stdout: str


Command = Callable[..., Finished]


@pytest.fixture
def recogniser() -> ToneRecogniser:
    return ToneRecogniser()


@pytest.fixture
def tones(monkeypatch: pytest.MonkeyPatch, recogniser: ToneRecogniser) -> None:
    """Recordings are plain samples, and are heard by the stand-in."""

    def machine(settings: Settings, *_: object) -> wiring.Machine:
        recogniser.model = settings.model
        return tone_machine(recogniser)

    monkeypatch.setattr(wiring, "machine", machine)
    monkeypatch.setattr(wiring, "media", PcmMedia)


@pytest.fixture
def longscribe(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line, in this process."""
    monkeypatch.setattr(watching, "POLL_SECONDS", 0.02)

    def run(*arguments: object) -> Finished:
        monkeypatch.setattr("sys.argv", ["longscribe", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        CANARIES.hear(said.err)
        return Finished(int(ended.value.code or 0), said.err, said.out)

    return run


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where models are put together, once for all tests."""
    return tmp_path_factory.mktemp("models")
