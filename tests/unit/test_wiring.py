"""The environment, read in one place; and which adapters it gives."""

import subprocess
import sys
from pathlib import Path

import pytest

from longscribe import prices, wiring, wiring_cloud
from longscribe.adapters.silero import locate
from longscribe.core import limits, topics
from longscribe.core.settings import Settings
from longscribe.errors import BadInput
from longscribe.wiring import environment


def test_nothing_need_be_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    read = environment({})
    assert limits.MIN_DECODE_WORKERS <= read.decode_workers <= 4
    assert read.models == str(tmp_path / ".cache" / "longscribe")


def test_what_is_set_is_read(tmp_path: Path) -> None:
    read = environment(
        {"LONGSCRIBE_DECODE_WORKERS": "3", "LONGSCRIBE_MODELS": str(tmp_path), "DECODE_WORKERS": "9"}
    )
    assert (read.decode_workers, read.models) == (3, str(tmp_path))


def test_models_are_kept_where_the_desktop_keeps_caches(tmp_path: Path) -> None:
    assert environment({"XDG_CACHE_HOME": str(tmp_path)}).models == str(tmp_path / "longscribe")
    assert environment({"XDG_CACHE_HOME": "", "LONGSCRIBE_MODELS": ""}).models.endswith("/longscribe")


@pytest.mark.parametrize("workers", ["many", "1.5", ""])
def test_what_cannot_be_read_is_one_sentence(workers: str) -> None:
    if workers == "":
        assert environment({"LONGSCRIBE_DECODE_WORKERS": workers}).decode_workers >= 1
        return
    with pytest.raises(BadInput, match="decode_workers"):
        environment({"LONGSCRIBE_DECODE_WORKERS": workers})


@pytest.mark.parametrize(
    ("workers", "good"),
    [
        (limits.MIN_DECODE_WORKERS - 1, False),
        (limits.MIN_DECODE_WORKERS, True),
        (limits.MIN_DECODE_WORKERS + 1, True),
        (limits.MAX_DECODE_WORKERS - 1, True),
        (limits.MAX_DECODE_WORKERS, True),
        (limits.MAX_DECODE_WORKERS + 1, False),
    ],
)
def test_the_bounds_of_the_decoders(workers: int, good: bool) -> None:
    variables = {"LONGSCRIBE_DECODE_WORKERS": str(workers)}
    if good:
        assert environment(variables).decode_workers == workers
    else:
        with pytest.raises(BadInput, match="give 1 to 16"):
            environment(variables)


def test_local_stores_declare_what_the_stages_name(tmp_path: Path) -> None:
    stores = wiring.local_stores(tmp_path / "home")
    for topic in (topics.CHUNKS_HIGH, topics.CHUNKS_LOW, topics.RESULTS, topics.DEAD_CHUNKS):
        stores.queue.publish(topic, b"message")
        assert [delivery.data for delivery in stores.queue.pull(topic, 1)] == [b"message"]
    for bucket in (wiring.CHUNKS_BUCKET, wiring.TRANSCRIPTS_BUCKET):
        assert stores.blobs.read(stores.blobs.create(bucket, "a.txt", b"data")) == b"data"
    assert list(stores.jobs.jobs()) == []
    stores.close()


@pytest.mark.parametrize("topic", [topics.CHUNKS_HIGH, topics.CHUNKS_LOW])
def test_chunks_are_dead_lettered_after_their_attempts(tmp_path: Path, topic: str) -> None:
    stores = wiring.local_stores(tmp_path / "home")
    stores.queue.publish(topic, b"poison")
    for attempt in range(1, limits.MAX_ATTEMPTS_EMBEDDED + 1):
        (delivery,) = stores.queue.pull(topic, 1)
        assert delivery.attempt == attempt
        stores.queue.nack(topic, [delivery.lease])
    assert stores.queue.pull(topic, 1) == []
    assert [delivery.data for delivery in stores.queue.pull(topics.DEAD_CHUNKS, 1)] == [b"poison"]
    stores.close()


def test_the_clock_is_the_machines_own() -> None:
    clock = wiring.SystemClock()
    before = clock.now()
    clock.sleep(0.01)
    assert before + 0.009 < clock.now() < before + 5


def test_a_machine_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        wiring.machine(Settings(model="no-such-model"), {"LONGSCRIBE_MODELS": str(tmp_path)})
    with pytest.raises(BadInput, match="LONGSCRIBE_DECODE_WORKERS"):
        wiring.machine(Settings(), {"LONGSCRIBE_DECODE_WORKERS": "99"})


