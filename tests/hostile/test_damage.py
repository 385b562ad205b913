"""Damaged files: every 10 ms is decoded in its place, or lies in what is named missing, or the file is refused."""

import re

import pytest

from longscribe.core.limits import SAMPLE_RATE
from longscribe.errors import BadInput
from tests.hostile.damaged import CASES, DAMAGES, FORMATS, account, damaged, whole
from tests.hostile.recordings import decode

SILENTLY = 0.5
"""Seconds that may be lost without being named: the promise."""

WRONGLY = 0.5
"""Seconds that may be named though they are there, beside what one damaged byte costs in each place."""

REFUSED = {
    *((kind, "start lost") for kind in FORMATS if kind not in ("mp3", "aac")),  # their frames describe themselves
    *((kind, "index lost") for kind in ("m4a", "mp4", "fragments")),
    *(("m4a", damage) for damage in DAMAGES if damage.startswith(("truncated", "last frame"))),  # its index is last
}

KNOW_THEIR_LENGTH = ("mp3", "flac", "wav", "webm", "mp4")


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_whole_is_decoded_whole(kind: str) -> None:
    one = damaged(kind, whole(kind))
    found = account(one, *decode(one.data))
    assert (found.named, found.wrongly) == (0, 0)
    assert found.silent <= 0.02


@pytest.mark.parametrize(("kind", "damage"), [case for case in CASES if case not in REFUSED])
def test_nothing_is_lost_in_silence_and_little_is_called_missing(kind: str, damage: str) -> None:
    one = DAMAGES[damage](kind)
    samples, missing = decode(one.data)
    found = account(one, samples, missing)
    assert found.silent <= SILENTLY
    joined = damage == "two files joined" and kind in ("m4a", "mp4")  # their second index is not read
    assert found.wrongly <= WRONGLY + FORMATS[kind].grain * one.places + 20 * joined
    if damage == "2 s of frames lost" and kind != "aac":  # neither times nor length: its frames leave no trace
        assert found.named >= one.gone - SILENTLY
    bounds = [bound for loss in missing for bound in (loss.start, loss.end)]
    assert bounds == sorted(bounds)
    assert not any(samples[loss.start : loss.end].any() for loss in missing)
    if damage.startswith("truncated"):
        assert missing[-1].end == len(samples)
        assert "cut off" in missing[-1].reason
        if kind in KNOW_THEIR_LENGTH:
            assert abs(len(samples) - len(one.original)) < SAMPLE_RATE // 20


@pytest.mark.parametrize(("kind", "damage"), sorted(REFUSED))
def test_what_cannot_be_decoded_is_refused_with_a_sentence(kind: str, damage: str) -> None:
    with pytest.raises(BadInput) as refusal:
        decode(DAMAGES[damage](kind).data)
    assert re.fullmatch(r"[^\n]+[;,] [^\n]+\.", str(refusal.value))
