"""Segments into subtitle cues: two short lines each, never overlapping, on screen long enough to be read."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from longscribe.core.text import clean, columns, ends_clause, ends_sentence, unspaced
from longscribe.core.transcript import Coverage, Kind, Segment, TimedWord, milliseconds

LINE = 42
"""Columns in a line, the usual limit for subtitles; a full-width character takes two."""

SHORTEST = 800
LONGEST = 7_000
"""Milliseconds a cue is shown: long enough to be noticed, short enough not to be read twice."""

CHARACTERS_PER_SECOND = 20
"""Reading speed of adults, as broadcasters' guides have it (17 to 20)."""

PAUSE = 1_000
"""Milliseconds of silence that no cue bridges."""


TOKEN = 0.05
"""Seconds: what is shorter would be told of as 0.0 s."""

UNBRIDGED = 10
"""Outweighs every other reason to break, so that a pause no cue may bridge is broken at first."""


class Cue(NamedTuple):
    """One subtitle. Times are milliseconds from the start of the recording."""

    start: int
    end: int
    lines: tuple[str, ...]
    note: bool = False  #: tells of a missing stretch, for as long as it lasts


class _Unit(NamedTuple):
    """What no line break may part: a word, or a piece of one that is too long for a line."""

    start: int
    end: int
    text: str
    space: bool  # whether one stands before it


def cues(segments: Iterable[Segment]) -> list[Cue]:
    """Return the cues of ``segments``, in order and timed as their words are: `timed` makes them readable.

    Raises `ValueError` for segments without their words.
    """
    groups: list[list[_Unit]] = []
    for segment in segments:
        if segment.text and not segment.words:
            raise ValueError("The segments hold no words; read a transcript made with word_times.")
        for group in _split(_units(segment.words)):
            if groups and group[0].start - groups[-1][0].start < SHORTEST and _fits(groups[-1] + group):
                groups[-1] += group
            else:
                groups.append(group)
    return [Cue(group[0].start, group[-1].end, _lines(group)) for group in groups]


def notes(coverage: Iterable[Coverage]) -> list[Cue]:
    """Return a cue for each missing stretch that says so, and why, as far as two lines hold it."""
    found = []
    for part in coverage:
        if part.kind is Kind.MISSING:
            units = _units([TimedWord(part.start, part.end, f"[{missing(part)}]", 1.0)])
            while len(_lines(units)) > 2:
                units = [*units[:-2], _Unit(0, 0, "…]", space=True)]
            found.append(Cue(milliseconds(part.start), milliseconds(part.end), _lines(units), note=True))
    return found


def missing(part: Coverage) -> str:
    """Return what is told of a missing stretch; no length of a mere token, for nobody knows how much is gone."""
    length = part.end - part.start
    return clean(f"missing {length:.1f} s: {part.reason}" if length >= TOKEN else f"missing: {part.reason}")


def timed(cues: Iterable[Cue]) -> list[Cue]:
    """Return ``cues`` ordered, none overlapping the next, each long enough to be read where time allows.

    A cue follows late where the one before needs its shortest time; a pause makes up for it.
    """
    ordered = sorted(cues, key=lambda cue: cue.start)
    done: list[Cue] = []
    for index, cue in enumerate(ordered):
        start = max(cue.start, done[-1].end if done else 0)
        reading = sum(map(len, cue.lines)) * 1000 // CHARACTERS_PER_SECOND
        end = max(cue.end, start + reading)
        if not cue.note:
            end = min(end, start + LONGEST)
        for following in ordered[index + 1 : index + 2]:
            end = min(end, following.start)
        done.append(cue._replace(start=start, end=max(end, start + SHORTEST)))
    return done


def _units(words: Iterable[TimedWord]) -> list[_Unit]:
    units: list[_Unit] = []
    space = False
    for word in words:
        text = clean(word.text)
        space = space or text.startswith(" ")
        start, length = milliseconds(word.start), milliseconds(word.end) - milliseconds(word.start)
        said = text.strip()
        for piece in re.finditer("[^ ]+", said):
            for part, first, last in _cut(piece.group(), piece.start()):
                spaced = space if first == 0 else said[first - 1] == " "
                times = start + length * first // len(said), start + length * last // len(said)
                _append(units, _Unit(*times, part, spaced))
        space = text.endswith(" ") or (space and not said)
    return units


def _append(units: list[_Unit], unit: _Unit) -> None:
    """Add ``unit``, to the last one if no line break may come between."""
    if units and not unit.space and not unspaced(units[-1].text[-1]) and not unspaced(unit.text[0]):
        joined = units[-1]._replace(end=unit.end, text=units[-1].text + unit.text)
        if columns(joined.text) <= LINE:
            units[-1] = joined
            return
    units.append(unit)


def _cut(text: str, offset: int) -> Iterator[tuple[str, int, int]]:
    """Yield ``text`` in pieces that fit a line, with their bounds, counted from ``offset``."""
    first = 0
    for last in range(1, len(text) + 1):
        if last == len(text) or columns(text[first : last + 1]) > LINE:
            yield text[first:last], offset + first, offset + last
            first = last


def _split(units: list[_Unit]) -> Iterator[list[_Unit]]:
    """Yield ``units`` in groups that each fit a cue, broken where it disturbs least."""
    if len(units) < 2 or _fits(units):
        yield from [units] if units else []
        return
    at = max(range(1, len(units)), key=lambda at: _merit(units, at))
    yield from _split(units[:at])
    yield from _split(units[at:])


def _merit(units: Sequence[_Unit], at: int) -> float:
    pause = (units[at].start - units[at - 1].end) / PAUSE
    left, right = _length(units[:at]), _length(units[at:])
    return (
        (UNBRIDGED if pause >= 1 else pause)
        + ends_sentence(units[at - 1].text, units[at].text)
        + ends_clause(units[at - 1].text) / 2
        - abs(left - right) / (left + right)
    )


def _length(units: Iterable[_Unit]) -> int:
    return sum(len(unit.text) for unit in units)


def _fits(units: Sequence[_Unit]) -> bool:
    return (
        units[-1].end - units[0].start <= LONGEST
        and all(after.start - before.end < PAUSE for before, after in pairwise(units))
        and len(_lines(units)) <= 2
    )


def _lines(units: Sequence[_Unit]) -> tuple[str, ...]:
    """Return ``units`` in lines: one, two as equal as can be, or as many as it takes."""
    whole = _join(units)
    if columns(whole) <= LINE:
        return (whole,)
    halves = [(_join(units[:at]), _join(units[at:])) for at in range(1, len(units))]
    fitting = [pair for pair in halves if max(map(columns, pair)) <= LINE]
    return min(fitting, key=lambda pair: max(map(columns, pair)), default=(whole, "", ""))


def _join(units: Sequence[_Unit]) -> str:
    return "".join(" " * unit.space + unit.text for unit in units).strip()
