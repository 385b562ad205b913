"""Hours-long recordings into complete, ordered, timed transcripts.

::

    from longscribe import transcribe

    transcript = transcribe("talk.mp3", language="en")
    print(transcript.text)

See `transcribe` and `stream`; what they raise is in `longscribe.errors`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from longscribe.api import stream, transcribe
    from longscribe.core.settings import Settings
    from longscribe.core.transcript import Coverage, Segment, TimedWord, Transcript

__all__ = ["Coverage", "Segment", "Settings", "TimedWord", "Transcript", "stream", "transcribe"]

__version__ = "0.1.0"

_HOMES = {
    "longscribe.api": ("stream", "transcribe"),
    "longscribe.core.settings": ("Settings",),
    "longscribe.core.transcript": ("Coverage", "Segment", "TimedWord", "Transcript"),
}


def __getattr__(name: str) -> Any:
    # Loaded when asked for: the processes that decode media import this package too, and must stay small.
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
