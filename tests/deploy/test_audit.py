"""`make audit` finds what it is there to find, with the real tools, and says what it could not look at."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from random import Random
from string import ascii_letters, ascii_uppercase, digits

import pytest

from deploy import audit
from deploy.audit import ROOT, Report
from tests.deploy.conftest import lacking

PACKAGES = {("sound", "1.0"), ("sound", "2.0"), ("flawed", "3.1")}


@pytest.fixture(autouse=True)
def _tools() -> None:
    if not (audit.TOOLS / "pip-audit").exists():
        lacking("the audit's tools (make .venv/audit.stamp)")


@contextmanager
def service(status: int, flawed: str = "") -> Iterator[str]:
    """A service with advisories, as OSV answers: one package has a known vulnerability."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = asked["package"]["name"]
            affected = [{"package": {"name": name, "ecosystem": "PyPI"}, "ranges": []}]
            known = {"vulns": [{"id": "TEST-1", "aliases": [], "summary": "bad", "affected": affected}]}
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(known if name == flawed else {}).encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("PIP_AUDIT_VULNERABILITY_SERVICE", "osv")
    return monkeypatch


def advisories(asking: pytest.MonkeyPatch, url: str) -> Report:
    asking.setenv("PIP_AUDIT_OSV_URL", url)
    return audit.advisories(PACKAGES)


def test_a_known_vulnerability_is_a_problem(asking: pytest.MonkeyPatch) -> None:
    with service(200, flawed="flawed") as url:
        found = advisories(asking, url)
    assert found.problems == ["flawed 3.1: TEST-1, fixed in no version yet"]
    assert (found.looked_at, found.unchecked) == (3, [])


def test_without_one_there_is_none(asking: pytest.MonkeyPatch) -> None:
    with service(200) as url:
        assert advisories(asking, url) == Report("known vulnerabilities", looked_at=3)


NOTHING = Report("known vulnerabilities", unchecked=["flawed 3.1", "sound 2.0", "sound 1.0"])


def test_where_the_service_is_away_every_package_is_named_as_unchecked(asking: pytest.MonkeyPatch) -> None:
    with service(200) as url:
        pass
    assert advisories(asking, url) == NOTHING


def test_where_the_service_is_broken_too(asking: pytest.MonkeyPatch) -> None:
    with service(503) as url:
        assert advisories(asking, url) == NOTHING


def test_a_package_the_service_does_not_know_is_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {
        "dependencies": [{"name": "sound", "version": "1.0", "vulns": []}, {"name": "flawed", "skip_reason": "?"}]
    }
    answer = subprocess.CompletedProcess("", 0, json.dumps(said), "")
    monkeypatch.setattr(audit, "_tool", lambda *_, **__: answer)
    found = audit.advisories({("sound", "1.0"), ("flawed", "3.1")})
    assert found == Report("known vulnerabilities", unchecked=["flawed 3.1"], looked_at=1)


def test_a_tool_that_fails_for_another_reason_is_a_problem(asking: pytest.MonkeyPatch) -> None:
    asking.setenv("PIP_AUDIT_VULNERABILITY_SERVICE", "nobody's")
    (problem, _) = audit.advisories(PACKAGES).problems
    assert "pip-audit ended with" in problem


def test_every_licence_is_on_the_list_or_excepted_and_one_that_is_neither_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    python = ROOT / ".venv" / "bin" / "python"
    names = [name for name, _ in audit.pinned((ROOT / "requirements").glob("[!a]*.txt"))]
    assert audit.licences(names, python).problems == []
    monkeypatch.setattr(audit, "ALLOWED", audit.ALLOWED - {"BSD-3-Clause"})
    assert any(problem.startswith("numpy: ") for problem in audit.licences(names, python).problems)
    monkeypatch.setattr(audit, "LICENCES", {"nobodys-package": "why not"})
    assert "nobodys-package: nothing needs its exception" in audit.licences(names, python).problems


def test_a_planted_key_is_found(tmp_path: Path) -> None:
    """Made up on the spot, so that no file here holds what looks like one; the same each time."""
    random = Random(1)

    def made_up(length: int, alphabet: str = ascii_letters + digits) -> str:
        return "".join(random.choices(alphabet, k=length))

    folder = tmp_path / "src"
    folder.mkdir()
    (folder / "fine.py").write_text("WINDOW = 480_000\n")
    (folder / "cloud.py").write_text(f'KEY = "{"AK" + "IA"}{made_up(16, ascii_uppercase + digits)}"\n')
    (folder / "store.yaml").write_text(f"password: {made_up(32)}\n")
    (folder / "key.pem").write_text(f"-----BEGIN RSA {'PRIVATE'} KEY-----\n{made_up(64)}\n")
    # A lock is left out, but nothing else that lies beside it.
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "notes.md").write_text(f'token = "{made_up(40)}"\n')
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(
            ["git", *command], cwd=tmp_path, check=True, env={**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}
        )
    found = audit.secrets(tmp_path)
    where = {problem.partition(":")[0] for problem in found.problems}
    assert where == {"src/cloud.py", "src/store.yaml", "src/key.pem", "requirements/notes.md"}
    assert found.looked_at == 5
