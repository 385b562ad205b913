# Needs no cloud: `terraform test`. tests/deploy/ reads the plans that these runs make.

mock_provider "google" {
  source          = "./tests/mocks"
  override_during = plan
}

mock_provider "google" {
  alias           = "billing"
  source          = "./tests/mocks"
  override_during = plan
}

mock_provider "time" {
  override_during = plan
}

variables {
  project = "some-project"
  region  = "europe-west4"
}

# What `terraform apply` makes of an empty project.
run "empty" {
  command = plan

  assert {
    condition     = length(google_cloud_run_v2_worker_pool.worker) + length(google_cloud_run_v2_job.chunker) == 0
    error_message = "Without an image there is nothing that runs one."
  }
  assert {
    condition     = output.next == "Build the workers' image: make deploy PROJECT=some-project REGION=europe-west4"
    error_message = "The next step is not told."
  }
}

run "cloud_run" {
  command = plan

  variables {
    image           = "tag"
    alert_email     = "ops@example.org"
    billing_account = "012345-6789AB-CDEF01"
    uploads_days    = 90
  }

  assert {
    condition     = length(google_cloud_run_v2_worker_pool.worker) == 1 && length(google_container_cluster.gke) == 0
    error_message = "One backend, and one only."
  }
}

run "gke" {
  command = plan

  variables {
    image       = "tag"
    gpu_backend = "gke-t4"
  }

  assert {
    condition     = length(google_cloud_run_v2_worker_pool.worker) == 0 && length(google_container_cluster.gke) == 1
    error_message = "One backend, and one only."
  }
}

run "shortest" {
  command = plan

  variables {
    retention_days = 1
  }
}

run "longest" {
  command = plan

  variables {
    retention_days = 31
  }
}
