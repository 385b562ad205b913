"""The language of a recording, when none was given: each window detects one, and they vote by speech seconds."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from longscribe.documents import Chunk
from longscribe.messages import ChunkTask, Window, WindowResult

CERTAIN = 0.8
"""A detection at or above this probability stands, outvoted or not: recordings do change language.

``benchmarks/languages.py`` counts wrong detections below it and above.
"""


def certain(window: WindowResult) -> bool:
    """Return whether a window's language may no longer be overruled."""
    return window.language_probability >= CERTAIN


def settled(chunk: Chunk) -> bool:
    """Return whether a finished chunk's text is final before the vote: its language is pinned, or certain."""
    return chunk.result is None or all(certain(window) for window in chunk.result.windows)


def vote(chunks: Iterable[Chunk]) -> str | None:
    """Return the language with the most speech, in samples weighted by probability; None where nobody spoke.

    Text that failed the guards is no evidence, unless there is no other: music is heard as some language or other.
    """
    votes: Counter[str] = Counter()
    doubted: Counter[str] = Counter()
    for window, heard in _pairs(chunks):
        if heard.words:
            weight = round(window.samples * heard.language_probability)
            (doubted if heard.guards else votes)[heard.language] += weight
    counted = votes or doubted
    # The alphabet decides a tie, so that the same results always elect the same language.
    return min(counted, key=lambda language: (-counted[language], language), default=None)


def outvoted(chunks: Sequence[Chunk], language: str) -> list[ChunkTask]:
    """Return the tasks that transcribe again what the vote for ``language`` overrules, those windows pinned to it.

    Overruled is an uncertain detection of a language that no window is certain of. What else is in the chunk keeps
    its own language.
    """
    spoken = {heard.language for _, heard in _pairs(chunks) if heard.words and not heard.guards and certain(heard)}
    tasks = []
    for chunk in chunks:
        if chunk.task.language is None:
            windows = tuple(
                replace(window, language=language)
                if window.language is None and not certain(heard) and heard.language not in {language, *spoken}
                else window
                for window, heard in _pairs([chunk])
            )
            if chunk.result is not None and windows != chunk.task.windows:
                tasks.append(replace(chunk.task, run=chunk.task.run + 1, windows=windows))
    return tasks


def _pairs(chunks: Iterable[Chunk]) -> Iterator[tuple[Window, WindowResult]]:
    """Yield every window that has a result, with it."""
    for chunk in chunks:
        if chunk.result is not None:
            yield from zip(chunk.task.windows, chunk.result.windows, strict=True)
