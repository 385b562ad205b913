# Recordings come in here. Who may upload is the operator's to grant.

resource "google_storage_bucket" "uploads" {
  #checkov:skip=CKV_GCP_62:Who reads recordings is in the audit log; a bucket of access logs would hold nothing more
  #checkov:skip=CKV_GCP_78:A recording that is overwritten is another recording; the old one is in the soft-deleted objects
  name                        = local.buckets.uploads
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  soft_delete_policy {
    retention_duration_seconds = 604800
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 7
    }
  }

  dynamic "lifecycle_rule" {
    for_each = var.uploads_days > 0 ? [var.uploads_days] : []
    content {
      action {
        type = "Delete"
      }
      condition {
        age = lifecycle_rule.value
      }
    }
  }

  depends_on = [google_project_service.this]
}
