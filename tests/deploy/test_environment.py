"""What Terraform puts into each component's environment is what the code takes: the services are made from it."""

from collections.abc import Iterable, Mapping

import google.auth
import msgspec
import pytest
from google.auth.credentials import AnonymousCredentials

from deploy.plans import Outcome, Plan, block, blocks
from longscribe import wiring_cloud
from longscribe.adapters.gcp.run import ChunkerJob, CloudRunPool, GkePool
from longscribe.core import limits
from longscribe.services.reconciling import Unscaled
from tests.deploy.kustomize import environment_of

PARENT = "projects/some-project/locations/europe-west4"

AWAY = {
    "STORAGE_EMULATOR_HOST": "http://127.0.0.1:1",
    "PUBSUB_EMULATOR_HOST": "127.0.0.1:1",
    "FIRESTORE_EMULATOR_HOST": "127.0.0.1:1",
    wiring_cloud.RUN_EMULATOR: "127.0.0.1:1",
}
"""Clients are made and never used: nobody listens there."""


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in AWAY.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(google.auth, "default", lambda **_: (AnonymousCredentials(), "some-project"))


def of_function(plan: Plan, name: str) -> dict[str, str]:
    made = plan.one(f"google_cloudfunctions2_function.{name}")
    return {**block(made, "service_config")["environment_variables"], **AWAY}


def of_container(values: dict, *path: str) -> dict[str, str]:
    return {each["name"]: each["value"] for each in blocks(values, *path, "containers", "env")}


def stored(read: wiring_cloud.CloudEnvironment) -> tuple[str, ...]:
    return read.project, read.uploads_bucket, read.chunks_bucket, read.transcripts_bucket, read.database, read.model


def everything(plan: Plan) -> dict[str, Mapping[str, str]]:
    found: dict[str, Mapping[str, str]] = {
        name: of_function(plan, name) for name in ("chunker", "assembler", "reconciler")
    }
    for each in plan.all("google_cloud_run_v2_job"):
        found["job"] = of_container(each.values, "template", "template")
    for each in plan.all("google_cloud_run_v2_worker_pool"):
        found["worker"] = of_container(each.values, "template")
    if plan.outputs["kubernetes"]:
        found["worker"] = environment_of(plan, "worker")
        found["pod"] = environment_of(plan, "chunker")
    return found


def test_all_components_keep_to_the_same_stores(plan: Plan) -> None:
    read = {stored(wiring_cloud.environment(variables)) for variables in everything(plan).values()}
    project = "some-project"
    buckets = [f"{project}-longscribe-{name}" for name in ("uploads", "chunks", "transcripts")]
    assert read == {(project, *buckets, "(default)", "large-v3")}


def test_each_backend_has_all_of_them(plans: dict[str, Plan]) -> None:
    assert set(everything(plans["empty"])) == {"chunker", "assembler", "reconciler"}
    components = {"chunker", "assembler", "reconciler", "job", "worker"}
    assert set(everything(plans["cloud_run"])) == components
    assert set(everything(plans["gke"])) == {*components, "pod"}


STORES = {
    "LONGSCRIBE_PROJECT": "other-project",
    "LONGSCRIBE_UPLOADS_BUCKET": "other-project-longscribe-uploads",
    "LONGSCRIBE_CHUNKS_BUCKET": "other-project-longscribe-chunks",
    "LONGSCRIBE_TRANSCRIPTS_BUCKET": "other-project-longscribe-transcripts",
    "LONGSCRIBE_DATABASE": "(default)",
    "LONGSCRIBE_MODEL": "turbo",
    "LONGSCRIBE_REGION": "us-central1",
}
ELSEWHERE = "projects/other-project/locations/us-central1"
JOB = {"LONGSCRIBE_CHUNKER_JOB": f"{ELSEWHERE}/jobs/longscribe-chunker"}
CHUNKER = {
    **STORES,
    **JOB,
    "LONGSCRIBE_RECONCILER_URL": "https://longscribe-reconciler-0123456789-ez.a.run.app",
}
POOLS = {
    "most_on_cloud_run": {"LONGSCRIBE_GPU_POOL": f"{ELSEWHERE}/workerPools/longscribe-worker"},
    "most_on_gke": {"LONGSCRIBE_GKE_ENDPOINT": "https://gke-0123456789.europe-west4.gke.goog"},
}
MACHINES = {
    "most_on_cloud_run": {"LONGSCRIBE_MACHINE": "l4", "LONGSCRIBE_MEMORY_MB": "12288"},
    "most_on_gke": {"LONGSCRIBE_MACHINE": "t4-spot", "LONGSCRIBE_MEMORY_MB": "7168"},
}


