"""Least privilege: exactly the grants of SECURITY.md's table, no key, nothing that overwrites others' grants."""

import re

import pytest

from deploy.plans import FOLDER, Plan, Terraform
from tests.deploy.grants import CONDITIONS, granted, promised

DEPLOYMENT = "-filter=tests/deployment.tftest.hcl"
BROAD = {"owner", "editor", "viewer", "storage.admin", "pubsub.admin", "run.admin", "datastore.owner"}


@pytest.mark.parametrize("name", ["empty", "cloud_run", "gke"])
def test_the_grants_are_those_of_the_table(plans: dict[str, Plan], name: str) -> None:
    assert granted(plans[name]) == promised(name)
    assert len(promised(name)) > 30


def test_one_more_grant_does_not_pass(spoiled: Terraform) -> None:
    with (spoiled.folder / "uploads.tf").open("a") as file:
        file.write("""
resource "google_storage_bucket_iam_member" "one_more" {
  bucket = google_storage_bucket.transcripts.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.chunker.member
}
""")
    plan = spoiled.tested(DEPLOYMENT).plans["cloud_run"]
    more = set(granted(plan)) - set(promised("cloud_run"))
    assert [tuple(each) for each in more] == [("longscribe-chunker", "bucket transcripts", "storage.objectViewer")]


def test_a_condition_that_is_dropped_does_not_pass(spoiled: Terraform) -> None:
    file = spoiled.folder / "chunker.tf"
    text = file.read_text()
    narrowed = re.sub(r"  condition \{\n    title .*?\n  \}\n", "", text, count=1, flags=re.S)
    assert narrowed != text
    file.write_text(narrowed)
    assert granted(spoiled.tested(DEPLOYMENT).plans["cloud_run"]) != promised("cloud_run")


WIDENED = {
    "project": {'-${var.region}\\")': '\\")', "/objects/locks/": "/objects/"},
    "jobs": {"/databases/${google_firestore_database.jobs.name}": "/databases/other"},
    "chunker": {".error.txt": ".txt"},
}


def test_a_condition_that_is_another_does_not_pass(spoiled: Terraform) -> None:
    for name, changes in WIDENED.items():
        file = spoiled.folder / f"{name}.tf"
        text = file.read_text()
        for narrow, wide in changes.items():
            assert text.count(narrow) == 1, narrow
            text = text.replace(narrow, wide)
        file.write_text(text)
    strange = set(granted(spoiled.tested(DEPLOYMENT).plans["empty"])) - set(promised("empty"))
    assert {each.role.partition(", ")[2].partition(":")[0] for each in strange} == set(CONDITIONS)


def test_nothing_takes_away_what_others_granted() -> None:
    """A binding or a policy replaces a resource's other grants."""
    text = "".join(file.read_text() for file in FOLDER.glob("*.tf"))
    assert not re.findall(r'resource "(\w+_iam_(?:binding|policy)|google_service_account_key)"', text)


def test_each_identity_is_used_and_no_role_is_broad(plan: Plan) -> None:
    accounts = {each.values["account_id"] for each in plan.all("google_service_account")}
    grants = granted(plan)
    assert accounts == {grant.identity for grant in grants if grant.identity.startswith("longscribe-")}
    assert not {grant.role for grant in grants} & BROAD


def test_the_scaler_can_only_scale(plans: dict[str, Plan]) -> None:
    role = {name: plan.one("google_project_iam_custom_role.scaler")["permissions"] for name, plan in plans.items()}
    assert sorted(role["cloud_run"]) == ["run.workerpools.get", "run.workerpools.update"]
    assert role["gke"] == ["container.clusters.connect"]
