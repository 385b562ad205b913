"""The local cloud, once per session; without it the tests are skipped by name, in CI they fail."""

import gc
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_cloud import emulators

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bear with Google's storage client, which leaves the socket of a refused download to the garbage collector."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))


@pytest.fixture(scope="module", autouse=True)
def _collected() -> Iterator[None]:
    """Collect those sockets here, so that no test elsewhere is blamed."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def cloud() -> Iterator[emulators.Emulators]:
    """The three emulators, running."""
    lacking = emulators.missing()
    if lacking:
        message = f"the local cloud needs {'; '.join(lacking)}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with emulators.running() as running:
        yield running


@pytest.fixture
def project() -> str:
    """A project nobody else uses."""
    return f"test-{uuid.uuid4().hex[:20]}"
