"""Print what the figures were taken on, as JSON: ``python -m benchmarks.machine``."""

import datetime
import json
import os
import platform
from pathlib import Path


def processor() -> str:
    """Return the processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    print(json.dumps({"date": today, "cores": len(os.sched_getaffinity(0)), "processor": processor()}, indent=1))
