"""The plan is the recording's: not of how many processes decode it, nor of where a chunker died."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hibari import Hibari

from longscribe.adapters.media.av_media import AvMedia
from longscribe.adapters.speech import WebRtcDetector
from longscribe.core.limits import GRID
from longscribe.demo_text import PARAGRAPHS
from longscribe.messages import UploadEvent
from longscribe.stages.chunker import Chunked, chunk
from tests.hostile.recordings import encode
from tests.standins import Bench

RATE = 24_000


@pytest.fixture(scope="module")
def speech() -> bytes:
    """Synthetic speech with pauses, long enough for three decoded stretches and a part of one."""
    voice = Hibari()
    said = [np.append(voice(paragraph), np.zeros(RATE, np.float32)) for paragraph in PARAGRAPHS]
    samples = (np.concatenate(said * 2) * 32_767).astype(np.int16)
    assert len(samples) / RATE > 2 * GRID / 16_000
    return encode(samples, "ipod", "aac", RATE)


def planned(bench: Bench, event: UploadEvent, workers: int) -> list[Any]:
    """Chunk ``event`` and return all that was planned, with the audio's bytes."""
    ports = bench.chunker(media=AvMedia(workers), detector=WebRtcDetector())
    assert chunk(event, ports) is Chunked.SEALED
    chunks = [
        (one.task.windows, one.task.speech, one.silences, one.missing, bench.blobs.read(one.task.audio))
        for one in bench.chunks(event)
    ]
    return [bench.job(event).seal, *chunks]


def test_the_plan_does_not_depend_on_how_many_decode(tmp_path: Path, speech: bytes) -> None:
    plans = []
    for workers in (1, 2, 4):
        home = tmp_path / str(workers)
        home.mkdir()
        bench = Bench(home)
        plans.append(planned(bench, bench.upload(speech, "talk.m4a"), workers))
        bench.close()
    assert len(plans[0]) > 20
    assert plans[0] == plans[1] == plans[2]
