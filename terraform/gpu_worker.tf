# Chunks → results: workers with a GPU each, sized by the reconciler, on one of two backends.

resource "google_service_account" "worker" {
  account_id   = "longscribe-worker"
  display_name = "longscribe: transcribes chunks"
  depends_on   = [google_project_service.this]
}

locals {
  worker_environment = merge(local.environment, {
    LONGSCRIBE_LEASES  = tostring(var.concurrency)
    LONGSCRIBE_MACHINE = local.on_cloud_run ? "l4" : "t4-spot" # what its time costs
    # A worker that has grown beyond is exchanged: of 16 GiB, or of a pod's 11 with the model's copy in memory.
    LONGSCRIBE_MEMORY_MB = local.on_cloud_run ? "12288" : "7168"
  })
  gpu_pool = "projects/${var.project}/locations/${var.region}/workerPools/longscribe-worker"
}

resource "google_cloud_run_v2_worker_pool" "worker" {
  count               = local.built && local.on_cloud_run ? 1 : 0
  name                = "longscribe-worker"
  location            = var.region
  description         = "Transcribes chunks on GPUs"
  launch_stage        = "BETA"
  deletion_protection = false

  scaling {
    manual_instance_count = 0
  }

  template {
    service_account               = google_service_account.worker.email
    gpu_zonal_redundancy_disabled = true # cheaper, and the quota that is granted first
    node_selector {
      accelerator = "nvidia-l4"
    }
    containers {
      image = local.worker_image
      resources {
        limits = { cpu = "4", memory = "16Gi", "nvidia.com/gpu" = "1" }
      }
      dynamic "env" {
        for_each = local.worker_environment
        content {
          name  = env.key
          value = env.value
        }
      }
    }
  }

  lifecycle {
    # The reconciler's, and what `gcloud` leaves behind.
    ignore_changes = [scaling, launch_stage, client, client_version]
  }
}

resource "google_storage_bucket_iam_member" "worker_chunks" {
  bucket = google_storage_bucket.chunks.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.worker.member
}

resource "google_pubsub_subscription_iam_member" "worker_leases" {
  for_each     = google_pubsub_subscription.chunks
  subscription = each.value.name
  role         = "roles/pubsub.subscriber"
  member       = google_service_account.worker.member
}

resource "google_pubsub_topic_iam_member" "worker_publishes" {
  topic  = google_pubsub_topic.results.name
  role   = "roles/pubsub.publisher"
  member = google_service_account.worker.member
}
