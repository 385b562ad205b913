"""Other people's programs beside which ours is measured, in an environment of their own."""

import sys
from pathlib import Path

ENVIRONMENT = Path(__file__).parent.parent / ".venv" / "peers"


def peer(name: str) -> Path:
    """Return a program's path. Exits with a sentence if it is not installed."""
    if name == "ffmpeg":
        found = next(ENVIRONMENT.glob("lib/*/site-packages/imageio_ffmpeg/binaries/ffmpeg-*"), None)
    else:
        found = next(ENVIRONMENT.glob(f"bin/{name}"), None)
    if found is None:
        sys.exit(f"{name} is not installed here; run `make .venv/peers.stamp`.")
    return found
