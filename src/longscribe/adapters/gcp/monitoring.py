"""How many messages wait in subscriptions, as Cloud Monitoring measures it: some minutes late."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from google.api_core.exceptions import from_http_response
from requests import Session

from longscribe.adapters.gcp.calls import told
from longscribe.ports import Clock

ENDPOINT = "https://monitoring.googleapis.com"

METRIC = "pubsub.googleapis.com/subscription/num_undelivered_messages"
"""Sampled every 60 s; after sampling, data may take 120 s to be seen (Google's list of Pub/Sub metrics)."""

SPAN = timedelta(minutes=5)
"""How far to look back for the latest sample."""

CALL_SECONDS = 10.0


class Monitoring:
    """Reads the metrics of one project. ``session`` adds the service account's token."""

    def __init__(self, session: Session, project: str, clock: Clock, endpoint: str = ENDPOINT) -> None:
        self._session = session
        self._url = f"{endpoint}/v3/projects/{project}/timeSeries"
        self._clock = clock

    def waiting(self, subscriptions: Sequence[str]) -> int:
        """Return how many messages were not acknowledged yet when last sampled. Raises as `told` does."""
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        names = ", ".join(f'"{name}"' for name in subscriptions)
        query = {
            "filter": f'metric.type = "{METRIC}" AND resource.labels.subscription_id = one_of({names})',
            "interval.startTime": (now - SPAN).isoformat(),
            "interval.endTime": now.isoformat(),
        }
        with told("Cloud Monitoring", "roles/monitoring.viewer"):
            response = self._session.get(self._url, params=query, timeout=CALL_SECONDS)
            if not response.ok:
                raise from_http_response(response)  # type: ignore[no-untyped-call]
            series = response.json().get("timeSeries", [])
        # The newest point comes first.
        return sum(int(one["points"][0]["value"]["int64Value"]) for one in series if one.get("points"))
