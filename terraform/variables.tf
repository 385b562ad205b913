variable "project" {
  description = "The project's id. It must exist and have billing."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "Give the project's id: 6 to 30 small letters, digits and hyphens, a letter first."
  }
}

variable "region" {
  description = "Where everything runs and lies; it must have the GPU of gpu_backend."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "Give a region such as europe-west4, not a zone or a continent."
  }
}

variable "gpu_backend" {
  description = "What the workers run on: an L4 each in a Cloud Run worker pool (cloud-run-l4), or a T4 each as spot pods in GKE Autopilot (gke-t4)."
  type        = string
  default     = "cloud-run-l4"

  validation {
    condition     = contains(["cloud-run-l4", "gke-t4"], var.gpu_backend)
    error_message = "Give cloud-run-l4 or gke-t4."
  }
}

variable "image" {
  description = "The tag of the images that `make image` built. Empty: there are no workers yet, and no job for oversize recordings."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$", var.image))
    error_message = "Give a tag alone, such as 3f2a9c11d0e4, without registry and name; or nothing."
  }
}

variable "model" {
  description = "The Whisper model that the workers hold and new jobs ask for: a size, baked into the image of that tag."
  type        = string
  default     = "large-v3"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{0,62}$", var.model))
    error_message = "Give a Whisper model's size such as large-v3, turbo or base."
  }
}

variable "concurrency" {
  description = "How many chunks a worker leases at once; their windows share its batches."
  type        = number
  default     = 4

  validation {
    condition     = var.concurrency >= 1 && var.concurrency <= 16 && floor(var.concurrency) == var.concurrency
    error_message = "Give a whole number from 1 to 16."
  }
}

variable "max_gpus" {
  description = "The most GPUs at once, within the project's quota. Each costs money while it runs."
  type        = number
  default     = 3

  validation {
    condition     = var.max_gpus >= 1 && var.max_gpus <= 100 && floor(var.max_gpus) == var.max_gpus
    error_message = "Give a whole number from 1 to 100."
  }
}

variable "retention_days" {
  description = "How many days back a replay reaches: messages are kept so long, and the audio of chunks a day longer."
  type        = number
  default     = 7

  validation {
    condition     = var.retention_days >= 1 && var.retention_days <= 31 && floor(var.retention_days) == var.retention_days
    error_message = "Give a whole number of days from 1 to 31, Pub/Sub's longest."
  }
}

variable "uploads_days" {
  description = "After how many days an upload is deleted; 0 keeps uploads. Transcripts are always kept."
  type        = number
  default     = 0

  validation {
    condition     = var.uploads_days >= 0 && var.uploads_days <= 3650 && floor(var.uploads_days) == var.uploads_days
    error_message = "Give a whole number of days up to 3650, or 0."
  }

  validation {
    condition     = var.uploads_days == 0 || var.uploads_days > var.retention_days
    error_message = "Uploads must outlive retention_days: a rerun may have to cut them again."
  }
}

variable "alert_email" {
  description = "Who is told when something is wrong. Empty: alerts are only shown in the console."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([^@[:space:]]+@[^@[:space:]]+[.][^@[:space:]]+)?$", var.alert_email))
    error_message = "Give one e-mail address, or nothing."
  }
}

variable "billing_account" {
  description = "The billing account that gets the budget. Empty: there is none."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6})?$", var.billing_account))
    error_message = "Give the account's id, such as 012345-6789AB-CDEF01, or nothing."
  }
}

variable "monthly_budget" {
  description = "What a month may cost, in the billing account's currency, before it is told. It stops nothing."
  type        = number
  default     = 100

  validation {
    condition     = var.monthly_budget >= 1 && floor(var.monthly_budget) == var.monthly_budget
    error_message = "Give a whole amount of at least 1."
  }
}
