# What comes out.

resource "google_storage_bucket" "transcripts" {
  #checkov:skip=CKV_GCP_62:Who reads transcripts is in the audit log; a bucket of access logs would hold nothing more
  name                        = local.buckets.transcripts
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  # A rerun writes over the transcript; what it said before can be had for a month.
  versioning {
    enabled = true
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 30
      with_state                 = "ARCHIVED"
    }
  }

  depends_on = [google_project_service.this]
}
