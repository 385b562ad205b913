locals {
  result = "gs://${google_storage_bucket.transcripts.name}"
}

output "upload" {
  description = "How to have a recording transcribed."
  value       = "gcloud storage cp talk.mp3 gs://${google_storage_bucket.uploads.name}/ --custom-metadata=language=en"
}

output "watch" {
  description = "How to see its text as it becomes final; and where the files are in the end."
  value       = ".venv/bin/longscribe watch talk.mp3 --project ${var.project} && gcloud storage ls '${local.result}/**'"
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
  value       = ".venv/bin/longscribe doctor --project ${var.project}"
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

output "image" {
  description = "The tag of the images that run."
  value       = var.image
}

output "model" {
  description = "The model that workers hold, to be baked into their image."
  value       = var.model
}

output "builder" {
  description = "Who builds them."
  value       = google_service_account.builder.id
}

output "sources" {
  description = "The bucket of what they are built from (images/), and of the locks of models (locks/)."
  value       = "gs://${google_storage_bucket.sources.name}"
}

output "kubernetes" {
  description = "The cluster's kustomization, for gke-t4: gpu_service/kubernetes/ with this deployment's names. Empty otherwise."
  value       = local.built && local.on_gke ? yamlencode(local.kustomization) : ""
}

locals {
  pods = {
    worker  = { account = google_service_account.worker.email, environment = local.worker_environment }
    chunker = { account = google_service_account.chunker.email, environment = local.chunker_environment }
  }

  kustomization = {
    apiVersion = "kustomize.config.k8s.io/v1beta1"
    kind       = "Kustomization"
    namespace  = "longscribe"
    resources  = ["../../gpu_service/kubernetes"]
    images = [
      for name, _ in local.pods : { name = "longscribe-${name}", newName = "${local.images}/${name}", newTag = var.image }
    ]
    configMapGenerator = [
      for name, pod in local.pods :
      { name = "longscribe-${name}-environment", literals = [for key, value in pod.environment : "${key}=${value}"] }
    ]
    patches = concat([
      for name, pod in local.pods : {
        target = { kind = "ServiceAccount", name = "longscribe-${name}" }
        patch = yamlencode([{
          op = "add", path = "/metadata/annotations", value = { "iam.gke.io/gcp-service-account" = pod.account }
        }])
      }
      ], [{
        target = { kind = "RoleBinding", name = "longscribe-scaler" }
        # GKE knows an account by its address, or by its number where the token does not tell the address.
        patch = yamlencode([{
          op = "replace", path = "/subjects", value = [
            for name in [google_service_account.reconciler.email, google_service_account.reconciler.unique_id] :
            { apiGroup = "rbac.authorization.k8s.io", kind = "User", name = name }
          ]
        }])
    }])
  }
}
