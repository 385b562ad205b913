locals {
  result = "gs://${google_storage_bucket.transcripts.name}"
}

output "upload" {
  description = "How to have a recording transcribed."
  value       = "gcloud storage cp talk.mp3 gs://${google_storage_bucket.uploads.name}/ --custom-metadata=language=en"
}

output "watch" {
  description = "How to see its text as it becomes final; and where the files are in the end."
  value       = "longscribe watch talk.mp3 --project ${var.project} && gcloud storage ls '${local.result}/**'"
}

output "replay" {
  description = "How to have everything transcribed again since a moment, all jobs included. `longscribe seek-preview` says how much that is."
  value = [
    for subscription in google_pubsub_subscription.chunks :
    "gcloud pubsub subscriptions seek ${subscription.name} --time=2026-01-31T08:00:00Z --project=${var.project}"
  ]
}

output "doctor" {
  description = "Whether all is well, and what to mend."
  value       = "longscribe doctor --project ${var.project}"
}

output "next" {
  description = "What is still to be done."
  value       = local.built ? "Upload a recording." : "Build the workers' image: make deploy PROJECT=${var.project} REGION=${var.region}"
}

# What `make image` and `make deploy` go on with.
output "images" {
  description = "Where images are pushed to."
  value       = local.images
}

output "builder" {
  description = "Who builds them."
  value       = google_service_account.builder.id
}

output "sources" {
  description = "Where what they are built from is uploaded to."
  value       = "gs://${google_storage_bucket.sources.name}/images"
}

output "kubernetes" {
  description = "The cluster's kustomization, for gke-t4: gpu_service/kubernetes/ with this deployment's names. Empty otherwise."
  value       = local.built && local.on_gke ? yamlencode(local.kustomization) : ""
}

locals {
  kustomization = {
    apiVersion = "kustomize.config.k8s.io/v1beta1"
    kind       = "Kustomization"
    namespace  = "longscribe"
    resources  = ["../../gpu_service/kubernetes"]
    images = [
      { name = "longscribe-worker", newName = "${local.images}/worker", newTag = var.image },
    ]
    configMapGenerator = [{
      name     = "longscribe-worker"
      literals = [for name, value in local.worker_environment : "${name}=${value}"]
    }]
    patches = [
      for name, account in { worker = google_service_account.worker.email } : {
        target                      = { kind = "ServiceAccount", name = "longscribe-${name}" }
        patch = yamlencode([{
          op = "add", path = "/metadata/annotations", value = { "iam.gke.io/gcp-service-account" = account }
        }])
      }
    ]
  }
}
