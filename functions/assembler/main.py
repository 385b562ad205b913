"""The assembler function: pushed results in, transcripts out; see ``longscribe.services.assembling``."""

from functools import cache

import functions_framework
from cloudevents.http import CloudEvent

from longscribe import wiring_cloud

service = cache(wiring_cloud.assembling)


@functions_framework.cloud_event
def assembler(event: CloudEvent) -> None:
    """Take one pushed message."""
    service().take(event)
