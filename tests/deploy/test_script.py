"""What `make deploy` and `make destroy` call, and in which order: stand-ins write down how they are called."""

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy.plans import ROOT

SCRIPT = ROOT / "deploy" / "deploy.sh"

STAND_IN = """#!/bin/sh
echo "$(basename "$0") $* image=${TF_VAR_image-unset}" >> "$CALLS"
case "$(basename "$0") $*" in
ANSWERS
esac
"""


@dataclass
class Cloud:
    """A project, as far as commands tell of it: what a call with these words answers; ``$`` is a call's end."""

    folder: Path
    answers: dict[str, str] = field(default_factory=dict)

    def run(self, what: str, **variables: str) -> subprocess.CompletedProcess[str]:
        programs = self.folder / "bin"
        programs.mkdir(exist_ok=True)
        cases = "\n".join(
            f'*"{words.rstrip("$")}"{"" if words.endswith("$") else "*"}) {answer} ;;'
            for words, answer in self.answers.items()
        )
        for name in ("gcloud", "terraform", "kubectl"):
            (programs / name).write_text(STAND_IN.replace("ANSWERS", cases))
            (programs / name).chmod(0o755)
        self.calls_file.write_text("")
        return subprocess.run(
            [SCRIPT, what],
            env={
                "PATH": f"{programs}:{os.environ['PATH']}",
                "HOME": str(self.folder),
                "CALLS": str(self.calls_file),
                "PROJECT": "some-project",
                "REGION": "europe-west4",
                **variables,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def calls_file(self) -> Path:
        return self.folder / "calls"

    def calls(self, words: str = "") -> list[str]:
        return [line for line in self.calls_file.read_text().splitlines() if words in line]

    def order(self, *words: str) -> list[int]:
        """Return where calls with these words come, each the first after the one before."""
        lines, places = self.calls(), [-1]
        for each in words:
            places.append(next(i for i, line in enumerate(lines) if each in line and i > places[-1]))
        return places[1:]


NOTHING = {
    "storage buckets describe": "exit 1",
    "docker images describe": "exit 1",
    "output -raw images": "printf europe-west4-docker.pkg.dev/some-project/longscribe",
    "output -raw image$": "exit 1",
    "output -raw model": "printf base",
    "output -raw sources": "printf gs://some-project-longscribe-sources",
    "output -raw builder": "printf projects/some-project/serviceAccounts/builder",
}
"""An empty project; the outputs are those after the first apply."""

STATE = "gs://some-project-longscribe-state"


@pytest.fixture
def empty(tmp_path: Path) -> Cloud:
    return Cloud(tmp_path, dict(NOTHING))


def test_an_empty_project_gets_state_then_all_but_workers_then_images_then_workers(empty: Cloud) -> None:
    done = empty.run("up")
    assert done.returncode == 0, done.stderr
    places = empty.order(
        "gcloud services enable",
        f"storage buckets create {STATE}",
        "services identity create --service=pubsub.googleapis.com",
        "services identity create --service=eventarc.googleapis.com",
        "terraform -chdir=terraform init -reconfigure -backend-config=bucket=some-project-longscribe-state",
        "terraform -chdir=terraform apply",
        "gcloud builds submit",
        "terraform -chdir=terraform apply",
    )
    assert places == sorted(places)
    first, second = empty.calls("terraform -chdir=terraform apply")
    assert first.endswith("image=")
    tag = second.rpartition("image=")[2]
    assert len(tag) == 12
    (build,) = empty.calls("builds submit")
    assert f"_TAG={tag},_MODEL=base" in build
    assert "--service-account=projects/some-project/serviceAccounts/builder" in build
    assert not empty.calls("kubectl")
    assert not empty.calls("terraform import")


def test_what_was_built_is_not_built_again_and_what_runs_stays_meanwhile(empty: Cloud) -> None:
    empty.answers["storage buckets describe"] = "exit 0"
    empty.answers["docker images describe"] = "exit 0"
    empty.answers["output -raw image$"] = "printf running"
    assert empty.run("up").returncode == 0
    assert not empty.calls("builds submit")
    assert not empty.calls("buckets create")
    assert empty.calls("terraform -chdir=terraform apply")[0].endswith("image=running")


def test_the_tag_follows_the_model(empty: Cloud) -> None:
    tags = []
    for model in ("base", "small", "base"):
        empty.answers["output -raw model"] = f"printf {model}"
        assert empty.run("up").returncode == 0
        tags.append(empty.calls("terraform -chdir=terraform apply")[1])
    assert tags[0] == tags[2] != tags[1]


def test_an_older_image_is_taken_by_its_tag_and_must_be_there(empty: Cloud) -> None:
    empty.answers["docker images describe"] = "exit 0"
    assert empty.run("up", TAG="older").returncode == 0
    assert empty.calls("terraform -chdir=terraform apply")[1].endswith("image=older")
    empty.answers["docker images describe"] = "exit 1"
    done = empty.run("up", TAG="older")
    assert done.returncode == 1
    assert "There is no image" in done.stderr
    assert not empty.calls("builds submit")
    assert len(empty.calls("terraform -chdir=terraform apply")) == 1


def test_a_lock_that_was_left_behind_is_fetched_by_the_next_call(empty: Cloud) -> None:
    empty.answers["output -raw model"] = "printf large-v3"
    empty.answers["storage cp"] = "exit 1"
    done = empty.run("up")
    assert (done.returncode, "left no lock of large-v3" in done.stderr) == (1, True)
    assert len(empty.calls("terraform -chdir=terraform apply")) == 1
    empty.answers["docker images describe"] = "exit 0"  # but the image is there
    del empty.answers["storage cp"]
    done = empty.run("up")
    assert (done.returncode, "Commit gpu_service/models/large-v3.json" in done.stderr) == (0, True)
    tag = empty.calls("terraform -chdir=terraform apply")[1].rpartition("image=")[2]
    (fetched,) = empty.calls("storage cp")
    assert f"cp gs://some-project-longscribe-sources/locks/{tag}/large-v3.json gpu_service/models/" in fetched
    assert not empty.calls("builds submit")
    # An older image may hold another model.
    assert empty.run("up", TAG="older").returncode == 0
    assert not empty.calls("storage cp")


@pytest.mark.parametrize("there", ["exit 0", "exit 1"])
def test_the_states_bucket_is_versioned_whoever_made_it(empty: Cloud, there: str) -> None:
    empty.answers["storage buckets describe"] = there
    assert empty.run("up").returncode == 0
    assert empty.order(f"buckets update {STATE} --versioning", "terraform -chdir=terraform init")
    assert bool(empty.calls("buckets create")) == (there == "exit 1")


def test_a_step_that_fails_ends_it(empty: Cloud) -> None:
    empty.answers["builds submit"] = "exit 1"
    assert empty.run("up").returncode != 0
    assert len(empty.calls("terraform -chdir=terraform apply")) == 1


def test_pods_are_applied_where_there_is_a_cluster(empty: Cloud) -> None:
    empty.answers["output -raw kubernetes"] = "printf 'resources: []'"
    assert empty.run("up").returncode == 0
    assert empty.order("terraform -chdir=terraform apply", "get-credentials longscribe", "kubectl apply -k")
    assert (ROOT / "build/kubernetes/kustomization.yaml").read_text() == "resources: []"


def test_what_a_tear_down_left_is_taken_over(empty: Cloud) -> None:
    empty.answers["storage buckets describe"] = "exit 0"
    assert empty.run("up").returncode == 0
    imported = [line.split(" import ")[1].split()[1] for line in empty.calls("terraform -chdir=terraform import")]
    assert imported == ["some-project-longscribe-uploads", "some-project-longscribe-transcripts"]
    empty.answers["state list"] = "printf 'google_storage_bucket.uploads\\ngoogle_storage_bucket.transcripts\\n'"
    assert empty.run("up").returncode == 0
    assert not empty.calls("terraform -chdir=terraform import")


def test_a_tear_down_keeps_what_people_own(empty: Cloud) -> None:
    done = empty.run("down")
    assert done.returncode == 0
    assert empty.order(
        "state rm google_storage_bucket.uploads", "state rm google_storage_bucket.transcripts", "destroy"
    )
    assert not empty.calls("storage rm")
    assert "recordings and transcripts" in done.stderr


def test_a_tear_down_deletes_it_when_it_is_told_to(empty: Cloud) -> None:
    done = empty.run("down", DATA="delete")
    assert done.returncode == 0
    assert empty.order("storage rm --recursive gs://some-project-longscribe-uploads/**", "destroy")
    assert not empty.calls("state rm")
    assert "recordings" not in done.stderr
    assert not empty.calls(f"rm --recursive {STATE}")


@pytest.mark.parametrize(("what", "lacking"), [("up", "PROJECT"), ("down", "REGION")])
def test_without_project_or_region_nothing_is_called(empty: Cloud, what: str, lacking: str) -> None:
    done = empty.run(what, **{lacking: ""})
    assert done.returncode != 0
    assert f"{lacking}=" in done.stderr
    assert empty.calls() == []


def test_the_make_targets_are_these(empty: Cloud) -> None:
    for target, word in (("deploy", "up"), ("image", "image"), ("destroy", "down")):
        shown = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True)
        assert f"deploy/deploy.sh {word}" in shown.stdout.splitlines()


@pytest.mark.parametrize("target", ["deploy", "operator"])
def test_whoever_deploys_gets_what_the_commands_take(target: str) -> None:
    lock = "requirements/operator.txt"
    shown = subprocess.run(["make", "-n", "-W", lock, target], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [line for line in shown.stdout.splitlines() if "pip install" in line and line.endswith(f"-r {lock}")]
