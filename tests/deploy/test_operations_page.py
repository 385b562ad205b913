"""The operator's page: every command on it is there, every figure and name is the code's."""

import re
import shutil
import subprocess

import typer.main

from deploy.plans import FOLDER, ROOT, Outcome, Plan, Terraform, block, blocks
from longscribe import cli, wiring_cloud
from longscribe.core import limits, scaling
from longscribe.services import working
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


def test_git_knows_its_commands_and_no_name_is_made_up() -> None:
    for words in of("git"):
        shown = subprocess.run(["git", words[1], "-h"], cwd=ROOT, capture_output=True, text=True, check=False)
        assert f"usage: git {words[1]}" in shown.stdout, words
        assert [word for word in words[2:] if word != "--oneline" and not re.fullmatch(r"HEAD~\d", word)] == []


def test_terraform_alone_is_prepared_as_the_script_does_it() -> None:
    """It is the same empty project."""
    joined = SCRIPT.replace("\\\n", " ").partition("begin() {")[2].partition("\n}\n")[0]
    page = "\n".join(" ".join(words) for words in of("gcloud"))
    services = [
        set(re.findall(r"(\w+)\.googleapis\.com", _line(text, "services enable"))) for text in (page, joined)
    ]
    assert services[0] == services[1] > {"pubsub"}
    for flag in ("--uniform-bucket-level-access", "--public-access-prevention"):
        assert flag in _line(page, "buckets create")
        assert flag in _line(joined, "buckets create")
    assert "--versioning" in _line(page, "buckets update")
    assert "--versioning" in _line(joined, "buckets update")
    agents = re.findall(r"services identity create --service=(\w+)\.googleapis\.com", page)
    assert f"for service in {' '.join(agents)}; do" in joined


def _line(text: str, words: str) -> str:
    (found,) = [line for line in text.splitlines() if words in line]
    return found


def test_terraform_knows_its_commands(terraform: Terraform) -> None:
    for words in of("terraform"):
        assert words[1] == f"-chdir={FOLDER.name}"
        shown = terraform(words[2], "-help")
        for word in words[3:]:
            assert f"  {word.partition('=')[0]}" in shown.out + shown.err, words
            name, _, value = word.removeprefix("-var=").partition("=")
            assert not word.startswith("-var=") or (name in ("project", "region") and value), words


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


def test_the_alerts_wait_as_long_as_the_page_says(plan: Plan) -> None:
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|", TEXT, re.M))
    oldest = block(plan.one("google_monitoring_alert_policy.oldest_message"), "conditions", "condition_threshold")
    assert (oldest["threshold_value"], "half an hour" in rows["work waits too long"]) == (1800, True)
    idle = plan.one("google_monitoring_alert_policy.idle_gpus")
    assert {each["duration"] for each in blocks(idle, "conditions", "condition_threshold")} == {"1800s"}
    assert "half an hour" in rows["GPUs are paid for and idle"]


def test_the_figures_are_the_codes() -> None:
    assert f"{scaling.SPEED:.0f} × real time" in TEXT
    assert scaling.TARGET_SECONDS == scaling.IDLE_SECONDS == 600
    running = " ".join(TEXT.split())
    assert running.count("ten idle minutes") == 2
    assert "worked off in ten minutes" in running
    assert working.STUCK_SECONDS == 300
    assert "five minutes is stuck" in running
    assert limits.LEASES == 4


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
