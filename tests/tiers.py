"""How much a test tries: a little by default, and a stretch of the long tier where ``make prove`` asks for it."""

import os

VARIABLE = "LONGSCRIBE_PROVE"
"""Holds ``FROM COUNT`` while a proof runs: which units of work are due."""


def units(short: int) -> range:
    """Return the numbers of the units to try: 0 to ``short`` - 1, or those of the long tier that are due."""
    given = os.environ.get(VARIABLE)
    if given is None:
        return range(short)
    first, count = map(int, given.split())
    return range(first, first + count)


def proving() -> bool:
    """Return whether this is the long tier."""
    return VARIABLE in os.environ
