"""Chooses the adapters on Google Cloud, from the environment that the deployment sets.

With the variables of Google's emulators (``STORAGE_EMULATOR_HOST``, ``PUBSUB_EMULATOR_HOST``,
``FIRESTORE_EMULATOR_HOST``) the same code runs against those.
"""

import os
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import google.auth
import grpc
import msgspec
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession
from google.cloud import firestore, storage
from google.cloud.run_v2 import JobsClient, ServicesClient, WorkerPoolsClient
from google.cloud.run_v2.services.jobs.transports import JobsGrpcTransport
from google.cloud.run_v2.services.worker_pools.transports import WorkerPoolsGrpcTransport

from longscribe import __version__, prices, wiring
from longscribe.adapters.gcp import checks, pubsub, run
from longscribe.adapters.gcp.calls import told
from longscribe.adapters.gcp.firestore import FirestoreJobs
from longscribe.adapters.gcp.monitoring import Monitoring
from longscribe.adapters.gcp.storage import GcsBlobs
from longscribe.adapters.media.av_media import AvMedia
from longscribe.adapters.memory import return_memory
from longscribe.core import limits, topics
from longscribe.core.costing import Prices
from longscribe.core.scaling import Fleet
from longscribe.core.settings import Settings
from longscribe.core.uploads import COMPLAINT
from longscribe.errors import BadInput
from longscribe.messages import BlobRef
from longscribe.observe import Log
from longscribe.operating.doctor import Check
from longscribe.operating.ports import AWAY_SECONDS, Operations, together
from longscribe.ports import Clock, GpuPool, Jobs, Queue
from longscribe.stages import chunker
from longscribe.stages.assembler import AssemblerPorts
from longscribe.stages.chunker import ChunkerPorts
from longscribe.stages.reconciler import ReconcilerPorts
from longscribe.stages.worker import WorkerPorts

if TYPE_CHECKING:
    # Each component installs what it needs: a worker and an operator have nothing that receives events.
    from longscribe.services.assembling import Assembling
    from longscribe.services.chunking import Chunking
    from longscribe.services.reconciling import Reconciling
    from longscribe.services.working import Working

DECODE_WORKERS = 2
"""Processes that decode one recording in a function of two processors."""

MEGABYTE = 2**20

GPU_QUOTA = (
    "Cloud Run's quota is 'Total Nvidia L4 GPU allocation, per project per region', Compute Engine's for GKE are"
    " NVIDIA_T4_GPUS or PREEMPTIBLE_NVIDIA_T4_GPUS in the region, and GPUS_ALL_REGIONS"
)

RUN_EMULATOR = "CLOUD_RUN_EMULATOR_HOST"
"""Names a server that speaks Cloud Run's protocol, ``host:port``: the local cloud's, as Google has no emulator."""


class CloudEnvironment(msgspec.Struct, frozen=True, kw_only=True):
    """What the deployment sets; each name is written ``LONGSCRIBE_NAME``, in capitals."""

    project: str  #: or else ``GOOGLE_CLOUD_PROJECT``
    uploads_bucket: str  #: this and the next two are by default the project's name and their own, see `environment`
    chunks_bucket: str
    transcripts_bucket: str
    database: str = "(default)"  #: of Firestore
    model: str = "large-v3"  #: that the workers hold
    compute_type: str = "auto"
    models: str = "/models"  #: the directory in which the worker's image has its models
    model_cache: str = ""  #: a directory in memory that a node's workers load the model from; none: from the image
    chunker_job: str = ""  #: ``projects/P/locations/L/jobs/J``
    reconciler_url: str = ""  #: called with a recording's first chunk
    machine: str = ""  #: that a worker runs on, by its name in ``prices.toml``; none: it costs what any may cost
    gpu_pool: str = ""  #: ``projects/P/locations/L/workerPools/W``; none: nothing is scaled
    gke_endpoint: str = ""  #: of the cluster, if the pool is a Deployment there
    gke_deployment: str = "longscribe-worker"
    gke_namespace: str = "longscribe"
    max_instances: int = 6
    region: str = ""  #: of the functions; else that of the bucket of uploads
    health_port: int = 8080
    leases: int = limits.LEASES  #: chunks that a worker holds, for each call that its device computes at once
    memory_mb: int = 12_288  #: at which a worker is exchanged for a fresh one


