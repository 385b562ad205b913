import ctypes
import subprocess
import sys

import pytest

from longscribe.adapters.memory import keep_memory, return_memory

KEEPS = r"""
import re
import resource
from pathlib import Path
from longscribe.adapters.memory import keep_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray(b"x") * (80 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

assert faults() > 10_000
keep_memory()
faults()
assert faults() < 100
heaps = re.findall(r"\[heap\].*?^VmFlags: (.*?)$", Path("/proc/self/smaps").read_text(), re.S | re.M)
assert any("hg" in flags.split() for flags in heaps)
"""


def test_memory_is_kept_and_in_huge_pages():
    """In a process of its own: it is for good."""
    subprocess.run([sys.executable, "-c", KEEPS], check=True)


HOLDS = r"""
import os
import sys
from pathlib import Path
from longscribe.adapters.memory import return_memory

if "return" in sys.argv:
    return_memory()
bytearray(b"x") * (24 << 20)  # from here on glibc keeps blocks as large as this
large = [bytearray(b"x") * (4 << 20) for _ in range(9)]
behind = bytes(1 << 17)  # holds the heap's end where it is
del large
print(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
"""


def test_large_blocks_are_given_back():
    """In processes of their own: it is for good."""

    def held(*arguments):
        return int(subprocess.check_output([sys.executable, "-c", HOLDS, *arguments]))

    assert held() - held("return") > 30 << 20


@pytest.mark.parametrize("policy", [keep_memory, return_memory])
def test_other_c_libraries_are_left_alone(monkeypatch, policy):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    policy()
