"""Files that mean harm: each is classified in time, in little memory, and reaches nothing."""

import socket
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import pytest

from tests.hostile.crafted import foreign, matroska, mp4, ogg, playlists, raw
from tests.hostile.examining import CLASSIFIED_SECONDS, MEMORY_BYTES, Examined, Outcome, examine
from tests.hostile.mutated import KINDS, mutated
from tests.hostile.traps import Set
from tests.tiers import proving, units

Record = Callable[[str, object], None]

NO_RECORDINGS = {**playlists.FILES, **foreign.FILES}
CRAFTED = dict(
    chain(NO_RECORDINGS.items(), raw.FILES.items(), mp4.FILES.items(), ogg.FILES.items(), matroska.FILES.items())
)
THIRD = 3
"""One in so many of those of which nothing special is expected is in the short tier: each takes two processes."""

HEARD = {
    "wav of 2^32 bytes",
    "flac with 50,000 blocks",
    "mp3 with a tag squeezed a thousandfold",
    "mp3 with tags in tags",
    "mp3 with 20,000 tags",
    "mp3 that is all sync",
    "mp3 that is nearly all headers",
    "mp4 of 100,000 empty boxes",
    "mp4 of 1,000 tracks",
    "mp4 of metadata 5,000 deep",
    "mp4 whose sound lies in a file",
    "mov squeezed a thousandfold",
    "mkv of 100,000 voids",
    "mkv of unknown sizes",
    "mkv of 500 tracks",
    "mkv that jumps by six hours",
    "opus of pages that repeat",
}
"""What holds sound all the same, which nothing may keep from being heard."""

NAMED = {
    "opus of 500 chained streams": "another recording is joined",
    "mp4 of 1,000 movies": "another recording is joined",
    "mp4 joined to one of 2^31 s": "another recording is joined",
    "mkv that jumps by six hours": "no readable audio",
    "mkv that jumps by 47 hours": "no readable audio",
    "mkv of 1,000 gaps": "no readable audio",
    "mp4 with 100,000 edits of the whole": "over and over",
    "mp4 that says the same 4,000 times": "over and over",
    "mkv that jumps by 49 hours": "lasts 176,4",
    "flac of 2^36 samples": "lasts 1,558,26",
    "wav of 1,000 channels": "channels",
    "mkv of 1 Hz": "claims 1 samples a second",
    "mp4 that is encrypted": "Nothing in the recording can be decoded",
    "mp4 of moving pictures": "no audio stream",
    "mp4 of a cover": "no audio stream",
}
"""What a refusal, or the reason for what is missing, has to say."""


SHORT = [name for at, name in enumerate(CRAFTED) if at % THIRD == 0 or name in HEARD or name in NAMED]


@pytest.fixture(scope="module")
def traps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Set]:
    made = Set(tmp_path_factory.mktemp("traps"))
    yield made
    made.close()


def classified(data: bytes, traps: Set, record: Record) -> Examined:
    """Examine a file, check what it cost, and tell the proof."""
    traps.sprung()
    found = examine(data)
    assert traps.sprung() == []
    assert found.seconds < CLASSIFIED_SECONDS
    assert found.memory < MEMORY_BYTES
    record(found.outcome.value, 1)
    record("most seconds for a file", found.seconds)
    record("most MB of the media children", found.memory / 1e6)
    return found


def test_the_traps_spring(traps: Set) -> None:
    assert traps.sprung() == []
    socket.create_connection(("127.0.0.1", traps.traps.port)).close()
    Path(traps.traps.text).read_bytes()
    connected, opened = traps.sprung()
    assert connected.startswith("connection")
    assert opened == "opening of secret.txt"


@pytest.mark.parametrize("name", [*CRAFTED] if proving() else SHORT)
def test_crafted_files(name: str, traps: Set, record_property: Record) -> None:
    found = classified(CRAFTED[name](traps.traps), traps, record_property)
    if name in NO_RECORDINGS:
        assert found.outcome is Outcome.REFUSED
    assert found.heard or name not in HEARD
    assert NAMED.get(name, "") in found.told


def test_what_is_expected_is_of_files_that_are_made() -> None:
    assert HEARD | set(NAMED) <= set(CRAFTED)
    assert len(KINDS) >= 8


@pytest.mark.parametrize("number", units(100))
def test_mutated_files(number: int, traps: Set, record_property: Record) -> None:
    classified(mutated(number), traps, record_property)
