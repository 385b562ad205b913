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
    uploads_days   = 0
    concurrency    = 1
    max_gpus       = 1
    monthly_budget = 1
  }
}

run "longest" {
  command = plan

  variables {
    retention_days = 31
  }
}

# Nothing as it is by default, and every number the largest that is taken.
run "most_on_cloud_run" {
  command = plan

  variables {
    project         = "other-project"
    region          = "us-central1"
    image           = "other-tag"
    model           = "turbo"
    concurrency     = 16
    max_gpus        = 100
    retention_days  = 31
    uploads_days    = 3650
    alert_email     = "ops@example.org"
    billing_account = "012345-6789AB-CDEF01"
    monthly_budget  = 250
  }
}

run "most_on_gke" {
  command = plan

  variables {
    project        = "other-project"
    region         = "us-central1"
    gpu_backend    = "gke-t4"
    image          = "other-tag"
    model          = "turbo"
    concurrency    = 16
    max_gpus       = 100
    retention_days = 31
    uploads_days   = 3650
  }
}
