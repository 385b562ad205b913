"""The worst passages of speech with faults, by a real model; `benchmarks.passages` measures more."""

import pytest

from benchmarks.passages import FAULTS, judged, made
from benchmarks.pipeline import write
from longscribe import transcribe


@pytest.mark.parametrize("kind", ["clean", "mixed"])
def test_the_passages_are_where_the_faults_are(kind, tmp_path, monkeypatch):
    monkeypatch.setenv("LONGSCRIBE_MODELS", str(tmp_path / "models"))
    take = made(kind, 7)
    write(tmp_path / "take.wav", take.audio(7))
    transcript = transcribe(tmp_path / "take.wav", language="en", model="tiny.en")
    counts = judged(transcript, take)
    assert counts["found"] >= FAULTS[kind] - 1
    assert counts["passages"] <= FAULTS[kind] + 1
