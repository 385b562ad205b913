"""A deployment on this machine: queues and buckets in the emulators, functions and workers beside them.

What Terraform makes of a project, as far as emulators go. Each function runs under functions-framework in a process
of its own, as does each worker; all can be killed and started again.
"""

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.pubsub_v1 import (
    DeadLetterPolicy,
    ExpirationPolicy,
    PublisherClient,
    PushConfig,
    SubscriberClient,
    Subscription,
)

from local_cloud import emulators
from local_cloud.bridge import Bridge
from local_cloud.cloud_run import JOB, CloudRun
from longscribe.adapters.gcp import pubsub
from longscribe.core import topics
from longscribe.core.limits import LEASE_SECONDS, MAX_ATTEMPTS_CLOUD
from longscribe.wiring_cloud import RUN_EMULATOR

ROOT = Path(__file__).resolve().parents[1]
READY_SECONDS = 60.0
TICK_SECONDS = 5.0
"""Between two calls of the reconciler; Cloud Scheduler's are a minute apart."""

UPLOADS_TOPIC = "longscribe-uploads"
"""Where the bucket announces uploads; in a project Eventarc has one of its own."""


class Service:
    """A process that answers over HTTP, or works without a word."""

    def __init__(
        self, command: list[str], variables: Mapping[str, str], ready: str, log: IO[bytes], home: Path = ROOT
    ) -> None:
        """``{port}`` in the command and ``PORT`` stand for a free port; ``ready`` is a path that answers.

        The process runs in ``home``.
        """
        with socket.socket() as free:
            free.bind((emulators.HOST, 0))
            self.port = free.getsockname()[1]
        self._command = [part.format(port=self.port) for part in command]
        self._variables = {
            **os.environ,
            **variables,
            "PORT": str(self.port),
            "LONGSCRIBE_HEALTH_PORT": str(self.port),
        }
        self._ready = ready
        self._log = log
        self._home = home
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{emulators.HOST}:{self.port}"

    @property
    def alive(self) -> bool:
        """Whether the process is running."""
        return self._popen is not None and self._popen.poll() is None

    @property
    def pid(self) -> int:
        """Its process id. Raises `RuntimeError` if it was never started."""
        if self._popen is None:
            raise RuntimeError("the service was not started")
        return self._popen.pid

    def start(self) -> "Service":
        """Start it, again after it was killed."""
        self._popen = subprocess.Popen(
            self._command,
            cwd=self._home,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=self._variables,
            start_new_session=True,
        )
        return self

    def wait(self) -> None:
        """Wait until it answers. Raises `EmulatorError` if it does not."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self._popen is not None and self._popen.poll() is None:
            try:
                with urllib.request.urlopen(self.url + self._ready, timeout=5):
                    return
            except urllib.error.HTTPError:
                return  # it answers
            except OSError:
                time.sleep(0.05)
        raise emulators.EmulatorError(f"{' '.join(self._command)} did not start; see what it printed.")

    def kill(self) -> None:
        """End it at once, as a crash would, with all it started."""
        self._end(9)

    def stop(self) -> None:
        """Ask it to end, as the platform does."""
        self._end(15)

    def _end(self, number: int) -> None:
        if self._popen is not None and self._popen.poll() is None:
            os.killpg(self._popen.pid, number)
            try:
                self._popen.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(self._popen.pid, 9)
                self._popen.wait()


@dataclass(frozen=True)
class Functions:
    """Where the functions' folders lie and what runs them; by default this checkout, as it is."""

    folder: Path = ROOT / "functions"
    python: str = sys.executable


