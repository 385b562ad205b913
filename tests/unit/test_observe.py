"""Structured logs hold ids, counts and kinds, never content."""

import io
import json

from longscribe.errors import BadInput
from longscribe.observe import Fields, Log, Severity

CANARY = "canary-7f3a"


def logged(stream: io.StringIO) -> dict[str, object]:
    (line,) = stream.getvalue().splitlines()
    return json.loads(line)


def test_a_line_is_one_object_with_its_time_and_severity() -> None:
    stream = io.StringIO()
    Log("worker", lambda: 1_790_000_000.5, stream)("A chunk was done", job="abc", chunk=3, seconds=1.5)
    assert logged(stream) == {
        "severity": "INFO",
        "time": "2026-09-21T14:13:20.500+00:00",
        "component": "worker",
        "message": "A chunk was done",
        "job": "abc",
        "chunk": 3,
        "seconds": 1.5,
    }


def test_what_is_not_on_the_list_is_left_out() -> None:
    stream = io.StringIO()
    Log("worker", lambda: 0.0, stream)("A chunk was done", job="abc", name=CANARY)
    assert "name" not in Fields.__annotations__
    assert logged(stream)["job"] == "abc"
    assert CANARY not in stream.getvalue()


def test_of_an_error_its_kind_and_place_are_logged_and_not_its_words() -> None:
    stream = io.StringIO()
    try:
        raise BadInput(f"Unknown language {CANARY!r}.")
    except BadInput as error:
        Log("chunker", lambda: 0.0, stream).failure("It failed", error, Severity.ERROR, job="abc")
    line = logged(stream)
    assert (line["severity"], line["error"], line["job"]) == ("ERROR", "BadInput", "abc")
    assert str(line["where"]).startswith("test_observe:")
    assert CANARY not in stream.getvalue()


def test_an_error_that_was_never_raised_has_no_place() -> None:
    stream = io.StringIO()
    Log("chunker", lambda: 0.0, stream).failure("It failed", BadInput("x"))
    assert logged(stream)["where"] == "unknown"
