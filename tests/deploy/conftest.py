"""Terraform's plans, once per session; what a machine lacks for them is named, and in CI it fails."""

import os
from pathlib import Path
from typing import NoReturn

import pytest

from deploy.plans import Missing, Outcome, Plan, Terraform, prepared


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """The project's Terraform, ready to be planned."""
    try:
        return prepared(tmp_path_factory.mktemp("deployment"))
    except Missing as missing:
        lacking(str(missing))


def lacking(what: str) -> NoReturn:
    """Skip by name; in CI fail."""
    if os.environ.get("CI"):
        pytest.fail(f"this test needs {what}")
    pytest.skip(f"this test needs {what}")


@pytest.fixture(scope="session")
def tested(terraform: Terraform) -> Outcome:
    """What its own tests came to."""
    return terraform.tested()


@pytest.fixture(scope="session")
def plans(tested: Outcome) -> dict[str, Plan]:
    """Plans of an empty project: without an image, and with one on each backend."""
    return {name: tested.plans[name] for name in ("empty", "cloud_run", "gke")}


@pytest.fixture(params=["empty", "cloud_run", "gke"])
def plan(request: pytest.FixtureRequest, plans: dict[str, Plan]) -> Plan:
    """Each of them."""
    return plans[request.param]


@pytest.fixture
def spoiled(terraform: Terraform, tmp_path: Path) -> Terraform:
    """A copy of one's own, to break."""
    return prepared(tmp_path)
