"""The local cloud, once per session; without it the tests are skipped by name, in CI they fail."""

import os
import uuid
from collections.abc import Iterator

import pytest

from local_cloud import emulators


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
