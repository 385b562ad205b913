# What Google would answer, as far as anything here is made of it. Google's own formats, so that the real provider's
# checks of them pass too.

override_resource {
  target = google_service_account.builder
  values = {
    id     = "projects/some-project/serviceAccounts/longscribe-builder@some-project.iam.gserviceaccount.com"
    name   = "projects/some-project/serviceAccounts/longscribe-builder@some-project.iam.gserviceaccount.com"
    email  = "longscribe-builder@some-project.iam.gserviceaccount.com"
    member = "serviceAccount:longscribe-builder@some-project.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.chunker
  values = {
    id     = "projects/some-project/serviceAccounts/longscribe-chunker@some-project.iam.gserviceaccount.com"
    name   = "projects/some-project/serviceAccounts/longscribe-chunker@some-project.iam.gserviceaccount.com"
    email  = "longscribe-chunker@some-project.iam.gserviceaccount.com"
    member = "serviceAccount:longscribe-chunker@some-project.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.events
  values = {
    id     = "projects/some-project/serviceAccounts/longscribe-events@some-project.iam.gserviceaccount.com"
    name   = "projects/some-project/serviceAccounts/longscribe-events@some-project.iam.gserviceaccount.com"
    email  = "longscribe-events@some-project.iam.gserviceaccount.com"
    member = "serviceAccount:longscribe-events@some-project.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.pusher
  values = {
    id     = "projects/some-project/serviceAccounts/longscribe-pusher@some-project.iam.gserviceaccount.com"
    name   = "projects/some-project/serviceAccounts/longscribe-pusher@some-project.iam.gserviceaccount.com"
    email  = "longscribe-pusher@some-project.iam.gserviceaccount.com"
    member = "serviceAccount:longscribe-pusher@some-project.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.assembler
  values = {
    id     = "projects/some-project/serviceAccounts/longscribe-assembler@some-project.iam.gserviceaccount.com"
    name   = "projects/some-project/serviceAccounts/longscribe-assembler@some-project.iam.gserviceaccount.com"
    email  = "longscribe-assembler@some-project.iam.gserviceaccount.com"
    member = "serviceAccount:longscribe-assembler@some-project.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.worker
  values = {
    id     = "projects/some-project/serviceAccounts/longscribe-worker@some-project.iam.gserviceaccount.com"
    name   = "projects/some-project/serviceAccounts/longscribe-worker@some-project.iam.gserviceaccount.com"
    email  = "longscribe-worker@some-project.iam.gserviceaccount.com"
    member = "serviceAccount:longscribe-worker@some-project.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.reconciler
  values = {
    id        = "projects/some-project/serviceAccounts/longscribe-reconciler@some-project.iam.gserviceaccount.com"
    name      = "projects/some-project/serviceAccounts/longscribe-reconciler@some-project.iam.gserviceaccount.com"
    email     = "longscribe-reconciler@some-project.iam.gserviceaccount.com"
    member    = "serviceAccount:longscribe-reconciler@some-project.iam.gserviceaccount.com"
    unique_id = "112233445566778899000"
  }
}

override_resource {
  target = google_service_account.timer
  values = {
    id     = "projects/some-project/serviceAccounts/longscribe-timer@some-project.iam.gserviceaccount.com"
    name   = "projects/some-project/serviceAccounts/longscribe-timer@some-project.iam.gserviceaccount.com"
    email  = "longscribe-timer@some-project.iam.gserviceaccount.com"
    member = "serviceAccount:longscribe-timer@some-project.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.nodes[0]
  values = {
    id     = "projects/some-project/serviceAccounts/longscribe-nodes@some-project.iam.gserviceaccount.com"
    name   = "projects/some-project/serviceAccounts/longscribe-nodes@some-project.iam.gserviceaccount.com"
    email  = "longscribe-nodes@some-project.iam.gserviceaccount.com"
    member = "serviceAccount:longscribe-nodes@some-project.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_cloudfunctions2_function.chunker
  values = { id = "projects/some-project/locations/europe-west4/functions/longscribe-chunker" }
}

override_resource {
  target = google_cloudfunctions2_function.assembler
  values = { id = "projects/some-project/locations/europe-west4/functions/longscribe-assembler" }
}

override_resource {
  target = google_cloudfunctions2_function.reconciler
  values = { id = "projects/some-project/locations/europe-west4/functions/longscribe-reconciler" }
}

override_data {
  target = data.google_cloud_run_v2_service.assembler
  values = { uri = "https://longscribe-assembler-0123456789-ez.a.run.app" }
}

override_data {
  target = data.google_cloud_run_v2_service.reconciler
  values = { uri = "https://longscribe-reconciler-0123456789-ez.a.run.app" }
}

override_resource {
  target = google_pubsub_topic.chunks["high"]
  values = { id = "projects/some-project/topics/longscribe-chunks-high" }
}

override_resource {
  target = google_pubsub_topic.chunks["low"]
  values = { id = "projects/some-project/topics/longscribe-chunks-low" }
}

override_resource {
  target = google_pubsub_topic.results
  values = { id = "projects/some-project/topics/longscribe-results" }
}

override_resource {
  target = google_pubsub_topic.dead_chunks
  values = { id = "projects/some-project/topics/longscribe-chunks-dead" }
}

override_resource {
  target = google_pubsub_topic.dead_results
  values = { id = "projects/some-project/topics/longscribe-results-dead" }
}

override_resource {
  target = google_artifact_registry_repository.images
  values = {
    id   = "projects/some-project/locations/europe-west4/repositories/longscribe"
    name = "longscribe"
  }
}

override_resource {
  target = google_project_iam_custom_role.scaler
  values = { id = "projects/some-project/roles/longscribeScaler" }
}

override_resource {
  target = google_container_cluster.gke[0]
  values = { id = "projects/some-project/locations/europe-west4/clusters/longscribe" }
}

override_resource {
  target = google_monitoring_notification_channel.email[0]
  values = { id = "projects/some-project/notificationChannels/1234567890" }
}

override_data {
  target = data.google_project.this
  values = { number = "123456789012" }
}

override_data {
  target = data.google_storage_project_service_account.this
  values = {
    email_address = "service-123456789012@gs-project-accounts.iam.gserviceaccount.com"
    member        = "serviceAccount:service-123456789012@gs-project-accounts.iam.gserviceaccount.com"
  }
}

override_data {
  target = data.google_container_cluster.gke[0]
  values = {
    control_plane_endpoints_config = [{
      dns_endpoint_config = [{ allow_external_traffic = true, endpoint = "gke-0123456789.europe-west4.gke.goog" }]
      ip_endpoints_config = []
    }]
  }
}

override_resource {
  target = google_project_service.this
  values = { id = "some-project/mocked.googleapis.com" }
}
