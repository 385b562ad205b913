"""The command lines of a page or a script, and whether the programs know them."""

import functools
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

GLOBAL = {"help"}


def lines(page: str) -> Iterator[list[str]]:
    """Yield each command of a page's shell examples, in words, variables set before it left out."""
    for block in re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S):
        for line in block.splitlines():
            words = shlex.split(line)
            while words and re.match(r"[A-Z_a-z]+=", words[0]):
                words.pop(0)
            if words:
                yield words


@functools.cache
def gcloud_tree() -> Mapping[str, Any] | None:
    """Return every command and flag that gcloud knows, from its own table of completions; None without a gcloud."""
    gcloud = shutil.which("gcloud")
    root = os.environ.get("CLOUDSDK_ROOT") or (gcloud and Path(gcloud).resolve().parents[1])
    table = Path(root or "/nowhere") / "data" / "cli" / "gcloud_completions.py"
    if not table.is_file():
        return None
    spec = importlib.util.spec_from_file_location("gcloud_completions", table)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tree: Mapping[str, Any] = module.STATIC_COMPLETION_CLI_TREE
    return tree


def unknown_to_gcloud(words: list[str]) -> list[str]:
    """Return what gcloud does not know of a command line: a command, or flags."""
    tree = gcloud_tree()
    assert tree is not None
    node, known = tree, set(tree["flags"])
    rest = words[1:]
    while rest and rest[0] in node["commands"]:
        node = node["commands"][rest.pop(0)]
        known |= set(node["flags"])
    if node["commands"]:  # a group alone does nothing
        return [" ".join(words)]
    return [
        flag for flag in (word.partition("=")[0] for word in rest) if flag.startswith("--") and flag not in known
    ]


@functools.cache
def kubectl_help(command: str) -> str:
    """Return what kubectl tells of a command."""
    done = subprocess.run(["kubectl", *command.split(), "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, command
    return done.stdout


def unknown_to_kubectl(words: list[str]) -> list[str]:
    """Return the flags that kubectl's help of the command does not name."""
    command = " ".join(words[1:3]) if words[1:3] in (["create", "job"], ["set", "env"]) else words[1]
    shown = (
        kubectl_help(command)
        + subprocess.run(["kubectl", "options"], capture_output=True, text=True, check=True).stdout
    )
    flags = [word.partition("=")[0] for word in words if word.startswith("-")]
    return [flag for flag in flags if not re.search(rf"^\s+(-\w, )?{re.escape(flag)}\b", shown, re.M)]