def test_the_second_detector_comes_with_the_installation() -> None:
    assert wiring.detector().name == "webrtcvad-1, silero-v6"
    assert wiring.detector(locate()).name == wiring.detector().name


@pytest.mark.parametrize(
    ("given", "variables", "chosen"),
    [
        (None, {}, None),
        ("p", {}, "p"),
        ("p", {"LONGSCRIBE_UPLOADS_BUCKET": "b", "LONGSCRIBE_PROJECT": "other"}, "p"),
        (None, {"GOOGLE_CLOUD_PROJECT": "p"}, None),
        (None, {"LONGSCRIBE_PROJECT": "p"}, None),
        (None, {"LONGSCRIBE_UPLOADS_BUCKET": "b"}, None),
        (None, {"LONGSCRIBE_UPLOADS_BUCKET": "b", "GOOGLE_CLOUD_PROJECT": "p"}, "p"),
        (None, {"LONGSCRIBE_UPLOADS_BUCKET": "b", "GOOGLE_CLOUD_PROJECT": "q", "LONGSCRIBE_PROJECT": "p"}, "p"),
    ],
)
def test_which_project_is_meant(given: str | None, variables: dict[str, str], chosen: str | None) -> None:
    assert wiring.cloud_project(given, variables) == chosen


def test_the_buckets_of_a_project_have_names_of_their_own_unless_told() -> None:
    read = wiring_cloud.environment({"GOOGLE_CLOUD_PROJECT": "p", "LONGSCRIBE_CHUNKS_BUCKET": "other"})
    assert (read.project, read.uploads_bucket, read.chunks_bucket, read.transcripts_bucket) == (
        "p",
        "p-longscribe-uploads",
        "other",
        "p-longscribe-transcripts",
    )
    assert read.machine == ""
    with pytest.raises(BadInput, match="LONGSCRIBE_PROJECT"):
        wiring_cloud.environment({"LONGSCRIBE_UPLOADS_BUCKET": "b"})
    with pytest.raises(BadInput, match="three buckets"):
        wiring_cloud.environment({"LONGSCRIBE_PROJECT": "p", "LONGSCRIBE_CHUNKS_BUCKET": "p-longscribe-uploads"})


@pytest.mark.parametrize(("leases", "taken"), [("0", False), ("1", True), ("16", True), ("17", False)])
def test_a_worker_holds_one_to_sixteen_chunks(leases: str, taken: bool) -> None:
    variables = {"LONGSCRIBE_PROJECT": "p", "LONGSCRIBE_LEASES": leases}
    if taken:
        assert wiring_cloud.environment(variables).leases == int(leases)
    else:
        with pytest.raises(BadInput, match="give 1 to 16"):
            wiring_cloud.environment(variables)


def test_a_worker_and_an_operator_need_nothing_that_receives_events() -> None:
    absent = ("cloudevents", "functions_framework", "flask", "werkzeug")
    script = f"import sys; sys.modules.update(dict.fromkeys({absent!r})); import longscribe.wiring_cloud"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_worker_settles_its_memory_before_anything_starts_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the lanes get what the clients' threads leave: a tenth slower (``benchmarks/cloud.py``)."""
    done = []

    def stores(*_: object) -> None:
        done.append("stores")
        raise BadInput("enough")

    monkeypatch.setattr("longscribe.adapters.memory.keep_memory", lambda: done.append("memory"))
    monkeypatch.setattr(wiring_cloud, "stores", stores)
    with pytest.raises(BadInput, match="enough"):
        wiring_cloud.working({"GOOGLE_CLOUD_PROJECT": "p"})
    assert done == ["memory", "stores"]


def test_a_worker_is_told_what_it_runs_on_by_a_name_that_has_a_price() -> None:
    named = {"GOOGLE_CLOUD_PROJECT": "p", "LONGSCRIBE_MACHINE": "t4-spot"}
    assert wiring_cloud.environment(named).machine == "t4-spot"
    with pytest.raises(BadInput, match="LONGSCRIBE_MACHINE is 'abacus'; give one of t4, t4-spot, l4"):
        wiring_cloud.environment({**named, "LONGSCRIBE_MACHINE": "abacus"})


def test_nothing_is_paid_for_on_the_emulators() -> None:
    assert wiring_cloud.list_prices({"PUBSUB_EMULATOR_HOST": "127.0.0.1:1"}) is None
    assert wiring_cloud.list_prices({}) == prices.load()
