# Uploads → chunks. It decodes what strangers made, so it holds no right over workers or transcripts.

resource "google_service_account" "chunker" {
  account_id   = "longscribe-chunker"
  display_name = "longscribe: cuts recordings into chunks"
  depends_on   = [google_project_service.this]
}

resource "google_cloudfunctions2_function" "chunker" {
  name        = "longscribe-chunker"
  location    = var.region
  description = "Cuts an uploaded recording into chunks"

  build_config {
    runtime           = "python312"
    entry_point       = "chunker"
    service_account   = google_service_account.builder.id
    docker_repository = google_artifact_registry_repository.images.id
    source {
      storage_source {
        bucket = google_storage_bucket.sources.name
        object = google_storage_bucket_object.bundle["chunker"].name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.chunker.email
    available_cpu                    = "2"
    available_memory                 = "2Gi"
    timeout_seconds                  = 540 # an event's most; src/longscribe/services/chunking.py ends a minute before
    max_instance_count               = 20
    max_instance_request_concurrency = 1
    ingress_settings                 = "ALLOW_INTERNAL_ONLY"
    environment_variables            = local.chunker_environment
  }

  event_trigger {
    event_type            = "google.cloud.storage.object.v1.finalized"
    trigger_region        = var.region
    retry_policy          = "RETRY_POLICY_RETRY" # by default a failed event is dropped
    service_account_email = google_service_account.events.email
    event_filters {
      attribute = "bucket"
      value     = google_storage_bucket.uploads.name
    }
  }

  depends_on = [
    time_sleep.build_rights, google_project_iam_member.events_receiver, google_project_iam_member.eventarc_agent,
    google_project_iam_member.storage_agent,
  ]
}

locals {
  chunker_environment = merge(
    local.environment,
    { LONGSCRIBE_RECONCILER_URL = data.google_cloud_run_v2_service.reconciler.uri },
    local.built ? { LONGSCRIBE_CHUNKER_JOB = local.chunker_job } : {},
  )
  chunker_job = "projects/${var.project}/locations/${var.region}/jobs/longscribe-chunker"
}

# What takes longer than a function may: the same code without a limit of time.
resource "google_cloud_run_v2_job" "chunker" {
  count               = local.built ? 1 : 0
  name                = "longscribe-chunker"
  location            = var.region
  deletion_protection = false

  template {
    template {
      service_account = google_service_account.chunker.email
      timeout         = "86400s" # a job that is still being cut after a day fails: JOB_SECONDS
      max_retries     = 3        # each goes on where the last one stopped
      containers {
        image = local.chunker_image
        resources {
          limits = { cpu = "2", memory = "4Gi" }
        }
        dynamic "env" {
          for_each = local.chunker_environment
          content {
            name  = env.key
            value = env.value
          }
        }
      }
    }
  }
}

resource "google_storage_bucket_iam_member" "chunker_uploads" {
  bucket = google_storage_bucket.uploads.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.chunker.member
}

# The note beside a recording that was refused: no other object of the uploads can be written or deleted.
resource "google_storage_bucket_iam_member" "chunker_notes" {
  bucket = google_storage_bucket.uploads.name
  role   = "roles/storage.objectUser"
  member = google_service_account.chunker.member
  condition {
    title      = "notes only"
    expression = "resource.type == \"storage.googleapis.com/Object\" && resource.name.endsWith(\".error.txt\")"
  }
}

resource "google_storage_bucket_iam_member" "chunker_chunks" {
  bucket = google_storage_bucket.chunks.name
  role   = "roles/storage.objectUser"
  member = google_service_account.chunker.member
}

resource "google_pubsub_topic_iam_member" "chunker_publishes" {
  for_each = toset([
    google_pubsub_topic.chunks["high"].name, google_pubsub_topic.chunks["low"].name, google_pubsub_topic.results.name,
  ])
  topic  = each.key
  role   = "roles/pubsub.publisher"
  member = google_service_account.chunker.member
}

resource "google_cloud_run_v2_service_iam_member" "chunker_wakes" {
  name     = google_cloudfunctions2_function.reconciler.name
  location = var.region
  role     = "roles/run.invoker"
  member   = google_service_account.chunker.member
}

resource "google_cloud_run_v2_job_iam_member" "chunker_goes_on" {
  count    = local.built ? 1 : 0
  name     = google_cloud_run_v2_job.chunker[0].name
  location = var.region
  role     = "roles/run.jobsExecutorWithOverrides"
  member   = google_service_account.chunker.member
}

# The upload's event on its way: Cloud Storage publishes it, Eventarc hands it on as this identity.
resource "google_service_account" "events" {
  account_id   = "longscribe-events"
  display_name = "longscribe: brings uploads' events to the chunker"
  depends_on   = [google_project_service.this]
}

# Neither has a resource to be granted on: Eventarc makes the topic and the trigger by itself.
resource "google_project_iam_member" "events_receiver" {
  project = var.project
  role    = "roles/eventarc.eventReceiver"
  member  = google_service_account.events.member
}

resource "google_project_iam_member" "storage_agent" {
  project    = var.project
  role       = "roles/pubsub.publisher"
  member     = data.google_storage_project_service_account.this.member
  depends_on = [time_sleep.agents]
}

resource "google_project_iam_member" "eventarc_agent" {
  #checkov:skip=CKV_GCP_49:Google's own agent, with the role that Google made for it
  project    = var.project
  role       = "roles/eventarc.serviceAgent"
  member     = local.agents.eventarc
  depends_on = [time_sleep.agents]
}

resource "google_cloud_run_v2_service_iam_member" "events_invoke" {
  name     = google_cloudfunctions2_function.chunker.name
  location = var.region
  role     = "roles/run.invoker"
  member   = google_service_account.events.member
}

# A grant takes a while to be seen; a build without it fails.
resource "time_sleep" "build_rights" {
  create_duration = "60s"
  depends_on = [
    google_project_iam_member.builder_logs, google_artifact_registry_repository_iam_member.builder_images,
    google_storage_bucket_iam_member.builder_sources, google_project_iam_member.builder_copies,
    google_project_iam_member.eventarc_agent,
  ]
}
