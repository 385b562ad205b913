"""The real command line with ears that tell tones apart: ``python -m tests.e2e.driver LOG SECONDS ARGUMENT…``.

Recordings are plain samples. LOG gets a line for each window heard; each call of the recogniser takes SECONDS.
"""

import sys
from pathlib import Path

from longscribe import cli, wiring
from longscribe.core.settings import Settings
from tests.standins import LevelDetector, PcmMedia, ToneRecogniser


def main() -> None:
    log, seconds = Path(sys.argv.pop(1)), float(sys.argv.pop(1))

    def machine(settings: Settings) -> wiring.Machine:
        return wiring.Machine(
            media=PcmMedia(),
            detector=LevelDetector(),
            load_recogniser=lambda: ToneRecogniser(seconds=seconds, log=log, model=settings.model),
        )

    wiring.machine = machine
    wiring.media = PcmMedia
    cli.main()


if __name__ == "__main__":
    main()
