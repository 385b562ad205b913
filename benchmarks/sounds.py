"""Sounds that nobody speaks in, made from a seed."""

import numpy as np

from longscribe.core.limits import SAMPLE_RATE
from longscribe.ports import Samples

_CHORDS = ((0, 4, 7), (9, 12, 16), (5, 9, 12), (7, 11, 14))
_BEAT = SAMPLE_RATE // 2
_LEVEL = 0.25


def music(seconds: float, seed: int = 1) -> Samples:
    """Return a tune over broken chords and a drum, two beats a second: plucked tones with overtones."""
    random = np.random.default_rng(seed)
    count = int(seconds * SAMPLE_RATE)
    sound = np.zeros(count + 4 * _BEAT)
    for beat in range(-(-count // _BEAT)):
        chord = _CHORDS[beat // 4 % len(_CHORDS)]
        for octave, semitone, length in (
            (12, random.choice(chord), 2),  # the tune
            (0, chord[beat % 3], 1),
            (-12, chord[0], 4 if beat % 4 == 0 else 0),
        ):
            note = _plucked(220.0 * 2 ** ((octave + semitone) / 12), length * _BEAT)
            sound[beat * _BEAT : beat * _BEAT + len(note)] += note
        drum = random.normal(size=_BEAT // 8) * np.linspace(1, 0, _BEAT // 8) ** 2
        sound[beat * _BEAT : beat * _BEAT + len(drum)] += drum
    sound = sound[:count] * _LEVEL / np.abs(sound).max(initial=1.0)
    return np.rint(sound * 32767).astype(np.int16)


def _plucked(pitch: float, samples: int) -> np.ndarray:
    time = np.arange(samples) / SAMPLE_RATE
    overtones = sum(np.sin(2 * np.pi * pitch * n * time) / n**1.5 for n in range(1, 6))
    return np.asarray(overtones * np.exp(-4 * time))
