"""Linux's Landlock: a process that gives up the file system, the network and signals to others for good.

The limits of `child.confine` keep a child from opening anything; but to delete, rename or truncate a file by its
name, and to end another process, takes no open file. Where the kernel has no Landlock (Linux before 5.13, macOS),
what is left is the user's own rights; as root the child becomes nobody.
"""

import ctypes
import os
import struct
import sys

_CREATE_RULESET, _RESTRICT_SELF = 444, 446
"""System calls, of these numbers on every architecture (include/uapi/asm-generic/unistd.h)."""

_VERSION = 1
"""A flag: asks which version of the interface the kernel has."""

_NO_NEW_PRIVILEGES = 38
"""For prctl(2): no program started from here may gain rights, which Landlock asks for."""

_FILES = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many rights on files there are since each version (include/uapi/linux/landlock.h)."""

_NETWORK = 4, 2
"""Since this version there are so many rights on TCP: to bind, to connect."""

_SCOPES = 6, 2
"""Since this version processes outside can be cut off: from abstract sockets, from signals."""


def give_up() -> bool:
    """Give up every right that the kernel lets one give up; return whether it does."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)
    if version < 1:
        return False
    files = max(count for since, count in _FILES.items() if since <= version)
    rights = [(1 << files) - 1]
    rights += [(1 << count) - 1 for since, count in (_NETWORK, _SCOPES) if since <= version]
    attributes = struct.pack(f"={len(rights)}Q", *rights)
    ruleset = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        return False
    try:
        if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) < 0:
            return False
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)
