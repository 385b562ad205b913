"""Where a transcript is probably wrong: the passages most worth a listen, the worst first.

Every doubt is a *finding*: a stretch of the recording, a reason, and a weight, about as many words as are wrong or
lost there. Findings near each other make one passage and their weights add up to its score.

- *missing*: nothing could be transcribed; all that may have been said.
- *failed-guards*: a window's text did not pass; all that may have been said, or as much of it as the model doubts.
- *high-temperature*: a window's text was drawn by lot; as much of what may have been said as the temperature says.
- *doubtful-words*: a run of words that the model doubts; the sum of its doubts.
- *speech-without-words*: the detector heard speech, the model hardly a word; all that may have been said but for
  the words there are. Where words are lost, the next one is stretched over the place: so it has no length there.
- *seam*: two windows that share a stretch heard other words in it; as many as they differ in, but for one.

What may have been said is the speech at an ordinary pace. ``benchmarks/passages.py`` measures what is found.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import islice, pairwise
from typing import NamedTuple

from longscribe.core.coverage import parts
from longscribe.core.cutting import OVERLAP
from longscribe.core.guards import NO_SPEECH
from longscribe.core.limits import FRAME, SAMPLE_RATE, WINDOW
from longscribe.core.text import normalised
from longscribe.core.transcript import Kind, Passage, Reason, seconds
from longscribe.documents import Chunk, ChunkState, Seal
from longscribe.messages import Guard, Span, Window, WindowResult, Word

MOST = 10
"""Passages in a transcript: what a person will listen to."""

THRESHOLD = 2.0
"""The least score of a passage, in words: one wrong word is no passage."""

PACE = 2.5
"""Words a second of ordinary speech: 150 a minute, the usual figure for English read or spoken freely."""

ALLOWANCE = 0.3
"""Doubt of a word, one minus its probability, that is no sign of an error. Measured: in clean synthetic speech no
two words in a row are above it; with more, runs of words under noise fall apart (0.2 to 0.5 were tried)."""

UNWORDED = SAMPLE_RATE * 3 // 2
"""So much speech without a word, or in one word, is more than fluent speech has (measured: words last up to 1.1 s,
the gaps between them hold up to 0.7 s of what the detector calls speech)."""

HIGH_TEMPERATURE = 0.5
"""Above this Whisper itself no longer trusts a text to go on from (openai/whisper, ``transcribe``)."""

NEAR = 2 * SAMPLE_RATE
"""Findings no further apart make one passage: nobody would listen to them one by one."""

LONGEST = WINDOW
"""Findings are joined only to passages no longer than this, so that a bad hour is not one passage."""

_UNRELIABLE = (Guard.COMPRESSION, Guard.REPETITION, Guard.PROMPT_ECHO)


class _Finding(NamedTuple):
    start: int  # samples
    end: int
    reason: Reason
    words: float


def passages(chunks: Iterable[Chunk], seal: Seal | None) -> tuple[Passage, ...]:
    """Return up to `MOST` passages of a job, finished or not, the worst first; none where nothing is doubtful.

    ``chunks`` are the job's, each once, in any order; those still pending say nothing. Passages do not overlap.
    """
    ended = sorted(
        (chunk for chunk in chunks if chunk.state is not ChunkState.PENDING), key=lambda chunk: chunk.task.index
    )
    heard = [pair for chunk in ended for pair in _heard(chunk)]
    findings = [*_seams(heard)]
    for window, result in heard:
        findings += _of_window(window, result)
    lost = _missing(ended, seal)
    doubtful = [passage for passage in _joined([*lost, *_around(lost, findings)]) if passage.score >= THRESHOLD]
    return tuple(sorted(doubtful, key=lambda passage: (-passage.score, passage.start))[:MOST])


def _heard(chunk: Chunk) -> Iterator[tuple[Window, WindowResult]]:
    if chunk.state is ChunkState.DONE and chunk.result is not None:
        yield from zip(chunk.task.windows, chunk.result.windows, strict=True)


def _missing(chunks: Iterable[Chunk], seal: Seal | None) -> list[_Finding]:
    """Return what is missing, in order."""
    lost = [Span(part.start, part.end) for chunk in chunks for part in parts(chunk) if part.kind is Kind.MISSING]
    lost += [Span(gap.start, gap.end) for gap in (seal.missing if seal else ())]
    return sorted(_Finding(span.start, span.end, Reason.MISSING, _said(span.samples)) for span in lost)


def _around(lost: Sequence[_Finding], findings: Iterable[_Finding]) -> Iterator[_Finding]:
    """Yield ``findings`` without what is missing, so that its passage has it in one piece."""
    ends = [one.end for one in lost]
    for finding in findings:
        left, start = [], finding.start
        for hole in islice(lost, bisect_right(ends, start), None):
            if hole.start >= finding.end:
                break
            left.append(Span(start, hole.start))
            start = hole.end
        left = [part for part in (*left, Span(start, finding.end)) if part.samples > 0]
        whole = sum(part.samples for part in left)
        for part in left:
            yield finding._replace(start=part.start, end=part.end, words=finding.words * (part.samples / whole))


def _of_window(window: Window, result: WindowResult) -> Iterator[_Finding]:
    spans = _owned(window)
    words = [word for word in result.words if window.start <= word.start < window.end]
    if not spans:
        return
    start, end, said = spans[0].start, spans[-1].end, _said(sum(span.samples for span in spans))
    share = 1.0 if any(guard in result.guards for guard in _UNRELIABLE) else 0.0
    if Guard.LOW_PROBABILITY in result.guards:
        share = max(share, 1 - math.exp(result.log_probability))
    if share:
        yield _Finding(start, end, Reason.GUARDS, share * said)
    if result.temperature > HIGH_TEMPERATURE:
        yield _Finding(start, end, Reason.TEMPERATURE, result.temperature * said)
    # Where the text was dropped, the model gave at least so much to that nobody spoke.
    unsaid = 1 - NO_SPEECH if Guard.NO_SPEECH in result.guards else 1.0
    yield from (gap._replace(words=gap.words * unsaid) for gap in _unworded(window, spans, words))
    yield from _doubted(window, words)


def _owned(window: Window) -> list[Span]:
    """Return the audio that a window owns."""
    clipped = [Span(max(span.start, window.start), min(span.end, window.end)) for span in window.spans]
    return [span for span in clipped if span.samples > 0]


def _unworded(window: Window, spans: Sequence[Span], words: Sequence[Word]) -> Iterator[_Finding]:
    """Yield the stretches of speech between two words of ordinary length that hold hardly any words."""
    ordinary = [word for word in words if word.end - word.start <= UNWORDED]
    edges = [window.start, *(edge for word in ordinary for edge in (word.start, word.end)), window.end]
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        inside = [Span(max(first, span.start), min(last, span.end)) for span in spans]
        inside = [span for span in inside if span.samples > 0]
        speech = sum(span.samples for span in inside)
        if speech >= UNWORDED:
            stretched = sum(first <= word.start < last for word in words)
            yield _Finding(inside[0].start, inside[-1].end, Reason.UNWORDED, max(0.0, _said(speech) - stretched))


def _doubted(window: Window, words: Sequence[Word]) -> Iterator[_Finding]:
    """Yield runs of doubtful words: up to where the doubt beyond `ALLOWANCE`, summed up from zero, is highest."""
    total, best = 0.0, 0.0
    first = last = 0
    for number, word in enumerate([*words, None]):
        total += -math.inf if word is None else 1 - word.probability - ALLOWANCE
        if total > best:
            best, last = total, number
        elif total <= 0:
            if last > first:
                doubt = math.fsum(1 - word.probability for word in words[first : last + 1])
                # Aligned words may have no length at all, which nobody could listen to.
                start = max(window.start, min(words[first].start, window.end - FRAME))
                end = min(window.end, max(words[last].end, start + FRAME))
                yield _Finding(start, end, Reason.WORDS, doubt)
            total, best = 0.0, 0.0
            first = last = number + 1


def _seams(heard: Sequence[tuple[Window, WindowResult]]) -> Iterator[_Finding]:
    """Yield the stretches that two windows heard, and heard otherwise but for one word cut at an edge."""
    for (before, left), (after, right) in pairwise(heard):
        start, end = max(after.spans[0].start, before.start), min(before.spans[-1].end, after.end)
        if start < end:
            one, other = (
                [normalised(word.text) for word in result.words if start <= (word.start + word.end) / 2 < end]
                for result in (left, right)
            )
            alike = sum(
                block.size for block in SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
            )
            yield _Finding(start, end, Reason.SEAM, max(len(one), len(other)) - alike - 1.0)


def _said(samples: int) -> float:
    return samples / SAMPLE_RATE * PACE


def _joined(findings: Iterable[_Finding]) -> list[Passage]:
    """Return findings near each other as passages, in order, none overlapping the next."""
    groups: list[list[_Finding]] = []
    start = end = -NEAR - 1
    for finding in sorted(finding for finding in findings if finding.words > 0):
        near = finding.start - end <= NEAR and finding.end - start <= LONGEST
        # Only a seam overlaps what is not its own window's, by a second: too little for a passage of its own.
        if near or (finding.start < end and finding.end - end <= OVERLAP):
            groups[-1].append(finding)
        else:
            start = max(finding.start, end)
            groups.append([finding._replace(start=start)])
        end = max(end, finding.end)
    return [_passage(group) for group in groups]


def _passage(findings: Sequence[_Finding]) -> Passage:
    reasons = {finding.reason for finding in findings}
    return Passage(
        start=seconds(findings[0].start),
        end=seconds(max(finding.end for finding in findings)),
        reasons=tuple(reason for reason in Reason if reason in reasons),
        score=round(math.fsum(finding.words for finding in findings), 1),
    )
