# Once a minute over all jobs that are not at rest; the only one that sizes the GPU pool.

resource "google_service_account" "reconciler" {
  account_id   = "longscribe-reconciler"
  display_name = "longscribe: heals jobs and sizes the GPU pool"
  depends_on   = [google_project_service.this]
}

resource "google_cloudfunctions2_function" "reconciler" {
  #checkov:skip=CKV_GCP_124:A call of the chunker's counts as one from outside; only invokers are answered
  name        = "longscribe-reconciler"
  location    = var.region
  description = "Brings on jobs that nobody is working on, and sizes the GPU pool"

  build_config {
    runtime           = "python312"
    entry_point       = "reconciler"
    service_account   = google_service_account.builder.id
    docker_repository = google_artifact_registry_repository.images.id
    source {
      storage_source {
        bucket = google_storage_bucket.sources.name
        object = google_storage_bucket_object.bundle["reconciler"].name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.reconciler.email
    available_cpu                    = "1"
    available_memory                 = "1Gi"
    timeout_seconds                  = 300
    max_instance_count               = 4 # a first chunk does not wait behind a long round
    max_instance_request_concurrency = 1
    ingress_settings                 = "ALLOW_ALL" # the chunker's call comes from outside; whoever calls must be an invoker
    environment_variables = merge(
      local.environment,
      { LONGSCRIBE_MAX_INSTANCES = tostring(var.max_gpus) },
      local.built ? { LONGSCRIBE_CHUNKER_JOB = local.chunker_job } : {},
      local.built && local.on_cloud_run ? { LONGSCRIBE_GPU_POOL = local.gpu_pool } : {},
      local.built && local.on_gke ? { LONGSCRIBE_GKE_ENDPOINT = local.gke_endpoint } : {},
    )
  }

  depends_on = [time_sleep.build_rights]
}

# Its address.
data "google_cloud_run_v2_service" "reconciler" {
  name     = local.reconciler_name
  location = var.region
}

resource "google_service_account" "timer" {
  account_id   = "longscribe-timer"
  display_name = "longscribe: calls the reconciler"
  depends_on   = [google_project_service.this]
}

resource "google_cloud_scheduler_job" "timer" {
  name             = "longscribe-reconciler"
  region           = var.region
  description      = "Calls longscribe's reconciler"
  schedule         = "* * * * *"
  time_zone        = "Etc/UTC"
  attempt_deadline = "330s" # above the reconciler's time-out

  retry_config {
    retry_count = 0 # the next minute comes
  }

  http_target {
    http_method = "POST"
    uri         = data.google_cloud_run_v2_service.reconciler.uri
    oidc_token {
      service_account_email = google_service_account.timer.email
      audience              = data.google_cloud_run_v2_service.reconciler.uri
    }
  }
}

resource "google_cloud_run_v2_service_iam_member" "timer_invokes" {
  name     = google_cloudfunctions2_function.reconciler.name
  location = var.region
  role     = "roles/run.invoker"
  member   = google_service_account.timer.member
}

# It lists the uploads, for those whose event was lost.
resource "google_storage_bucket_iam_member" "reconciler_uploads" {
  bucket = google_storage_bucket.uploads.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.reconciler.member
}

resource "google_storage_bucket_iam_member" "reconciler_transcripts" {
  bucket = google_storage_bucket.transcripts.name
  role   = "roles/storage.objectUser"
  member = google_service_account.reconciler.member
}

resource "google_pubsub_topic_iam_member" "reconciler_publishes" {
  for_each = google_pubsub_topic.chunks
  topic    = each.value.name
  role     = "roles/pubsub.publisher"
  member   = google_service_account.reconciler.member
}

resource "google_cloud_run_v2_job_iam_member" "reconciler_cuts_again" {
  count    = local.built ? 1 : 0
  name     = google_cloud_run_v2_job.chunker[0].name
  location = var.region
  role     = "roles/run.jobsExecutorWithOverrides"
  member   = google_service_account.reconciler.member
}

# How many messages wait. Metrics belong to the project.
resource "google_project_iam_member" "reconciler_metrics" {
  project = var.project
  role    = "roles/monitoring.viewer"
  member  = google_service_account.reconciler.member
}

# To size the pool and nothing else. On GKE the cluster's own rules say what is behind the connection:
# gpu_service/kubernetes/scaler.yaml.
resource "google_project_iam_custom_role" "scaler" {
  role_id     = "longscribeScaler"
  title       = "longscribe: sizes the GPU pool"
  permissions = local.on_cloud_run ? ["run.workerpools.get", "run.workerpools.update"] : ["container.clusters.connect"]
  depends_on  = [google_project_service.this]
}

resource "google_cloud_run_v2_worker_pool_iam_member" "reconciler_scales" {
  count    = local.built && local.on_cloud_run ? 1 : 0
  name     = google_cloud_run_v2_worker_pool.worker[0].name
  location = var.region
  role     = google_project_iam_custom_role.scaler.id
  member   = google_service_account.reconciler.member
}

# A changed pool runs as the worker and pulls its image, so whoever changes it must have a right to both.
resource "google_service_account_iam_member" "reconciler_acts" {
  count              = local.built && local.on_cloud_run ? 1 : 0
  service_account_id = google_service_account.worker.name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.reconciler.member
}

resource "google_artifact_registry_repository_iam_member" "reconciler_images" {
  count      = local.built && local.on_cloud_run ? 1 : 0
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.reconciler.member
}

# Clusters have no grants of their own.
resource "google_project_iam_member" "reconciler_connects" {
  count   = local.on_gke ? 1 : 0
  project = var.project
  role    = google_project_iam_custom_role.scaler.id
  member  = google_service_account.reconciler.member
}
