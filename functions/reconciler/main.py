"""The reconciler function: for a timer and a recording's first chunk; see ``longscribe.services.reconciling``."""

from functools import cache

import flask
import functions_framework

from longscribe import wiring_cloud

service = cache(wiring_cloud.reconciling)


@functions_framework.http
def reconciler(request: flask.Request) -> str:
    """Look at every job that is not at rest; at ``/wake`` see only that there is a worker."""
    if request.path == "/wake":
        service().wake()
    else:
        service().tick()
    return "OK"
