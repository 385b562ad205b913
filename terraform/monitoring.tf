# What is seen and told: metrics out of longscribe's own log lines, alerts, a budget. The dashboard is in dashboard.tf.

locals {
  # src/longscribe/services/ and src/longscribe/stages/reconciler.py write these lines; a test compares the words.
  counted = {
    chunks = { filter = "jsonPayload.component=\"worker\" AND jsonPayload.message=\"A chunk was heard\"", about = "Chunks transcribed" }
    errors = { filter = "jsonPayload.component:* AND severity>=ERROR", about = "What failed and was not expected to" }
    stuck  = { filter = "jsonPayload.message=\"A job was brought on\" AND jsonPayload.outcome=(\"expired\" OR \"failed\" OR \"recut\")", about = "Jobs whose chunker died, or that ran into their deadline" }
  }
  measured = {
    speed     = { filter = local.counted.chunks.filter, field = "speed", about = "Seconds of audio in each second of a worker's model" }
    waiting   = { filter = "jsonPayload.component=\"reconciler\" AND jsonPayload.message=\"A round was taken\"", field = "waiting", about = "Chunks that wait or are worked on" }
    instances = { filter = "jsonPayload.component=\"reconciler\" AND jsonPayload.message=\"A round was taken\"", field = "instances", about = "GPUs asked for" }
  }

  channels = google_monitoring_notification_channel.email[*].id

  flow_subscriptions = concat([for each in google_pubsub_subscription.chunks : each.name],
  [google_pubsub_subscription.pushed["results"].name])
}

resource "google_logging_metric" "counted" {
  for_each    = local.counted
  name        = "longscribe/${each.key}"
  description = each.value.about
  filter      = each.value.filter

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }

  depends_on = [google_project_service.this]
}

resource "google_logging_metric" "measured" {
  for_each        = local.measured
  name            = "longscribe/${each.key}"
  description     = each.value.about
  filter          = each.value.filter
  value_extractor = "EXTRACT(jsonPayload.${each.value.field})"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
  }

  depends_on = [google_project_service.this]
}

resource "google_monitoring_notification_channel" "email" {
  count        = var.alert_email == "" ? 0 : 1
  display_name = "longscribe"
  type         = "email"
  labels       = { email_address = var.alert_email }
  depends_on   = [google_project_service.this]
}

# A metric that logging has just made is not known to monitoring at once.
resource "time_sleep" "metrics" {
  create_duration = "60s"
  depends_on      = [google_logging_metric.counted, google_logging_metric.measured]
}

resource "google_monitoring_alert_policy" "oldest_message" {
  display_name          = "longscribe: work waits too long"
  combiner              = "OR"
  notification_channels = local.channels

  conditions {
    display_name = "a message waits for half an hour"
    condition_threshold {
      filter          = "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=one_of(\"${join("\",\"", local.flow_subscriptions)}\")"
      comparison      = "COMPARISON_GT"
      threshold_value = 1800
      duration        = "300s"
      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  documentation {
    content = "Chunks or results wait. Are there GPUs? `longscribe doctor --project ${var.project}` tells; docs/operations.md, Scale, says which quota to ask for."
  }
}

resource "google_monitoring_alert_policy" "dead_letters" {
  display_name          = "longscribe: dead letters"
  combiner              = "OR"
  notification_channels = local.channels

  conditions {
    display_name = "a chunk failed every attempt"
    condition_threshold {
      filter          = "metric.type=\"pubsub.googleapis.com/subscription/dead_letter_message_count\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=one_of(\"${join("\",\"", local.flow_subscriptions)}\")"
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"
      aggregations {
        alignment_period   = "300s"
        per_series_aligner = "ALIGN_DELTA"
      }
    }
  }
  conditions {
    display_name = "the assembler could not take a message"
    condition_threshold {
      filter          = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${google_pubsub_subscription.dead_results.name}\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "300s"
      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  documentation {
    content = "`longscribe dead-letters --project ${var.project}` lists chunks that were given up; docs/operations.md, Dead letters, says what to do."
  }
}

resource "google_monitoring_alert_policy" "stuck_jobs" {
  display_name          = "longscribe: stuck jobs"
  combiner              = "OR"
  notification_channels = local.channels

  conditions {
    display_name = "a chunker died, or a job ran into its deadline"
    condition_threshold {
      filter          = "metric.type=\"logging.googleapis.com/user/longscribe/stuck\" AND resource.type=\"cloud_run_revision\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"
      aggregations {
        alignment_period   = "300s"
        per_series_aligner = "ALIGN_DELTA"
      }
    }
  }

  documentation {
    content = "`longscribe status --project ${var.project}` names the job and what to do."
  }

  depends_on = [time_sleep.metrics]
}

resource "google_monitoring_alert_policy" "idle_gpus" {
  display_name          = "longscribe: GPUs are paid for and idle"
  combiner              = "AND"
  notification_channels = local.channels

  conditions {
    display_name = "GPUs are asked for"
    condition_threshold {
      filter          = "metric.type=\"logging.googleapis.com/user/longscribe/instances\" AND resource.type=\"cloud_run_revision\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "1800s"
      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_PERCENTILE_50"
        cross_series_reducer = "REDUCE_MAX"
      }
    }
  }
  conditions {
    display_name = "no chunk waits"
    condition_threshold {
      filter          = "metric.type=\"logging.googleapis.com/user/longscribe/waiting\" AND resource.type=\"cloud_run_revision\""
      comparison      = "COMPARISON_LT"
      threshold_value = 1
      duration        = "1800s"
      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_PERCENTILE_50"
        cross_series_reducer = "REDUCE_MAX"
      }
    }
  }

  documentation {
    content = "The reconciler takes the last GPUs away after ten idle minutes. Look into its log; docs/operations.md, Scale, says how to do it by hand."
  }

  depends_on = [time_sleep.metrics]
}

resource "google_billing_budget" "this" {
  count           = var.billing_account == "" ? 0 : 1
  provider        = google.billing
  billing_account = var.billing_account
  display_name    = "longscribe in ${var.project}"

  budget_filter {
    projects = ["projects/${data.google_project.this.number}"]
  }
  amount {
    specified_amount {
      units = tostring(var.monthly_budget)
    }
  }
  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]
    content {
      threshold_percent = threshold_rules.value
    }
  }
  dynamic "all_updates_rule" {
    for_each = length(local.channels) > 0 ? [local.channels] : []
    content {
      monitoring_notification_channels = all_updates_rule.value
    }
  }
}
