"""The model never waits for the stores: with each of their calls 100 ms slower a job takes hardly longer."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from statistics import fmean

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

PAIRS = 3

COUNT = 1600
"""Words: over twenty minutes, some 23 chunks of two windows."""


class Device(ToneRecogniser):
    """A model that takes its time, as they do: some for a call, and more for each window in it.

    It takes one call at a time, as on a GPU: with two, how the last calls fall together is a tenth by itself.
    """

    def recognise(self, windows: Sequence[WindowAudio]) -> list[WindowResult]:
        time.sleep(0.2 + 0.8 * len(windows))
        return super().recognise(windows)


def slow_stores(home: Path) -> LocalStores:
    stores = local_stores(home)
    return replace(stores, blobs=Slow(stores.blobs, DELAY), queue=Slow(stores.queue, DELAY))


def seconds(work: Embedded, talk: Path) -> float:
    """How long a job takes from its submission to its transcript."""
    began = time.monotonic()
    job_id = work.submit(talk)
    work.start()
    while not work.jobs.job(job_id).state.ended:
        work.check()
        time.sleep(0.02)
    took = time.monotonic() - began
    transcript = work.transcript(job_id)
    assert transcript.text.split() == words(COUNT)
    assert transcript.receipt.chunks >= 8
    return took


def test_slow_stores_do_not_slow_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All jobs run side by side: they mostly sleep, and what else slows the machine slows all.

    What remains is the way of the first chunk to the model and of the last text to the transcript. The mean of a
    few evens out how many windows happen to be in each call.
    """
    talk = tmp_path / "talk.pcm"
    talk.write_bytes(spoken(COUNT).tobytes())

    def opened(name: str) -> Embedded:
        settings = Settings(language="en", chunk_seconds=56.0)
        return stack.enter_context(Embedded(tmp_path / name, settings, tone_machine(Device(lanes=1))))

    with ExitStack() as stack:
        usual = [opened(f"usual{number}") for number in range(PAIRS)]
        monkeypatch.setattr(wiring, "local_stores", slow_stores)
        delayed = [opened(f"delayed{number}") for number in range(PAIRS)]
        with ThreadPoolExecutor(2 * PAIRS) as pool:
            took = list(pool.map(seconds, usual + delayed, repeat(talk)))
    quick, slow = fmean(took[:PAIRS]), fmean(took[PAIRS:])
    assert slow < 1.10 * quick, f"{quick:.2f} s became {slow:.2f} s"
