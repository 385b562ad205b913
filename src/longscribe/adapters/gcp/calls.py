"""What all calls to Google Cloud share: how long they are tried again, and what their errors become."""

from collections.abc import Iterator
from contextlib import contextmanager

import requests
from google.api_core import exceptions as api
from google.api_core.retry import Retry, if_exception_type
from google.auth import exceptions as auth
from google.cloud.storage.exceptions import DataCorruption

from longscribe.errors import Busy, LongscribeError, Misconfigured, Permanent, Transient

TRIES_SECONDS = 60.0
"""How long a call is tried again: well below the 540 s after which a function is stopped."""

RETRY = Retry(
    predicate=if_exception_type(
        api.Aborted,
        api.DeadlineExceeded,
        api.InternalServerError,
        api.ResourceExhausted,
        api.ServiceUnavailable,
        api.Unknown,
    ),
    initial=0.1,
    maximum=5.0,
    timeout=TRIES_SECONDS,
)
"""For calls over gRPC that may be made twice."""

ONCE = Retry(predicate=if_exception_type())
"""For a call that its caller makes again."""

_LOG_IN = "log in with `gcloud auth application-default login`"

_LATER = (
    api.RetryError,
    api.ServerError,
    api.TooManyRequests,
    api.Cancelled,
    auth.TransportError,
    auth.TimeoutError,
    requests.RequestException,
    DataCorruption,  # the checksum did not fit: bytes were damaged on the way
)


@contextmanager
def told(what: str, right: str) -> Iterator[None]:
    """Turn Google's errors into ours; ``what`` is the resource, ``right`` the permission it takes.

    Raises `Misconfigured` for what is not there or where the identity may not, `Busy` where another change is under
    way, `Transient` for failures that were tried again in vain, `Permanent` for the rest.
    """
    try:
        yield
    except (api.GoogleAPIError, auth.GoogleAuthError, requests.RequestException, DataCorruption) as error:
        raise _translated(error, what, right) from error


def _translated(error: Exception, what: str, right: str) -> LongscribeError:
    kind = type(error).__name__
    if isinstance(error, api.NotFound):
        return Misconfigured(f"{what} is not there; check its name and project, or apply the deployment again.")
    if isinstance(error, api.Forbidden):
        return Misconfigured(f"{what} may not be used by this identity; grant it {right}.")
    if isinstance(error, api.Unauthorized | auth.DefaultCredentialsError):
        return Misconfigured(f"{what} needs credentials; log in with `gcloud auth application-default login`.")
    if isinstance(error, auth.RefreshError) and not error.retryable:
        return Misconfigured(
            f"{what} refused the credentials; log in with `gcloud auth application-default login`."
        )
    if isinstance(error, api.Conflict):  # Aborted is one
        return Busy(f"{what} is being changed by another; try again.")
    if isinstance(error, _LATER) or getattr(error, "retryable", False):
        return Transient(f"{what} cannot be reached ({kind}); try again, and check the service's status.")
    return Permanent(f"{what} refused the call ({kind}); check that longscribe's deployment is of its version.")
