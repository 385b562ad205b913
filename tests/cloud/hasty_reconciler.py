"""The reconciler function with bounds of seconds instead of minutes; the first is longer than the tests' leases."""

from functools import cache

import flask
import functions_framework

from longscribe.core import limits

limits.LOST_SECONDS = 12.0
limits.SETTLE_SECONDS = 4.0
limits.REPLAY_SECONDS = 5.0
limits.CHUNKER_SECONDS = 15.0
limits.MISSED_SECONDS = 5.0

from longscribe import wiring_cloud  # noqa: E402 -- it reads the bounds

service = cache(wiring_cloud.reconciling)


@functions_framework.http
def reconciler(_: flask.Request) -> str:
    """Take one round."""
    service().tick()
    return "OK"
