# Runs without a cloud: `terraform test`. tests/deploy/ reads the states that these runs make.

mock_provider "google" {
  source = "./tests/mocks"
}

mock_provider "google" {
  alias  = "billing"
  source = "./tests/mocks"
}

mock_provider "time" {}

variables {
  project = "some-project"
  region  = "europe-west4"
}

# Everything that `terraform apply` makes of an empty project.
run "empty" {}

run "cloud_run" {
  variables {
    image           = "tag"
    alert_email     = "ops@example.org"
    billing_account = "012345-6789AB-CDEF01"
    uploads_days    = 90
  }
}

run "gke" {
  variables {
    image       = "tag"
    gpu_backend = "gke-t4"
  }
}
