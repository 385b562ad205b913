"""``make demo``: transcribe a recording end to end, one's own or speech made on the spot, and score the latter.

The demo's speech is synthetic: a text of this project's own, spoken by the text-to-speech package hibari, with
pauses of several lengths between its paragraphs.
"""

import argparse
import subprocess
import sys
import time
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

from longscribe.demo_text import PARAGRAPHS, PAUSES

OUT = Path("demo")
MOST_ERRORS = 0.10
"""The word error rate above which the demo fails."""


def main() -> int:
    """Run the demo; return the exit code."""
    parser = argparse.ArgumentParser(prog="make demo")
    parser.add_argument("file", nargs="?", type=Path, help="a recording of your own")
    file: Path | None = parser.parse_args().file
    OUT.mkdir(exist_ok=True)
    recording = file or OUT / "synthetic.wav"
    if file is None:
        seconds = _speak(recording)
        _say(f"Made {seconds / 60:.1f} minutes of synthetic speech with pauses: {recording}")
    began = time.monotonic()
    command = [Path(sys.executable).with_name("longscribe"), "transcribe", recording, "--out", OUT, "--force"]
    language = ["--language", "en"] if file is None else []
    code = subprocess.run([*map(str, command), *language], check=False).returncode
    text = OUT / f"{recording.stem}.txt"
    if code not in (0, 3) or not text.exists():
        return code or 1
    _say(f"\n{text.read_text(encoding='utf-8')}")
    _say(f"Done in {time.monotonic() - began:.0f} s. The words alone: {text}; beside it .srt, .vtt and .json.")
    return code if file is not None else _score(text.read_text(encoding="utf-8"))


def _speak(path: Path) -> float:
    """Write the demo's text as speech; return its length in seconds."""
    from hibari import Hibari

    voice = Hibari()
    parts: list[npt.NDArray[np.float32]] = []
    for paragraph, pause in zip(PARAGRAPHS, PAUSES, strict=True):
        parts += [voice(paragraph), np.zeros(int(pause * voice.sample_rate), np.float32)]
    samples = np.concatenate(parts)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(voice.sample_rate)
        file.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return float(len(samples) / voice.sample_rate)


def _score(text: str) -> int:
    """Print the word error rate against the text that was spoken; return 1 if it is too high."""
    import jiwer
    from whisper_normalizer.english import EnglishTextNormalizer

    plain = EnglishTextNormalizer()
    rate = jiwer.wer(plain(" ".join(PARAGRAPHS)), plain(text))
    _say(f"Word error rate against the text that was spoken: {rate:.1%} (at most {MOST_ERRORS:.0%} is asked for).")
    return 0 if rate <= MOST_ERRORS else 1


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
