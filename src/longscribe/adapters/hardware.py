"""What the machine can do: device, quantisation, lanes and batch, chosen or checked before a model is loaded."""

import os
from dataclasses import dataclass
from pathlib import Path

import ctranslate2

from longscribe.errors import BadInput

CPU_TYPES = ("int8", "int8_float32", "float32")
GPU_TYPES = ("float16", "int8_float16", "bfloat16", "int8_bfloat16", "int8_float32", "float32")
"""By preference. A T4 (compute capability 7.5) does the first two; cards older than 7.0 only the last."""

CPU_BATCH = 4
"""Measured with base on two cores, processor seconds a window: 1.9 alone, 1.6 in 2, 1.46 in 4, 1.48 in 8. Small
batches are soon done: the first text comes earlier, and the lanes end together."""

GPU_BATCH = 16
"""The batch of the faster-whisper README's figures; halved when the memory does not suffice."""

GPU_LANES = 2
"""While one batch is on the GPU, the processor reads the words of the last and makes the features of the next."""

MAX_LANES = 8
"""Each lane holds a batch of its own in memory; on larger machines the lanes get more threads instead."""

_TOPOLOGY = Path("/sys/devices/system/cpu")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True)
class Hardware:
    """How to run a model on this machine."""

    device: str  #: ``cpu`` or ``cuda``
    compute_type: str  #: one of CTranslate2's
    lanes: int  #: calls side by side
    at_once: int  #: of them that compute at the same time
    threads: int  #: processor threads in each
    batch: int  #: windows in one call


def choose(compute_type: str = "auto", device: str = "auto") -> Hardware:
    """Return how to run a model here: on a GPU if there is one.

    Raises `BadInput` for a device that is not there or a compute type that it cannot do.
    """
    gpus = ctranslate2.get_cuda_device_count()
    if device == "auto":
        device = "cuda" if gpus else "cpu"
    if device == "cuda" and not gpus:
        raise BadInput("No GPU that CUDA can use was found; choose the device 'cpu' or 'auto'.")
    compute_type = _compute_type(device, compute_type)
    if device == "cuda":
        return Hardware(device, compute_type, GPU_LANES, at_once=1, threads=1, batch=GPU_BATCH)
    count = cores()
    lanes = min(count, MAX_LANES)
    return Hardware(device, compute_type, lanes, at_once=lanes, threads=count // lanes, batch=CPU_BATCH)


def _compute_type(device: str, wanted: str) -> str:
    supported = ctranslate2.get_supported_compute_types(device)
    if wanted == "auto":
        return next(kind for kind in (GPU_TYPES if device == "cuda" else CPU_TYPES) if kind in supported)
    if wanted not in supported:
        raise BadInput(
            f"This machine's {device} cannot compute in {wanted};"
            f" choose auto or one of {', '.join(sorted(supported))}."
        )
    return wanted


def cores(topology: Path = _TOPOLOGY, quota: Path = _QUOTA) -> int:
    """Return how many physical cores this process may keep busy, at least one.

    Two hardware threads of one core count once: they share the units that a speech model keeps busy.
    """
    available = os.sched_getaffinity(0)
    siblings = {_siblings(topology / f"cpu{number}", number) for number in available}
    return max(1, min(len(siblings), _limit(quota)))


def _siblings(cpu: Path, number: int) -> str:
    try:
        return (cpu / "topology" / "thread_siblings_list").read_text().strip()
    except OSError:  # not every kernel or container shows it
        return str(number)


def _limit(quota: Path) -> int:
    try:
        allowed, period = quota.read_text().split()
    except OSError:
        return len(os.sched_getaffinity(0))
    return len(os.sched_getaffinity(0)) if allowed == "max" else int(allowed) // int(period)
