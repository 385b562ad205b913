"""The real command line with ears that tell tones apart: ``python -m tests.e2e.driver LOG SECONDS ARGUMENT…``.

Recordings are plain samples. LOG gets a line for each window heard; each call of the recogniser takes SECONDS.
While there is a file beside it that ends in .full, the disk is said to be.
"""

import sys
from pathlib import Path

from longscribe import cli, serving, wiring
from longscribe.core.settings import Settings
from longscribe.errors import NoSpace
from tests.standins import LevelDetector, PcmMedia, ToneRecogniser


def main() -> None:
    log, seconds = Path(sys.argv.pop(1)), float(sys.argv.pop(1))

    def before(_: object) -> None:
        if log.with_suffix(".full").exists():
            raise NoSpace("The disk is full; free some space.")

    def machine(settings: Settings) -> wiring.Machine:
        return wiring.Machine(
            media=PcmMedia(),
            detector=LevelDetector(),
            load_recogniser=lambda: ToneRecogniser(seconds=seconds, log=log, model=settings.model, before=before),
        )

    wiring.machine = machine
    serving.ROOM_SECONDS = 0.2
    cli.main()


if __name__ == "__main__":
    main()
