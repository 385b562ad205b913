"""Terraform, the code and the pages call the same things by the same names."""

import inspect
import re

import msgspec
import pytest
import yaml

from deploy.plans import ROOT, Plan, block, blocks
from longscribe import wiring, wiring_cloud
from longscribe.adapters.gcp import checks, firestore
from longscribe.adapters.gcp.run import EVENT_VARIABLE
from longscribe.core import topics, uploads
from longscribe.services import reconciling, working
from longscribe.stages.reconciler import Action
from longscribe.wiring_cloud import CloudEnvironment
from tests.deploy import commands

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
    assert set(re.findall(r"LONGSCRIBE_[A-Z_]+", str(plan.resources))) <= variables(CloudEnvironment)


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


def variables(kind: type[msgspec.Struct]) -> set[str]:
    return {f"LONGSCRIBE_{field.name.upper()}" for field in msgspec.structs.fields(kind)}


def manifests() -> set[tuple[str, str]]:
    """Kind and name of all that gpu_service/kubernetes/ holds."""
    files = (ROOT / "gpu_service" / "kubernetes").glob("*.yaml")
    found = [each for file in files for each in yaml.safe_load_all(file.read_text(encoding="utf-8"))]
    return {(each["kind"], each["metadata"]["name"]) for each in found if "metadata" in each}


def named(plans: dict[str, Plan], kind: str) -> set[str]:
    found = {each.values["name"] for plan in plans.values() for each in plan.all(kind)}
    assert found, kind
    return found


CALLED = {
    r"pubsub subscriptions (?:seek|pull) (\S+)": "google_pubsub_subscription",
    r"--subscription=(\S+)": "google_pubsub_subscription",
    r"scheduler jobs \w+ (\S+)": "google_cloud_scheduler_job",
    r"run worker-pools update (\S+)": "google_cloud_run_v2_worker_pool",
    r"run jobs execute (\S+)": "google_cloud_run_v2_job",
    r"clusters get-credentials (\S+)": "google_container_cluster",
    r"kubectl scale deployment (\S+)": "Deployment",
    r"--from=cronjob/(\S+)": "CronJob",
}
"""Where the operator's commands name something, and what it is."""


@pytest.mark.parametrize(("pattern", "kind"), CALLED.items(), ids=CALLED.values())
def test_what_the_page_calls_is_there(plans: dict[str, Plan], pattern: str, kind: str) -> None:
    lines = "\n".join(" ".join(words) for words in commands.lines(page("docs/operations.md")))
    called = set(re.findall(pattern, lines))
    there = {name for one, name in manifests() if one == kind} or named(plans, kind)
    assert called
    assert called <= there


PAGES = ("docs/operations.md", "docs/commands.md", "SECURITY.md", "README.md")


@pytest.mark.parametrize("name", PAGES)
def test_pages_name_what_is_there(plans: dict[str, Plan], name: str) -> None:
    text = page(name)
    buckets = named(plans, "google_storage_bucket") | {f"{PROJECT}-longscribe-state"}
    assert "STATE=$PROJECT-longscribe-state" in page("deploy/deploy.sh").splitlines()
    told = {f"{PROJECT}-{each}" for each in re.findall(r"(?:PROJECT|my-project)-(longscribe-[a-z-]+)", text)}
    assert told <= buckets
    there = {name for _, name in manifests()}
    for plan in plans.values():
        there |= {str(each.values.get(key)) for each in plan.resources for key in ("name", "account_id")}
    others = set(re.findall(r"(?<![\w./-])longscribe(?:-[a-z]+)+(?![\w-])", text))
    assert others <= there
    read = variables(CloudEnvironment) | variables(wiring.Environment) | {EVENT_VARIABLE}
    assert set(re.findall(r"LONGSCRIBE_[A-Z_]+", text)) <= read


def test_manifests_set_variables_that_are_read() -> None:
    text = "".join(
        file.read_text(encoding="utf-8") for file in (ROOT / "gpu_service" / "kubernetes").glob("*.yaml")
    )
    set_there = set(re.findall(r"LONGSCRIBE_[A-Z_]+", text))
    assert len(set_there) == 2
    assert set_there <= variables(CloudEnvironment) | {EVENT_VARIABLE}


def test_outputs_name_the_buckets_and_subscriptions_that_are_made(plan: Plan) -> None:
    buckets = {each.name: each.values["name"] for each in plan.all("google_storage_bucket")}
    assert f" gs://{buckets['uploads']}/ " in plan.outputs["upload"]
    assert f" 'gs://{buckets['transcripts']}/**'" in plan.outputs["watch"]
    leased = {each.values["name"] for each in plan.all("google_pubsub_subscription") if each.name == "chunks"}
    assert {line.split()[4] for line in plan.outputs["replay"]} == leased
    assert len(plan.outputs["replay"]) == len(leased) == 2
    told = [plan.outputs["watch"].split(" && ")[0], plan.outputs["doctor"], *plan.outputs["replay"]]
    assert [line for line in told if not re.search(rf"--project[ =]{PROJECT}$", line)] == []
