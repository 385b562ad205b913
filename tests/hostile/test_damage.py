"""Damaged files: every 10 ms is decoded in its place, or lies in what is named missing, or the file is refused."""

import io
import re
from collections.abc import Callable, Iterable
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
import pytest

from longscribe.core.limits import SAMPLE_RATE
from longscribe.errors import BadInput
from tests.hostile.crafted import matroska
from tests.hostile.damaged import (
    CASES,
    DAMAGES,
    FORMATS,
    Damaged,
    account,
    damaged,
    noise,
    overwritten,
    packets,
    sound,
    whole,
)
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
def test_nothing_is_lost_in_silence_and_little_is_called_missing(
    kind: str, damage: str, record_property: Callable[[str, object], None]
) -> None:
    one = DAMAGES[damage](kind)
    samples, missing = decode(one.data)
    found = account(one, samples, missing)
    assert found.silent <= SILENTLY
    record_property("damaged files decoded", 1)
    record_property("most formats", len(FORMATS))
    record_property("most seconds lost in silence in a file", found.silent)
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
def test_what_cannot_be_decoded_is_refused_with_a_sentence(
    kind: str, damage: str, record_property: Callable[[str, object], None]
) -> None:
    record_property("damaged files refused", 1)
    with pytest.raises(BadInput) as refusal:
        decode(DAMAGES[damage](kind).data)
    assert re.fullmatch(r"[^\n]+[;,] [^\n]+\.", str(refusal.value))


@pytest.mark.parametrize("kind", ["flac", "ogg", "opus", "webm"])
def test_a_start_overwritten_with_rubbish_is_missing_too(kind: str) -> None:
    one = overwritten(kind, [(packets(kind)[0].first, 20_000)], with_zeros=False)
    found = account(one, *decode(one.data))
    assert found.silent <= SILENTLY
    assert found.wrongly <= WRONGLY + FORMATS[kind].grain


def opus_packets(wave: npt.NDArray[np.int16], milliseconds: int) -> list[tuple[bytes, int]]:
    """Return mono audio at 48 kHz as packets, each with its length in samples."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = 48_000, "mono", "s16", 48_000
    encoder.options = {"frame_duration": str(milliseconds)}
    frame = av.AudioFrame.from_ndarray(wave.reshape(1, -1), "s16", "mono")
    frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
    return [(bytes(packet), 48 * milliseconds) for one in (frame, None) for packet in encoder.encode(one)]


def muxed(container: str, packets: Iterable[tuple[bytes | None, int]]) -> bytes:
    """Return Opus packets, some of them left out, in a file."""
    blob = io.BytesIO()
    with av.open(blob, "w", format=container) as out:
        stream = out.add_stream("libopus", rate=48_000, layout="mono")
        at = -312  # what Opus decodes first and drops
        for data, length in packets:
            if data is not None:
                packet = av.Packet(data)
                packet.pts = packet.dts = at
                packet.duration, packet.time_base, packet.stream = length, Fraction(1, 48_000), stream
                out.mux(packet)
            at += length
    return blob.getvalue()


def quiet(packets: list[tuple[bytes, int]], first: int, last: int) -> list[tuple[bytes | None, int]]:
    """Let the sender fall silent between two packets: one of a byte, then none for 0.4 s, and so on (RFC 6716)."""
    found: list[tuple[bytes | None, int]] = list(packets)
    for number in range(first, last):
        data, length = packets[number]
        found[number] = (bytes([data[0] & 0xFC]) if (number - first) % 20 == 0 else None, length)
    return found


@pytest.mark.parametrize("lost", [False, True])
def test_a_sender_that_falls_silent_is_no_loss(lost: bool) -> None:
    wave, original = noise(0, 48_000).astype(np.int16), sound().copy()
    wave[3 * 48_000 : 6 * 48_000] = original[3 * SAMPLE_RATE : 6 * SAMPLE_RATE] = 0
    sent = quiet(opus_packets(wave, 20), 155, 295)
    if lost:
        sent[600:620] = [(None, length) for _, length in sent[600:620]]
    samples, missing = decode(muxed("webm", sent))
    one = Damaged(b"", original, np.ones(20 * 100, np.bool_))
    assert account(one, samples, missing).silent <= 0.05
    assert [round(loss.start / SAMPLE_RATE, 1) for loss in missing] == [12.0] * lost


@pytest.mark.parametrize("container", ["ogg", "webm"])
def test_packets_of_changing_length_stay_in_their_place(container: str) -> None:
    wave = noise(0, 48_000).astype(np.int16)
    lengths = {number: opus_packets(wave, number) for number in (10, 20, 60)}
    sent = []
    for second in range(20):  # a second of each in turn
        milliseconds = (10, 20, 60)[second % 3]
        first = -(-second * 1000 // 60) * 60, -(-(second + 1) * 1000 // 60) * 60
        sent += lengths[milliseconds][first[0] // milliseconds : first[1] // milliseconds]
    samples, missing = decode(muxed(container, sent))
    found = account(Damaged(b"", sound(), np.ones(20 * 100, np.bool_)), samples, missing)
    assert found.named <= 0.02
    assert found.silent <= 0.5  # a decoder takes a moment when the coding changes


def test_a_fragment_that_cannot_be_read_costs_itself_and_no_other() -> None:
    data = bytearray(whole("fragments"))
    fragments = [found.start() for found in re.finditer(b"moof", data)]
    for number in (0, 4):
        tracks = data.index(b"trun", fragments[number])
        data[tracks + 8 : tracks + 100] = b"\xff" * 92
    samples, missing = decode(bytes(data))
    found = account(damaged("fragments", bytes(data)), samples, missing)
    assert found.silent <= SILENTLY
    assert 3 < found.named < 5


def test_a_stream_of_another_codec_behind_the_first_is_named() -> None:
    samples, missing = decode(whole("opus") + whole("ogg", 1))
    both = np.concatenate([sound(), sound(1)])
    found = account(Damaged(b"", both, np.ones(40 * 100, np.bool_)), samples, missing)
    assert found.silent <= SILENTLY
    (lost,) = missing
    assert lost.start == pytest.approx(20 * SAMPLE_RATE, abs=SAMPLE_RATE // 10)
    assert lost.reason == "another recording is joined to it; split the file"


def test_a_gap_in_a_recording_that_does_not_know_its_length_is_named() -> None:
    samples, missing = decode(
        matroska.of(
            matroska.track(), matroska.cluster(matroska.SOUND), matroska.cluster(matroska.SOUND, time=5_000)
        )
    )
    (lost,) = missing
    assert (lost.start / SAMPLE_RATE, lost.end / SAMPLE_RATE) == (0.992, 5.0)
    assert samples[: lost.start].any()
    assert len(samples) == lost.end + lost.start
