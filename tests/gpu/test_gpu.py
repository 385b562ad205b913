"""The engine on a GPU, where there is one: what no other machine can show."""

import ctypes
import re
from collections.abc import Iterator
from contextlib import contextmanager

import ctranslate2
import pytest

from longscribe.adapters.hardware import GPU_BATCH, GPU_TYPES
from longscribe.adapters.models import locate
from longscribe.adapters.whisper import Whisper
from longscribe.core.limits import SAMPLE_RATE
from longscribe.messages import WindowResult
from longscribe.ports import WindowAudio
from tests.voices import SENTENCES, english

pytestmark = pytest.mark.skipif(not ctranslate2.get_cuda_device_count(), reason="this machine has no GPU")

MANY = 6
"""Times the sentences: more than one batch."""


@pytest.fixture(scope="module")
def windows():
    plain = SENTENCES[1:]  # the first has a number, and a word with two spellings
    return [WindowAudio(english(text), "en", (), seed) for seed, text in enumerate(plain)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return locate("base", tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def by_processor(model, windows):
    return Whisper(model, "base", device="cpu").recognise(windows)


@contextmanager
def leaving(room: int) -> Iterator[None]:
    """Take the GPU's memory but for ``room`` bytes."""
    cuda = ctypes.CDLL("libcuda.so.1")
    context, address = ctypes.c_void_p(), ctypes.c_uint64()
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    assert cuda.cuInit(0) == 0
    assert cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0
    assert cuda.cuCtxSetCurrent(context) == 0
    assert cuda.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)) == 0
    assert cuda.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(free.value - room)) == 0
    try:
        yield
    finally:
        cuda.cuMemFree_v2(address)
        cuda.cuDevicePrimaryCtxRelease_v2(0)


def spoken(result: WindowResult) -> list[str]:
    return re.findall(r"\w+", result.text.lower())


def agree(heard: list[WindowResult], expected: list[WindowResult]) -> None:
    """Hold results to the same words, at most 0.1 s apart."""
    assert [spoken(result) for result in heard] == [spoken(result) for result in expected]
    words, twins = ([word for result in results for word in result.words] for results in (heard, expected))
    apart = [
        abs(word.start - twin.start) + abs(word.end - twin.end) for word, twin in zip(words, twins, strict=True)
    ]
    assert max(apart) <= SAMPLE_RATE / 5


def test_it_is_chosen_and_hears_what_the_processor_hears(model, windows, by_processor):
    engine = Whisper(model, "base")
    assert (engine.device, engine.batch) == ("cuda", GPU_BATCH)
    assert engine.compute_type in GPU_TYPES
    engine.warm_up()
    agree(engine.recognise(windows), by_processor)


def test_when_its_memory_is_full_the_batch_is_halved_for_good_and_nothing_is_lost(model, windows, by_processor):
    engine = Whisper(model, "base")
    engine.warm_up()
    with leaving(300 * 2**20):
        heard = engine.recognise(windows * MANY)
        smaller = engine.batch
        again = engine.recognise(windows * MANY)
    assert smaller < GPU_BATCH
    assert engine.batch == smaller
    agree(heard, by_processor * MANY)
    agree(again, by_processor * MANY)
