# The other backend: T4s as spot pods of an Autopilot cluster. `make deploy` applies gpu_service/kubernetes/ to it.

resource "google_compute_network" "gke" {
  count                   = local.on_gke ? 1 : 0
  name                    = "longscribe"
  auto_create_subnetworks = false
  depends_on              = [google_project_service.this]
}

# Without addresses of their own, and without a way out: pods call Google's services and nothing else.
resource "google_compute_subnetwork" "gke" {
  count                    = local.on_gke ? 1 : 0
  name                     = "longscribe"
  network                  = google_compute_network.gke[0].id
  region                   = var.region
  ip_cidr_range            = "10.10.0.0/20"
  private_ip_google_access = true

  log_config {
    aggregation_interval = "INTERVAL_10_MIN"
    flow_sampling        = 0.1
  }
}

# Nobody calls in; the cluster's own rules come before this one.
resource "google_compute_firewall" "gke" {
  count         = local.on_gke ? 1 : 0
  name          = "longscribe-nobody-calls-in"
  network       = google_compute_network.gke[0].id
  direction     = "INGRESS"
  priority      = 65534
  source_ranges = ["0.0.0.0/0"]

  deny {
    protocol = "all"
  }
}

resource "google_container_cluster" "gke" {
  #checkov:skip=CKV_GCP_12:Autopilot always has network policies
  #checkov:skip=CKV_GCP_13:Autopilot never has client certificates
  #checkov:skip=CKV_GCP_20:There is no address to authorise networks for: ip_endpoints_config is off
  #checkov:skip=CKV_GCP_61:Autopilot decides about visibility inside a node; the subnetwork logs flows
  #checkov:skip=CKV_GCP_65:No person works in the cluster but who deploys
  #checkov:skip=CKV_GCP_66:Which images are trusted is an organisation's policy; one repository feeds this cluster
  #checkov:skip=CKV_GCP_69:Autopilot always has the metadata server
  count               = local.on_gke ? 1 : 0
  name                = "longscribe"
  location            = var.region
  enable_autopilot    = true
  deletion_protection = false
  resource_labels     = { app = "longscribe" }
  network             = google_compute_network.gke[0].id
  subnetwork          = google_compute_subnetwork.gke[0].id

  ip_allocation_policy {}

  private_cluster_config {
    enable_private_nodes = true
  }

  # Its name has a certificate that any machine can check, and IAM stands before it. It has no open address.
  control_plane_endpoints_config {
    dns_endpoint_config {
      allow_external_traffic = true
    }
    ip_endpoints_config {
      enabled = false
    }
  }

  cluster_autoscaling {
    auto_provisioning_defaults {
      service_account = google_service_account.nodes[0].email
      oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
    }
  }

  release_channel {
    channel = "REGULAR"
  }
}

data "google_container_cluster" "gke" {
  count    = local.on_gke ? 1 : 0
  name     = local.gke_cluster_name
  location = var.region
}

locals {
  gke_endpoint = local.on_gke ? "https://${data.google_container_cluster.gke[0].control_plane_endpoints_config[0].dns_endpoint_config[0].endpoint}" : ""
}

resource "google_service_account" "nodes" {
  count        = local.on_gke ? 1 : 0
  account_id   = "longscribe-nodes"
  display_name = "longscribe: the cluster's nodes"
  depends_on   = [google_project_service.this]
}

# Logs and metrics of nodes: GCP has nothing narrower than the project for them.
resource "google_project_iam_member" "nodes" {
  count   = local.on_gke ? 1 : 0
  project = var.project
  role    = "roles/container.defaultNodeServiceAccount"
  member  = google_service_account.nodes[0].member
}

resource "google_artifact_registry_repository_iam_member" "nodes_images" {
  count      = local.on_gke ? 1 : 0
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.nodes[0].member
}

# Pods act as the same identities as on Cloud Run, without keys.
resource "google_service_account_iam_member" "pods" {
  for_each           = local.on_gke ? { worker = google_service_account.worker.name, chunker = google_service_account.chunker.name } : {}
  service_account_id = each.value
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${var.project}.svc.id.goog[longscribe/longscribe-${each.key}]"
  depends_on         = [google_container_cluster.gke]
}
