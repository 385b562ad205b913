"""The reconciler function: for a timer and a recording's first chunk; see ``longscribe.services.reconciling``."""

from functools import cache

import flask
import functions_framework

from longscribe import wiring_cloud

service = cache(wiring_cloud.reconciling)


@functions_framework.http
def reconciler(_: flask.Request) -> str:
    """Look at every job that is not at rest."""
    service().tick()
    return "OK"