def environment(variables: Mapping[str, str]) -> CloudEnvironment:
    """Read ``variables``. Raises `BadInput` where one is missing or cannot be read."""
    project = variables.get("LONGSCRIBE_PROJECT") or variables.get("GOOGLE_CLOUD_PROJECT")
    if not project:
        raise BadInput("Neither LONGSCRIBE_PROJECT nor GOOGLE_CLOUD_PROJECT is set; name the project.")
    buckets = {f"{name}_bucket": f"{project}-longscribe-{name}" for name in ("uploads", "chunks", "transcripts")}
    read = wiring.from_variables(variables, CloudEnvironment, project=project, **buckets)
    if read.machine and read.machine not in prices.load().machines:
        known = ", ".join(prices.load().machines)
        raise BadInput(f"LONGSCRIBE_MACHINE is {read.machine!r}; give one of {known}, or leave it out.")
    if len({read.uploads_bucket, read.chunks_bucket, read.transcripts_bucket}) < 3:
        raise BadInput("LONGSCRIBE_UPLOADS_BUCKET, …_CHUNKS_BUCKET and …_TRANSCRIPTS_BUCKET must be three buckets.")
    if not 1 <= read.leases <= limits.MAX_LEASES:
        raise BadInput(f"LONGSCRIBE_LEASES is {read.leases}; give 1 to {limits.MAX_LEASES}.")
    return read


@dataclass(frozen=True)
class CloudStores:
    """Google Cloud's side of the ports."""

    blobs: GcsBlobs
    queue: Queue
    jobs: Jobs
    clock: Clock


def stores(read: CloudEnvironment, variables: Mapping[str, str] = os.environ) -> CloudStores:
    """Connect to the project's stores, or to the emulators that ``variables`` name."""
    clock = wiring.SystemClock()
    publisher, subscriber = pubsub.connect(variables.get("PUBSUB_EMULATOR_HOST"))
    return CloudStores(
        blobs=GcsBlobs(_storage(read, variables)),
        queue=pubsub.PubSubQueue(publisher, subscriber, read.project),
        jobs=FirestoreJobs(firestore.Client(project=read.project, database=read.database), clock),
        clock=clock,
    )


def _storage(read: CloudEnvironment, variables: Mapping[str, str]) -> storage.Client:
    anonymous = {"credentials": AnonymousCredentials()} if variables.get("STORAGE_EMULATOR_HOST") else {}  # type: ignore[no-untyped-call]
    return storage.Client(project=read.project, **anonymous)


def chunking(variables: Mapping[str, str] = os.environ) -> "Chunking":
    """Return the chunker's service."""
    from longscribe.services.chunking import Chunking, Waker

    return_memory()
    read = environment(variables)
    there = stores(read, variables)
    log = Log("chunker", there.clock.now)
    ports = ChunkerPorts(
        blobs=there.blobs,
        queue=there.queue,
        jobs=there.jobs,
        media=AvMedia(DECODE_WORKERS),
        detector=wiring.detector(),
        clock=there.clock,
        executor=ThreadPoolExecutor(chunker.DEPTH, thread_name_prefix="chunk-writer"),
        chunks_bucket=read.chunks_bucket,
        defaults=Settings(model=read.model, compute_type=read.compute_type),
        started=Waker(read.reconciler_url, log) if read.reconciler_url else None,
        prices=list_prices(variables),
    )
    return Chunking(ports, read.uploads_bucket, _chunker_job(read, variables), log)


def assembling(variables: Mapping[str, str] = os.environ) -> "Assembling":
    """Return the assembler's service."""
    from longscribe.services.assembling import Assembling

    read = environment(variables)
    there = stores(read, variables)
    ports = AssemblerPorts(there.blobs, there.queue, there.jobs, read.transcripts_bucket, list_prices(variables))
    return Assembling(ports, Log("assembler", there.clock.now))


def reconciling(variables: Mapping[str, str] = os.environ) -> "Reconciling":
    """Return the reconciler's service."""
    from longscribe.services.reconciling import Reconciling

    read = environment(variables)
    there = stores(read, variables)
    ports = ReconcilerPorts(
        assembler=AssemblerPorts(
            there.blobs, there.queue, there.jobs, read.transcripts_bucket, list_prices(variables)
        ),
        pool=_gpu_pool(read, variables),
        fleet=Fleet(read.max_instances),
    )
    return Reconciling(
        ports=ports,
        clock=there.clock,
        chunker=_chunker_job(read, variables),
        waiting=_waiting(read, there.clock, variables),
        written=partial(there.blobs.written, read.uploads_bucket),
        log=Log("reconciler", there.clock.now),
    )


def list_prices(variables: Mapping[str, str]) -> Prices | None:
    """Return what Google asks; None on the emulators, where nothing is paid for."""
    return None if variables.get("PUBSUB_EMULATOR_HOST") else prices.load()


def _gpu_pool(read: CloudEnvironment, variables: Mapping[str, str]) -> GpuPool:
    """Return what the reconciler scales."""
    from longscribe.services.reconciling import Unscaled

    if read.gke_endpoint:
        return run.GkePool(_session(), read.gke_endpoint, read.gke_namespace, read.gke_deployment)
    if not read.gpu_pool:
        return Unscaled()
    emulator = variables.get(RUN_EMULATOR)
    if emulator:
        channel = grpc.insecure_channel(emulator)
        return run.CloudRunPool(
            WorkerPoolsClient(transport=WorkerPoolsGrpcTransport(channel=channel)), read.gpu_pool
        )
    return run.CloudRunPool(WorkerPoolsClient(), read.gpu_pool)


