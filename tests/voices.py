"""Speech made on the spot: a good voice for English, and robotic ones whose language Whisper hears all the same."""

import ctypes
from functools import cache

import espeakng_loader
import numpy as np
from hibari import Hibari

from longscribe.core.limits import SAMPLE_RATE
from longscribe.ports import Samples

SENTENCES = (
    "The harbour master counted eleven boats before breakfast, and wrote their names in a green book.",
    "Nobody remembers who planted the apple trees behind the school.",
    "When the rain stopped, the children ran down to the river to look for the bridge. It was still there.",
    "Please send the blue folder to the second floor before noon.",
)

# espeak-ng's speak_lib.h
_SYNCHRONOUS = 2
_CHARACTERS = 1
_UTF8 = 1
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


@cache
def english(text: str) -> Samples:
    """Return English ``text`` as speech at 16 kHz."""
    voice = _voice()
    return _resampled(np.asarray(voice(text), np.float64).clip(-1, 1) * 32767, voice.sample_rate)


@cache
def _voice() -> Hibari:
    return Hibari()


def _resampled(said: np.ndarray, rate: int) -> Samples:
    times = np.arange(len(said) * SAMPLE_RATE // rate) * rate / SAMPLE_RATE
    return np.interp(times, np.arange(len(said)), said).astype(np.int16)


@cache
def _library() -> tuple[ctypes.CDLL, int]:
    """Return the library, ready to speak, and its sample rate: both are one for the whole process."""
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0)
    if rate <= 0:
        raise OSError("espeak-ng found no data")
    return library, rate


def speak(text: str, language: str) -> Samples:
    """Return ``text`` as speech at 16 kHz, without silence around it."""
    library, rate = _library()
    heard: list[np.ndarray] = []

    @_Callback
    def take(wave: "ctypes._Pointer[ctypes.c_short]", count: int, _: int | None) -> int:
        if wave and count > 0:
            heard.append(np.ctypeslib.as_array(wave, (count,)).copy())
        return 0

    library.espeak_SetSynthCallback(take)
    if library.espeak_SetVoiceByName(language.encode()):
        raise ValueError(f"espeak-ng has no voice for {language!r}")
    data = text.encode()
    library.espeak_Synth(data, len(data) + 1, 0, _CHARACTERS, 0, _UTF8, None, None)
    return _resampled(np.concatenate(heard), rate)
