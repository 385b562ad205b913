"""Damaged files of the rarer kinds, and headers, tags and joints; `tests/hostile/test_damage.py` has the others."""

import numpy as np
import pytest

from longscribe.core.limits import SAMPLE_RATE
from longscribe.errors import BadInput
from tests.hostile.recordings import decode, recording

BLOCK = SAMPLE_RATE // 10
MILLISECOND = SAMPLE_RATE // 1000  # Matroska's clock tells no less
KINDS = ["alac", "mka", "ogg"]


def silently_lost(samples: np.ndarray, missing: list, whole: np.ndarray) -> float:
    """Return the seconds of ``whole`` that are neither at their place in ``samples`` nor named as missing."""
    lost = 0
    for start in range(0, len(whole) - BLOCK, BLOCK):
        if any(loss.start - BLOCK < start + BLOCK and start < loss.end + BLOCK for loss in missing):
            continue
        true = whole[start : start + BLOCK].astype(float)
        shifts = range(max(0, start - MILLISECOND), min(start + MILLISECOND, len(samples) - BLOCK) + 1, 2)
        if not any(np.corrcoef(samples[at : at + BLOCK].astype(float), true)[0, 1] > 0.5 for at in shifts):
            lost += BLOCK
    return lost / SAMPLE_RATE


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", ["5 % noise", "three places"])
def test_overwritten_bytes_cost_what_is_named_and_no_more(kind, damage):
    whole, _ = decode(recording(kind))
    data = bytearray(recording(kind))
    size = len(data)
    random = np.random.default_rng(1)
    places = [size // 2] if damage != "three places" else [size // 4, size // 2, size * 3 // 4]
    length = 64 if damage == "three places" else size // 20
    for place in places:
        data[place : place + length] = random.bytes(length)
    samples, missing = decode(bytes(data))
    assert abs(len(samples) - len(whole)) <= SAMPLE_RATE // 2
    assert silently_lost(samples, missing, whole) <= 0.5
    assert sum(loss.end - loss.start for loss in missing) < 12 * SAMPLE_RATE
    for loss in missing:
        assert not samples[loss.start : loss.end].any()


@pytest.mark.parametrize("kind", ["aiff", "mka"])
@pytest.mark.parametrize("share", [0.3, 0.77])
def test_a_file_that_knows_its_length_names_what_was_cut_off(kind, share):
    whole, _ = decode(recording(kind))
    data = recording(kind)
    samples, missing = decode(data[: int(len(data) * share)])
    assert abs(len(samples) - len(whole)) <= SAMPLE_RATE // 2
    assert silently_lost(samples, missing, whole) <= 0.5
    assert missing[-1].end == len(samples)


@pytest.mark.parametrize("kind", ["ogg"])
def test_a_file_that_does_not_know_its_length_still_says_that_it_was_cut_off(kind):
    whole, _ = decode(recording(kind))
    data = recording(kind)
    samples, missing = decode(data[: int(len(data) * 0.6)])
    assert len(samples) < len(whole)
    assert silently_lost(samples, missing, whole[: len(samples)]) <= 0.5
    assert missing[-1].end == len(samples)
    assert "cut off" in missing[-1].reason


@pytest.mark.parametrize("kind", ["m4a", "alac"])
def test_a_file_cut_off_before_its_index_is_bad_input(kind):
    with pytest.raises(BadInput, match="whole"):
        decode(recording(kind)[: len(recording(kind)) // 2])


def with_index_in_front(data: bytes) -> bytes:
    """Move an MP4's index to the front; the samples' places that it holds, 4 bytes each, move back by that."""
    boxes, at = {}, 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        boxes[data[at + 4 : at + 8]] = data[at : at + size]
        at += size
    index = bytearray(boxes[b"moov"])
    table = index.index(b"stco") + 8
    for number in range(int.from_bytes(index[table : table + 4], "big")):
        place = table + 4 + 4 * number
        moved = int.from_bytes(index[place : place + 4], "big") + len(index)
        index[place : place + 4] = moved.to_bytes(4, "big")
    return boxes.pop(b"ftyp") + bytes(index) + b"".join(box for kind, box in boxes.items() if kind != b"moov")


def test_an_m4a_with_its_index_in_front_names_what_was_cut_off():
    data = with_index_in_front(recording("m4a"))
    assert not decode(data)[1]
    samples, missing = decode(data[: len(data) // 2])
    assert abs(len(samples) - 20 * SAMPLE_RATE) < SAMPLE_RATE // 50
    assert missing[-1].end == len(samples)
    assert missing[-1].end - missing[-1].start > 8 * SAMPLE_RATE


def test_a_header_that_claims_too_much_invents_nothing():
    flac = bytearray(recording("flac"))
    at = 8 + 13  # 36 bits of sample count end STREAMINFO's first 18 bytes
    count = int.from_bytes(flac[at : at + 5], "big") & (1 << 36) - 1
    flac[at : at + 5] = (int.from_bytes(flac[at : at + 5], "big") + 2 * count).to_bytes(5, "big")
    wav = bytearray(recording("wav"))
    place = wav.index(b"data") + 4
    wav[place : place + 4] = (int.from_bytes(wav[place : place + 4], "little") * 3).to_bytes(4, "little")
    mka = bytearray(recording("mka"))
    place = mka.index(b"\x44\x89\x88") + 3
    mka[place : place + 8] = np.array(3600_000.0, ">f8").tobytes()
    for data in (flac, wav, mka):
        samples, missing = decode(bytes(data))
        assert abs(len(samples) - 20 * SAMPLE_RATE) < SAMPLE_RATE // 20
        assert not missing


def test_tags_inside_an_mp3_are_no_loss():
    one = recording("mp3")
    tag = b"ID3\x04\x00\x00" + bytes([0, 0, 20, 0]) + b"\xff\xfb\x90\x00" * 640
    end = b"TAG" + bytes(125)
    samples, missing = decode(tag + one + end)
    assert not missing
    assert abs(len(samples) - 20 * SAMPLE_RATE) < 100


def test_a_few_zeros_before_an_mp3_are_no_loss_and_many_are():
    frames = recording("mp3")
    frames = frames[frames.index(b"\xff\xfb", frames.index(b"Info")) :]  # without the frame that tells the length
    for zeros, lost in ((2_000, 0), (16_000, 2)):  # at 64 kbit/s
        samples, missing = decode(bytes(zeros) + frames)
        assert abs(len(samples) / SAMPLE_RATE - 20 - lost) < 0.2
        assert abs(sum(loss.end - loss.start for loss in missing) / SAMPLE_RATE - lost) < 0.2


def test_joined_files_keep_both_halves():
    for kind in ("mp3", "aac"):
        one = recording(kind)
        samples, _ = decode(one + one)
        assert abs(len(samples) - 40 * SAMPLE_RATE) < SAMPLE_RATE // 5
