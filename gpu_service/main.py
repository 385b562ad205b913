"""The GPU worker: chunks leased from Pub/Sub in, results out; see ``longscribe.services.working``."""

import os
import sys

from longscribe import wiring_cloud
from longscribe.errors import LongscribeError
from longscribe.services.working import serve


def main() -> int:
    """Work until stopped; return the exit code."""
    try:
        return serve(wiring_cloud.working(), wiring_cloud.environment(os.environ).health_port)
    except LongscribeError as error:  # of the deployment: nothing has been heard yet
        sys.stderr.write(f"longscribe: {error}\n")
        return 1


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # at once: a thread that is stuck would be waited for
