"""Fixtures that several folders of tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import Phase, settings

from tests import canaries
from tests.standins import Bench

# Promises ask for ten thousand examples: ``make properties``, or ``pytest --hypothesis-profile=long``.
settings.register_profile("short", max_examples=300)
settings.register_profile("long", max_examples=10_000, deadline=None)
# Where it is enough that a test fails, no smaller example is looked for.
settings.register_profile("hasty", max_examples=300, phases=(Phase.explicit, Phase.reuse, Phase.generate))
settings.load_profile("short")


def pytest_configure(config: pytest.Config) -> None:
    """Look through all logs."""
    canaries.install(config)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """The stages on local stores of their own."""
    made = Bench(tmp_path)
    yield made
    made.close()
