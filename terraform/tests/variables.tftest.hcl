# Every variable refuses what it cannot be; tests/deploy/test_terraform.py sees to it that none is left out.

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

run "no_project" {
  command = plan
  variables {
    project = "Some_Project"
  }
  expect_failures = [var.project]
}

run "a_zone" {
  command = plan
  variables {
    region = "europe-west4-a"
  }
  expect_failures = [var.region]
}

run "a_continent" {
  command = plan
  variables {
    region = "EU"
  }
  expect_failures = [var.region]
}

run "another_gpu" {
  command = plan
  variables {
    gpu_backend = "h100"
  }
  expect_failures = [var.gpu_backend]
}

run "a_whole_image_name" {
  command = plan
  variables {
    image = "docker.io/a/b:tag"
  }
  expect_failures = [var.image]
}

run "a_repository" {
  command = plan
  variables {
    model = "Systran/faster-whisper-large-v3"
  }
  expect_failures = [var.model]
}

run "no_lease" {
  command = plan
  variables {
    concurrency = 0
  }
  expect_failures = [var.concurrency]
}

run "too_many_leases" {
  command = plan
  variables {
    concurrency = 17
  }
  expect_failures = [var.concurrency]
}

run "half_a_lease" {
  command = plan
  variables {
    concurrency = 1.5
  }
  expect_failures = [var.concurrency]
}

run "no_gpu" {
  command = plan
  variables {
    max_gpus = 0
  }
  expect_failures = [var.max_gpus]
}

run "too_many_gpus" {
  command = plan
  variables {
    max_gpus = 101
  }
  expect_failures = [var.max_gpus]
}

run "half_a_gpu" {
  command = plan
  variables {
    max_gpus = 0.5
  }
  expect_failures = [var.max_gpus]
}

run "no_retention" {
  command = plan
  variables {
    retention_days = 0
  }
  expect_failures = [var.retention_days]
}

run "too_long_a_retention" {
  command = plan
  variables {
    retention_days = 32
  }
  expect_failures = [var.retention_days]
}

run "half_a_day" {
  command = plan
  variables {
    retention_days = 1.5
  }
  expect_failures = [var.retention_days]
}

run "uploads_shorter_than_a_replay" {
  command = plan
  variables {
    uploads_days = 7
  }
  expect_failures = [var.uploads_days]
}

run "negative_days" {
  command = plan
  variables {
    uploads_days = -1
  }
  expect_failures = [var.uploads_days]
}

run "too_many_days" {
  command = plan
  variables {
    uploads_days = 3651
  }
  expect_failures = [var.uploads_days]
}

run "no_address" {
  command = plan
  variables {
    alert_email = "ops"
  }
  expect_failures = [var.alert_email]
}

run "no_account" {
  command = plan
  variables {
    billing_account = "012345-6789ab-CDEF01"
  }
  expect_failures = [var.billing_account]
}

run "no_budget" {
  command = plan
  variables {
    monthly_budget = 0
  }
  expect_failures = [var.monthly_budget]
}

run "half_a_budget" {
  command = plan
  variables {
    monthly_budget = 0.5
  }
  expect_failures = [var.monthly_budget]
}
