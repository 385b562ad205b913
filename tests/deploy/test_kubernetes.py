"""The manifests for GKE: valid for Kubernetes, confined, and of the names that Terraform and the code use."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from deploy.plans import ROOT, Plan
from longscribe import prices
from longscribe.adapters.gcp.run import EVENT_VARIABLE
from longscribe.messages import UploadEvent, decode
from longscribe.services.working import GRACE_SECONDS
from longscribe.wiring_cloud import environment
from tests.deploy.conftest import lacking
from tests.deploy.kustomize import Absent, built, environment_of

VERSION = "1.33"
"""Of Kubernetes: GKE's regular channel has this or a newer one."""

SPOT_SECONDS = 25
"""What a spot node leaves a pod (GKE, documented)."""


@pytest.fixture(scope="module")
def manifests(plans: dict[str, Plan], tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What `make deploy` would apply."""
    try:
        return built(plans["gke"].outputs["kubernetes"], tmp_path_factory.mktemp("kubernetes"))
    except Absent as absent:
        lacking(str(absent))


def of(manifests: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (found,) = [one for one in manifests if one["kind"] == kind and one["metadata"]["name"].startswith(name)]
    return found


def pods(manifests: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "worker", of(manifests, "Deployment", "longscribe-worker")["spec"]["template"]["spec"]
    job = of(manifests, "CronJob", "longscribe-chunker")["spec"]["jobTemplate"]
    yield "chunker", job["spec"]["template"]["spec"]


def test_each_is_what_kubernetes_takes(manifests: list[dict[str, Any]]) -> None:
    kinds = {each["kind"] for each in manifests}
    assert kinds >= {"Namespace", "ServiceAccount", "Deployment", "NetworkPolicy", "Role", "RoleBinding", "CronJob"}
    for each in manifests:
        kubernetes_validate.validate(each, VERSION, strict=True)


def test_what_is_no_field_is_refused(manifests: list[dict[str, Any]]) -> None:
    spoiled = json.loads(json.dumps(of(manifests, "Deployment", "longscribe-worker")))
    spoiled["spec"]["template"]["spec"]["nodeselector"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(spoiled, VERSION, strict=True)


def test_a_pod_has_one_t4_of_a_spot_node(manifests: list[dict[str, Any]]) -> None:
    pod = dict(pods(manifests))["worker"]
    assert pod["nodeSelector"] == {
        "cloud.google.com/gke-accelerator": "nvidia-tesla-t4",
        "cloud.google.com/gke-spot": "true",
    }
    (container,) = pod["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert GRACE_SECONDS < pod["terminationGracePeriodSeconds"] < SPOT_SECONDS


def test_the_model_is_loaded_from_memory_that_the_pod_has(manifests: list[dict[str, Any]]) -> None:
    pod = dict(pods(manifests))["worker"]
    cache = next(each["emptyDir"] for each in pod["volumes"] if each["name"] == "cache")
    assert cache["medium"] == "Memory"
    (container,) = pod["containers"]
    memory = int(container["resources"]["limits"]["memory"].removesuffix("Gi")) * 1024
    variables = of(manifests, "ConfigMap", "longscribe-worker-")["data"]
    in_memory = sum(_megabytes(each["emptyDir"]["sizeLimit"]) for each in pod["volumes"])
    assert in_memory + environment(variables).memory_mb < memory
    mounted = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert {"name": "LONGSCRIBE_MODEL_CACHE", "value": mounted["cache"]} in container["env"]


def test_a_worker_fits_the_machine_that_it_is_reckoned_with(
    manifests: list[dict[str, Any]], plans: dict[str, Plan]
) -> None:
    """An n1-standard-4 has 4 CPUs and 15 GiB; GKE keeps some for itself, by the formula that it documents."""
    machine = environment_of(plans["gke"], "worker")["LONGSCRIBE_MACHINE"]
    assert prices.load().machines[machine].name.endswith("spot n1-standard-4 node of GKE")
    kept_mb = (
        1024 * (0.25 * 4 + 0.20 * 4 + 0.10 * 7) + 100
    )  # of the first 4 GiB, the next 4, the rest; for evictions
    kept_cpus = 0.06 + 0.01 + 2 * 0.005
    system_mb, system_cpus = 768, 0.5  # a guess at what GKE's own pods ask for
    (container,) = dict(pods(manifests))["worker"]["containers"]
    asked = container["resources"]["requests"]
    assert asked == container["resources"]["limits"]
    assert _megabytes(asked["memory"]) <= 15 * 1024 - kept_mb - system_mb
    assert float(asked["cpu"]) <= 4 - kept_cpus - system_cpus


def _megabytes(quantity: str) -> int:
    return int(quantity[:-2]) * {"Mi": 1, "Gi": 1024}[quantity[-2:]]


def test_health_is_asked_where_the_worker_answers(manifests: list[dict[str, Any]]) -> None:
    (container,) = dict(pods(manifests))["worker"]["containers"]
    variables = of(manifests, "ConfigMap", "longscribe-worker-")["data"]
    assert container["ports"] == [{"name": "health", "containerPort": environment(variables).health_port}]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz", "port": "health"}


def test_applying_it_again_leaves_the_size_alone(manifests: list[dict[str, Any]]) -> None:
    assert "replicas" not in of(manifests, "Deployment", "longscribe-worker")["spec"]


def test_pods_are_confined(manifests: list[dict[str, Any]]) -> None:
    for name, pod in pods(manifests):
        assert pod["serviceAccountName"] == f"longscribe-{name}"
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 65532
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}


def test_pods_are_the_identities_and_images_of_terraform(manifests: list[dict[str, Any]]) -> None:
    for name, pod in pods(manifests):
        account = of(manifests, "ServiceAccount", f"longscribe-{name}")
        assert account["metadata"]["annotations"] == {
            "iam.gke.io/gcp-service-account": f"longscribe-{name}@some-project.iam.gserviceaccount.com"
        }
        images = {each["image"] for each in pod["containers"]}
        assert images == {f"europe-west4-docker.pkg.dev/some-project/longscribe/{name}:tag"}
        (source,) = pod["containers"][0]["envFrom"]
        assert (
            source["configMapRef"]["name"] == of(manifests, "ConfigMap", f"longscribe-{name}-")["metadata"]["name"]
        )


def test_the_reconciler_may_size_one_deployment(manifests: list[dict[str, Any]], plans: dict[str, Plan]) -> None:
    (rule,) = of(manifests, "Role", "longscribe-scaler")["rules"]
    read = environment({"LONGSCRIBE_PROJECT": "some-project"})
    assert rule == {
        "apiGroups": ["apps"],
        "resources": ["deployments/scale"],
        "resourceNames": [read.gke_deployment],
        "verbs": ["get", "patch"],
    }
    subjects = of(manifests, "RoleBinding", "longscribe-scaler")["subjects"]
    account = plans["gke"].one("google_service_account.reconciler")
    assert [each["name"] for each in subjects] == [account["email"], account["unique_id"]]
    assert {each["metadata"].get("namespace", read.gke_namespace) for each in manifests} == {read.gke_namespace}


def test_a_recording_is_cut_by_hand_with_the_event_of_the_page(manifests: list[dict[str, Any]]) -> None:
    job = of(manifests, "CronJob", "longscribe-chunker")["spec"]
    assert job["suspend"] is True
    (container,) = dict(pods(manifests))["chunker"]["containers"]
    assert [each["name"] for each in container["env"]] == [EVENT_VARIABLE]
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    event = page.partition(f"{EVENT_VARIABLE}='")[2].partition("'")[0]
    assert decode(event.encode(), UploadEvent).recording.name == "talk.mp3"


def test_every_manifest_is_applied(manifests: list[dict[str, Any]]) -> None:
    folder = ROOT / "gpu_service" / "kubernetes"
    named: Mapping[str, Any] = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    assert set(named["resources"]) | {"kustomization.yaml"} == {path.name for path in Path(folder).iterdir()}
