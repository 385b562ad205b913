"""Promise 7 from end to end: speech is planned, heard and merged, and every word and every sample is told once.

The words are numbered. The planner's own windows hear them as a model does: their times are off, and a word that is
cut at a window's edge is misheard or not heard at all. Hypothesis draws but the seeds for them: of so many single
draws it would keep short recordings only.
"""

from dataclasses import dataclass
from random import Random

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from longscribe.core.coverage import coverage
from longscribe.core.cutting import PlannedChunk
from longscribe.core.limits import FRAME, SAMPLE_RATE
from longscribe.core.merging import merge, place
from longscribe.core.speech import Frames
from longscribe.core.transcript import Kind
from longscribe.documents import Chunk, ChunkState, Seal
from longscribe.messages import Missing, Window, WindowResult, Word
from tests.unit.builders import done, heard, patient, task
from tests.unit.test_cutting_properties import Recording, lengths, painted, recordings, regions

JITTER = SAMPLE_RATE * 4 // 10
"""How far a model's word times are off (measured)."""


def stored(planned: PlannedChunk, results: list[WindowResult] | None) -> Chunk:
    """The chunk's document: done with ``results``, or given up."""
    of = task(planned.index, planned.start, planned.end, planned.windows)
    rest = {"silences": planned.silences, "missing": planned.missing}
    if results is None:
        return Chunk(task=of, state=ChunkState.MISSING, reason="poison", **rest)
    return done(of, results, **rest)


# Coverage


def tiled(recording: Recording, seconds: float, random: Random) -> None:
    """Plan, give some chunks up, and check that the coverage tells of each sample what became of it."""
    planned, silences, missing, judged = recording.plan(seconds)
    given_up = {chunk.index for chunk in planned if random.random() < 0.2}
    chunks = [
        stored(chunk, None if chunk.index in given_up else [heard(())] * len(chunk.windows)) for chunk in planned
    ]
    random.shuffle(chunks)
    tiles = coverage(chunks, Seal(recording.end, len(chunks), silences, missing, judged))
    assert (painted([(tile.start, tile.end) for tile in tiles], recording.end) == 1).all()

    spoken = regions(recording)
    lost = np.zeros(recording.end, np.bool_)
    for gap in recording.missing:
        lost[gap.start : gap.end] = True
    for chunk in planned:
        if chunk.index in given_up:
            lost[chunk.start : chunk.end] |= spoken[chunk.start : chunk.end]
    truth = {Kind.TRANSCRIBED: spoken & ~lost, Kind.MISSING: lost, Kind.SILENT: ~spoken & ~lost}
    for kind, mask in truth.items():
        told = painted([(tile.start, tile.end) for tile in tiles if tile.kind is kind], recording.end)
        assert ((told == 1) == mask).all(), kind


@patient
@given(recordings(), lengths, st.randoms(use_true_random=True))
def test_the_coverage_tells_of_every_sample_what_became_of_it(
    recording: Recording, seconds: float, random: Random
) -> None:
    tiled(recording, seconds, random)


@patient
@given(st.integers(16, 30 * SAMPLE_RATE), st.sampled_from(["spoken", "silent", "missing"]), st.integers(0, 4_000))
def test_a_tail_of_1_ms_to_30_s_is_covered(tail: int, kind: str, body: int) -> None:
    count = body + -(-tail // FRAME)
    speech = np.arange(count) % 300 < 240
    speech[body:] = kind != "silent"
    end = body * FRAME + tail
    missing = (Missing(body * FRAME, end, "cut off"),) if kind == "missing" else ()
    recording = Recording(Frames(0, speech, np.where(speech, -20, -65).astype(np.float32)), missing, end)
    tiled(recording, 28.0, Random(tail))


# Words


@dataclass(frozen=True)
class Speech:
    """Numbered words, times in samples, and the recording they are in."""

    words: list[Word]
    recording: Recording


@st.composite
def speeches(draw: st.DrawFn) -> Speech:
    """Draw words of 0.2 to 0.6 s: fluent stretches without a pause to cut in, others with pauses of all lengths."""
    random = draw(st.randoms(use_true_random=True))
    words: list[Word] = []
    at = random.randrange(200)
    for _ in range(draw(st.integers(0, 6))):
        pauses = [0, 0, 0, 5, 10, 14] if random.random() < 0.7 else [0, 10, 20, 40, 60, 61, 90, 200, 1_500]
        for _ in range(random.randrange(1, 120)):
            length = random.randrange(20, 61)
            words.append(Word(at * FRAME, (at + length) * FRAME, f" word{len(words)}", 0.9))
            at += length + random.choice(pauses)
    speech = np.zeros(at + random.randrange(300), np.bool_)
    for word in words:
        speech[word.start // FRAME : word.end // FRAME] = True
    loud = np.random.default_rng(random.randrange(10)).normal(-20, 3, len(speech))
    level = np.where(speech, loud, -65).astype(np.float32)
    end = len(speech) * FRAME - (random.randrange(FRAME) if len(speech) and not speech[-1] else 0)
    return Speech(words, Recording(Frames(0, speech, level), (), end))


def listen(words: list[Word], window: Window, random: Random, edges: str) -> list[Word]:
    """What a window hears of ``words``, timed from its own start."""
    found: list[Word] = []
    packed = 0
    for span in window.spans:
        for word in words:
            start, end = max(word.start, span.start), min(word.end, span.end)
            if start >= end:
                continue
            text = word.text
            if (start, end) != (word.start, word.end):
                if edges == "lost" or random.random() < 0.3:
                    continue
                text = " " + "garble"[: random.randrange(1, 6)] + str(random.randrange(9))
            off = random.randint(-JITTER, JITTER)
            found.append(Word(packed + start - span.start + off, packed + end - span.start + off, text, 0.9))
        packed += span.samples
    return found


def transcribed(speech: Speech, seconds: float, random: Random, edges: str) -> list[Chunk]:
    """The chunks of a recording, all done."""
    return [
        stored(
            chunk, [heard(place(window, listen(speech.words, window, random, edges))) for window in chunk.windows]
        )
        for chunk in speech.recording.plan(seconds)[0]
    ]


@patient
@given(speeches(), lengths, st.randoms(use_true_random=True), st.sampled_from(["misheard", "lost"]))
def test_every_word_is_told_once_and_in_order(speech: Speech, seconds: float, random: Random, edges: str) -> None:
    chunks = transcribed(speech, seconds, random, edges)
    results = [*chunks, *random.sample(chunks, random.randint(0, len(chunks)))]
    results += [Chunk(task=chunk.task) for chunk in random.sample(chunks, random.randint(0, len(chunks)))]
    random.shuffle(results)
    assert [word.text for word in merge(results)] == [word.text for word in speech.words]


@patient
@given(speeches(), lengths, st.randoms(use_true_random=True))
def test_a_chunk_given_up_takes_no_word_of_its_neighbours(speech: Speech, seconds: float, random: Random) -> None:
    chunks = transcribed(speech, seconds, random, "lost")
    if not chunks:
        return
    lost = random.choice(chunks)
    rest = [
        msgspec.structs.replace(chunk, state=ChunkState.MISSING, result=None) if chunk is lost else chunk
        for chunk in chunks
    ]
    told = [word.text for word in merge(rest)]
    order = {word.text: number for number, word in enumerate(speech.words)}
    assert [order[text] for text in told] == sorted({order[text] for text in told}), "in order, none twice"
    near = JITTER + SAMPLE_RATE
    kept = {
        word.text for word in speech.words if word.end < lost.task.start - near or word.start > lost.task.end + near
    }
    assert kept <= set(told)
