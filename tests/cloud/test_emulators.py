"""The local cloud itself: it starts, it stops, and says what it lacks."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.pubsub_v1 import Subscription

from local_cloud import emulators
from local_cloud.emulators import EmulatorError, Emulators, Notifications
from longscribe.adapters.gcp.pubsub import PubSubQueue, connect

ROOT = Path(__file__).parents[2]


def test_an_upload_is_announced(cloud: Emulators, project: str) -> None:
    topic, subscription = f"projects/{project}/topics/uploads", f"projects/{project}/subscriptions/uploads"
    publisher, subscriber = connect(cloud.pubsub)
    with publisher, subscriber:
        publisher.create_topic(name=topic)
        subscriber.create_subscription(Subscription(name=subscription, topic=topic))
        with emulators.storage(Notifications(cloud.pubsub, project, "uploads")) as url:
            client = storage.Client("test", AnonymousCredentials(), client_options={"api_endpoint": url})
            client.create_bucket("recordings").blob("talk.mp3").upload_from_string(b"sound")
            client.close()
            queue = PubSubQueue(publisher, subscriber, project)
            taken = queue.pull("uploads", 1) or queue.pull("uploads", 1)
    assert [b'"name":"talk.mp3"' in delivery.data for delivery in taken] == [True]


def test_stopped_is_stopped() -> None:
    with emulators.storage() as url:
        port = int(url.rpartition(":")[2])
        socket.create_connection((emulators.HOST, port)).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((emulators.HOST, port))


def test_googles_own_clients_find_them(cloud: Emulators, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    client = storage.Client("test")
    assert client.create_bucket("found-by-its-variable").exists()
    client.close()


def test_what_does_not_start_is_told_with_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = (sys.executable, "-c", "raise SystemExit('no such luck on port {port}')")
    with emulators._process("thing", failing, "/") as process:
        with pytest.raises(EmulatorError, match="thing did not start; it said: no such luck on port"):
            process.wait()
    monkeypatch.setattr(emulators, "READY_SECONDS", 0.3)
    with emulators._process("thing", (sys.executable, "-c", "input() or open(0).read()"), "/") as process:
        with pytest.raises(EmulatorError, match="did not start"):
            process.wait()


@pytest.mark.parametrize("ci", [False, True])
def test_what_a_machine_lacks_is_named(tmp_path: Path, ci: bool) -> None:
    """Elsewhere the tests are skipped, in CI they fail."""
    lacking = {name: value for name, value in os.environ.items() if name not in ("CLOUDSDK_ROOT", "CI")}
    lacking |= {"PATH": str(tmp_path), **({"CI": "true"} if ci else {})}
    test = "tests/cloud/test_pubsub.py::test_nobody_is_asked_for_nothing"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
    ran = subprocess.run(command, check=False, cwd=ROOT, env=lacking, capture_output=True, text=True, timeout=120)
    for part in ("openjdk-17-jre-headless", "components install pubsub-emulator", "cloud-firestore-emulator"):
        assert part in ran.stdout, ran.stdout
    assert ("1 error" if ci else "1 skipped") in ran.stdout
    assert ran.returncode == (1 if ci else 0)


def test_without_them_nothing_is_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CLOUDSDK_ROOT", raising=False)
    with pytest.raises(EmulatorError, match="needs java"):
        with emulators.running():
            pytest.fail("it started")
