"""The names of topics, the same in every setting, and which topic a chunk goes to.

Each topic has one subscription of the same name.
"""

from longscribe.messages import Priority

CHUNKS_HIGH = "longscribe-chunks-high"
CHUNKS_LOW = "longscribe-chunks-low"
RESULTS = "longscribe-results"
DEAD_CHUNKS = "longscribe-chunks-dead"
DEAD_RESULTS = "longscribe-results-dead"
"""What the assembler could not take: of a newer version, or damaged. Only people read it."""

FIRST_CHUNKS = 4
"""A job's first chunks are urgent, so that its text appears early: as many as one worker leases."""

HEAVY = 0.75
"""A chunk of which at least this share is speech is urgent too: it holds the most text for its length."""


def topic(priority: Priority) -> str:
    """Return the topic of a priority."""
    return CHUNKS_HIGH if priority is Priority.HIGH else CHUNKS_LOW


def priority(index: int, speech: int, extent: int) -> Priority:
    """Return the priority of a chunk with ``speech`` samples of speech in a stretch of ``extent`` samples."""
    return Priority.HIGH if index < FIRST_CHUNKS or speech >= HEAVY * extent else Priority.LOW
