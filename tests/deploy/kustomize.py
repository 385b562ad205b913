"""The Kubernetes manifests of a deployment on GKE, as kustomize puts them together."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.terraform import ROOT, Plan

FOLDER = ROOT / "gpu_service" / "kubernetes"


def worker_environment(plan: Plan) -> dict[str, str]:
    """Return the variables that Terraform's kustomization gives to workers."""
    (made,) = yaml.safe_load(plan.outputs["kubernetes"])["configMapGenerator"]
    return dict(literal.split("=", 1) for literal in made["literals"])
