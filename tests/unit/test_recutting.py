"""Chunk audio made again is the same audio, and no more of the recording is decoded than need be."""

import io

import av
import numpy as np
import pytest

from longscribe.adapters.media.av_media import AvMedia
from longscribe.core.limits import GRID, SAMPLE_RATE
from longscribe.errors import BadInput
from longscribe.messages import UploadEvent
from longscribe.stages import chunker
from longscribe.stages.recutting import recut
from tests.standins import Bench, PcmMedia, silence, spoken

TALK = spoken(600)
"""About eight minutes: four stretches of decoding."""


@pytest.fixture
def event(bench: Bench) -> UploadEvent:
    made = bench.upload(TALK)
    chunker.chunk(made, bench.chunker())
    return made


def audio(bench: Bench, event: UploadEvent) -> dict[int, bytes]:
    return {chunk.task.index: bench.blobs.read(chunk.task.audio) for chunk in bench.chunks(event)}


def forget(bench: Bench, event: UploadEvent) -> None:
    for chunk in bench.chunks(event):
        bench.blobs.delete("chunks", chunk.task.audio.name)


def test_all_chunks_are_made_again_bit_for_bit(bench: Bench, event: UploadEvent) -> None:
    before = audio(bench, event)
    forget(bench, event)
    tasks = [chunk.task for chunk in bench.chunks(event)]
    found = recut(bench.job(event), reversed(tasks), bench.blobs, bench.media, "chunks")
    assert {index: bench.blobs.read(ref) for index, ref in found.items()} == before
    assert bench.media.open == 0


@pytest.mark.parametrize("indices", [[0], [2], [-1], [0, 1], [0, -1], [3, 14, 15, -2]])
def test_some_chunks_are_made_again_and_the_rest_is_not_decoded(
    bench: Bench, event: UploadEvent, indices: list[int]
) -> None:
    chunks = bench.chunks(event)
    chosen = [chunks[index].task for index in indices]
    before = audio(bench, event)
    forget(bench, event)
    decoded = []

    class Counting(PcmMedia):
        def _stretches(self, *args):
            for stretch in super()._stretches(*args):
                decoded.append(stretch.start)
                yield stretch

    media = Counting()
    found = recut(bench.job(event), chosen, bench.blobs, media, "chunks")
    assert {index: bench.blobs.read(ref) for index, ref in found.items()} == {
        task.index: before[task.index] for task in chosen
    }
    needed = {
        start
        for task in chosen
        for start in range(task.audio_start // GRID * GRID, task.windows[-1].spans[-1].end, GRID)
    }
    assert needed <= set(decoded)
    assert len(decoded) == len(set(decoded)) <= len(needed) + len(chosen)
    assert media.open == 0


def test_audio_that_is_there_needs_no_recording(bench: Bench, event: UploadEvent) -> None:
    (bench.home / event.recording.name).unlink()
    tasks = [chunk.task for chunk in bench.chunks(event)]
    assert recut(bench.job(event), tasks, bench.blobs, bench.media, "chunks") == {
        task.index: task.audio for task in tasks
    }


@pytest.mark.parametrize("how", ["gone", "changed", "shorter"])
def test_a_recording_that_is_not_what_it_was_is_told(bench: Bench, event: UploadEvent, how: str) -> None:
    forget(bench, event)
    media = PcmMedia()
    path = bench.home / event.recording.name
    if how == "gone":
        path.unlink()
    elif how == "changed":
        path.write_bytes(b"other" * 1_000)
    else:

        class Shorter(PcmMedia):
            def _stretches(self, read, length, start):
                return super()._stretches(read, length - GRID, start)

        media = Shorter()
    tasks = [chunk.task for chunk in bench.chunks(event)]
    with pytest.raises(BadInput, match="gone or was changed"):
        recut(bench.job(event), tasks, bench.blobs, media, "chunks")
    assert media.open == 0


@pytest.mark.parametrize(
    ("codec", "kind", "layout"), [("aac", "mp4", "fltp"), ("mp3", "mp3", "s16p"), ("flac", "flac", "s16")]
)
def test_real_media_is_cut_again_bit_for_bit(bench: Bench, codec: str, kind: str, layout: str) -> None:
    data = io.BytesIO()
    speech = np.concatenate([spoken(200), silence(20), spoken(200, first=200)])
    with av.open(data, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=44_100)
        resampler = av.AudioResampler(layout, "mono", 44_100)
        frame = av.AudioFrame.from_ndarray(speech.reshape(1, -1), "s16", "mono")
        frame.sample_rate = SAMPLE_RATE
        for each in resampler.resample(frame):
            container.mux(stream.encode(each))
        container.mux(stream.encode(None))
    event = bench.upload(data.getvalue(), f"talk.{kind}")
    media = AvMedia()
    chunker.chunk(event, bench.chunker(media=media))
    before = audio(bench, event)
    last = max(before)
    forget(bench, event)
    chosen = [chunk.task for chunk in bench.chunks(event) if chunk.task.index in (1, last - 1)]
    found = recut(bench.job(event), chosen, bench.blobs, media, "chunks")
    assert {index: bench.blobs.read(ref) for index, ref in found.items()} == {
        index: before[index] for index in (1, last - 1)
    }
