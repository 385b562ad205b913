# What all parts stand on: the project's services, their agents, what builds code and images, and names.

locals {
  buckets = { for name in ["uploads", "chunks", "transcripts", "sources"] : name => "${var.project}-longscribe-${name}" }

  images        = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}"
  worker_image  = "${local.images}/worker:${var.image}"
  chunker_image = "${local.images}/chunker:${var.image}"

  # Read by src/longscribe/wiring_cloud.py.
  environment = {
    LONGSCRIBE_PROJECT            = var.project
    LONGSCRIBE_UPLOADS_BUCKET     = google_storage_bucket.uploads.name
    LONGSCRIBE_CHUNKS_BUCKET      = google_storage_bucket.chunks.name
    LONGSCRIBE_TRANSCRIPTS_BUCKET = google_storage_bucket.transcripts.name
    LONGSCRIBE_DATABASE           = google_firestore_database.jobs.name
    LONGSCRIBE_MODEL              = var.model
    LONGSCRIBE_REGION             = var.region
  }

  agents = {
    pubsub   = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
    eventarc = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-eventarc.iam.gserviceaccount.com"
  }

  on_cloud_run = var.gpu_backend == "cloud-run-l4"
  on_gke       = var.gpu_backend == "gke-t4"
  built        = var.image != ""

  services = concat([
    "artifactregistry", "cloudbuild", "cloudfunctions", "cloudresourcemanager", "cloudscheduler", "compute",
    "eventarc", "firestore", "iam", "iamcredentials", "logging", "monitoring", "pubsub", "run", "storage",
  ], local.on_gke ? ["container"] : [], var.billing_account == "" ? [] : ["billingbudgets"])
}

resource "google_project_service" "this" {
  for_each           = toset(local.services)
  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false # others in the project may use it
}

# What is read is known only when the resource is there, since it is taken from its id; a later change of the resource
# does not make it unknown again, as naming the resource in the data source itself would.
locals {
  enabled_project  = split("/", google_project_service.this["cloudresourcemanager"].id)[0]
  assembler_name   = reverse(split("/", google_cloudfunctions2_function.assembler.id))[0]
  reconciler_name  = reverse(split("/", google_cloudfunctions2_function.reconciler.id))[0]
  gke_cluster_name = local.on_gke ? reverse(split("/", google_container_cluster.gke[0].id))[0] : ""
}

data "google_project" "this" {
  project_id = local.enabled_project
}

# Reading it makes Cloud Storage's agent, if there is none yet.
data "google_storage_project_service_account" "this" {
  project = local.enabled_project
}

# Pub/Sub's and Eventarc's agents come when their services are enabled and used, as Google documents it, and nothing can
# be granted to them before. Google's stable provider has no resource that asks for them; `make deploy` does, by gcloud.
# To make a topic is to use Pub/Sub.
resource "time_sleep" "agents" {
  create_duration = "90s"
  depends_on = [
    google_project_service.this, data.google_storage_project_service_account.this, google_pubsub_topic.results,
  ]
}

# Builds the functions and the images.
resource "google_service_account" "builder" {
  account_id   = "longscribe-builder"
  display_name = "longscribe: builds functions and images"
  depends_on   = [google_project_service.this]
}

resource "google_project_iam_member" "builder_logs" {
  project = var.project
  role    = "roles/logging.logWriter"
  member  = google_service_account.builder.member
}

resource "google_artifact_registry_repository_iam_member" "builder_images" {
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.builder.member
}

resource "google_storage_bucket_iam_member" "builder_sources" {
  bucket = google_storage_bucket.sources.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.builder.member
}

# Cloud Functions copies a bundle into a bucket of its own, which the first function makes, and builds it from there.
resource "google_project_iam_member" "builder_copies" {
  project = var.project
  role    = "roles/storage.objectViewer"
  member  = google_service_account.builder.member
  condition {
    title      = "functions' sources only"
    expression = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-${data.google_project.this.number}-${var.region}\")"
  }
}

# The lock of a model that was baked for the first time.
resource "google_storage_bucket_iam_member" "builder_locks" {
  bucket = google_storage_bucket.sources.name
  role   = "roles/storage.objectUser"
  member = google_service_account.builder.member
  condition {
    title      = "locks only"
    expression = "resource.name.startsWith(\"projects/_/buckets/${google_storage_bucket.sources.name}/objects/locks/\")"
  }
}

# The functions' bundles, what images are built from, and the locks of models.
resource "google_storage_bucket" "sources" {
  #checkov:skip=CKV_GCP_62:Who reads sources is in the audit log; a bucket of access logs would hold nothing more
  #checkov:skip=CKV_GCP_78:A bundle is named by its digest, and is made again from the repository
  name                        = local.buckets.sources
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true

  # What `gcloud builds submit` uploads; bundles stay while a function names them.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age            = 30
      matches_prefix = ["images/"]
    }
  }

  depends_on = [google_project_service.this]
}

resource "google_storage_bucket_object" "bundle" {
  for_each = toset(["chunker", "assembler", "reconciler"])
  bucket   = google_storage_bucket.sources.name
  source   = "${path.module}/../build/functions/${each.key}.zip" # from `make bundle`
  # A new name makes a new revision, and the same bytes have the same name.
  name = "functions/${each.key}-${filesha256("${path.module}/../build/functions/${each.key}.zip")}.zip"
}

resource "google_artifact_registry_repository" "images" {
  #checkov:skip=CKV_GCP_84:Google's own keys encrypt it; images hold no user's data
  location      = var.region
  repository_id = "longscribe"
  description   = "longscribe: workers, the chunker's job, and what the functions are built into"
  format        = "DOCKER"

  cleanup_policies {
    id     = "keep-five"
    action = "KEEP"
    most_recent_versions {
      keep_count = 5
    }
  }
  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      older_than = "2592000s"
    }
  }

  depends_on = [google_project_service.this]
}
