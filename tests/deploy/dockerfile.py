"""A Dockerfile carried out in folders: the same COPY, RUN, ENV and CMD lines, with this Python, without Docker.

Each stage is a folder of its own, so a file that a stage was not given is not there. What a path of the image is,
``/opt/longscribe``, is that path under the stage's folder.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

INSTRUCTIONS = ("ARG", "FROM", "ENV", "WORKDIR", "COPY", "RUN", "USER", "EXPOSE", "HEALTHCHECK", "CMD")


@dataclass
class Stage:
    """What a stage has come to."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)
    user: str = "0:0"
    health: str = ""
    command: list[str] = field(default_factory=list)

    def inside(self, word: str) -> str:
        """Return a word with the paths of the image in it led into the folder."""
        return re.sub(r"(^|[=:])(/(?:app|build|opt|models|tmp)\b)", rf"\1{self.folder}\2", word)

    def environment(self) -> dict[str, str]:
        """Return the variables that a process of it has."""
        own = {name: self.inside(value) for name, value in self.variables.items()}
        return {"PATH": os.environ["PATH"], "PYTHON": sys.executable, **own, **self.arguments}


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield each instruction and its words."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, words = line.partition(" ")
            assert name in INSTRUCTIONS, name
            yield name, words.strip()


def carried_out(
    dockerfile: Path, context: Path, folder: Path, arguments: Mapping[str, str], without: frozenset[str]
) -> dict[str, Stage]:
    """Carry all stages out under ``folder``; commands are given no word whose file name is in ``without``."""
    stages: dict[str, Stage] = {}
    stage = Stage(folder)
    for name, words in instructions(dockerfile.read_text(encoding="utf-8")):
        if name == "FROM":
            source, _, called = words.partition(" AS ")
            stage = _begun(stages.get(source), folder / called)
            stages[called] = stage
        elif name == "ENV":
            stage.variables.update(pair.split("=", 1) for pair in shlex.split(words))
        elif name == "ARG":
            key, _, value = words.partition("=")
            stage.arguments[key] = arguments.get(key, value)
        elif name == "COPY":
            _copy(words, stage, stages, context)
        elif name == "RUN":
            _run(words, stage, without)
        elif name == "USER":
            stage.user = words
        elif name == "HEALTHCHECK":
            stage.health = words
        elif name == "CMD":
            stage.command = json.loads(words)
    return stages


def _begun(parent: Stage | None, folder: Path) -> Stage:
    folder.mkdir(parents=True)
    if parent is None:
        return Stage(folder)
    _take(parent.folder, folder)
    return Stage(folder, dict(parent.variables))


def _copy(words: str, stage: Stage, stages: Mapping[str, Stage], context: Path) -> None:
    *sources, target = words.split()
    root = context
    if sources[0].startswith("--from="):
        root = stages[sources.pop(0).removeprefix("--from=")].folder
    for source in sources:
        found = root / source.lstrip("/")
        into = stage.folder / target.lstrip("/")
        if found.is_dir():
            _take(found, into)
        else:
            into = into / found.name if target.endswith("/") else into
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(found, into)


def _take(source: Path, target: Path) -> None:
    """Copy a tree; files that nobody changes are linked."""
    shutil.copytree(source, target, symlinks=True, copy_function=os.link, dirs_exist_ok=True)


def _run(words: str, stage: Stage, without: frozenset[str]) -> None:
    parts = [os.path.expandvars(part) for part in shlex.split(words)]
    variables = stage.environment()
    parts = [re.sub(r"\$(\w+)", lambda found: variables[found.group(1)], part) for part in parts]
    kept = [stage.inside(part) for part in parts if Path(part).name not in without]
    subprocess.run(["env", *kept], env=variables, cwd=stage.folder, check=True)
