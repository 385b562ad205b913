"""The workers' image: its file carried out in a bare folder, and what comes of it started without a network."""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import types
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
import yaml

from deploy.plans import ROOT
from longscribe.adapters.models import PACKAGED
from tests.deploy.conftest import lacking
from tests.deploy.dockerfile import Stage, carried_out, instructions

GPU = ROOT / "gpu_service"
DOCKERFILE = GPU / "Dockerfile"
BIN = Path(sys.executable).parent

WATCHES = """
import subprocess, sys, time, urllib.request
worker = subprocess.Popen(sys.argv[1:])
try:
    for _ in range(600):
        time.sleep(0.2)
        if worker.poll() is not None:
            sys.exit(f"the worker ended with {worker.returncode}")
        try:
            health = urllib.request.urlopen("http://127.0.0.1:18080/healthz", timeout=5).status
        except OSError:
            continue
        worker.terminate()
        print("health", health, "exit", worker.wait(20))
        break
finally:
    worker.kill()
"""
"""Runs beside the worker, behind the same wall: asks for its health, then ends it as the platform does."""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Stage]:
    """Its stages with Whisper base. The CUDA library is left out: it is of no use here, and has 600 MB."""
    subprocess.run([sys.executable, ROOT / "functions" / "bundle.py"], check=True)
    folder = tmp_path_factory.mktemp("image")
    context = folder / "context"
    for name in ("build/functions/chunker", "gpu_service", "requirements", "src"):
        shutil.copytree(ROOT / name, context / name, ignore=shutil.ignore_patterns("__pycache__"))
    return carried_out(DOCKERFILE, context, folder / "stages", {"MODEL": "base"}, frozenset({"gpu.txt"}))


