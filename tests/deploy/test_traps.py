"""What a deployment trips over, looked for in every plan: each costs messages, money or data."""

import json
import re
from typing import Any

import pytest

from deploy.plans import FOLDER, Outcome, Plan, Resource, block, blocks
from longscribe.core import limits, scaling
from longscribe.services.chunking import TIME_SECONDS

LONGEST_ACKNOWLEDGEMENT = 600
"""Seconds: Pub/Sub's."""

LONGEST_EVENT = 540
"""Seconds after which a function that was called by an event is stopped."""


def seconds(duration: str) -> float:
    assert duration.endswith("s")
    return float(duration[:-1])


def function(plan: Plan, name: str) -> dict[str, Any]:
    return plan.one(f"google_cloudfunctions2_function.{name}")


def time_out(plan: Plan, name: str) -> int:
    return int(block(function(plan, name), "service_config")["timeout_seconds"])


def subscriptions(plan: Plan) -> list[Resource]:
    return plan.all("google_pubsub_subscription")


def ages(bucket: dict[str, Any]) -> list[int]:
    """After how many days whole objects are deleted."""
    return [
        block(rule, "condition")["age"]
        for rule in blocks(bucket, "lifecycle_rule")
        if block(rule, "action")["type"] == "Delete" and block(rule, "condition")["age"]
    ]


def test_a_failed_event_comes_again(plan: Plan) -> None:
    triggers = {each.name: list(blocks(each.values, "event_trigger")) for each in _functions(plan)}
    assert {name for name, found in triggers.items() if found} == {"chunker"}
    (trigger,) = triggers["chunker"]
    assert trigger["retry_policy"] == "RETRY_POLICY_RETRY"
    assert trigger["event_type"] == "google.cloud.storage.object.v1.finalized"


def _functions(plan: Plan) -> list[Resource]:
    return plan.all("google_cloudfunctions2_function")


def test_the_chunker_is_not_called_by_what_it_writes(plan: Plan) -> None:
    """It hears of one bucket; chunks go into another. Notes beside uploads it knows by their names."""
    trigger = block(function(plan, "chunker"), "event_trigger")
    filters = {each["attribute"]: each["value"] for each in blocks(trigger, "event_filters")}
    assert filters == {"bucket": "some-project-longscribe-uploads"}
    variables = block(function(plan, "chunker"), "service_config")["environment_variables"]
    assert variables["LONGSCRIBE_CHUNKS_BUCKET"] != filters["bucket"]
    assert variables["LONGSCRIBE_TRANSCRIPTS_BUCKET"] != filters["bucket"]


def test_buckets_are_distinct_and_closed(plan: Plan) -> None:
    buckets = [each.values for each in plan.all("google_storage_bucket")]
    assert len({each["name"] for each in buckets}) == len(buckets) == 4
    for each in buckets:
        assert each["uniform_bucket_level_access"] is True
        assert each["public_access_prevention"] == "enforced"
        assert list(blocks(each, "lifecycle_rule"))


def test_what_people_own_is_not_deleted_by_a_tear_down(plan: Plan) -> None:
    forced = {name: bool(plan.one(f"google_storage_bucket.{name}")["force_destroy"]) for name in BUCKETS}
    assert forced == {"uploads": False, "transcripts": False, "chunks": True, "sources": True}


BUCKETS = ("uploads", "chunks", "transcripts", "sources")


def test_every_subscription_stays_and_keeps_what_was_acknowledged(plan: Plan) -> None:
    found = subscriptions(plan)
    assert len(found) == 5
    for each in found:
        assert block(each.values, "expiration_policy")["ttl"] == "", each.address
        assert each.values["retain_acked_messages"] is True, each.address
        assert not each.values["filter"], each.address  # the emulator would not apply it


def test_every_topic_has_a_subscription(plan: Plan) -> None:
    """A topic without one, of dead letters above all, loses what is published."""
    topics = {f"projects/some-project/topics/{each.values['name']}" for each in plan.all("google_pubsub_topic")}
    assert {each.values["topic"] for each in subscriptions(plan)} == topics
    dead = {
        policy["dead_letter_topic"]
        for each in subscriptions(plan)
        for policy in blocks(each.values, "dead_letter_policy")
    }
    assert dead <= topics


