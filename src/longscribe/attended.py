"""Cutting a recording can take minutes: here it is asked on the way whether anybody still wants it."""

from collections.abc import Callable

from longscribe.ports import Heard, Samples, SpeechDetector


class Unwanted(Exception):
    """Nobody wants the recording any more: the work is to stop, or its job was ended."""


class Attended:
    """A speech detector that asks before each stretch whether the recording is still wanted. Raises `Unwanted`."""

    def __init__(self, detector: SpeechDetector, wanted: Callable[[], bool]) -> None:
        self.name = detector.name
        self._detector = detector
        self._wanted = wanted

    def detect(self, samples: Samples, lead: int) -> Heard:
        """Return the detector's verdicts."""
        if not self._wanted():
            raise Unwanted
        return self._detector.detect(samples, lead)
