import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor

from longscribe.adapters.spectrogram import FRAMES, Spectrogram
from longscribe.core.limits import WINDOW


@pytest.mark.parametrize("bands", [80, 128])
@pytest.mark.parametrize("length", [0, 1, 399, 16_000, 200_001, WINDOW])
def test_it_is_faster_whispers(bands, length):
    samples = (np.random.default_rng(length).standard_normal(length) * 3000).astype(np.int16)
    padded = np.zeros(WINDOW, np.float32)
    padded[:length] = samples / np.float32(32768)
    theirs = FeatureExtractor(feature_size=bands)(padded, padding=400)[:, :FRAMES]
    ours = Spectrogram(bands)(samples)
    assert ours.shape == (bands, FRAMES)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
