"""The Kubernetes manifests of a deployment on GKE, as kustomize puts them together."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from deploy.plans import ROOT, Plan


class Absent(Exception):
    """This machine has no kustomize; the text says so."""


def environment_of(plan: Plan, pod: str) -> dict[str, str]:
    """Return the variables that Terraform's kustomization gives to the worker or the chunker."""
    maps = yaml.safe_load(plan.outputs["kubernetes"])["configMapGenerator"]
    (found,) = [each for each in maps if each["name"] == f"longscribe-{pod}-environment"]
    return dict(literal.split("=", 1) for literal in found["literals"])


def built(kustomization: str, folder: Path) -> list[dict[str, Any]]:
    """Return the manifests of a deployment's kustomization, put together under ``folder``. Raises `Absent`."""
    if shutil.which("kubectl") is None:
        raise Absent("kubectl (Debian's kubernetes-client, or gcloud components install kubectl)")
    shutil.copytree(ROOT / "gpu_service" / "kubernetes", folder / "gpu_service" / "kubernetes")
    own = folder / "build" / "kubernetes"
    own.mkdir(parents=True)
    (own / "kustomization.yaml").write_text(kustomization, encoding="utf-8")
    done = subprocess.run(["kubectl", "kustomize", own], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))
