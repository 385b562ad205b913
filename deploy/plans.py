"""Terraform without a cloud: which command stands for it, what it plans, and what of that is asked most."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "terraform"

VARIABLE = "LONGSCRIBE_TERRAFORM"
"""A command that stands for ``terraform``, such as one that brings providers along."""


NO_PROVIDERS = "Failed to query available provider packages"
"""How ``terraform init`` begins to say that it cannot have them."""


class Missing(Exception):
    """This machine cannot run Terraform; the text says what it lacks."""


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Resource:
    """One resource of a plan."""

    address: str
    kind: str
    name: str
    key: str | int | None
    values: dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What would be made of an empty project."""

    resources: tuple[Resource, ...]
    outputs: Mapping[str, Any]

    def all(self, kind: str) -> list[Resource]:
        """Return the resources of a kind."""
        return [each for each in self.resources if each.kind == kind]

    def one(self, address: str) -> dict[str, Any]:
        """Return the values of one resource."""
        (found,) = [each.values for each in self.resources if each.address == address]
        return found


@dataclass(frozen=True)
class Terraform:
    """A copy of the project's folder, with the bundles beside it, to be planned and spoiled at will."""

    folder: Path

    def __call__(self, *arguments: str) -> Ran:
        """Run it."""
        command = [*shlex.split(os.environ.get(VARIABLE) or "terraform"), *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        return Ran(done.returncode, done.stdout, done.stderr)

    def tested(self, *options: str) -> "Outcome":
        """Run its own tests."""
        return Outcome(self("test", "-json", "-verbose", *options))


class Outcome:
    """What ``terraform test`` came to."""

    def __init__(self, ran: Ran) -> None:
        lines = [json.loads(line) for line in ran.out.splitlines() if line.startswith("{")]
        self.code = ran.code
        self.said = [line["diagnostic"]["summary"] for line in lines if line["type"] == "diagnostic"]
        self.status = {
            line["test_run"]["run"]: line["test_run"]["status"]
            for line in lines
            if line["type"] == "test_run" and line["test_run"]["progress"] == "complete"
        }
        self.plans = {line["@testrun"]: _plan(line["test_plan"]) for line in lines if line["type"] == "test_plan"}


def _plan(told: dict[str, Any]) -> Plan:
    resources = tuple(
        Resource(each["address"], each["type"], each["name"], each.get("index"), each["change"]["after"])
        for each in told.get("resource_changes", [])  # a refused variable leaves none
        if each["mode"] == "managed" and each["change"]["after"] is not None
    )
    outputs = {name: each.get("after") for name, each in told.get("output_changes", {}).items()}
    return Plan(resources, outputs)


def prepared(folder: Path) -> Terraform:
    """Return a fresh copy under ``folder`` that can be planned. Raises `Missing`."""
    program = shlex.split(os.environ.get(VARIABLE) or "terraform")[0]
    if shutil.which(program) is None:
        raise Missing(f"{program} (install Terraform 1.11 or newer, or name another command in {VARIABLE})")
    subprocess.run([sys.executable, ROOT / "functions" / "bundle.py"], check=True)
    shutil.copytree(ROOT / "build" / "functions", folder / "build" / "functions")
    shutil.copytree(FOLDER, folder / "terraform", ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
    made = Terraform(folder / "terraform")
    begun = made("init", "-backend=false", "-input=false", "-no-color")
    said = " ".join(begun.err.split())
    if NO_PROVIDERS in said:
        raise Missing(
            f"the providers that terraform/versions.tf names (let `terraform init` reach its registry, or name a"
            f" command that brings them along in {VARIABLE}); it said: {said[said.index(NO_PROVIDERS) :][:300]}"
        )
    assert begun.code == 0, begun.err
    return made


def blocks(values: dict[str, Any], *path: str) -> Iterator[dict[str, Any]]:
    """Yield the blocks under a path of names; Terraform has them as lists."""
    if not path:
        yield values
        return
    for each in values.get(path[0]) or []:
        yield from blocks(each, *path[1:])


def block(values: dict[str, Any], *path: str) -> dict[str, Any]:
    """Return the only block under a path."""
    (found,) = blocks(values, *path)
    return found
