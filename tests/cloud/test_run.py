"""Cloud Run and GKE, which have no emulators: the real clients against servers that speak their protocols."""

import json
from collections.abc import Iterator

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession
from google.cloud import run_v2
from google.cloud.run_v2.services.jobs.transports import JobsGrpcTransport
from google.cloud.run_v2.services.worker_pools.transports import WorkerPoolsGrpcTransport

from local_cloud.cloud_run import JOB, POOL, CloudRun
from longscribe.adapters.gcp import run as adapter
from longscribe.adapters.gcp.run import EVENT_VARIABLE, ChunkerJob, CloudRunPool, GkePool
from longscribe.errors import Busy, LongscribeError, Misconfigured, Permanent, Transient
from longscribe.messages import BlobRef, UploadEvent, decode
from longscribe.ports import GpuPool
from tests.cloud.proxies import HttpServer

EVENT = UploadEvent(BlobRef("uploads", "a\n'ü\".mp3", 2**62), 5, {"language": "de", "vocabulary": "Œuvre"})


class Refusing(CloudRun):
    """Cloud Run, refusing calls where a test wants it to."""

    def __init__(self) -> None:
        super().__init__(resized=lambda _: None, ran=lambda _: None)
        self.refused: grpc.StatusCode | None = None
        self.calls = 0

    def before(self, context: grpc.ServicerContext) -> None:
        self.calls += 1
        if self.refused is not None:
            context.abort(self.refused, "refused by the test")


class Kubernetes:
    """A cluster's control plane as far as one Deployment's scale goes."""

    PATH = "/apis/apps/v1/namespaces/longscribe/deployments/worker/scale"

    def __init__(self) -> None:
        self.replicas = 0
        self.refused: int | None = None

    def answer(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        if self.refused is not None:
            return self.refused, {}, json.dumps({"kind": "Status", "message": "no", "code": self.refused}).encode()
        if path != self.PATH:
            return 404, {}, b"404 page not found"
        if method == "PATCH":
            assert headers["Content-Type"] == "application/merge-patch+json"
            self.replicas = json.loads(body)["spec"]["replicas"]
        spec = {"replicas": self.replicas} if self.replicas else {}
        return 200, {"Content-Type": "application/json"}, json.dumps({"kind": "Scale", "spec": spec}).encode()


@pytest.fixture
def cloud_run() -> Refusing:
    return Refusing()


@pytest.fixture
def address(cloud_run: Refusing) -> Iterator[str]:
    with cloud_run.serving() as address:
        yield address


@pytest.fixture
def pools(address: str) -> Iterator[run_v2.WorkerPoolsClient]:
    transport = WorkerPoolsGrpcTransport(channel=grpc.insecure_channel(address))
    with run_v2.WorkerPoolsClient(transport=transport) as client:
        yield client


@pytest.fixture
def jobs(address: str) -> Iterator[run_v2.JobsClient]:
    transport = JobsGrpcTransport(channel=grpc.insecure_channel(address))
    with run_v2.JobsClient(transport=transport) as client:
        yield client


@pytest.fixture
def kubernetes() -> Kubernetes:
    return Kubernetes()


@pytest.fixture
def endpoint(kubernetes: Kubernetes) -> Iterator[str]:
    with HttpServer(kubernetes.answer) as server:
        yield server.url


@pytest.fixture
def session() -> Iterator[AuthorizedSession]:
    with AuthorizedSession(AnonymousCredentials()) as session:
        yield session


@pytest.fixture(params=["cloud run", "gke"])
def pool(
    request: pytest.FixtureRequest, pools: run_v2.WorkerPoolsClient, session: AuthorizedSession, endpoint: str
) -> GpuPool:
    if request.param == "cloud run":
        return CloudRunPool(pools, POOL)
    return GkePool(session, endpoint, "longscribe", "worker")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "RETRY", adapter.RETRY.with_timeout(0.3))


def test_a_pool_has_the_size_it_was_given(pool: GpuPool) -> None:
    assert pool.size() == 0
    for instances in (3, 1, 1, 0):
        pool.resize(instances)
        assert pool.size() == instances


def test_resizing_changes_nothing_else(pools: run_v2.WorkerPoolsClient, cloud_run: Refusing) -> None:
    CloudRunPool(pools, POOL).resize(2)
    assert (cloud_run.pool.scaling.manual_instance_count, cloud_run.pool.labels) == (2, {"kept": "yes"})


def test_a_pool_that_is_not_there_is_gone(
    pools: run_v2.WorkerPoolsClient, session: AuthorizedSession, endpoint: str
) -> None:
    for pool in (CloudRunPool(pools, f"{POOL}-2"), GkePool(session, endpoint, "longscribe", "none")):
        with pytest.raises(Misconfigured, match="is not there"):
            pool.size()
        with pytest.raises(Misconfigured, match="is not there"):
            pool.resize(1)


@pytest.mark.parametrize(
    ("code", "status", "kind", "text"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, 403, Misconfigured, "grant it"),
        (grpc.StatusCode.UNAUTHENTICATED, 401, Misconfigured, "log in"),
        (grpc.StatusCode.ALREADY_EXISTS, 409, Busy, "try again"),
        (grpc.StatusCode.UNAVAILABLE, 503, Transient, "try again"),
        (grpc.StatusCode.INTERNAL, 500, Transient, "try again"),
        (grpc.StatusCode.INVALID_ARGUMENT, 400, Permanent, "refused the call"),
    ],
)
@pytest.mark.usefixtures("impatient")
def test_a_refused_call_is_told(
    pool: GpuPool,
    cloud_run: Refusing,
    kubernetes: Kubernetes,
    code: grpc.StatusCode,
    status: int,
    kind: type[LongscribeError],
    text: str,
) -> None:
    cloud_run.refused, kubernetes.refused = code, status
    for call in (pool.size, lambda: pool.resize(1)):
        with pytest.raises(kind, match=text):
            call()


@pytest.mark.usefixtures("impatient")
def test_a_control_plane_that_is_not_there_is_told(session: AuthorizedSession) -> None:
    with pytest.raises(Transient, match="try again"):
        GkePool(session, "http://127.0.0.1:1/", "longscribe", "worker").size()


def test_the_job_gets_the_event_as_it_is(jobs: run_v2.JobsClient, cloud_run: Refusing) -> None:
    job = ChunkerJob(jobs, JOB)
    assert job.start(EVENT) == f"{JOB}/executions/1"
    assert job.start(EVENT) == f"{JOB}/executions/2"
    (container,) = cloud_run.started[0].overrides.container_overrides
    (variable,) = container.env
    assert (variable.name, decode(variable.value.encode(), UploadEvent)) == (EVENT_VARIABLE, EVENT)
    assert cloud_run.started[0].overrides.task_count == 1
    assert not container.args


@pytest.mark.parametrize(
    ("code", "kind"), [(grpc.StatusCode.UNAVAILABLE, Transient), (grpc.StatusCode.PERMISSION_DENIED, Misconfigured)]
)
def test_a_job_is_started_once_or_told(
    jobs: run_v2.JobsClient, cloud_run: Refusing, code: grpc.StatusCode, kind: type[LongscribeError]
) -> None:
    cloud_run.refused = code
    with pytest.raises(kind):
        ChunkerJob(jobs, JOB).start(EVENT)
    assert cloud_run.calls == 1
    cloud_run.refused = None
    with pytest.raises(Misconfigured):
        ChunkerJob(jobs, f"{JOB}-2").start(EVENT)
