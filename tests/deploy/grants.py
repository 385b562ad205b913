"""Who may do what to which resource, out of a plan, in the words of SECURITY.md's table."""

import re
from typing import NamedTuple

from deploy.plans import ROOT, Plan, Resource

SECURITY = ROOT / "SECURITY.md"


class Grant(NamedTuple):
    """One row."""

    identity: str
    resource: str
    role: str  #: with the title of its condition, or with the condition itself where it is not that title's


ROLE = "google_project_iam_custom_role"

RESOURCES = {
    "google_project_iam_member": ("project", None),
    "google_storage_bucket_iam_member": ("bucket", "bucket"),
    "google_pubsub_topic_iam_member": ("topic", "topic"),
    "google_pubsub_subscription_iam_member": ("subscription", "subscription"),
    "google_cloud_run_v2_service_iam_member": ("service", "name"),
    "google_cloud_run_v2_job_iam_member": ("job", "name"),
    "google_cloud_run_v2_worker_pool_iam_member": ("worker pool", "name"),
    "google_artifact_registry_repository_iam_member": ("repository", "repository"),
    "google_service_account_iam_member": ("account", "service_account_id"),
}
"""For each kind of grant, what it is on, and which argument names that."""

CONDITIONS = {
    "notes only": 'resource.type == "storage.googleapis.com/Object" && resource.name.endsWith(".error.txt")',
    "this database only": 'resource.name == "projects/some-project/databases/(default)"',
    "functions' sources only": (
        'resource.name.startsWith("projects/_/buckets/gcf-v2-sources-123456789012-europe-west4")'
    ),
    "locks only": 'resource.name.startsWith("projects/_/buckets/some-project-longscribe-sources/objects/locks/")',
}
"""What each title of a condition stands for."""


def granted(plan: Plan) -> list[Grant]:
    """Return every grant of a plan. Raises `KeyError` for a kind that is not known here."""
    grants = (each for each in plan.resources if "_iam_" in each.kind and each.kind != ROLE)
    return sorted(_grant(each) for each in grants)


def _grant(resource: Resource) -> Grant:
    kind, argument = RESOURCES[resource.kind]
    name = resource.values[argument].rpartition("/")[2].partition("@")[0] if argument else ""
    role = resource.values["role"].removeprefix("roles/").removeprefix("projects/some-project/roles/")
    condition = "".join(f", {_title(each)}" for each in resource.values.get("condition") or [])
    on = f"{kind} {name.removeprefix('some-project-longscribe-')}".strip()
    return Grant(_identity(resource.values["member"]), on, role + condition)


def _title(condition: dict[str, str]) -> str:
    title, expression = condition["title"], condition["expression"]
    return title if CONDITIONS.get(title) == expression else f"{title}: {expression}"


def _identity(member: str) -> str:
    agent = re.fullmatch(r"serviceAccount:service-\d+@(?:gcp-sa-)?([a-z-]+)\.iam\.gserviceaccount\.com", member)
    if agent:
        return {"pubsub": "Pub/Sub", "eventarc": "Eventarc", "gs-project-accounts": "Cloud Storage"}[agent.group(1)]
    pod = re.fullmatch(r"serviceAccount:some-project\.svc\.id\.goog\[longscribe/([a-z-]+)\]", member)
    if pod:
        return f"pod {pod.group(1)}"
    own = re.fullmatch(r"serviceAccount:(longscribe-[a-z]+)@some-project\.iam\.gserviceaccount\.com", member)
    assert own, f"a grant to a stranger: {member}"
    return own.group(1)


WHEN = {"": {"empty", "cloud_run", "gke"}, "image": {"cloud_run", "gke"}, "L4": {"cloud_run"}, "T4": {"gke"}}
"""In which plans a row of the table is."""


def promised(name: str) -> list[Grant]:
    """Return the rows that SECURITY.md has for a plan."""
    text = SECURITY.read_text(encoding="utf-8").partition("| identity | on | role |")[2].partition("\n\n")[0]
    rows = [[cell.strip().replace("`", "") for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:]]
    return sorted(Grant(identity, on, role) for identity, on, role, when, _ in rows if name in WHEN[when])
