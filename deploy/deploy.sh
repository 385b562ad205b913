#!/usr/bin/env bash
# deploy.sh up|image|down: a whole deployment, made, its images built, taken down. PROJECT and REGION are required.
# Terraform's variables may be given as TF_VAR_…, or in terraform/terraform.tfvars.
set -euo pipefail
cd "$(dirname "$0")/.."

: "${PROJECT:?name the project: make deploy PROJECT=… REGION=…}"
: "${REGION:?name the region: make deploy PROJECT=… REGION=…}"
export TF_VAR_project=$PROJECT TF_VAR_region=$REGION TF_INPUT=0
STATE=$PROJECT-longscribe-state

terraform() { command terraform -chdir=terraform "$@"; }
output() { terraform output -raw "$1"; }

# Terraform's state lies in a bucket of its own: versioned, and never deleted here.
begin() {
    gcloud services enable --project="$PROJECT" serviceusage.googleapis.com cloudresourcemanager.googleapis.com \
        storage.googleapis.com pubsub.googleapis.com eventarc.googleapis.com
    if ! gcloud storage buckets describe "gs://$STATE" --project="$PROJECT" >/dev/null 2>&1; then
        gcloud storage buckets create "gs://$STATE" --project="$PROJECT" --location="$REGION" \
            --uniform-bucket-level-access --public-access-prevention
    fi
    gcloud storage buckets update "gs://$STATE" --versioning # each time: `create` has no such option
    # By themselves these agents come when their service is first used, and grants to them fail before.
    for service in pubsub eventarc; do
        gcloud beta services identity create --service="$service.googleapis.com" --project="$PROJECT"
    done
    terraform init -reconfigure -backend-config="bucket=$STATE"
}

# What an earlier tear-down left is taken over.
adopt() {
    local known name
    known=$(terraform state list 2>/dev/null || true) # there may be none yet
    for name in uploads transcripts; do
        if ! grep -qx "google_storage_bucket.$name" <<<"$known" &&
            gcloud storage buckets describe "gs://$PROJECT-longscribe-$name" >/dev/null 2>&1; then
            terraform import "google_storage_bucket.$name" "$PROJECT-longscribe-$name"
        fi
    done
}

# An image's tag is a digest of what it is built from, so the same sources are built once.
tag() {
    {
        echo "$MODEL"
        git ls-files -z --cached --others --exclude-standard -- \
            src functions gpu_service requirements ':!gpu_service/kubernetes' |
            sort -z | xargs -0 sha256sum
    } | sha256sum | cut -c1-12
}

image() {
    MODEL=$(output model)
    TF_VAR_image=${TAG:-$(tag)}
    export TF_VAR_image
    local images locks
    images=$(output images)
    locks=$(output sources)/locks/$TF_VAR_image
    if gcloud artifacts docker images describe "$images/worker:$TF_VAR_image" --project="$PROJECT" >/dev/null 2>&1; then
        [ -n "${TAG:-}" ] || keep_lock "$locks" # whoever built it may have been cut short
        return
    fi
    if [ -n "${TAG:-}" ]; then
        echo "There is no image $images/worker:$TAG; leave TAG out to build one." >&2
        exit 1
    fi
    gcloud builds submit . --project="$PROJECT" --region="$REGION" --config=gpu_service/cloudbuild.yaml \
        --service-account="$(output builder)" --gcs-source-staging-dir="$(output sources)/images" \
        --substitutions="_IMAGES=$images,_TAG=$TF_VAR_image,_MODEL=$MODEL,_LOCKS=$locks"
    keep_lock "$locks"
}

# The lock of a model that was baked for the first time is for the repository to keep.
keep_lock() {
    local kept=gpu_service/models/$MODEL.json
    if [ "$MODEL" != base ] && [ ! -e "$kept" ]; then
        if ! gcloud storage cp "$1/$MODEL.json" "$kept"; then
            echo "The images of tag $TF_VAR_image left no lock of $MODEL; delete that worker's image to have it built again." >&2
            exit 1
        fi
        echo "Commit $kept: later builds take that revision of the model and compare its sums." >&2
    fi
}

# The T4 backend's pods; the cluster is there by now.
pods() {
    local kustomization
    kustomization=$(output kubernetes)
    [ -n "$kustomization" ] || return 0
    mkdir -p build/kubernetes
    printf '%s' "$kustomization" >build/kubernetes/kustomization.yaml
    gcloud container clusters get-credentials longscribe --project="$PROJECT" --location="$REGION" --dns-endpoint
    kubectl apply -k build/kubernetes
}

up() {
    begin
    adopt
    # The images that run now stay until new ones are built.
    TF_VAR_image=$(output image 2>/dev/null || true) terraform apply -auto-approve
    image
    terraform apply -auto-approve
    pods
    terraform output
}

down() {
    begin
    if [ "${DATA:-keep}" = delete ]; then
        for name in uploads transcripts; do
            gcloud storage rm --recursive "gs://$PROJECT-longscribe-$name/**" --all-versions || true # it may be empty
        done
    else
        for name in uploads transcripts; do
            terraform state rm "google_storage_bucket.$name" || true # it may be gone already
        done
    fi
    terraform destroy -auto-approve
    echo "What is left: the bucket $STATE with Terraform's state$([ "${DATA:-keep}" = delete ] || echo ", recordings and transcripts")." >&2
}

case ${1:-} in
up) up ;;
image) begin && image ;;
down) down ;;
*)
    echo "usage: deploy.sh up|image|down" >&2
    exit 2
    ;;
esac
