mock_resource "google_service_account" {
  defaults = {
    id = "projects/some-project/serviceAccounts/mocked@some-project.iam.gserviceaccount.com"
  }
}

mock_data "google_project" {
  defaults = { number = "123456789012" }
}

mock_data "google_storage_project_service_account" {
  defaults = {
    email_address = "service-123456789012@gs-project-accounts.iam.gserviceaccount.com"
    member        = "serviceAccount:service-123456789012@gs-project-accounts.iam.gserviceaccount.com"
  }
}

mock_data "google_container_cluster" {
  defaults = {
    control_plane_endpoints_config = [{
      dns_endpoint_config = [{ allow_external_traffic = true, endpoint = "gke-0123456789.europe-west4.gke.goog" }]
      ip_endpoints_config = []
    }]
  }
}
