"""Fixtures that several folders of tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.standins import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """The stages on local stores of their own."""
    made = Bench(tmp_path)
    yield made
    made.close()