def test_the_worker_starts_without_a_network(image: dict[str, Stage], tmp_path: Path) -> None:
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        lacking("unshare and ip (Debian's util-linux and iproute2)")
    worker = image["worker"]
    here = {
        "LONGSCRIBE_PROJECT": "some-project",
        "LONGSCRIBE_MODEL": "base",
        "LONGSCRIBE_HEALTH_PORT": "18080",
        "STORAGE_EMULATOR_HOST": "http://127.0.0.1:1",
        "PUBSUB_EMULATOR_HOST": "127.0.0.1:1",
        "FIRESTORE_EMULATOR_HOST": "127.0.0.1:1",
    }
    command = [worker.inside(word) for word in worker.command]
    before = set(worker.folder.rglob("*"))
    script = 'ip link set lo up && exec "$@"'
    done = subprocess.run(
        ["unshare", "--net", "--map-root-user", "sh", "-c", script, "sh", sys.executable, "-c", WATCHES, *command],
        env={**worker.environment(), **here, "HOME": str(tmp_path)},
        cwd=worker.folder / "app",
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert done.stdout.splitlines()[-1] == "health 200 exit 0"
    assert "Traceback" not in done.stdout + done.stderr
    assert set(worker.folder.rglob("*")) == before  # its file system may be read-only


def test_the_model_that_was_baked_is_the_published_one(image: dict[str, Stage]) -> None:
    baked = image["worker"].folder / "models" / "base"
    assert {path.name for path in baked.iterdir()} == set(PACKAGED["base"].files)


def test_nothing_but_the_worker_is_in_its_image(image: dict[str, Stage]) -> None:
    assert {path.name for path in image["worker"].folder.iterdir()} == {"app", "models", "opt"}
    assert {path.name for path in (image["worker"].folder / "app").iterdir()} == {"longscribe", "main.py"}


def test_the_chunkers_image_holds_no_speech_model(image: dict[str, Stage]) -> None:
    chunker = image["chunker"]
    assert {path.name for path in chunker.folder.iterdir()} == {"app", "opt"}
    script = (
        "import importlib.util as u, job, longscribe.wiring as w; w.detector();"
        "print([n for n in ('ctranslate2', 'faster_whisper', 'torch') if u.find_spec(n)])"
    )
    done = subprocess.run(
        [chunker.inside(chunker.command[0]), "-c", script],
        env=chunker.environment(),
        cwd=chunker.folder / "app",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr[-2_000:]


def test_it_is_nobodys_and_tells_its_health(image: dict[str, Stage]) -> None:
    for name in ("worker", "chunker"):
        assert image[name].user == "65532:65532"
    assert "http://127.0.0.1:8080/healthz" in image["worker"].health
    assert image["worker"].variables["HF_HUB_OFFLINE"] == "1"


def test_the_libraries_path_is_that_of_the_images_python() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    version = text.partition("ARG PYTHON=")[2].split("-")[0].rpartition(".")[0]
    assert f"/opt/longscribe/lib/python{version}/site-packages/nvidia/cublas/lib" in text
    runtime = f"python{version.replace('.', '')}"
    for file in ("chunker", "assembler", "reconciler"):
        assert f'"{runtime}"' in (ROOT / "terraform" / f"{file}.tf").read_text(encoding="utf-8")


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run([BIN / "hadolint", DOCKERFILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_scripts_are_clean() -> None:
    scripts = [*GPU.glob("build/*.sh"), *ROOT.glob("deploy/*.sh"), ROOT / ".ci" / "run"]
    assert len(scripts) >= 2
    done = subprocess.run([BIN / "shellcheck", *scripts], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_build_makes_both_stages() -> None:
    build = yaml.safe_load((GPU / "cloudbuild.yaml").read_text(encoding="utf-8"))
    stages = [word.partition("=")[2] for step in build["steps"] for word in step["args"] if "--target=" in word]
    named = [words.partition(" AS ")[2] for name, words in dockerfile() if name == "FROM"]
    assert set(stages) <= set(named)
    assert [image.rpartition("/")[2].partition(":")[0] for image in build["images"]] == stages


@pytest.mark.parametrize(
    ("model", "docker", "code", "written"),
    [
        ("large-v3", "echo LOCK", 0, "LOCK\n"),
        ("large-v3", "exit 7", 7, ""),  # and the build fails
        ("base", "exit 7", 0, "{}\n"),  # which has none
    ],
)
def test_the_builds_lock_is_that_of_the_image(
    tmp_path: Path, model: str, docker: str, code: int, written: str
) -> None:
    build = yaml.safe_load((GPU / "cloudbuild.yaml").read_text(encoding="utf-8"))
    (step,) = [each for each in build["steps"] if each["id"] == "lock"]
    values = {"_IMAGES": "images", "_TAG": "tag", "_MODEL": model}
    arguments = [re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], word) for word in step["args"]]
    (tmp_path / "docker").write_text(f'#!/bin/sh\necho "$@" > asked\n{docker}\n')
    (tmp_path / "docker").chmod(0o755)
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([step["entrypoint"], *arguments], cwd=tmp_path, env=path, check=False)
    assert done.returncode == code
    assert (tmp_path / f"{model}.json").read_text() == written
    if model != "base":
        assert (tmp_path / "asked").read_text().endswith(f"images/worker:tag /models/{model}.json\n")


def dockerfile() -> list[tuple[str, str]]:
    return list(instructions(DOCKERFILE.read_text(encoding="utf-8")))


def test_what_the_build_copies_is_sent_and_no_more() -> None:
    if shutil.which("gcloud") is None:
        lacking("gcloud, which tells what it would send")
    subprocess.run([sys.executable, ROOT / "functions" / "bundle.py"], check=True)
    listed = ["gcloud", "meta", "list-files-for-upload", ROOT]
    sent = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.splitlines()
    copied = {
        source
        for name, words in dockerfile()
        if name == "COPY" and not words.startswith("--from")
        for source in words.split()[:-1]
    }
    assert copied
    assert [source for source in copied if not any(f"{file}/".startswith(f"{source}/") for file in sent)] == []
    assert {file.split("/")[0] for file in sent} == {"build", "gpu_service", "requirements", "src"}
    assert [file for file in sent if file.startswith("build/") and "/functions/chunker/" not in file] == []
    ignored = (GPU / "Dockerfile.dockerignore").read_text(encoding="utf-8")
    assert set(re.findall(r"^!(\S+)$", ignored, re.M)) == {
        "build/functions/chunker",
        "gpu_service",
        "requirements",
        "src",
    }


@pytest.fixture(scope="module")
def baking() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("bake_model", GPU / "build" / "bake_model.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


class Hub:
    """A model hub with one model, whose newest revision is ``second``."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        self.bytes = {"first": b"older", "second": b"newer"}

    def __call__(self, model: str, revision: str | None, target: Path) -> tuple[str, str]:
        self.asked.append(revision)
        target.mkdir(parents=True, exist_ok=True)
        (target / "model.bin").write_bytes(self.bytes[revision or "second"])
        (target / ".cache").mkdir(exist_ok=True)
        return f"somebody/{model}", revision or "second"


def test_the_first_build_writes_a_models_lock_and_the_next_keep_to_it(
    baking: types.ModuleType, tmp_path: Path
) -> None:
    hub, locks = Hub(), tmp_path / "locks"
    locks.mkdir()
    baking.bake("large", tmp_path / "first", locks, hub)
    written = tmp_path / "first" / "large.json"
    lock = json.loads(written.read_text())
    assert (lock["repository"], lock["revision"], list(lock["files"])) == (
        "somebody/large",
        "second",
        ["model.bin"],
    )
    assert [path.name for path in (tmp_path / "first" / "large").iterdir()] == ["model.bin"]
    shutil.copy(written, locks)
    hub.bytes["third"] = b"newest"
    baking.bake("large", tmp_path / "again", locks, hub)
    assert hub.asked == [None, "second"]
    assert (tmp_path / "again" / "large.json").read_text() == written.read_text()


def test_a_model_that_is_not_its_locks_is_refused(baking: types.ModuleType, tmp_path: Path) -> None:
    hub = Hub()
    baking.bake("large", tmp_path / "first", tmp_path, hub)
    shutil.copy(tmp_path / "first" / "large.json", tmp_path)
    hub.bytes["second"] = b"swapped"
    with pytest.raises(SystemExit, match="is not what"):
        baking.bake("large", tmp_path / "again", tmp_path, hub)


def test_a_repository_without_weights_is_refused(baking: types.ModuleType, tmp_path: Path) -> None:
    def empty(model: str, revision: str | None, target: Path) -> tuple[str, str]:
        target.mkdir(parents=True)
        return model, "first"

    with pytest.raises(SystemExit, match=r"no model\.bin"):
        baking.bake("large", tmp_path, tmp_path, empty)


class StandInHub(BaseHTTPRequestHandler):
    """The model hub's answers for one repository of two revisions, as its client asks for them."""

    FILES: ClassVar = {"config.json": b"{}", "model.bin": b"weights", "vocabulary.json": b"[]", "README.md": b"no"}
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        about = re.fullmatch(r"/api/models/Systran/faster-whisper-large-v3(?:/revision/(\w+))?(?:\?.*)?", self.path)
        file = re.fullmatch(r"/Systran/faster-whisper-large-v3/resolve/(\w+)/([\w.]+)", self.path)
        tree = re.fullmatch(r"/api/models/Systran/faster-whisper-large-v3/tree/(\w+).*", self.path)
        if about:
            siblings = [{"rfilename": name} for name in self.FILES]
            told = {"id": "Systran/faster-whisper-large-v3", "sha": about[1] or NEWEST, "siblings": siblings}
            self.answer(json.dumps(told).encode())
        elif tree:
            told = [
                {"type": "file", "path": name, "size": len(data), "oid": "0"} for name, data in self.FILES.items()
            ]
            self.answer(json.dumps(told).encode())
        elif file and file[2] in self.FILES:
            data = self.FILES[file[2]]
            self.answer(data, **{"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": file[1]})
        else:
            self.send_error(404)

    do_HEAD = do_GET  # noqa: N815

    def answer(self, data: bytes, **headers: str) -> None:
        self.send_response(200)
        for name, value in {
            **headers,
            "Content-Length": str(len(data)),
            "Content-Type": "application/json",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


NEWEST, OLDER = "b" * 40, "a" * 40


def baked_from_hub(model: str, folder: Path, locks: Path) -> subprocess.CompletedProcess[str]:
    """Bake with the hub's own client, against a stand-in for the hub."""
    StandInHub.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), StandInHub) as hub:
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{hub.server_address[1]}"
        home = {"HOME": str(folder), "PATH": os.environ["PATH"], "HF_ENDPOINT": address, "HF_HUB_DISABLE_XET": "1"}
        command = [sys.executable, GPU / "build" / "bake_model.py", model, folder, locks, os.devnull]
        done = subprocess.run(command, env=home, capture_output=True, text=True, check=False)
        hub.shutdown()
    return done


def test_the_hubs_newest_revision_is_baked_and_a_locks_own_afterwards(tmp_path: Path) -> None:
    locks = tmp_path / "locks"
    locks.mkdir()
    done = baked_from_hub("large-v3", tmp_path / "first", locks)
    assert done.returncode == 0, done.stderr[-2_000:]
    lock = json.loads((tmp_path / "first" / "large-v3.json").read_text())
    assert (lock["repository"], lock["revision"]) == ("Systran/faster-whisper-large-v3", NEWEST)
    assert set(lock["files"]) == {"config.json", "model.bin", "vocabulary.json"}  # and no README
    assert lock["files"]["model.bin"] == hashlib.sha256(b"weights").hexdigest()
    (locks / "large-v3.json").write_text(json.dumps({**lock, "revision": OLDER}))
    done = baked_from_hub("large-v3", tmp_path / "again", locks)
    assert done.returncode == 0, done.stderr[-2_000:]
    assert json.loads((tmp_path / "again" / "large-v3.json").read_text())["revision"] == OLDER
    assert [path for path in StandInHub.asked if NEWEST in path] == []


def test_a_model_that_the_hub_has_not_is_told(tmp_path: Path) -> None:
    done = baked_from_hub("larger", tmp_path, tmp_path)
    assert (done.returncode, StandInHub.asked) == (1, [])
    assert "Unknown model 'larger'; give one of " in done.stderr


def test_every_lock_of_a_model_is_whole() -> None:
    for path in (GPU / "models").glob("*.json"):
        lock = json.loads(path.read_text(encoding="utf-8"))
        assert set(lock) == {"repository", "revision", "files"}
        assert "model.bin" in lock["files"]
        assert path.name != "base.json"
