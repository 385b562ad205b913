"""Replay seeds of the random campaign; print the schedule of the first that fails.

python -m tests.simulation FROM SEEDS
"""

import sys
from collections import Counter

from tests.simulation.campaign import KINDS, Voyage


def main(first: int, count: int) -> int:
    """Run seeds ``first`` to ``first + count - 1``; return the exit code."""
    fired: Counter[str] = Counter()
    states: Counter[str] = Counter()
    slowest = 0.0
    for seed in range(first, first + count):
        try:
            voyage = Voyage(seed).run()
        except AssertionError as error:
            print(error)
            return 1
        fired += voyage.fired
        states += voyage.states
        slowest = max(slowest, voyage.seconds)
    for kind in KINDS:
        print(f"{fired[kind]:9,} {kind}")
    print(f"{count:,} seeds from {first}; jobs: {', '.join(f'{n:,} {state}' for state, n in states.items())}")
    print(f"At rest after at most {slowest:,.0f} s of virtual time from the end of the storm.")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
