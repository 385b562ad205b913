"""Cloud Monitoring, which has no emulator: the adapter against a server that speaks as it does."""

import json
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from longscribe.adapters.gcp.monitoring import METRIC, Monitoring
from longscribe.errors import LongscribeError, Misconfigured, Transient
from longscribe.wiring import SystemClock
from tests.cloud.proxies import HttpServer


class Service:
    """Answers with the series it is given."""

    def __init__(self) -> None:
        self.series: list[dict[str, object]] = []
        self.status = 200
        self.asked: list[dict[str, list[str]]] = []

    def answer(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        assert (method, urlsplit(path).path) == ("GET", "/v3/projects/p/timeSeries")
        self.asked.append(parse_qs(urlsplit(path).query))
        answer = {"timeSeries": self.series} if self.series else {}
        return self.status, {"Content-Type": "application/json"}, json.dumps(answer).encode()


def series(*counts: int) -> dict[str, object]:
    """The points of one subscription, the newest first; 64-bit numbers are written as text."""
    return {"points": [{"value": {"int64Value": str(count)}} for count in counts]}


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def monitoring(service: Service) -> Iterator[Monitoring]:
    with HttpServer(service.answer) as server, requests.Session() as session:
        yield Monitoring(session, "p", SystemClock(), server.url)


def test_the_newest_points_are_added_up(service: Service, monitoring: Monitoring) -> None:
    service.series = [series(7, 90), series(4), series()]
    assert monitoring.waiting(("high", "low")) == 11
    (asked,) = service.asked
    assert asked["filter"] == [
        f'metric.type = "{METRIC}" AND resource.labels.subscription_id = one_of("high", "low")'
    ]
    assert asked["interval.startTime"] < asked["interval.endTime"]


def test_nothing_measured_is_nothing(monitoring: Monitoring) -> None:
    assert monitoring.waiting(("high",)) == 0


@pytest.mark.parametrize(("status", "kind"), [(403, Misconfigured), (503, Transient)])
def test_refusals_are_told(
    service: Service, monitoring: Monitoring, status: int, kind: type[LongscribeError]
) -> None:
    service.status = status
    with pytest.raises(kind, match="Cloud Monitoring"):
        monitoring.waiting(("high",))
