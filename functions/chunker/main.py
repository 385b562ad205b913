"""The chunker function: an upload's event in, chunks out; see ``longscribe.services.chunking``."""

from functools import cache

import functions_framework
from cloudevents.http import CloudEvent

from longscribe import wiring_cloud

service = cache(wiring_cloud.chunking)


@functions_framework.cloud_event
def chunker(event: CloudEvent) -> None:
    """Take one event of the uploads bucket."""
    service().take(event)