@pytest.mark.parametrize("name", ["most_on_cloud_run", "most_on_gke"])
def test_what_is_set_away_from_its_default_arrives(tested: Outcome, name: str) -> None:
    found = everything(tested.plans[name])
    expected = {
        "chunker": CHUNKER,
        "job": CHUNKER,
        "assembler": STORES,
        "reconciler": {**STORES, **JOB, **POOLS[name], "LONGSCRIBE_MAX_INSTANCES": "100"},
        "worker": {**STORES, **MACHINES[name], "LONGSCRIBE_LEASES": "16"},
    }
    if name == "most_on_gke":
        expected["pod"] = CHUNKER
    assert {part: without(AWAY, variables) for part, variables in found.items()} == expected
    for variables in found.values():  # and is taken as it is meant
        read = msgspec.structs.asdict(wiring_cloud.environment(variables))
        for variable, value in without(AWAY, variables).items():
            assert str(read[variable.removeprefix("LONGSCRIBE_").lower()]) == value


def without(names: Iterable[str], variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name not in names}


def test_the_pods_chunker_is_made_of_it(plans: dict[str, Plan]) -> None:
    made = wiring_cloud.chunking({**environment_of(plans["gke"], "chunker"), **AWAY})
    assert made._ports.chunks_bucket == "some-project-longscribe-chunks"
    assert isinstance(made._job, ChunkerJob)


def test_the_chunker_is_made_of_it(plan: Plan) -> None:
    variables = of_function(plan, "chunker")
    made = wiring_cloud.chunking(variables)
    assert made._ports.defaults.model == "large-v3"
    assert made._ports.started is not None
    assert made._ports.started._url == "https://longscribe-reconciler-0123456789-ez.a.run.app"
    if plan.all("google_cloud_run_v2_job"):
        assert isinstance(made._job, ChunkerJob)
        assert made._job._name == f"{PARENT}/jobs/longscribe-chunker"
        (job,) = plan.all("google_cloud_run_v2_job")
        assert {**of_container(job.values, "template", "template"), **AWAY} == variables
    else:
        assert made._job is None


def test_the_assembler_is_made_of_it(plan: Plan) -> None:
    made = wiring_cloud.assembling(of_function(plan, "assembler"))
    assert made._ports.transcripts_bucket == "some-project-longscribe-transcripts"


def test_the_reconciler_sizes_the_pool_that_is_there(plans: dict[str, Plan]) -> None:
    pools = {
        name: wiring_cloud.reconciling(of_function(plan, "reconciler"))._ports.pool for name, plan in plans.items()
    }
    assert isinstance(pools["empty"], Unscaled)
    assert isinstance(pools["cloud_run"], CloudRunPool)
    (pool,) = plans["cloud_run"].all("google_cloud_run_v2_worker_pool")
    assert pools["cloud_run"]._name == f"{PARENT}/workerPools/{pool.values['name']}"
    assert isinstance(pools["gke"], GkePool)
    assert pools["gke"]._url == (
        "https://gke-0123456789.europe-west4.gke.goog/apis/apps/v1/namespaces/longscribe/deployments/longscribe-worker/scale"
    )
    fleet = wiring_cloud.reconciling(of_function(plans["cloud_run"], "reconciler"))._ports.fleet
    assert fleet.maximum == 3


def test_the_worker_has_room_for_its_leases(plans: dict[str, Plan]) -> None:
    for name in ("cloud_run", "gke"):
        read = wiring_cloud.environment(everything(plans[name])["worker"])
        assert read.leases == limits.LEASES
        assert read.memory_mb < 16_384
