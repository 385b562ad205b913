"""Servers between a real client and an emulator: they count what passes, and make faults on demand."""

import http.client
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import grpc

HOST = "127.0.0.1"
UNBOUNDED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


def _nothing(_: bytes) -> None:
    """Do nothing."""


class Harm(StrEnum):
    """What a proxy does to one call."""

    REFUSED = "refused"  #: answered with an error, undone
    LOST = "lost"  #: done, and answered with an error
    SENDING = "broken while sending"  #: the connection ends in the middle of the request, undone
    ANSWERING = "broken while answering"  #: done, and the connection ends in the middle of the answer


def _harmless() -> Harm | None:
    """Leave a call alone."""
    return None


class GrpcProxy(grpc.GenericRpcHandler):
    """Passes every call on as bytes. ``target`` is ``host:port``; `address` is where it listens."""

    def __init__(self, target: str, keep: bool = True) -> None:
        """``keep`` the answers, for tests that look into them."""
        self._keep = keep
        self.calls: Counter[str] = Counter()  #: by the method's short name
        self.answers: dict[str, list[bytes]] = defaultdict(list)
        self._lost: dict[str, deque[grpc.StatusCode]] = defaultdict(deque)
        self._refused: dict[str, grpc.StatusCode] = {}
        self.before: dict[str, Callable[[], None]] = {}  #: by method: what to do first, once
        self.on_request: dict[str, Callable[[bytes], None]] = {}  #: by method: what sees each request
        self.on_answer: dict[str, Callable[[bytes], None]] = {}  #: the same for each answer
        self.harm: Callable[[], Harm | None] = _harmless  #: asked at each call
        self._channel = grpc.insecure_channel(target, UNBOUNDED)
        self._server = grpc.server(ThreadPoolExecutor(32), handlers=[self], options=UNBOUNDED)
        self.address = f"{HOST}:{self._server.add_insecure_port(f'{HOST}:0')}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop(None).wait()
        self._channel.close()

    @property
    def faults_left(self) -> int:
        """How many answers that were to be lost have not been asked for."""
        return sum(map(len, self._lost.values()))

    def lose(self, method: str, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> None:
        """Let the next call of ``method`` be done, and lose its answer."""
        self._lost[method].append(code)

    def refuse(self, method: str, code: grpc.StatusCode) -> None:
        """Refuse every call of ``method`` from now on, undone; ``*`` stands for all."""
        self._refused[method] = code

    def forget(self) -> None:
        """Count afresh."""
        self.calls.clear()
        self.answers.clear()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        def handle(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            return self._handle(details.method, requests, context)

        return grpc.stream_stream_rpc_method_handler(handle)  # on the wire every call is a stream

    def _seen(self, method: str, requests: Iterator[bytes]) -> Iterator[bytes]:
        for request in requests:
            self.on_request.get(method, _nothing)(request)
            yield request

    def _refusal(self, method: str, harm: Harm | None) -> grpc.StatusCode | None:
        if harm in (Harm.REFUSED, Harm.SENDING):
            return grpc.StatusCode.UNAVAILABLE
        return self._refused.get(method, self._refused.get("*"))

    def _loss(self, method: str, harm: Harm | None) -> grpc.StatusCode | None:
        if harm is Harm.LOST:
            return grpc.StatusCode.UNAVAILABLE
        return self._lost[method].popleft() if self._lost[method] else None

    def _handle(self, path: str, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        method = path.rpartition("/")[2]
        self.calls[method] += 1
        self.before.pop(method, lambda: None)()
        harm = self.harm()
        refused = self._refusal(method, harm)
        if refused is not None:
            context.abort(refused, "refused by the test")
        lost = self._loss(method, harm)
        metadata = [pair for pair in context.invocation_metadata() if not pair[0].startswith(("grpc-", "user-"))]
        try:
            for answer in self._channel.stream_stream(path)(
                self._seen(method, requests), metadata=metadata, timeout=context.time_remaining()
            ):
                self.on_answer.get(method, _nothing)(answer)
                if lost is None:
                    if self._keep:
                        self.answers[method].append(answer)
                    yield answer
                if harm is Harm.ANSWERING:
                    break
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
        if harm is Harm.ANSWERING:
            lost = grpc.StatusCode.UNAVAILABLE
        if lost is not None:
            context.abort(lost, "lost by the test")


Answer = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""


def _harmed(harm: Harm | None, call: Callable[[], Answer]) -> Answer:
    """Return what is answered, undone or done."""
    unavailable: Answer = (503, {}, b"{}")
    if harm is Harm.REFUSED:
        return unavailable
    answer = call()
    return unavailable if harm is Harm.LOST else answer


class HttpServer:
    """Answers each request by what ``answer`` returns for (method, path, headers, body): status, headers, body."""

    def __init__(self, answer: Callable[[str, str, dict[str, str], bytes], Answer]) -> None:
        self.harm: Callable[[], Harm | None] = _harmless  #: asked at each request
        ask = self._ask

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    self.raw_requestline = self.rfile.readline(65537)
                except ConnectionError:  # the client dropped it
                    self.raw_requestline = b""
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                done, length = ask(), int(self.headers.get("Content-Length", 0))
                if done is Harm.SENDING:
                    self.rfile.read(length // 2)
                    self.close_connection = True
                    return
                body = self.rfile.read(length)
                call = partial(answer, self.command, self.path, dict(self.headers), body)
                status, headers, content = _harmed(done, call)
                self.send_response_only(status)
                for name, value in headers.items():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content[: len(content) // 2] if done is Harm.ANSWERING else content)
                self.wfile.flush()
                self.close_connection = self.close_connection or done is Harm.ANSWERING

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://{HOST}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def _ask(self) -> Harm | None:
        return self.harm()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class HttpProxy(HttpServer):
    """Passes every request on to ``target``, a URL."""

    def __init__(self, target: str) -> None:
        self.calls: Counter[str] = Counter()  #: by HTTP method
        self.lost: deque[int] = deque()  #: statuses of the next answers; their requests are done all the same
        self.refused: int | None = None  #: the status of every answer from now on; nothing is done
        self.damage = False  #: flips a bit in each body that is no JSON
        self._target = urlsplit(target).netloc
        super().__init__(self._pass)

    def _pass(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        self.calls[method] += 1
        if self.refused is not None:
            return self.refused, {"Content-Type": "application/json"}, b'{"error": {"message": "refused"}}'
        connection = http.client.HTTPConnection(self._target)
        try:
            connection.request(method, path, body, {**headers, "Host": self._target})
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        if self.lost:
            return self.lost.popleft(), {"Content-Type": "application/json"}, b'{"error": {"message": "lost"}}'
        found = dict(response.getheaders())
        if self.damage and content and "json" not in found.get("Content-Type", ""):
            content = bytes([content[0] ^ 1]) + content[1:]
        return response.status, found, content
