"""Runs the command line in processes of its own."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from longscribe import wiring
from longscribe.ports import Media
from tests.canaries import CANARIES
from tests.standins import LevelDetector, PcmMedia, ToneRecogniser

ROOT = Path(__file__).parents[2]


def tone_machine(recogniser: ToneRecogniser | None = None, media: Media | None = None) -> wiring.Machine:
    """A machine whose recordings are plain samples, unless another way to decode is given."""
    return wiring.Machine(media or PcmMedia(), LevelDetector(), lambda: recogniser or ToneRecogniser())


def with_tones(log: Path, seconds: float, *arguments: object) -> list[str]:
    """The command with stand-ins for what is slow or clever."""
    return [sys.executable, "-m", "tests.e2e.driver", str(log), str(seconds), *map(str, arguments)]


class Command(subprocess.Popen[str]):
    """One whose stderr is listened to."""

    def communicate(self, input: str | None = None, timeout: float | None = None) -> tuple[str, str]:  # noqa: A002
        stdout, stderr = super().communicate(input, timeout)
        CANARIES.hear(stderr or "")
        return stdout, stderr


def start(command: list[str], **options: Any) -> Command:
    # A background job ignores Ctrl-C, and so would what it starts: here it counts, however the tests were started.
    return Command(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # it takes no lock
        **options,
    )


def run(command: list[str], **options: Any) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, **options)
    CANARIES.hear(done.stderr)
    return done


def transcripts(out: Path, stem: str) -> dict[str, str]:
    """What makes two transcripts the same: TXT, SRT, VTT, and the JSON without ``provenance`` and ``receipt``."""
    written = {kind: (out / f"{stem}.{kind}").read_text(encoding="utf-8") for kind in ("txt", "srt", "vtt")}
    document = json.loads((out / f"{stem}.json").read_text(encoding="utf-8"))
    del document["provenance"], document["receipt"]
    return {**written, "json": json.dumps(document)}


def sentences(stderr: str) -> list[str]:
    """The lines of an error message that are not empty."""
    return [line for line in stderr.splitlines() if line.strip()]
