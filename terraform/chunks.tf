# Between chunker and workers: each chunk's audio, and its message in one of two topics.

locals {
  message_retention = "${var.retention_days * 86400}s"
}

resource "google_storage_bucket" "chunks" {
  #checkov:skip=CKV_GCP_62:Only longscribe reads chunks; who does is in the audit log
  #checkov:skip=CKV_GCP_78:A chunk is written once, and is cut again from the recording
  name                        = local.buckets.chunks
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true

  soft_delete_policy {
    retention_duration_seconds = 0 # it would be paid for, and all of it can be made again
  }

  # A replayed message must still find its audio.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = var.retention_days + 1
    }
  }

  depends_on = [google_project_service.this]
}

resource "google_pubsub_topic" "chunks" {
  #checkov:skip=CKV_GCP_83:Google's own keys encrypt it; messages hold no audio, name or text
  for_each = toset(["high", "low"])
  name     = "longscribe-chunks-${each.key}"

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_project_service.this]
}

resource "google_pubsub_subscription" "chunks" {
  for_each                   = google_pubsub_topic.chunks
  name                       = each.value.name
  topic                      = each.value.id
  ack_deadline_seconds       = 60 # LEASE_SECONDS; workers renew it
  retain_acked_messages      = true
  message_retention_duration = local.message_retention

  expiration_policy {
    ttl = ""
  }
  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_chunks.id
    max_delivery_attempts = 10 # MAX_ATTEMPTS_CLOUD: a preemption is an attempt too
  }
}

# What every attempt failed at; the assembler names it as missing.
resource "google_pubsub_topic" "dead_chunks" {
  #checkov:skip=CKV_GCP_83:Google's own keys encrypt it; messages hold no audio, name or text
  name = "longscribe-chunks-dead"

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_project_service.this]
}

# Pub/Sub moves dead letters as its own agent.
resource "google_pubsub_topic_iam_member" "pubsub_agent_buries_chunks" {
  topic      = google_pubsub_topic.dead_chunks.name
  role       = "roles/pubsub.publisher"
  member     = local.agents.pubsub
  depends_on = [time_sleep.agents]
}

resource "google_pubsub_subscription_iam_member" "pubsub_agent_takes_chunks" {
  for_each     = google_pubsub_subscription.chunks
  subscription = each.value.name
  role         = "roles/pubsub.subscriber"
  member       = local.agents.pubsub
  depends_on   = [time_sleep.agents]
}