@dataclass
class LocalCloud:
    """A running deployment."""

    project: str
    uploads: str
    chunks: str
    transcripts: str
    hosts: emulators.Emulators
    log: IO[bytes]
    extra: Mapping[str, str]  #: more variables for functions and workers
    own: Mapping[str, Mapping[str, str]]  #: more variables for one of them, by name; the workers' is "worker"
    lease: float  #: of a chunk, in seconds
    attempts: int  #: before a chunk is dead-lettered
    publisher: PublisherClient
    subscriber: SubscriberClient
    source: Functions
    cloud_run: str = ""  #: host:port
    functions: dict[str, Service] = field(default_factory=dict)
    workers: list[Service] = field(default_factory=list)
    jobs: list[Service] = field(default_factory=list)  #: executions of the chunker's job
    bridge: Bridge | None = None

    def environment(self) -> dict[str, str]:
        """Return the variables with which longscribe, and Google's own clients, find all this."""
        return {
            **self.hosts.environment(),
            "GOOGLE_CLOUD_PROJECT": self.project,
            "LONGSCRIBE_UPLOADS_BUCKET": self.uploads,
            "LONGSCRIBE_CHUNKS_BUCKET": self.chunks,
            "LONGSCRIBE_TRANSCRIPTS_BUCKET": self.transcripts,
        }

    def storage(self) -> storage.Client:
        """Return a client of the buckets."""
        endpoint = {"api_endpoint": self.hosts.storage}
        credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
        return storage.Client(project=self.project, credentials=credentials, client_options=endpoint)

    def queue(self) -> pubsub.PubSubQueue:
        """Return the project's topics and subscriptions."""
        return pubsub.PubSubQueue(self.publisher, self.subscriber, self.project)

    def add_function(self, name: str, kind: str) -> Service:
        """Start a function."""
        command = [self.source.python, "-m", "functions_framework", f"--target={name}", "--port={port}"]
        command += ["--source=main.py", f"--signature-type={kind}", f"--host={emulators.HOST}"]
        variables = {**self.environment(), **self.extra, **self._told(), **self.own.get(name, {})}
        home = self.source.folder / name
        self.functions[name] = Service(command, variables, "/", self.log, home).start()
        return self.functions[name]

    def _told(self) -> dict[str, str]:
        told = {RUN_EMULATOR: self.cloud_run, "LONGSCRIBE_CHUNKER_JOB": JOB}
        if "reconciler" in self.functions:
            told["LONGSCRIBE_RECONCILER_URL"] = self.functions["reconciler"].url
        return told

    def add_worker(self, command: list[str] | None = None, **variables: str) -> Service:
        """Start a worker, ``variables`` in its environment: the real one, if no other command is given."""
        command = command or [sys.executable, str(ROOT / "gpu_service" / "main.py")]
        variables = {**self.environment(), **self.extra, **self.own.get("worker", {}), **variables}
        worker = Service(command, variables, "/healthz", self.log).start()
        self.workers.append(worker)
        return worker

    def run_job(self, variables: Mapping[str, str]) -> None:
        """Start the chunker's job, as Cloud Run does."""
        given = {**self.environment(), **self.extra, **self._told(), **self.own.get("job", {}), **variables}
        command = [self.source.python, "job.py"]
        self.jobs.append(Service(command, given, "", self.log, self.source.folder / "chunker").start())

    def resize(self, instances: int) -> None:
        """Start or stop workers, as Cloud Run does with a pool's instances."""
        while len(self.workers) < instances:
            self.add_worker()
        while len(self.workers) > instances:
            self.workers.pop().stop()

    def make_queues(self) -> None:
        """Make topics and subscriptions; the assembler's push to its function."""
        names = (topics.CHUNKS_HIGH, topics.CHUNKS_LOW, topics.RESULTS, topics.DEAD_CHUNKS, topics.DEAD_RESULTS)
        for name in (*names, UPLOADS_TOPIC):
            self.publisher.create_topic(name=f"projects/{self.project}/topics/{name}")
        dead = self._dead_letters(topics.DEAD_CHUNKS)
        for name in (topics.CHUNKS_HIGH, topics.CHUNKS_LOW):
            self._subscribe(name, dead_letter_policy=dead, ack_deadline_seconds=int(self.lease))
        self._subscribe(topics.DEAD_RESULTS)
        self._subscribe(UPLOADS_TOPIC, ack_deadline_seconds=600)

    def push_results(self) -> None:
        """Make the subscriptions that push to the assembler; it must answer by now."""
        dead = self._dead_letters(topics.DEAD_RESULTS)
        for name in (topics.RESULTS, topics.DEAD_CHUNKS):
            push = PushConfig(push_endpoint=self.endpoint(name))
            self._subscribe(name, push_config=push, dead_letter_policy=dead, ack_deadline_seconds=60)

    def endpoint(self, topic: str) -> str:
        """Return where a topic's messages are pushed to."""
        return f"{self.functions['assembler'].url}/projects/{self.project}/topics/{topic}"

    def _dead_letters(self, topic: str) -> DeadLetterPolicy:
        return DeadLetterPolicy(
            dead_letter_topic=f"projects/{self.project}/topics/{topic}", max_delivery_attempts=self.attempts
        )

    def _subscribe(self, name: str, **options: object) -> None:
        self.subscriber.create_subscription(
            Subscription(
                name=f"projects/{self.project}/subscriptions/{name}",
                topic=f"projects/{self.project}/topics/{name}",
                retain_acked_messages=True,
                expiration_policy=ExpirationPolicy(),  # never
                **options,
            )
        )

    def make_buckets(self) -> None:
        """Make the three buckets."""
        client = self.storage()
        for name in (self.uploads, self.chunks, self.transcripts):
            client.create_bucket(name)


