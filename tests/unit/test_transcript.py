import json
import re
from pathlib import Path

import msgspec
import pytest

from longscribe.core import transcript as types
from longscribe.core.rendering import render
from longscribe.core.transcript import Transcript, milliseconds, seconds

DOCS = Path(__file__).parents[2] / "docs"
STRUCTS = [
    value for value in vars(types).values() if isinstance(value, type) and issubclass(value, msgspec.Struct)
]  # Settings and everything defined here
PAGE = (DOCS / "transcript.md").read_text("utf-8")


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__name__)
def test_the_page_tells_of_every_member(kind):
    heading = "Transcript" if kind is Transcript else kind.__name__
    section = re.search(rf"^## {heading}\b.*?(?=^## |\Z)", PAGE, re.M | re.S)
    assert section, f"docs/transcript.md has no section {heading}"
    listed = re.findall(r"^\| `(\w+)` \|", section.group(), re.M)
    assert listed == [field.name for field in msgspec.structs.fields(kind)]


@pytest.mark.parametrize(
    "kind", [types.Status, types.Kind, types.Guard, types.Reason], ids=lambda kind: kind.__name__
)
def test_the_page_tells_of_every_value(kind):
    for value in kind:
        assert f"`{value}`" in PAGE


def test_the_example_is_a_transcript_as_it_is_written():
    (example,) = re.findall(r"^```json\n(.*?)^```$", PAGE, re.M | re.S)
    made = msgspec.json.decode(example, type=Transcript, strict=True)
    assert render(made, "json").decode() == example
    assert made.settings.word_times


def test_the_stored_schema_is_that_of_the_types():
    stored = json.loads((DOCS / "transcript.schema.json").read_text("utf-8"))
    assert stored == json.loads(msgspec.json.encode(msgspec.json.schema(Transcript))), (
        "Write it again: python -c 'import json, msgspec; from longscribe.core.transcript import Transcript;"
        " print(json.dumps(msgspec.json.schema(Transcript), indent=2))' > docs/transcript.schema.json"
    )


def test_times_are_to_the_millisecond():
    assert seconds(16_007) == 1.0
    assert seconds(16_024) == 1.002
    assert milliseconds(1.002) == 1002
    assert milliseconds(seconds(48 * 3600 * 16_000)) == 172_800_000
