terraform {
  required_version = ">= 1.11" # its tests need it

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.50, < 8.0"
    }
    time = {
      source  = "hashicorp/time"
      version = ">= 0.13, < 1.0"
    }
  }

  # `make deploy` makes the bucket and names it.
  backend "gcs" {
    prefix = "longscribe"
  }
}

provider "google" {
  project        = var.project
  region         = var.region
  default_labels = { app = "longscribe" }
}

# The budget's API is billed to a project of the caller's; no other call needs that.
provider "google" {
  alias                 = "billing"
  project               = var.project
  billing_project       = var.project
  user_project_override = true
}
