"""Words into segments, from left to right: a sentence each, or what was said of it in one go and language."""

from collections.abc import Iterable, Sequence

from longscribe.core.limits import SAMPLE_RATE
from longscribe.core.merging import MergedWord
from longscribe.core.text import ends_clause, ends_sentence
from longscribe.core.transcript import Segment, TimedWord, seconds
from longscribe.messages import Guard

PARAGRAPH_PAUSE = 2 * SAMPLE_RATE
"""A pause that ends a segment and, in the text, a paragraph."""

PAUSE = SAMPLE_RATE * 7 // 10
"""A pause that ends a long sentence's segment: well above the 0.3 s within fluent speech."""

LONG_CHARACTERS = 80
"""A sentence from here on is long: two lines of subtitles."""

MAX_CHARACTERS = 240
MAX_SAMPLES = 30 * SAMPLE_RATE
"""No segment of several words is longer than either."""


class Segmenter:
    """A fold over the words of a recording: fed in any portions, it gives the same segments."""

    def __init__(self) -> None:
        self._words: list[MergedWord] = []

    def feed(self, words: Iterable[MergedWord], upto: int) -> list[Segment]:
        """Return the segments closed by ``words`` and by knowing that no later word starts before ``upto``."""
        closed = [segment for word in words for segment in self._push(word)]
        if self._words and upto - self._words[-1].end >= PARAGRAPH_PAUSE:
            closed += self.finish()
        return closed

    def finish(self) -> list[Segment]:
        """Return the last segment, if one is open."""
        closed = [_segment(self._words)] if self._words else []
        self._words = []
        return closed

    def _push(self, word: MergedWord) -> list[Segment]:
        closed = self.finish() if self._words and _ends(self._words, word) else []
        while self._words and _too_long([*self._words, word]):
            at = _best_break(self._words, word)
            closed.append(_segment(self._words[:at]))
            self._words = self._words[at:]
        self._words.append(word)
        return closed


def segments(words: Iterable[MergedWord]) -> list[Segment]:
    """Return all segments of a recording's words."""
    segmenter = Segmenter()
    return segmenter.feed(words, upto=0) + segmenter.finish()


def _ends(words: Sequence[MergedWord], following: MergedWord) -> bool:
    pause = following.start - words[-1].end
    return (
        following.after_missing
        or following.language != words[-1].language
        or pause >= PARAGRAPH_PAUSE
        or (pause >= PAUSE and _characters(words) >= LONG_CHARACTERS)
        or ends_sentence(words[-1].text, following.text)
    )


def _too_long(words: Sequence[MergedWord]) -> bool:
    return words[-1].end - words[0].start > MAX_SAMPLES or _characters(words) > MAX_CHARACTERS


def _characters(words: Iterable[MergedWord]) -> int:
    return sum(len(word.text) for word in words)


def _best_break(words: Sequence[MergedWord], following: MergedWord) -> int:
    """Return how many of ``words`` to close: up to a comma, or else a pause, rather late than early."""

    def merit(at: int) -> float:
        pause = ([*words, following][at].start - words[at - 1].end) / PAUSE
        return ends_clause(words[at - 1].text) + min(pause, 1) + at / len(words)

    return max(range(1, len(words) + 1), key=merit)


def _segment(words: Sequence[MergedWord]) -> Segment:
    raised = {guard for word in words for guard in word.guards}
    return Segment(
        start=seconds(words[0].start),
        end=seconds(words[-1].end),
        text="".join(word.text for word in words).strip(),
        confidence=round(sum(word.probability for word in words) / len(words), 3),
        language=words[0].language,
        guards=tuple(guard for guard in Guard if guard in raised),
        words=tuple(
            TimedWord(seconds(word.start), seconds(word.end), word.text, round(word.probability, 3))
            for word in words
        ),
    )
