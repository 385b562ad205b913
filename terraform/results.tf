# Between workers and assembler: results, and dead-lettered chunks, pushed to it under an identity of their own.

resource "google_pubsub_topic" "results" {
  #checkov:skip=CKV_GCP_83:Google's own keys encrypt it
  name = "longscribe-results"

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_project_service.this]
}

resource "google_service_account" "pusher" {
  account_id   = "longscribe-pusher"
  display_name = "longscribe: pushes results to the assembler"
  depends_on   = [google_project_service.this]
}

resource "google_pubsub_subscription" "pushed" {
  for_each = {
    results = google_pubsub_topic.results
    dead    = google_pubsub_topic.dead_chunks
  }
  name                       = each.value.name
  topic                      = each.value.id
  ack_deadline_seconds       = 600 # above the assembler's time-out
  retain_acked_messages      = true
  message_retention_duration = local.message_retention

  push_config {
    # functions-framework reads the topic from the path.
    push_endpoint = "${data.google_cloud_run_v2_service.assembler.uri}/projects/${var.project}/topics/${each.value.name}"
    oidc_token {
      service_account_email = google_service_account.pusher.email
      audience              = data.google_cloud_run_v2_service.assembler.uri
    }
  }
  expiration_policy {
    ttl = ""
  }
  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_results.id
    max_delivery_attempts = 20 # three hours of an assembler that fails
  }
}

# What the assembler could not take. Only people read it.
resource "google_pubsub_topic" "dead_results" {
  #checkov:skip=CKV_GCP_83:Google's own keys encrypt it
  name = "longscribe-results-dead"

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_project_service.this]
}

resource "google_pubsub_subscription" "dead_results" {
  name                       = google_pubsub_topic.dead_results.name
  topic                      = google_pubsub_topic.dead_results.id
  ack_deadline_seconds       = 60
  retain_acked_messages      = true
  message_retention_duration = "2678400s" # 31 days, Pub/Sub's longest

  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_topic_iam_member" "pubsub_agent_buries_results" {
  topic      = google_pubsub_topic.dead_results.name
  role       = "roles/pubsub.publisher"
  member     = local.agents.pubsub
  depends_on = [time_sleep.agents]
}

resource "google_pubsub_subscription_iam_member" "pubsub_agent_takes_results" {
  for_each     = google_pubsub_subscription.pushed
  subscription = each.value.name
  role         = "roles/pubsub.subscriber"
  member       = local.agents.pubsub
  depends_on   = [time_sleep.agents]
}

# Pub/Sub signs what it pushes as these two.
resource "google_service_account_iam_member" "pubsub_agent_signs" {
  for_each           = { pusher = google_service_account.pusher.name, events = google_service_account.events.name }
  service_account_id = each.value
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = local.agents.pubsub
  depends_on         = [time_sleep.agents]
}
