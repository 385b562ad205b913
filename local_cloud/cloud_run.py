"""Cloud Run as far as longscribe uses it, which has no emulator: one worker pool, and executions of one job."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from google.cloud import run_v2
from google.longrunning.operations_pb2 import Operation

from local_cloud.emulators import HOST

PLACE = "projects/local/locations/here"
POOL, JOB = f"{PLACE}/workerPools/longscribe", f"{PLACE}/jobs/longscribe-chunker"


class CloudRun:
    """Answers Cloud Run's own protocol, and does what it is told through two functions."""

    def __init__(
        self, resized: Callable[[int], None], ran: Callable[[Mapping[str, str]], None], name: str = POOL
    ) -> None:
        """``resized`` gets the number of instances asked for, ``ran`` the variables of an execution."""
        self.pool = run_v2.WorkerPool(name=name, labels={"kept": "yes"})
        self.started: list[run_v2.RunJobRequest] = []
        self._resized = resized
        self._ran = ran

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serve; yields the address."""
        pools = {
            "GetWorkerPool": self._handler(self._get, run_v2.GetWorkerPoolRequest, run_v2.WorkerPool.serialize),
            "UpdateWorkerPool": self._handler(self._update, run_v2.UpdateWorkerPoolRequest),
        }
        jobs = {"RunJob": self._handler(self._run, run_v2.RunJobRequest)}
        service = "google.cloud.run.v2"
        handlers = [
            grpc.method_handlers_generic_handler(f"{service}.WorkerPools", pools),
            grpc.method_handlers_generic_handler(f"{service}.Jobs", jobs),
        ]
        server = grpc.server(ThreadPoolExecutor(4), handlers=handlers)
        port = server.add_insecure_port(f"{HOST}:0")
        server.start()
        yield f"{HOST}:{port}"
        server.stop(None).wait()

    def before(self, context: grpc.ServicerContext) -> None:
        """Do nothing: for those who want calls to fail."""

    def _handler(
        self,
        answer: Callable[..., object],
        kind: Any,
        serialize: Callable[..., bytes] = Operation.SerializeToString,
    ) -> grpc.RpcMethodHandler:
        def handle(request: object, context: grpc.ServicerContext) -> object:
            self.before(context)
            return answer(request, context)

        return grpc.unary_unary_rpc_method_handler(handle, kind.deserialize, serialize)

    def _get(self, request: run_v2.GetWorkerPoolRequest, context: grpc.ServicerContext) -> run_v2.WorkerPool:
        self._known(request.name, self.pool.name, context)
        return self.pool

    def _update(self, request: run_v2.UpdateWorkerPoolRequest, context: grpc.ServicerContext) -> Operation:
        self._known(request.worker_pool.name, self.pool.name, context)
        if list(request.update_mask.paths) != ["scaling.manual_instance_count"]:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "this would change more than the size")
        count = request.worker_pool.scaling.manual_instance_count
        self.pool.scaling.manual_instance_count = count
        self._resized(count)
        return Operation(name="operations/1")

    def _run(self, request: run_v2.RunJobRequest, context: grpc.ServicerContext) -> Operation:
        self._known(request.name, JOB, context)
        self.started.append(request)
        (container,) = request.overrides.container_overrides
        self._ran({variable.name: variable.value for variable in container.env})
        operation = Operation(name="operations/2")
        execution = run_v2.Execution(name=f"{JOB}/executions/{len(self.started)}")
        operation.metadata.Pack(run_v2.Execution.pb(execution))
        return operation

    def _known(self, name: str, wanted: str, context: grpc.ServicerContext) -> None:
        if name != wanted:
            context.abort(grpc.StatusCode.NOT_FOUND, name)