def test_messages_are_kept_in_the_region(plan: Plan) -> None:
    """By itself Pub/Sub keeps them wherever they are published."""
    for each in plan.all("google_pubsub_topic"):
        assert block(each.values, "message_storage_policy")["allowed_persistence_regions"] == ["europe-west4"]
    for kind, argument in PLACES.items():
        assert {each.values[argument].lower() for each in plan.all(kind)} == {"europe-west4"}


PLACES = {
    "google_storage_bucket": "location",
    "google_firestore_database": "location_id",
    "google_cloudfunctions2_function": "location",
    "google_artifact_registry_repository": "location",
}


def test_grants_to_googles_own_agents_wait_for_them(plan: Plan) -> None:
    """They are not there at once in a new project, and nothing can be granted to them before."""
    text = "".join(file.read_text(encoding="utf-8") for file in FOLDER.glob("*.tf"))
    depends = {
        f"{kind}.{name}": "".join(re.findall(r"^  depends_on += \[(.*?)\]$", body, re.M | re.S))
        for kind, name, body in re.findall(r'^resource "(\w+)" "(\w+)" \{\n(.*?)^\}', text, re.M | re.S)
    }
    members = re.compile(r"@gcp-sa-|@gs-project-accounts")
    granted = {each.address.partition("[")[0] for each in plan.resources if members.search(str(each.values))}
    assert len(granted) == 7
    assert [address for address in granted if "time_sleep.agents" not in depends[address]] == []
    assert seconds(plan.one("time_sleep.agents")["create_duration"]) >= 60
    for used in (
        "google_project_service.this",
        "google_storage_project_service_account.this",
        "google_pubsub_topic.",
    ):
        assert used in depends["time_sleep.agents"]


def test_dead_letters_are_moved_by_an_agent_that_may(plan: Plan) -> None:
    publishes = {
        each.values["topic"]
        for each in plan.all("google_pubsub_topic_iam_member")
        if "gcp-sa-pubsub" in each.values["member"] and each.values["role"] == "roles/pubsub.publisher"
    }
    takes = {
        each.values["subscription"]
        for each in plan.all("google_pubsub_subscription_iam_member")
        if "gcp-sa-pubsub" in each.values["member"] and each.values["role"] == "roles/pubsub.subscriber"
    }
    with_dead_letters = [each.values for each in subscriptions(plan) if each.values["dead_letter_policy"]]
    assert takes == {each["name"] for each in with_dead_letters}
    assert publishes == {
        block(each, "dead_letter_policy")["dead_letter_topic"].rpartition("/")[2] for each in with_dead_letters
    }


def test_what_nobody_could_take_is_the_only_thing_without_dead_letters(plan: Plan) -> None:
    without = {each.values["name"] for each in subscriptions(plan) if not each.values["dead_letter_policy"]}
    assert without == {"longscribe-results-dead"}


def test_time_outs_are_below_what_waits_for_them(plan: Plan) -> None:
    assert time_out(plan, "chunker") == TIME_SECONDS <= LONGEST_EVENT
    for each in subscriptions(plan):
        assert each.values["ack_deadline_seconds"] <= LONGEST_ACKNOWLEDGEMENT
        if each.values["push_config"]:
            assert time_out(plan, "assembler") < each.values["ack_deadline_seconds"]
    timer = plan.one("google_cloud_scheduler_job.timer")
    assert time_out(plan, "reconciler") < seconds(timer["attempt_deadline"]) <= 1_800  # Cloud Scheduler's longest
    assert time_out(plan, "assembler") < limits.SETTLE_SECONDS  # later it is taken for dead