def _chunker_job(read: CloudEnvironment, variables: Mapping[str, str]) -> run.ChunkerJob | None:
    if not read.chunker_job:
        return None
    emulator = variables.get(RUN_EMULATOR)
    if emulator:
        transport = JobsGrpcTransport(channel=grpc.insecure_channel(emulator))
        return run.ChunkerJob(JobsClient(transport=transport), read.chunker_job)
    return run.ChunkerJob(JobsClient(), read.chunker_job)


def _waiting(read: CloudEnvironment, clock: Clock, variables: Mapping[str, str]) -> Callable[[], int]:
    """Return what counts the messages that wait for workers; Cloud Monitoring, which has no emulator."""
    if variables.get("PUBSUB_EMULATOR_HOST"):
        return lambda: 0
    monitoring = Monitoring(_session(), read.project, clock)
    return lambda: monitoring.waiting((topics.CHUNKS_HIGH, topics.CHUNKS_LOW))


def _session() -> AuthorizedSession:
    credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    return AuthorizedSession(credentials)  # type: ignore[no-untyped-call]


def operating(project: str, variables: Mapping[str, str] = os.environ) -> tuple[Operations, list[Check]]:
    """Return what the operator's commands need of ``project``'s deployment, and the doctor's checks of it.

    Raises `BadInput` and `Misconfigured`.
    """
    read = environment({**variables, "LONGSCRIBE_PROJECT": project})
    with told(f"project {project!r}", "what docs/commands.md lists"):
        there = stores(read, variables)
        deployment = _deployment(read, variables)

    def delete_upload(recording: BlobRef) -> bool:
        if recording.bucket != read.uploads_bucket or not there.blobs.delete_generation(recording):
            return False
        there.blobs.delete(recording.bucket, recording.name + COMPLAINT)
        return True

    operations = Operations(
        blobs=there.blobs,
        queue=there.queue,
        jobs=there.jobs,
        clock=there.clock,
        chunks_bucket=read.chunks_bucket,
        transcripts_bucket=read.transcripts_bucket,
        attempts=limits.MAX_ATTEMPTS_CLOUD,
        worker=lambda: together(there.jobs.workers(), there.clock.now()),
        delete_upload=delete_upload,
        start_worker=f"run longscribe doctor, and ask for GPUs if there are none: {GPU_QUOTA}",
        restart_worker="run longscribe doctor, and look into the logs of functions and workers",
        address=lambda ref: f"gs://{ref.bucket}/{ref.name}",
        prices=list_prices(variables),
        patience=AWAY_SECONDS,
    )
    return operations, checks.cloud_checks(deployment)


def _deployment(read: CloudEnvironment, variables: Mapping[str, str]) -> checks.Deployment:
    """Return what the doctor looks at beside the stores."""
    publisher, subscriber = pubsub.connect(variables.get("PUBSUB_EMULATOR_HOST"))
    emulated = bool(variables.get("PUBSUB_EMULATOR_HOST"))
    return checks.Deployment(
        project=read.project,
        uploads_bucket=read.uploads_bucket,
        chunks_bucket=read.chunks_bucket,
        transcripts_bucket=read.transcripts_bucket,
        region=read.region,
        storage=_storage(read, variables),
        publisher=publisher,
        subscriber=subscriber,
        services=None if emulated else ServicesClient(),
        guarded=not emulated,
    )


def working(variables: Mapping[str, str] = os.environ) -> "Working":
    """Return the worker's service, its model loaded and warm. Raises `BadInput` if the model cannot be had."""
    from longscribe.adapters.memory import keep_memory
    from longscribe.adapters.model_cache import shared
    from longscribe.adapters.models import locate
    from longscribe.adapters.whisper import Whisper
    from longscribe.services.working import Working

    keep_memory()  # before the stores' clients start threads: the lanes would get what those leave
    read = environment(variables)
    there = stores(read, variables)
    model = locate(read.model, Path(read.models))
    if read.model_cache:
        model = shared(model, Path(read.model_cache))
    recogniser = Whisper(model, read.model, read.compute_type)
    recogniser.warm_up()
    ports = WorkerPorts(
        blobs=there.blobs,
        queue=there.queue,
        jobs=there.jobs,
        media=AvMedia(),
        recogniser=recogniser,
        worker=f"{socket.gethostname()}-{os.getpid()}",
        version=__version__,
        machine=read.machine,
    )
    log = Log("worker", there.clock.now)
    return Working(ports, there.clock, log, read.memory_mb * MEGABYTE, leases=read.leases * recogniser.at_once)
