"""The model never waits for the stores: with each of their calls 100 ms slower it has its next windows at once."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from statistics import quantiles

import pytest

from longscribe import wiring
from longscribe.core.settings import Settings
from longscribe.embedded import Embedded
from longscribe.messages import WindowResult
from longscribe.ports import WindowAudio
from longscribe.wiring import LocalStores, local_stores
from tests.e2e.commands import tone_machine
from tests.standins import Slow, ToneRecogniser, spoken, words

DELAY = 0.1
"""Seconds added to each call of a store: some five times what a cloud's take."""

COUNT = 1600
"""Words: over twenty minutes, some 23 chunks of two windows."""


@dataclass
class Device(ToneRecogniser):
    """A model that takes its time, as they do: some for a call, and more for each window in it."""

    lanes: int = 1
    at_once: int = 1
    calls: list[tuple[float, float]] = field(default_factory=list)  #: when each began and ended

    def recognise(self, windows: Sequence[WindowAudio]) -> list[WindowResult]:
        began = time.monotonic()
        time.sleep(0.2 + 0.8 * len(windows))
        results = super().recognise(windows)
        self.calls.append((began, time.monotonic()))
        return results


def slow_stores(home: Path) -> LocalStores:
    stores = local_stores(home)
    return replace(stores, blobs=Slow(stores.blobs, DELAY), queue=Slow(stores.queue, DELAY))


def test_slow_stores_do_not_slow_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between a call's end and the next one's start there is less than one call of a store, nearly always.

    A loop that fetched, published or acknowledged in between would take that long each time, on any machine.
    """
    talk = tmp_path / "talk.pcm"
    talk.write_bytes(spoken(COUNT).tobytes())
    monkeypatch.setattr(wiring, "local_stores", slow_stores)
    device = Device()
    with Embedded(tmp_path / "home", Settings(language="en", chunk_seconds=56.0), tone_machine(device)) as work:
        job_id = work.submit(talk)
        work.start()
        while not work.jobs.job(job_id).state.ended:
            work.check()
            time.sleep(0.02)
        assert work.transcript(job_id).text.split() == words(COUNT)
    waits = [later - earlier for (_, earlier), (later, _) in pairwise(device.calls)]
    assert len(waits) >= 8
    assert quantiles(waits, n=10)[-1] < DELAY, f"seconds between calls: {[round(wait, 3) for wait in waits]}"
