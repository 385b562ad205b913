"""Consistent jobs and chunks for the tests, and hypothesis strategies that draw them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from longscribe.core.limits import SAMPLE_RATE
from longscribe.core.settings import Settings
from longscribe.documents import Chunk, ChunkState, Job, JobState, Seal
from longscribe.messages import (
    BlobRef,
    ChunkResult,
    ChunkTask,
    Guard,
    Judged,
    Missing,
    Priority,
    Provenance,
    Silence,
    Span,
    Window,
    WindowResult,
    Word,
)

MS = SAMPLE_RATE // 1000

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For properties: a machine that does other work too makes none of them fail."""

SETTINGS = Settings(language="en", model="tiny.en")
PROVENANCE = Provenance("tiny.en", "int8", "cpu", "0.1.0", "worker-1", 1.5, 1)


def task(index: int, start: int, end: int, windows: Sequence[Window], run: int = 0) -> ChunkTask:
    return ChunkTask(
        job_id="job",
        index=index,
        run=run,
        settings_hash=SETTINGS.hash(),
        audio=BlobRef("work", f"job/{index:06d}.flac", 1),
        audio_start=start,
        start=start,
        end=end,
        windows=tuple(windows),
        speech=sum(window.samples for window in windows),
        priority=Priority.LOW,
        model=SETTINGS.model,
    )


def heard(words: Sequence[Word], language: str = "en", guards: tuple[Guard, ...] = ()) -> WindowResult:
    return WindowResult(tuple(words), language, 1.0, -0.2, guards=guards)


def done(of: ChunkTask, results: Sequence[WindowResult], **rest: object) -> Chunk:
    result = ChunkResult(of.job_id, of.index, of.run, of.settings_hash, tuple(results), PROVENANCE)
    return Chunk(task=of, state=ChunkState.DONE, result=result, **rest)


def one_window(words: Sequence[Word], samples: int, language: str = "en", guards: tuple[Guard, ...] = ()) -> Chunk:
    """A recording of one chunk that holds one window, speech from end to end."""
    window = Window(0, samples, (Span(0, samples),))
    return done(task(0, 0, samples, [window]), [heard(words, language, guards)])


def job(samples: int, chunks: int, settings: Settings = SETTINGS, **seal: object) -> Job:
    return Job(
        job_id="job",
        recording=BlobRef("uploads", "talk.mp3", 7),
        size=1_000,
        settings=settings,
        state=JobState.SETTLING,
        created=0.0,
        updated=0.0,
        seal=Seal(samples, chunks, **seal),
    )


class Plan(NamedTuple):
    """A recording as the chunker leaves it, and what became of each stretch."""

    chunks: list[Chunk]
    seal: Seal
    truth: list[tuple[int, int, str]]  # (start, end, kind) of each stretch, in order


_STRETCH = st.tuples(st.sampled_from(["speech", "speech", "silence", "missing"]), st.integers(1, 400_000))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Draw stretches of speech, silence and undecodable audio, cut into windows and chunks at drawn places."""
    kinds = draw(st.lists(_STRETCH, min_size=1, max_size=12))
    edges = [0]
    for _, length in kinds:
        edges.append(edges[-1] + length)
    truth = [(start, end, kind) for (kind, _), (start, end) in zip(kinds, pairwise(edges), strict=True)]
    chunks: list[Chunk] = []
    rest: list[tuple[int, int, str]] = []
    for stretch in truth:
        rest.append(stretch)
        if stretch[2] == "speech" and draw(st.booleans()):
            chunks.append(_chunk(draw, len(chunks), rest, edges[-1]))
            rest = []
    if any(kind == "speech" for *_, kind in rest):
        chunks.append(_chunk(draw, len(chunks), rest, edges[-1]))
        rest = []
    silences = tuple(Silence(start, end, -60.0) for start, end, kind in rest if kind == "silence")
    missing = tuple(Missing(start, end, "damaged") for start, end, kind in rest if kind == "missing")
    given_up = [chunk for chunk in chunks if chunk.state is ChunkState.MISSING]
    lost = {
        (start, end) for chunk in given_up for start, end, _ in truth if chunk.task.start <= start < chunk.task.end
    }
    told = [
        (start, end, "missing" if kind == "speech" and (start, end) in lost else kind) for start, end, kind in truth
    ]
    return Plan(chunks, Seal(edges[-1], len(chunks), silences, missing, _judged(rest)), told)


def detector(start: int) -> str:
    """The detector that judged a drawn stretch."""
    return ("one", "other")[start % 2]


def _judged(stretches: list[tuple[int, int, str]]) -> tuple[Judged, ...]:
    return tuple(Judged(start, end, detector(start)) for start, end, _ in stretches)


def _chunk(draw: st.DrawFn, index: int, stretches: list[tuple[int, int, str]], length: int) -> Chunk:
    windows = []
    for start, end, kind in stretches:
        if kind == "speech":
            before, after = draw(st.integers(0, 20_000)), draw(st.integers(0, 20_000))
            windows.append(Window(start, end, (Span(max(0, start - before), min(length, end + after)),)))
    if draw(st.booleans()):  # one window over all, its silences left out
        spans = tuple(span for window in windows for span in (Span(window.start, window.end),))
        windows = [Window(windows[0].start, windows[-1].end, spans)]
    of = task(index, stretches[0][0], stretches[-1][1], windows)
    outside = {
        "silences": tuple(Silence(start, end, -60.0) for start, end, kind in stretches if kind == "silence"),
        "missing": tuple(Missing(start, end, "damaged") for start, end, kind in stretches if kind == "missing"),
        "judged": _judged(stretches),
    }
    if draw(st.booleans()):
        return Chunk(task=of, state=ChunkState.MISSING, reason="poison", **outside)
    return done(of, [heard(())] * len(windows), **outside)
