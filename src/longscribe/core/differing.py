"""What two transcripts of one recording say differently."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import msgspec

from longscribe.core.text import UNSPACED
from longscribe.core.transcript import Segment, Transcript

CONTEXT = 4
"""Words shown on either side of a change."""


class Hunk(msgspec.Struct, frozen=True, kw_only=True):
    """Words that were replaced, left out or put in, and what stands around them."""

    start: float  #: seconds from the start of the recording: of the segments they are in
    end: float  #: seconds
    lead: str  #: up to four words that stand before them in both
    before: str  #: empty where words were put in
    after: str  #: empty where words were left out
    trail: str  #: up to four words that follow them in both


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """How one transcript became another. Words are compared as they are spelled, punctuation included."""

    words_before: int
    words_after: int
    removed: int  #: words of the transcript before that the one after lacks; a changed word counts here
    added: int  #: and here
    hunks: tuple[Hunk, ...]


@dataclass(frozen=True)
class _Word:
    text: str
    segment: Segment


def differences(before: Transcript, after: Transcript) -> Difference:
    """Return the words that changed, in the order of the recording."""
    glue = "" if after.language in UNSPACED else " "
    old, new = ([list(words) for words in _words(one.segments, glue)] for one in (before, after))
    hunks: list[Hunk] = []
    removed = added = 0
    for ours, theirs in _stretches(old, new):
        for left_out, put_in in _changes(ours, theirs):
            gone, come = ours[left_out], theirs[put_in]
            removed, added = removed + len(gone), added + len(come)
            hunks.append(
                Hunk(
                    start=min(word.segment.start for word in gone + come),
                    end=max(word.segment.end for word in gone + come),
                    lead=_joined(ours[max(0, left_out.start - CONTEXT) : left_out.start], glue),
                    before=_joined(gone, glue),
                    after=_joined(come, glue),
                    trail=_joined(ours[left_out.stop : left_out.stop + CONTEXT], glue),
                )
            )
    return Difference(
        words_before=sum(map(len, old)),
        words_after=sum(map(len, new)),
        removed=removed,
        added=added,
        hunks=tuple(hunks),
    )


def _words(segments: Sequence[Segment], glue: str) -> Iterator[Iterator[_Word]]:
    """Yield each segment's words; where the language has no spaces, its characters."""
    for segment in segments:
        spelled = segment.text.split() if glue else "".join(segment.text.split())
        yield (_Word(text, segment) for text in spelled)


def _stretches(old: Sequence[list[_Word]], new: Sequence[list[_Word]]) -> Iterator[tuple[list[_Word], list[_Word]]]:
    """Yield the words of both for each stretch of time at whose edges no segment of either is under way.

    A transcript of hours is compared piece by piece, so that the time it takes grows only with its length.
    """
    ours: list[_Word] = []
    theirs: list[_Word] = []
    began = reached = 0.0
    both = [(words, ours) for words in old if words] + [(words, theirs) for words in new if words]
    for words, side in sorted(both, key=lambda part: part[0][0].segment.start):
        segment = words[0].segment
        if segment.start >= reached and segment.start > began:  # some segments last no time at all
            yield ours[:], theirs[:]
            ours.clear()
            theirs.clear()
        side.extend(words)
        began, reached = segment.start, max(reached, segment.end)
    yield ours, theirs


def _changes(ours: Sequence[_Word], theirs: Sequence[_Word]) -> Iterator[tuple[slice, slice]]:
    """Yield where the words differ."""
    matcher = SequenceMatcher(None, _texts(ours), _texts(theirs), autojunk=False)
    for tag, first, last, begin, end in matcher.get_opcodes():
        if tag != "equal":
            yield slice(first, last), slice(begin, end)


def _texts(words: Sequence[_Word]) -> list[str]:
    return [word.text for word in words]


def _joined(words: Sequence[_Word], glue: str) -> str:
    return glue.join(_texts(words))
