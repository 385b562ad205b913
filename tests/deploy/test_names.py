"""Terraform, the code and the pages call the same things by the same names."""

import inspect
import re

import msgspec

from deploy.plans import ROOT, Plan, block, blocks
from longscribe import wiring_cloud
from longscribe.adapters.gcp import checks, firestore
from longscribe.core import topics, uploads
from longscribe.services import reconciling, working
from longscribe.stages.reconciler import Action
from longscribe.wiring_cloud import CloudEnvironment

PROJECT = "some-project"
TOPICS = {topics.CHUNKS_HIGH, topics.CHUNKS_LOW, topics.RESULTS, topics.DEAD_CHUNKS, topics.DEAD_RESULTS}


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_topics_and_subscriptions_are_the_codes(plan: Plan) -> None:
    assert {each.values["name"] for each in plan.all("google_pubsub_topic")} == TOPICS
    found = {each.values["name"]: each.values for each in plan.all("google_pubsub_subscription")}
    assert set(found) == TOPICS == set(checks.ALL)
    for name, values in found.items():
        assert values["topic"] == f"projects/{PROJECT}/topics/{name}"
    dead = {
        name: policy["dead_letter_topic"].rpartition("/")[2]
        for name, values in found.items()
        for policy in blocks(values, "dead_letter_policy")
    }
    assert dead == checks.DEAD
    assert {name for name, values in found.items() if values["push_config"]} == set(checks.PUSHED)


def test_the_topic_is_at_the_end_of_where_a_message_is_pushed_to(plan: Plan) -> None:
    for each in plan.all("google_pubsub_subscription"):
        for push in blocks(each.values, "push_config"):
            assert push["push_endpoint"].endswith(f"/projects/{PROJECT}/topics/{each.values['name']}")


def test_functions_are_those_the_doctor_looks_for(plan: Plan) -> None:
    found = plan.all("google_cloudfunctions2_function")
    assert {each.values["name"] for each in found} == set(checks.FUNCTIONS)
    for each in found:
        main = ROOT / "functions" / each.name / "main.py"
        assert f"\ndef {block(each.values, 'build_config')['entry_point']}(" in main.read_text(encoding="utf-8")


def test_buckets_are_those_that_are_taken_where_none_is_named(plan: Plan) -> None:
    read = wiring_cloud.environment({"LONGSCRIBE_PROJECT": PROJECT})
    names = {each.name: each.values["name"] for each in plan.all("google_storage_bucket")}
    assert names["uploads"] == read.uploads_bucket
    assert names["chunks"] == read.chunks_bucket
    assert names["transcripts"] == read.transcripts_bucket
    pages = page("docs/commands.md") + page("SECURITY.md")
    for name in ("uploads", "chunks", "transcripts"):
        assert f"`PROJECT-longscribe-{name}`" in pages


def test_the_database_and_its_collections_are_the_codes(plan: Plan) -> None:
    assert plan.one("google_firestore_database.jobs")["name"] == CloudEnvironment.__struct_defaults__[0]
    source = inspect.getsource(firestore)
    for each in plan.all("google_firestore_field"):
        assert f'"{each.values["collection"]}"' in source
        assert f'"{each.values["field"]}":' in source
    orders = set(re.findall(r'order_by\("(\w+)"|FieldFilter\("(\w+)"', source))
    assert ("created", "") in orders
    unindexed = {each.values["field"] for each in plan.all("google_firestore_field")}
    assert not {first or second for first, second in orders} & unindexed  # what is searched is indexed


def test_the_only_objects_the_chunker_may_write_beside_uploads_are_its_notes(plan: Plan) -> None:
    notes = block(plan.one("google_storage_bucket_iam_member.chunker_notes"), "condition")["expression"]
    assert re.findall(r'endsWith\("([^"]*)"\)', notes) == [uploads.COMPLAINT]


def test_metrics_are_taken_from_lines_that_are_written(plan: Plan) -> None:
    filters = [each.values["filter"] for each in plan.all("google_logging_metric")]
    lines = {"worker": inspect.getsource(working), "reconciler": inspect.getsource(reconciling)}
    for each in filters:
        for message in re.findall(r'jsonPayload.message="([^"]+)"', each):
            assert any(f'"{message}"' in source for source in lines.values()), message
        for outcomes in re.findall(r"jsonPayload.outcome=\(([^)]*)\)", each):
            assert {outcome.strip('" ') for outcome in outcomes.split("OR")} <= set(Action)
    fields = {
        match
        for each in plan.all("google_logging_metric")
        for match in re.findall(r"EXTRACT\(jsonPayload\.(\w+)\)", each.values["value_extractor"] or "")
    }
    assert fields == {"speed", "waiting", "instances"}
    assert all(f"{field}=" in "".join(lines.values()) for field in fields)


def test_alerts_and_charts_look_at_metrics_that_are_there(plan: Plan) -> None:
    made = {each.values["name"] for each in plan.all("google_logging_metric")}
    looked = set(re.findall(r"logging\.googleapis\.com/user/([a-z/]+)", str(plan.resources)))
    assert looked == made


def test_every_variable_of_the_environment_is_one_that_is_read(plan: Plan) -> None:
    known = {f"LONGSCRIBE_{field.name.upper()}" for field in msgspec.structs.fields(CloudEnvironment)}
    assert set(re.findall(r"LONGSCRIBE_[A-Z_]+", str(plan.resources))) <= known


def test_what_is_built_from_lies_where_the_bucket_expects_it(plan: Plan) -> None:
    script = page("deploy/deploy.sh")
    bucket = plan.one("google_storage_bucket.sources")
    (rule,) = blocks(bucket, "lifecycle_rule", "condition")
    assert rule["matches_prefix"] == ["images/"]
    assert '--gcs-source-staging-dir="$(output sources)/images"' in script
    locks = block(plan.one("google_storage_bucket_iam_member.builder_locks"), "condition")["expression"]
    assert f"/buckets/{bucket['name']}/objects/locks/" in locks
    assert "$(output sources)/locks/" in script
    bundles = [each.values["name"] for each in plan.all("google_storage_bucket_object")]
    assert len(bundles) == 3
    assert all(re.fullmatch(r"functions/[a-z]+-[0-9a-f]{64}\.zip", name) for name in bundles)
    assert plan.outputs["sources"] == f"gs://{bucket['name']}"