def test_leases_and_attempts_are_those_of_the_code(plan: Plan) -> None:
    for name in ("high", "low"):
        values = plan.one(f'google_pubsub_subscription.chunks["{name}"]')
        assert values["ack_deadline_seconds"] == limits.LEASE_SECONDS
        assert block(values, "dead_letter_policy")["max_delivery_attempts"] == limits.MAX_ATTEMPTS_CLOUD
    shortest = {seconds(block(each.values, "retry_policy")["minimum_backoff"]) for each in _retried(plan)}
    assert shortest == {10}  # a failing step is not tried at once, and again, and again
    longest = max(seconds(block(each.values, "retry_policy")["maximum_backoff"]) for each in _retried(plan))
    assert longest < limits.LOST_SECONDS  # a message that only waits is not taken for lost
    assert longest < limits.MISSED_SECONDS


def _retried(plan: Plan) -> list[Resource]:
    found = [each for each in subscriptions(plan) if each.values["retry_policy"]]
    assert len(found) == 4
    return found


@pytest.mark.parametrize(("name", "days"), [("empty", 7), ("shortest", 1), ("longest", 31)])
def test_a_replayed_message_finds_its_audio(tested: Outcome, name: str, days: int) -> None:
    plan = tested.plans[name]
    kept = {
        each.values["name"]: seconds(each.values["message_retention_duration"]) / 86_400
        for each in subscriptions(plan)
    }
    assert kept.pop("longscribe-results-dead") == 31
    assert kept == dict.fromkeys(
        ("longscribe-chunks-high", "longscribe-chunks-low", "longscribe-chunks-dead", "longscribe-results"), days
    )
    chunks = plan.one("google_storage_bucket.chunks")
    assert ages(chunks) == [days + 1]
    assert block(chunks, "soft_delete_policy")["retention_duration_seconds"] == 0


def test_uploads_outlive_replays(plans: dict[str, Plan]) -> None:
    assert ages(plans["empty"].one("google_storage_bucket.uploads")) == []
    assert ages(plans["cloud_run"].one("google_storage_bucket.uploads")) == [90]


def test_transcripts_keep_what_was_written_over(plan: Plan) -> None:
    bucket = plan.one("google_storage_bucket.transcripts")
    assert block(bucket, "versioning")["enabled"] is True
    assert ages(bucket) == []
    (rule,) = blocks(bucket, "lifecycle_rule", "condition")
    assert (rule["with_state"], rule["days_since_noncurrent_time"]) == ("ARCHIVED", 30)


def test_no_words_are_indexed_and_documents_end(plan: Plan) -> None:
    unindexed = {
        (each.values["collection"], each.values["field"])
        for each in plan.all("google_firestore_field")
        if block(each.values, "index_config") is not None and not block(each.values, "index_config")["indexes"]
    }
    assert unindexed >= {(kind, field) for kind in ("jobs", "chunks") for field in ("document", "write", "expires")}
    assert unindexed >= {("workers", "document"), ("workers", "expires")}
    ending = {each.values["collection"] for each in plan.all("google_firestore_field") if each.values["ttl_config"]}
    assert ending == {"jobs", "chunks", "workers"}


def test_push_is_signed_and_the_assembler_takes_no_other(plan: Plan) -> None:
    pushed = [each.values for each in subscriptions(plan) if each.values["push_config"]]
    assert {each["name"] for each in pushed} == {"longscribe-results", "longscribe-chunks-dead"}
    for each in pushed:
        token = block(each, "push_config", "oidc_token")
        assert token["service_account_email"].startswith("longscribe-pusher@")
        assert block(each, "push_config")["push_endpoint"].startswith(f"{token['audience']}/")
    invokers = {
        (each.values["name"], each.values["member"])
        for each in plan.all("google_cloud_run_v2_service_iam_member")
        if each.values["role"] == "roles/run.invoker"
    }
    assert not [member for _, member in invokers if member in ("allUsers", "allAuthenticatedUsers")]
    assert {member.partition("@")[0] for name, member in invokers if name == "longscribe-assembler"} == {
        "serviceAccount:longscribe-pusher"
    }


