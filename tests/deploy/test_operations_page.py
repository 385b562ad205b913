"""The operator's page: every command on it is there, every figure and name is the code's."""

import re
import shutil
import subprocess

import typer.main

from deploy.plans import FOLDER, ROOT, Outcome, Plan, Terraform
from longscribe import cli, wiring_cloud
from longscribe.core import limits, scaling
from tests.deploy import commands
from tests.deploy.conftest import lacking

TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
LINES = [tuple(words) for words in commands.lines(TEXT)]
SCRIPT = (ROOT / "deploy" / "deploy.sh").read_text(encoding="utf-8")


def of(program: str) -> list[list[str]]:
    found = [list(words) for words in LINES if words[0] == program]
    assert found, program
    return found


def test_only_known_programs_are_called() -> None:
    assert {words[0] for words in LINES} == {"gcloud", "git", "kubectl", "longscribe", "make", "terraform"}
    assert len(LINES) > 40


def test_gcloud_knows_its_commands() -> None:
    if commands.gcloud_tree() is None:
        lacking("the gcloud SDK, whose table of commands is read")
    assert {
        " ".join(words): commands.unknown_to_gcloud(words)
        for words in of("gcloud")
        if commands.unknown_to_gcloud(words)
    } == {}


def test_gcloud_knows_what_the_script_and_the_outputs_call(plans: dict[str, Plan]) -> None:
    if commands.gcloud_tree() is None:
        lacking("the gcloud SDK, whose table of commands is read")
    joined = SCRIPT.replace("\\\n", " ")
    called = re.findall(r"\bgcloud [^|&\n;]*", re.sub(r'"[^"]*"', "X", re.sub(r"^\s*#.*$", "", joined, flags=re.M)))
    assert len(called) > 8
    called += [line for line in _outputs(plans["cloud_run"]) if line.startswith("gcloud")]
    for line in called:
        words = line.replace(" >/dev/null 2>", "").split(" >")[0].split()
        assert commands.unknown_to_gcloud(words) == [], line


def _outputs(plan: Plan) -> list[str]:
    replay = plan.outputs["replay"]
    return [plan.outputs["upload"], plan.outputs["doctor"], *plan.outputs["watch"].split(" && "), *replay]


def test_a_command_that_is_none_is_found() -> None:
    if commands.gcloud_tree() is None:
        lacking("the gcloud SDK, whose table of commands is read")
    assert commands.unknown_to_gcloud(["gcloud", "pubsub", "subscriptions", "sought", "x"])
    assert commands.unknown_to_gcloud(["gcloud", "pubsub", "subscriptions", "seek", "x", "--tyme=1"]) == ["--tyme"]


def test_kubectl_knows_its_commands() -> None:
    if shutil.which("kubectl") is None:
        lacking("kubectl (Debian's kubernetes-client, or gcloud components install kubectl)")
    for words in of("kubectl"):
        assert commands.unknown_to_kubectl(words) == [], words


def test_longscribe_knows_its_commands(plans: dict[str, Plan]) -> None:
    told = [line.split() for line in _outputs(plans["cloud_run"]) if "longscribe" in line.split()[0]]
    assert [words[0] for words in told] == [".venv/bin/longscribe"] * 2  # they work as they are told
    root = typer.main.get_command(cli.app)
    for words in [*of("longscribe"), *told]:
        command = root.commands[words[1]]  # type: ignore[attr-defined]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, words


def test_make_knows_its_targets() -> None:
    for words in of("make"):
        (target,) = [word for word in words[1:] if "=" not in word]
        done = subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, check=False)
        assert done.returncode == 0, target


def test_terraform_knows_its_commands(terraform: Terraform) -> None:
    for words in of("terraform"):
        assert words[1] == f"-chdir={FOLDER.name}"
        shown = terraform(words[2], "-help")
        for word in words[3:]:
            assert f"  {word.partition('=')[0]}" in shown.out + shown.err, words


def test_the_table_of_variables_is_terraforms(tested: Outcome) -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (?:`([^`]*)`)? ?\|", TEXT.partition("| variable |")[2].partition("\n\n")[0], re.M
    )
    text = (FOLDER / "variables.tf").read_text(encoding="utf-8")
    declared = {}
    for name, body in re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', text, re.M | re.S):
        default = re.search(r"^  default +=\s*(.*)$", body, re.M)
        declared[name] = default.group(1).strip('"') if default else ""
    assert dict(rows) == declared


def test_the_quotas_are_those_the_doctor_names() -> None:
    quotas = re.findall(r"\*([^*]*(?:GPU|gpu)[^*]*)\*", TEXT.partition("## Quotas")[2].partition("\n## ")[0])
    assert len(quotas) == 4
    assert [quota for quota in quotas if quota not in wiring_cloud.GPU_QUOTA] == []


def test_the_alerts_are_terraforms(plan: Plan) -> None:
    table = TEXT.partition("| alert |")[2].partition("\n\n")[0]
    named = set(re.findall(r"^\| ([^|]+) \|", table, re.M)) - {"---"}
    made = {
        each.values["display_name"].removeprefix("longscribe: ")
        for each in plan.all("google_monitoring_alert_policy")
    }
    assert named == made


def test_the_figures_are_the_codes() -> None:
    assert f"{scaling.SPEED:.0f} × real time" in TEXT
    assert scaling.TARGET_SECONDS == scaling.IDLE_SECONDS == 600
    assert TEXT.count("ten idle minutes") == 2
    assert "worked off in ten minutes" in TEXT
    assert limits.LEASES == 4
    assert f"{1.40 / scaling.SPEED * 100:.0f} and {0.35 / scaling.SPEED * 100:.0f} cents" in TEXT


def test_what_the_page_links_to_is_there() -> None:
    for page in ("docs/operations.md", "SECURITY.md", "docs/deployment.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)]+)\)", text):
            path, _, anchor = link.partition("#")
            target = (ROOT / page).parent / path if path else ROOT / page
            assert target.exists(), link
            if anchor:
                headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.M)
                assert anchor in {re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in headings}, (
                    link
                )


def test_it_is_said_that_it_was_never_run() -> None:
    for page in ("README.md", "SECURITY.md", "docs/operations.md", "docs/deployment.md"):
        said = " ".join((ROOT / page).read_text(encoding="utf-8").split()).lower()
        assert re.search(r"(not|nothing)[^.]{0,60} been run on google cloud", said), page
