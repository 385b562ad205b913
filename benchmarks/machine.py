"""Print what the figures were taken on, as JSON: ``python -m benchmarks.machine``."""

import json
import os
import platform
import shutil
import subprocess
from pathlib import Path

from benchmarks.figures import today


def processor() -> str:
    """Return the processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def gpu() -> dict[str, str]:
    """Return the first GPU's name, memory and driver as NVIDIA's tool tells them; nothing where it is not there."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return {}
    command = [tool, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[0]
    return dict(zip(("gpu", "gpu_memory", "driver"), told.split(", "), strict=True))


if __name__ == "__main__":
    print(json.dumps({"date": today(), "cores": len(os.sched_getaffinity(0)), "processor": processor()}, indent=1))
