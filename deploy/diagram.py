"""``make diagram``: docs/deployment.md, a picture of what Terraform plans: its arrows are triggers and grants."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from deploy.plans import ROOT, Missing, Plan, Resource, blocks, prepared

PAGE = ROOT / "docs" / "deployment.md"

HEAD = """# What is deployed

Made by `make diagram` from what Terraform plans: no arrow is drawn that is not configured. Triggers and pushes are
thick, grants thin, dead letters dotted. With T4s the pool is a Deployment on GKE. It has not been run on Google
Cloud.

"""

SHAPES = {
    "google_storage_bucket": ("bucket", "[({})]", "name"),
    "google_pubsub_topic": ("topic", "[/{}/]", "name"),
    "google_cloudfunctions2_function": ("function", "[{}]", "name"),
    "google_cloud_run_v2_worker_pool": ("pool", "[[{}]]", "name"),
    "google_cloud_run_v2_job": ("job", "[{}]", "name"),
    "google_cloud_scheduler_job": ("timer", "([{}])", "name"),
    "google_firestore_database": ("firestore", "[({})]", "name"),
}
"""Of the kinds that are drawn: what they are called, how Mermaid draws them, and which argument is the name."""

GRANTS = {
    ("google_storage_bucket_iam_member", "storage.objectViewer"): ("bucket", "bucket", "reads", False),
    ("google_storage_bucket_iam_member", "storage.objectUser"): ("bucket", "bucket", "writes", True),
    ("google_pubsub_topic_iam_member", "pubsub.publisher"): ("topic", "topic", "publishes", True),
    ("google_pubsub_subscription_iam_member", "pubsub.subscriber"): ("topic", "subscription", "leases", False),
    ("google_cloud_run_v2_service_iam_member", "run.invoker"): ("function", "name", "calls", True),
    ("google_cloud_run_v2_job_iam_member", "run.jobsExecutorWithOverrides"): ("job", "name", "starts", True),
    ("google_cloud_run_v2_worker_pool_iam_member", "longscribeScaler"): ("pool", "name", "sizes", True),
}
"""For each drawn kind of grant: what it is on, which argument names that, the word, and whether the arrow leaves
whoever has it."""


def main() -> None:
    """Write the page."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            terraform = prepared(Path(folder))
        except Missing as missing:
            sys.exit(f"make diagram needs {missing}")
        plan = terraform.tested("-filter=tests/deployment.tftest.hcl").plans["cloud_run"]
    PAGE.write_text(page(plan), encoding="utf-8")


def page(plan: Plan) -> str:
    """Return the page for a plan."""
    lines = ["flowchart LR", *_nodes(plan), *sorted({*_events(plan), *_grants(plan), *_dead_letters(plan)})]
    return HEAD + "```mermaid\n" + "\n  ".join(lines) + "\n```\n"


def _node(kind: str, name: str) -> str:
    return f"{kind}_{name.removeprefix('longscribe-')}".replace("-", "_")


def _short(name: str) -> str:
    return name.rpartition("-longscribe-")[2].removeprefix("longscribe-").replace("(default)", "documents")


def _nodes(plan: Plan) -> Iterator[str]:
    for each in plan.resources:
        if each.kind in SHAPES and each.name != "sources":
            kind, shape, argument = SHAPES[each.kind]
            name = _short(each.values[argument])
            yield _node(kind, name) + shape.format(f'"{kind}<br>{name}"' if kind != "firestore" else '"Firestore"')


def _events(plan: Plan) -> Iterator[str]:
    """Yield what calls a function by itself."""
    for each in plan.all("google_cloudfunctions2_function"):
        for trigger in blocks(each.values, "event_trigger", "event_filters"):
            bucket = _node("bucket", _short(trigger["value"]))
            yield f"{bucket} ==>|each upload| {_node('function', each.values['name'])}"
    for each in plan.all("google_pubsub_subscription"):
        for push in blocks(each.values, "push_config"):
            function = next(
                one.values["name"]
                for one in plan.all("google_cloudfunctions2_function")
                if push["push_endpoint"].startswith(f"https://{one.values['name']}-")
            )
            yield f"{_node('topic', each.values['name'])} ==>|pushed| {_node('function', function)}"


def _dead_letters(plan: Plan) -> Iterator[str]:
    for each in plan.all("google_pubsub_subscription"):
        for policy in blocks(each.values, "dead_letter_policy"):
            dead = policy["dead_letter_topic"].rpartition("/")[2]
            yield f"{_node('topic', each.values['name'])} -.->|dead letters| {_node('topic', dead)}"


def _grants(plan: Plan) -> Iterator[str]:
    drawn = list(_identities(plan))
    for each in plan.resources:
        for account, identity in drawn:
            if account == _account(each.values.get("member", "")):
                yield from _grant(each, identity)


def _grant(grant: Resource, identity: str) -> Iterator[str]:
    role = grant.values.get("role", "").rpartition("/")[2]
    if grant.kind == "google_project_iam_member" and role == "datastore.user":
        yield f"{identity} ---|documents| firestore_documents"
    if (grant.kind, role) in GRANTS:
        kind, argument, word, leaves = GRANTS[grant.kind, role]
        other = _node(kind, _short(grant.values[argument]))
        for condition in grant.values.get("condition") or []:
            word += f": {condition['title']}"
        yield f"{identity} -->|{word}| {other}" if leaves else f"{other} -->|{word}| {identity}"


def _identities(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield each drawn identity and a node that acts as it: the chunker's function and job act as one."""
    for each in plan.all("google_cloudfunctions2_function"):
        for config in blocks(each.values, "service_config"):
            yield _account(config["service_account_email"]), _node("function", each.values["name"])
    for each in plan.all("google_cloud_run_v2_job"):
        for template in blocks(each.values, "template", "template"):
            yield _account(template["service_account"]), _node("job", each.values["name"])
    for each in plan.all("google_cloud_run_v2_worker_pool"):
        for template in blocks(each.values, "template"):
            yield _account(template["service_account"]), _node("pool", each.values["name"])
    for each in plan.all("google_cloud_scheduler_job"):
        for token in blocks(each.values, "http_target", "oidc_token"):
            yield _account(token["service_account_email"]), _node("timer", each.values["name"])


def _account(member: str) -> str:
    return member.removeprefix("serviceAccount:").partition("@")[0]


if __name__ == "__main__":
    main()
