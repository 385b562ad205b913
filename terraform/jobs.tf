# The documents of jobs, chunks and workers: src/longscribe/adapters/gcp/firestore.py.

resource "google_firestore_database" "jobs" {
  name                    = "(default)"
  location_id             = var.region
  type                    = "FIRESTORE_NATIVE"
  delete_protection_state = "DELETE_PROTECTION_DISABLED"
  deletion_policy         = "DELETE"
  depends_on              = [google_project_service.this]
}

locals {
  collections = ["jobs", "chunks", "workers"]

  # Never searched. A document with a time for each word would be over Firestore's 40,000 index entries.
  unindexed = { for field in ["jobs.document", "jobs.write", "chunks.document", "chunks.write", "workers.document"] :
  field => { collection = split(".", field)[0], field = split(".", field)[1] } }

  # Every component but the pushing ones keeps its state there. The role can be granted on the project alone; the
  # condition narrows it to this database.
  writers = {
    chunker    = google_service_account.chunker.member
    worker     = google_service_account.worker.member
    assembler  = google_service_account.assembler.member
    reconciler = google_service_account.reconciler.member
  }
}

resource "google_firestore_field" "unindexed" {
  for_each   = local.unindexed
  database   = google_firestore_database.jobs.name
  collection = each.value.collection
  field      = each.value.field
  index_config {}
}

# A deleted job does not take its chunks along: this does.
resource "google_firestore_field" "expires" {
  for_each   = toset(local.collections)
  database   = google_firestore_database.jobs.name
  collection = each.key
  field      = "expires"
  index_config {}
  ttl_config {}
}

resource "google_project_iam_member" "documents" {
  for_each = local.writers
  project  = var.project
  role     = "roles/datastore.user"
  member   = each.value
  condition {
    title      = "this database only"
    expression = "resource.name == \"projects/${var.project}/databases/${google_firestore_database.jobs.name}\""
  }
}
