"""Terraform's own checks."""

import re

from deploy.plans import FOLDER, ROOT, Outcome, Terraform
from longscribe.core import limits

VARIABLES = re.findall(r'^variable "(\w+)"', (FOLDER / "variables.tf").read_text(encoding="utf-8"), re.M)


def test_it_is_formatted(terraform: Terraform) -> None:
    ran = terraform("fmt", "-check", "-recursive", "-diff")
    assert ran.code == 0, ran.out


def test_its_own_tests_pass(tested: Outcome) -> None:
    assert (tested.code, tested.said) == (0, [])
    assert set(tested.status.values()) == {"pass"}
    assert len(tested.status) > 20


def test_what_is_no_argument_is_refused(spoiled: Terraform) -> None:
    """What stands for Terraform does check."""
    assert spoiled("validate").code == 0
    with (spoiled.folder / "uploads.tf").open("a") as file:
        file.write('\nresource "google_pubsub_topic" "spoiled" {\n  name  = "n"\n  nonsense = 1\n}\n')
    assert spoiled("validate").code != 0


def test_what_does_not_hold_together_fails_and_is_not_skipped(spoiled: Terraform) -> None:
    file = spoiled.folder / "results.tf"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('"google_pubsub_subscription" "dead_results"', '"google_pubsub_subscription" "x"'))
    assert spoiled("validate").code != 0
    tested = spoiled.tested("-filter=tests/deployment.tftest.hcl")
    assert tested.code != 0
    assert tested.plans == {}


def test_every_variable_is_described_and_refuses_something() -> None:
    text = (FOLDER / "variables.tf").read_text(encoding="utf-8")
    refused = re.findall(
        r"expect_failures = \[var\.(\w+)\]", (FOLDER / "tests/variables.tftest.hcl").read_text("utf-8")
    )
    assert len(VARIABLES) > 5
    for name in VARIABLES:
        body = text.partition(f'variable "{name}" {{')[2].partition("\n}")[0]
        assert re.search(r'description = ".{20,}"', body), name
        conditions = len(re.findall(r"^    condition +=", body, re.M))
        assert conditions >= 1, name
        assert refused.count(name) >= conditions, f"tests/variables.tftest.hcl does not try {name}"


def test_the_least_and_the_most_of_every_number_are_taken_and_what_is_beyond_is_not() -> None:
    text = (FOLDER / "variables.tf").read_text(encoding="utf-8")
    bounds = re.findall(r"var\.(\w+) ([<>])= (\d+)", text)
    assert len(bounds) == 9
    taken = (FOLDER / "tests" / "deployment.tftest.hcl").read_text(encoding="utf-8")
    refused = (FOLDER / "tests" / "variables.tftest.hcl").read_text(encoding="utf-8")
    for name, side, bound in bounds:
        assert re.search(rf"^    {name} += {bound}$", taken, re.M), (name, bound)
        beyond = int(bound) + (1 if side == "<" else -1)
        assert re.search(rf"^    {name} = {beyond}$", refused, re.M), (name, beyond)
    assert ("concurrency", "<", str(limits.MAX_LEASES)) in bounds


def test_every_exception_from_the_audit_has_its_reason_beside_it() -> None:
    files = [*FOLDER.glob("*.tf"), *(ROOT / "gpu_service").rglob("*")]
    text = "".join(path.read_text(encoding="utf-8") for path in files if path.is_file())
    skipped = re.findall(r"#\s*checkov:skip=(\w+)(.*)", text)
    assert len(skipped) > 10
    assert [name for name, reason in skipped if not re.fullmatch(r":\S.{15,}", reason)] == []
    config = (ROOT / "deploy" / "checkov.yaml").read_text(encoding="utf-8")
    assert re.findall(r"^  - CKV\w+$", config, re.M) == []
