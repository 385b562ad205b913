"""The assembler function: pushed results in, transcripts out. All it does is in ``longscribe.services.assembling``."""

from functools import cache

import functions_framework
from cloudevents.http import CloudEvent

from longscribe import wiring
from longscribe.services.assembling import Assembling

service = cache(wiring.assembling)


@functions_framework.cloud_event
def assembler(event: CloudEvent) -> None:
    """Take one pushed message."""
    service().take(event)
