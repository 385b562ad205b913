"""The local cloud, once per session; without it the tests are skipped by name, in CI they fail."""

import gc
import json
import os
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from local_cloud import deployment, emulators
from local_cloud.deployment import LocalCloud
from longscribe.documents import Chunk, JobState
from tests.canaries import CANARIES
from tests.cloud.people import Person, speech
from tests.cloud.proxies import GrpcProxy

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bear with Google's storage client, which leaves the socket of a refused download to the garbage collector."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))


@pytest.fixture(scope="module", autouse=True)
def _collected() -> Iterator[None]:
    """Collect those sockets here, so that no test elsewhere is blamed."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def cloud() -> Iterator[emulators.Emulators]:
    """The three emulators, running."""
    lacking = emulators.missing()
    if lacking:
        message = f"the local cloud needs {'; '.join(lacking)}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with emulators.running() as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
def _logs() -> Iterator[None]:
    """Have whatever services print looked through."""
    start = deployment.Service.start

    def followed(service: deployment.Service) -> deployment.Service:
        CANARIES.follow(service._log)
        return start(service)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deployment.Service, "start", followed)
        yield


@pytest.fixture
def project() -> str:
    """A project nobody else uses."""
    return f"test-{uuid.uuid4().hex[:20]}"


FULL = os.environ.get("LONGSCRIBE_TEST_SIZE") == "full"

LEASE = 10
"""The shortest Pub/Sub grants, in seconds: killed workers' chunks come again the sooner."""

ATTEMPTS = 5
"""The fewest that a dead-letter policy allows."""

HASHING = [sys.executable, "-m", "tests.cloud.hashing_worker"]


@dataclass(frozen=True)
class Watched:
    """What stands between one service and the emulators."""

    firestore: GrpcProxy
    pubsub: GrpcProxy

    def environment(self) -> dict[str, str]:
        return {
            "FIRESTORE_EMULATOR_HOST": self.firestore.address,
            "PUBSUB_EMULATOR_HOST": self.pubsub.address,
        }

    def quiet(self) -> None:
        """Forget what was counted and end all faults."""
        for proxy in (self.firestore, self.pubsub):
            proxy.forget()
            for hooks in (proxy.before, proxy.on_request, proxy.on_answer):
                hooks.clear()


@pytest.fixture(scope="session")
def watched(cloud: emulators.Emulators) -> Iterator[dict[str, Watched]]:
    """Proxies for the services, by their names."""
    with ExitStack() as stack:
        yield {
            name: Watched(
                stack.enter_context(GrpcProxy(cloud.firestore, keep=False)),
                stack.enter_context(GrpcProxy(cloud.pubsub, keep=False)),
            )
            for name in ("chunker", "assembler", "worker")
        }


@pytest.fixture(scope="session")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> deployment.Functions:
    """The functions, with a reconciler that waits seconds where the real one waits minutes.

    At full size on few cores seconds are too short: it would start everything again while it still waits its turn.
    """
    if FULL:
        return deployment.Functions()
    folder = tmp_path_factory.mktemp("functions")
    for name in ("chunker", "assembler"):
        (folder / name).symlink_to(deployment.ROOT / "functions" / name)
    (folder / "reconciler").mkdir()
    shutil.copy(HERE / "hasty_reconciler.py", folder / "reconciler" / "main.py")
    return deployment.Functions(folder)


@pytest.fixture(scope="session")
def local(
    cloud: emulators.Emulators,
    watched: dict[str, Watched],
    hasty: deployment.Functions,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LocalCloud]:
    """A deployment whose workers the tests start."""
    log = tmp_path_factory.mktemp("cloud") / "log"
    own = {name: each.environment() for name, each in watched.items()}
    with (
        log.open("w+b") as stream,
        deployment.running(
            cloud,
            stream,
            {"LEASE": str(LEASE)},
            workers=0,
            own=own,
            lease=LEASE,
            attempts=ATTEMPTS,
            source=hasty,
        ) as made,
    ):
        yield made


@pytest.fixture
def person(local: LocalCloud, watched: dict[str, Watched], monkeypatch: pytest.MonkeyPatch) -> Iterator[Person]:
    """Somebody who uses the deployment; afterwards its log must hold nothing of what they named and said."""
    for name, value in local.hosts.environment().items():
        monkeypatch.setenv(name, value)
    begun = len(logged(local))
    person = Person(local)
    yield person
    for worker in local.workers:
        worker.kill()
    local.workers.clear()
    for each in watched.values():
        each.quiet()
    check_log(logged(local)[begun:], person.secrets)


def logged(local: LocalCloud) -> bytes:
    """What the services have printed so far."""
    return os.pread(local.log.fileno(), os.fstat(local.log.fileno()).st_size, 0)


def check_log(printed: bytes, secrets: set[str]) -> None:
    """Fail if the services printed a word of what was said or named, or anything but their own lines."""
    text = printed.decode()
    assert secrets, "there was nothing to keep secret"
    assert not {word for word in secrets if word in text or json.dumps(word)[1:-1] in text}
    assert "Traceback" not in text


@dataclass(frozen=True)
class Quiet:
    """A recording, and what becomes of it when nothing goes wrong."""

    data: bytes
    metadata: dict[str, str]
    transcript: dict[str, str]
    chunks: list[Chunk]


@pytest.fixture(scope="session")
def quiet(local: LocalCloud) -> Quiet:
    data, metadata = speech(420), {"chunk_seconds": "28", "language": "en"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in local.hosts.environment().items():
            patch.setenv(name, value)
        person = Person(local)
    worker = local.add_worker(HASHING)
    upload = person.upload("quiet.flac", data, **metadata)
    job = person.ended(upload)
    assert job.state is JobState.COMPLETE
    worker.kill()
    local.workers.remove(worker)
    chunks = person.chunks(upload)
    assert len(chunks) >= 10
    return Quiet(data, metadata, person.transcript(job), chunks)
