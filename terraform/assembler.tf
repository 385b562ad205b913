# Results → transcript. Fed by push subscriptions, whose retries and dead letters are ours to set; an event trigger's
# are not.

resource "google_service_account" "assembler" {
  account_id   = "longscribe-assembler"
  display_name = "longscribe: puts transcripts together"
  depends_on   = [google_project_service.this]
}

resource "google_cloudfunctions2_function" "assembler" {
  name        = "longscribe-assembler"
  location    = var.region
  description = "Stores results and writes transcripts"

  build_config {
    runtime           = "python312"
    entry_point       = "assembler"
    service_account   = google_service_account.builder.id
    docker_repository = google_artifact_registry_repository.images.id
    source {
      storage_source {
        bucket = google_storage_bucket.sources.name
        object = google_storage_bucket_object.bundle["assembler"].name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.assembler.email
    available_cpu                    = "1"
    available_memory                 = "2Gi"
    timeout_seconds                  = 540
    max_instance_count               = 10
    max_instance_request_concurrency = 4
    ingress_settings                 = "ALLOW_INTERNAL_ONLY"
    environment_variables            = local.environment
  }

  depends_on = [time_sleep.build_rights]
}

# Its address.
data "google_cloud_run_v2_service" "assembler" {
  name     = local.assembler_name
  location = var.region
}

resource "google_cloud_run_v2_service_iam_member" "pusher_invokes" {
  name     = google_cloudfunctions2_function.assembler.name
  location = var.region
  role     = "roles/run.invoker"
  member   = google_service_account.pusher.member
}

resource "google_storage_bucket_iam_member" "assembler_transcripts" {
  bucket = google_storage_bucket.transcripts.name
  role   = "roles/storage.objectUser"
  member = google_service_account.assembler.member
}

# The vote on the language sends chunks back.
resource "google_pubsub_topic_iam_member" "assembler_publishes" {
  for_each = google_pubsub_topic.chunks
  topic    = each.value.name
  role     = "roles/pubsub.publisher"
  member   = google_service_account.assembler.member
}
