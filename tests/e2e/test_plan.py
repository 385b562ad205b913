"""The plan is the recording's: not of how many processes decode it, nor of where a chunker died."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hibari import Hibari

from longscribe import wiring
from longscribe.adapters.media.av_media import AvMedia
from longscribe.core.limits import GRID
from longscribe.demo_text import PARAGRAPHS
from longscribe.messages import UploadEvent
from longscribe.ports import Decoded, RangeReader
from longscribe.stages.chunker import Chunked, chunk
from tests.hostile.recordings import encode
from tests.standins import Bench

RATE = 24_000


@pytest.fixture(scope="module", params=["clean", "noisy"])
def speech(request: pytest.FixtureRequest) -> bytes:
    """Synthetic speech with pauses, long enough for three decoded stretches and a part of one.

    The noisy one is clean for a minute and a half; then white noise sets in, loud enough for the second detector.
    """
    voice = Hibari()
    said = [np.append(voice(paragraph), np.zeros(3 * RATE, np.float32)) for paragraph in PARAGRAPHS]
    samples = np.concatenate(said * 2)
    assert len(samples) / RATE > 2 * GRID / 16_000
    if request.param == "noisy":
        samples[90 * RATE :] += np.random.default_rng(1).normal(0, 0.03, len(samples) - 90 * RATE)
    return encode((samples.clip(-1, 1) * 32_767).astype(np.int16), "ipod", "aac", RATE)


def planned(bench: Bench, event: UploadEvent, media: AvMedia) -> list[Any]:
    """Chunk ``event`` and return all that was planned, with the audio's bytes."""
    ports = bench.chunker(media=media, detector=wiring.detector())
    assert chunk(event, ports) is Chunked.SEALED
    chunks = [
        (one.task.windows, one.task.speech, one.silences, one.missing, one.judged, bench.blobs.read(one.task.audio))
        for one in bench.chunks(event)
    ]
    return [bench.job(event).seal, *chunks]


def bench_in(home: Path) -> Bench:
    home.mkdir()
    return Bench(home)


def test_the_plan_does_not_depend_on_how_many_decode(tmp_path: Path, speech: bytes) -> None:
    plans = []
    for workers in (1, 2, 4):
        bench = bench_in(tmp_path / str(workers))
        plans.append(planned(bench, bench.upload(speech, "talk.m4a"), AvMedia(workers)))
        bench.close()
    assert len(plans[0]) > 20
    seal, *chunks = plans[0]
    judges = {one.detector for chunk in [*(chunk[4] for chunk in chunks), seal.judged] for one in chunk}
    assert judges == {"webrtcvad-1", "silero-v6"}
    assert plans[0] == plans[1] == plans[2]


class Dying(AvMedia):
    """Decodes so many stretches, and no more."""

    def __init__(self, stretches: int) -> None:
        super().__init__(2)
        self._left = stretches

    @contextmanager
    def decode(self, read: RangeReader, size: int, start: int = 0) -> Iterator[Iterator[Decoded]]:
        with super().decode(read, size, start) as stretches:
            yield self._until_death(stretches)

    def _until_death(self, stretches: Iterator[Decoded]) -> Iterator[Decoded]:
        yield from islice(stretches, self._left)
        raise ConnectionError("the store went away")


@pytest.mark.parametrize("stretches", [2, 3])
def test_the_plan_does_not_depend_on_where_a_chunker_died(tmp_path: Path, speech: bytes, stretches: int) -> None:
    whole, resumed = bench_in(tmp_path / "whole"), bench_in(tmp_path / "resumed")
    expected = planned(whole, whole.upload(speech, "talk.m4a"), AvMedia(2))
    event = resumed.upload(speech, "talk.m4a")
    with pytest.raises(ConnectionError):
        planned(resumed, event, Dying(stretches))
    written = len(resumed.chunks(event))
    assert 0 < written < len(expected) - 1
    assert planned(resumed, event, AvMedia(1)) == expected
    whole.close()
    resumed.close()
