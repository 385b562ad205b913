"""The real command line with ears that tell tones apart: ``python -m tests.e2e.driver LOG SECONDS ARGUMENT…``.

Recordings are plain samples. LOG gets a line for each window heard; each call of the recogniser takes SECONDS, and
fails if a window holds the word that the variable POISON names. Each stretch takes DECODING seconds to decode. A
window that holds the word HOLD, or any if that is ``all``, waits: then there is a file LOG.held, and it goes on
once there is one LOG.go. While there is a file beside LOG that ends in .full, the disk is said to be.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from longscribe import cli, serving, wiring
from longscribe.core.settings import Settings
from longscribe.errors import NoSpace
from longscribe.ports import Decoded, RangeReader, WindowAudio
from tests.standins import LevelDetector, PcmMedia, ToneRecogniser, tones


class _Slow(PcmMedia):
    def _stretches(self, read: RangeReader, length: int, start: int) -> Iterator[Decoded]:
        for stretch in super()._stretches(read, length, start):
            time.sleep(float(os.environ.get("DECODING", "0")))
            yield stretch


def main() -> None:
    log, seconds = Path(sys.argv.pop(1)), float(sys.argv.pop(1))

    def before(windows: Sequence[WindowAudio]) -> None:
        _before(log, windows)
        if log.with_suffix(".full").exists():
            raise NoSpace("The disk is full; free some space.")

    def machine(settings: Settings) -> wiring.Machine:
        return wiring.Machine(
            media=_Slow(),
            detector=LevelDetector(),
            load_recogniser=lambda: ToneRecogniser(seconds=seconds, log=log, model=settings.model, before=before),
        )

    wiring.machine = machine
    wiring.media = PcmMedia
    serving.ROOM_SECONDS = 0.2
    cli.main()


def _before(log: Path, windows: Sequence[WindowAudio]) -> None:
    spoken = {word.text.strip() for window in windows for word in tones(window.samples)}
    poison, hold = os.environ.get("POISON"), os.environ.get("HOLD")
    if poison in spoken:
        raise RuntimeError(poison)
    if hold == "all" or hold in spoken:
        log.with_suffix(".held").touch()
        while not log.with_suffix(".go").exists():
            time.sleep(0.02)


if __name__ == "__main__":
    main()
