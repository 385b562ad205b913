"""The whole pipeline with the real model, the language left to it, on speech made here."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.sounds import music
from longscribe import transcribe
from longscribe.adapters.media.av_media import AvMedia
from longscribe.core import voting
from longscribe.core.limits import MIN_CHUNK_SECONDS, SAMPLE_RATE
from longscribe.core.transcript import Transcript
from longscribe.ports import Samples
from tests.voices import speak

SPANISH = (
    "El alcalde contó once barcos antes del desayuno y escribió sus nombres en un libro verde.",
    "Nadie recuerda quién plantó los manzanos detrás de la escuela, pero todos comen las manzanas en octubre.",
    "Cuando dejó de llover, los niños bajaron corriendo al río para buscar el puente.",
)
GERMAN = (
    "Der Hafenmeister zählte vor dem Frühstück elf Boote und schrieb ihre Namen in ein grünes Buch.",
    "Niemand weiß mehr, wer die Apfelbäume hinter der Schule gepflanzt hat, aber alle essen die Äpfel.",
)


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * SAMPLE_RATE), np.int16)


def said(sentences: tuple[str, ...], language: str) -> Samples:
    return np.concatenate([part for text in sentences for part in (speak(text, language), silence(1))])


@pytest.fixture
def heard(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch):
    """What the pipeline makes of some samples."""

    def hear(*parts: Samples) -> Transcript:
        path = tmp_path / "talk.flac"
        path.write_bytes(AvMedia().encode(np.concatenate(parts)))
        return transcribe(path, state=tmp_path / "state", chunk_seconds=MIN_CHUNK_SECONDS)

    monkeypatch.setenv("LONGSCRIBE_MODELS", str(models))
    return hear


def test_two_languages_each_certain_both_stay(heard) -> None:
    spanish, german = said(SPANISH, "es"), said(GERMAN, "de")
    made = heard(spanish, silence(3), german)
    turn = len(spanish) / SAMPLE_RATE + 1.5
    assert made.language == "es"
    assert {segment.language for segment in made.segments if segment.end < turn} == {"es"}
    assert {segment.language for segment in made.segments if segment.start > turn} == {"de"}
    assert "libro verde" in made.text
    assert "hinter der" in made.text


def test_what_the_vote_overrules_is_heard_again_in_its_language(heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voting, "CERTAIN", 0.999)  # nothing is certain
    made = heard(said(SPANISH, "es"), silence(3), said(GERMAN[:1], "de"))
    assert made.language == "es"
    assert {segment.language for segment in made.segments} == {"es"}
    assert {chunk.run for chunk in made.provenance.chunks} == {1, 2}


def test_neither_silence_nor_music_before_it_decides_the_language(heard) -> None:
    made = heard(silence(180), music(25), silence(5), said(SPANISH[:2], "es"))
    assert made.language == "es"
    assert [segment.language for segment in made.segments if segment.start > 209] == ["es", "es"]
    # The detector may leave a blip of the music, to which the first word is then aligned.
    before = [segment for segment in made.segments if segment.start < 209]
    assert all(segment.guards or len(segment.text.split()) == 1 for segment in before)
    assert "libro verde" in made.text
