"""One contract suite per port. An adapter's test module subclasses a suite and supplies its fixtures."""

import pytest

pytest.register_assert_rewrite("tests.contract.blobs", "tests.contract.queue", "tests.contract.jobs")