def test_each_component_acts_and_is_built_as_its_own_identity(plan: Plan) -> None:
    at = "@some-project.iam.gserviceaccount.com"
    for each in _functions(plan):
        assert block(each.values, "service_config")["service_account_email"] == f"longscribe-{each.name}{at}"
        builder = f"projects/some-project/serviceAccounts/longscribe-builder{at}"
        assert block(each.values, "build_config")["service_account"] == builder
    assert block(function(plan, "chunker"), "event_trigger")["service_account_email"] == f"longscribe-events{at}"
    for job in plan.all("google_cloud_run_v2_job"):
        assert block(job.values, "template", "template")["service_account"] == f"longscribe-chunker{at}"
    for pool in plan.all("google_cloud_run_v2_worker_pool"):
        assert block(pool.values, "template")["service_account"] == f"longscribe-worker{at}"


def test_the_reconciler_is_called_each_minute_by_the_timer(plan: Plan) -> None:
    timer = plan.one("google_cloud_scheduler_job.timer")
    assert (timer["schedule"], block(timer, "http_target")["http_method"]) == ("* * * * *", "POST")
    target = block(timer, "http_target")["uri"]
    assert target == "https://longscribe-reconciler-0123456789-ez.a.run.app"
    token = block(timer, "http_target", "oidc_token")
    assert token["service_account_email"] == "longscribe-timer@some-project.iam.gserviceaccount.com"
    assert token["audience"] == target


def test_only_what_must_be_is_reached_from_outside(plan: Plan) -> None:
    ingress = {each.name: block(each.values, "service_config")["ingress_settings"] for each in _functions(plan)}
    internal = "ALLOW_INTERNAL_ONLY"
    assert ingress == {"chunker": internal, "assembler": internal, "reconciler": "ALLOW_ALL"}


def test_the_pool_is_sized_by_the_reconciler_alone(plans: dict[str, Plan]) -> None:
    pool = plans["cloud_run"].one("google_cloud_run_v2_worker_pool.worker[0]")
    assert block(pool, "scaling")["manual_instance_count"] == 0
    text = (FOLDER / "gpu_worker.tf").read_text(encoding="utf-8")
    assert "ignore_changes = [scaling" in text


def test_the_largest_recording_has_a_job(plans: dict[str, Plan]) -> None:
    job = plans["cloud_run"].one("google_cloud_run_v2_job.chunker[0]")
    task = block(job, "template", "template")
    assert seconds(task["timeout"]) == limits.JOB_SECONDS
    assert task["max_retries"] > 0


def test_nothing_of_terraform_needs_the_cluster(plans: dict[str, Plan]) -> None:
    """A `kubernetes_manifest` would need it at plan time, before it is there."""
    assert not {each.kind for each in plans["gke"].resources if each.kind.startswith("kubernetes")}


def test_destroying_meets_no_lock(plans: dict[str, Plan]) -> None:
    for plan in plans.values():
        for each in plan.resources:
            assert each.values.get("deletion_protection") in (None, False), each.address
        assert plan.one("google_firestore_database.jobs")["deletion_policy"] == "DELETE"
        for service in plan.all("google_project_service"):
            assert service.values["disable_on_destroy"] is False


def test_a_budget_needs_a_billing_account(plans: dict[str, Plan], tested: Outcome) -> None:
    assert not plans["empty"].all("google_billing_budget")
    for plan, amount in ((plans["cloud_run"], "100"), (tested.plans["most_on_cloud_run"], "250")):
        (budget,) = plan.all("google_billing_budget")
        assert budget.values["billing_account"] == "012345-6789AB-CDEF01"
        assert block(budget.values, "amount", "specified_amount")["units"] == amount
        assert block(budget.values, "budget_filter")["projects"] == ["projects/123456789012"]
        told = [rule["threshold_percent"] for rule in blocks(budget.values, "threshold_rules")]
        assert told == [0.5, 0.9, 1.0]


def test_alerts_are_told_to_somebody_who_is_named(plans: dict[str, Plan]) -> None:
    policies = plans["cloud_run"].all("google_monitoring_alert_policy")
    assert {each.name for each in policies} == {"oldest_message", "dead_letters", "stuck_jobs", "idle_gpus"}
    for each in policies:
        assert each.values["notification_channels"] == ["projects/some-project/notificationChannels/1234567890"]
        assert "longscribe" in block(each.values, "documentation")["content"] or "docs/" in str(each.values)
    assert not plans["empty"].all("google_monitoring_notification_channel")


