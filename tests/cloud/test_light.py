"""What the functions install and import holds no speech model."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"ctranslate2", "faster-whisper", "faster_whisper", "tokenizers", "torch"}
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["core", "functions"])
def test_no_speech_model_is_locked(name: str) -> None:
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    locked = {line.partition("==")[0] for line in lines if "==" in line and not line.startswith((" ", "#"))}
    assert {"msgspec", "av"} <= locked
    assert not locked & HEAVY


def test_no_speech_model_is_imported() -> None:
    script = (
        "import sys\nfrom longscribe import wiring_cloud\n"
        "from longscribe.services import assembling, chunking, reconciling\n"
        "print(*(name.partition('.')[0] for name in sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=120)
    assert "msgspec" in ran.stdout.split()
    assert not set(ran.stdout.split()) & HEAVY
