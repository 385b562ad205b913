"""Cloud Run and GKE: the two kinds of `GpuPool`, and the job that cuts what is too long for a function."""

from typing import Any

from google.api_core.exceptions import from_http_response
from google.cloud.run_v2 import (
    EnvVar,
    JobsClient,
    RunJobRequest,
    UpdateWorkerPoolRequest,
    WorkerPool,
    WorkerPoolScaling,
    WorkerPoolsClient,
)
from google.protobuf.field_mask_pb2 import FieldMask
from requests import Session

from longscribe.adapters.gcp.calls import RETRY, told
from longscribe.messages import UploadEvent, encode

CALL_SECONDS = 20.0
"""How long one try of a call may take."""

EVENT_VARIABLE = "LONGSCRIBE_EVENT"
"""The environment variable that carries an `UploadEvent` as JSON into the chunker's job. Cloud Run's bound on a
variable is 32 KiB; an event with all that GCS allows for a name and for metadata has less than 12."""


class CloudRunPool:
    """`GpuPool` on a Cloud Run worker pool, scaled by its manual instance count.

    ``name`` is ``projects/P/locations/L/workerPools/W``. Raises `Misconfigured` for a pool that is not
    there or may not be used, `Busy` while another change is under way, `Transient`.
    """

    def __init__(self, client: WorkerPoolsClient, name: str) -> None:
        self._client = client
        self._name = name

    def size(self) -> int:
        """Return how many instances are asked for."""
        with told(f"worker pool {self._name!r}", "run.workerpools.get"):
            pool = self._client.get_worker_pool(name=self._name, retry=RETRY, timeout=CALL_SECONDS)
        return int(pool.scaling.manual_instance_count)

    def resize(self, instances: int) -> None:
        """Ask for ``instances``; they start and stop in the minutes after."""
        request = UpdateWorkerPoolRequest(
            worker_pool=WorkerPool(name=self._name, scaling=WorkerPoolScaling(manual_instance_count=instances)),
            update_mask=FieldMask(paths=["scaling.manual_instance_count"]),
        )
        with told(f"worker pool {self._name!r}", "run.workerpools.update"):
            self._client.update_worker_pool(request, retry=RETRY, timeout=CALL_SECONDS)


class GkePool:
    """`GpuPool` on a Kubernetes Deployment, through its ``scale`` subresource.

    ``endpoint`` is the URL of the cluster's control plane; its DNS endpoint has a certificate that any machine can
    check. ``session`` adds the service account's token, as
    google-auth's ``AuthorizedSession`` does. Raises as `CloudRunPool` does.
    """

    def __init__(self, session: Session, endpoint: str, namespace: str, deployment: str) -> None:
        self._session = session
        self._name = deployment
        self._url = f"{endpoint.rstrip('/')}/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}/scale"

    def size(self) -> int:
        """Return how many pods are asked for."""
        return int(self._scale("GET")["spec"].get("replicas", 0))  # Kubernetes leaves zeros out

    def resize(self, instances: int) -> None:
        """Ask for ``instances`` pods; nodes for them start and stop in the minutes after."""
        self._scale("PATCH", {"spec": {"replicas": instances}})

    def _scale(self, method: str, change: dict[str, Any] | None = None) -> dict[str, Any]:
        headers = {"Content-Type": "application/merge-patch+json"} if change else {}
        with told(f"deployment {self._name!r}", "what gpu_service/kubernetes/scaler.yaml grants"):
            response = self._session.request(method, self._url, json=change, headers=headers, timeout=CALL_SECONDS)
            if not response.ok:
                raise from_http_response(response)  # type: ignore[no-untyped-call]
            scale: dict[str, Any] = response.json()
        return scale


class ChunkerJob:
    """Starts the Cloud Run job that runs the chunker without a function's time limit.

    ``name`` is ``projects/P/locations/L/jobs/J``. Raises as `CloudRunPool` does.
    """

    def __init__(self, client: JobsClient, name: str) -> None:
        self._client = client
        self._name = name

    def start(self, event: UploadEvent) -> str:
        """Start one execution for this recording; return its name. Twice for the same recording does no harm."""
        variable = EnvVar(name=EVENT_VARIABLE, value=encode(event).decode())
        container = RunJobRequest.Overrides.ContainerOverride(env=[variable])
        request = RunJobRequest(
            name=self._name, overrides=RunJobRequest.Overrides(container_overrides=[container], task_count=1)
        )
        with told(f"job {self._name!r}", "run.jobs.runWithOverrides"):
            # Not tried again by itself: an execution whose confirmation was lost would run twice.
            operation = self._client.run_job(request, retry=None, timeout=CALL_SECONDS)
        return str(operation.metadata.name)
