"""The language of a recording, when none was given: voted by speech seconds."""

from collections import Counter
from collections.abc import Iterable

from longscribe.documents import Chunk
from longscribe.messages import WindowResult

CERTAIN = 0.8
"""A detection at or above this probability stands, outvoted or not: recordings do change language."""


def certain(window: WindowResult) -> bool:
    """Return whether a window's language may no longer be overruled."""
    return window.language_probability >= CERTAIN


def settled(chunk: Chunk) -> bool:
    """Return whether a finished chunk's text is final before the vote: its language is pinned, or certain."""
    return chunk.result is None or all(certain(window) for window in chunk.result.windows)


def vote(chunks: Iterable[Chunk]) -> str | None:
    """Return the language with the most speech, in samples weighted by probability; None where nobody spoke."""
    votes: Counter[str] = Counter()
    for chunk in chunks:
        if chunk.result is None:
            continue
        for window, heard in zip(chunk.task.windows, chunk.result.windows, strict=True):
            if heard.words:
                votes[heard.language] += round(window.samples * heard.language_probability)
    # The alphabet decides a tie, so that the same results always elect the same language.
    return min(votes, key=lambda language: (-votes[language], language), default=None)


def outvoted(chunk: Chunk, language: str) -> bool:
    """Return whether a chunk must be transcribed again in ``language``: it heard another, and was not certain."""
    if chunk.result is None or chunk.task.language is not None:
        return False
    return any(heard.language != language and not certain(heard) for heard in chunk.result.windows)