@contextmanager
def running(
    hosts: emulators.Emulators,
    log: IO[bytes],
    extra: Mapping[str, str] | None = None,
    workers: int = 1,
    own: Mapping[str, Mapping[str, str]] | None = None,
    lease: float = LEASE_SECONDS,
    attempts: int = MAX_ATTEMPTS_CLOUD,
    source: Functions | None = None,
) -> Iterator[LocalCloud]:
    """Run a deployment of its own on running emulators; stop all of it on leaving.

    ``log`` gets what the services print, ``extra`` are variables for all of them, ``own`` for one by its name.
    ``workers`` real ones are started. ``lease`` and ``attempts`` are the chunk subscriptions'.
    """
    tag = uuid.uuid4().hex[:12]
    publisher, subscriber = pubsub.connect(hosts.pubsub)
    with ExitStack() as stack:
        cloud = LocalCloud(
            project=f"longscribe-{tag}",
            uploads=f"longscribe-uploads-{tag}",
            chunks=f"longscribe-chunks-{tag}",
            transcripts=f"longscribe-transcripts-{tag}",
            hosts=hosts,
            log=log,
            extra=extra or {},
            own=own or {},
            lease=lease,
            attempts=attempts,
            publisher=publisher,
            subscriber=subscriber,
            source=source or Functions(),
        )
        cloud.make_queues()
        told = emulators.Notifications(hosts.pubsub, cloud.project, UPLOADS_TOPIC)
        cloud.hosts = replace(hosts, storage=stack.enter_context(emulators.storage(told)))
        cloud.make_buckets()
        stack.callback(_stop_all, cloud)
        runs = CloudRun(resized=cloud.resize, ran=cloud.run_job)
        cloud.cloud_run = stack.enter_context(runs.serving())
        cloud.add_function("reconciler", "http")
        for name in ("assembler", "chunker"):
            cloud.add_function(name, "cloudevent")
        for _ in range(workers):
            cloud.add_worker()
        for service in cloud.functions.values():
            service.wait()
        cloud.push_results()
        cloud.bridge = Bridge(cloud.queue(), UPLOADS_TOPIC, cloud.uploads, cloud.functions["chunker"].url)
        stack.enter_context(cloud.bridge)
        stack.enter_context(_ticking(cloud.functions["reconciler"].url))
        for worker in cloud.workers:
            worker.wait()
        yield cloud


def _stop_all(cloud: LocalCloud) -> None:
    for service in (*cloud.workers, *cloud.jobs, *cloud.functions.values()):
        service.kill()


@contextmanager
def _ticking(url: str) -> Iterator[None]:
    """Call the reconciler as Cloud Scheduler does."""
    stopping = threading.Event()

    def tick() -> None:
        while not stopping.wait(TICK_SECONDS):
            try:
                urllib.request.urlopen(urllib.request.Request(url, data=b""), timeout=60).close()
            except OSError:
                continue  # the next tick comes

    thread = threading.Thread(target=tick, name="timer", daemon=True)
    thread.start()
    yield
    stopping.set()
    thread.join()