FLOW = {"longscribe-chunks-high", "longscribe-chunks-low", "longscribe-results"}
"""The subscriptions that work waits in."""

CHARTS = {
    "Backlog: messages that wait": ("subscription/num_undelivered_messages", "ALIGN_MAX"),
    "Age of the oldest, seconds": ("subscription/oldest_unacked_message_age", "ALIGN_MAX"),
    "Chunks a minute": ("longscribe/chunks", "ALIGN_DELTA"),
    "Speed of a worker, times real time": ("longscribe/speed", "ALIGN_PERCENTILE_50"),
    "GPUs asked for": ("longscribe/instances", "ALIGN_PERCENTILE_50"),
    "Chunks that wait or are worked on": ("longscribe/waiting", "ALIGN_PERCENTILE_50"),
    "Errors": ("longscribe/errors", "ALIGN_DELTA"),
    "Dead letters": ("subscription/dead_letter_message_count", "ALIGN_DELTA"),
}

ALERTS = {
    "oldest_message": [("subscription/oldest_unacked_message_age", "COMPARISON_GT", 1800, "300s", FLOW)],
    "dead_letters": [
        ("subscription/dead_letter_message_count", "COMPARISON_GT", 0, "0s", FLOW),
        ("subscription/num_undelivered_messages", "COMPARISON_GT", 0, "300s", {"longscribe-results-dead"}),
    ],
    "stuck_jobs": [("longscribe/stuck", "COMPARISON_GT", 0, "0s", set())],
    "idle_gpus": [
        ("longscribe/instances", "COMPARISON_GT", 0, "1800s", set()),
        ("longscribe/waiting", "COMPARISON_LT", 1, "1800s", set()),
    ],
}
"""What each looks at: metric, what of it, for how long, of which subscriptions."""


def metric(expression: str) -> str:
    (found,) = re.findall(r'metric\.type="(?:pubsub|logging)\.googleapis\.com/(?:user/)?([a-z_/]+)"', expression)
    return str(found)


def watched(expression: str) -> set[str]:
    return set(re.findall(r'"(longscribe-[a-z-]+)"', expression))


def test_alerts_are_raised_by_what_they_say(plan: Plan) -> None:
    for each in plan.all("google_monitoring_alert_policy"):
        looked = [
            (
                metric(one["filter"]),
                one["comparison"],
                one["threshold_value"] or 0,
                one["duration"],
                watched(one["filter"]),
            )
            for one in blocks(each.values, "conditions", "condition_threshold")
        ]
        assert looked == ALERTS[each.name], each.name
    # All of its conditions at once, as of any other's one.
    assert plan.one("google_monitoring_alert_policy.idle_gpus")["combiner"] == "AND"
    assert plan.one("google_monitoring_alert_policy.dead_letters")["combiner"] == "OR"


def test_gpus_are_called_idle_only_after_the_reconciler_had_its_time(plan: Plan) -> None:
    for condition in blocks(
        plan.one("google_monitoring_alert_policy.idle_gpus"), "conditions", "condition_threshold"
    ):
        assert seconds(condition["duration"]) > scaling.IDLE_SECONDS


def test_the_dashboard_shows_what_the_flow_needs(plan: Plan) -> None:
    shown = json.loads(plan.one("google_monitoring_dashboard.this")["dashboard_json"])
    charts = {}
    for tile in shown["mosaicLayout"]["tiles"]:
        (data,) = tile["widget"]["xyChart"]["dataSets"]
        series = data["timeSeriesQuery"]["timeSeriesFilter"]
        charts[tile["widget"]["title"]] = (metric(series["filter"]), series["aggregation"]["perSeriesAligner"])
        if "pubsub" in series["filter"]:
            assert watched(series["filter"]) == FLOW
    assert charts == CHARTS
    places = [(tile["xPos"], tile["yPos"]) for tile in shown["mosaicLayout"]["tiles"]]
    assert len(set(places)) == len(places)
