"""Files that are no recordings, or more than one should swallow."""

import io
import os
import re
import socket
import struct
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from longscribe.adapters.media import child as media_child
from longscribe.adapters.media.processes import Child
from longscribe.adapters.media.wire import DEMUX_ARGUMENTS, Tag
from longscribe.core.limits import MAX_CHANNELS, MAX_RECORDING_SECONDS, MAX_SOURCE_RATE, MIN_SOURCE_RATE
from longscribe.errors import BadInput, OverLimit
from tests.hostile.recordings import babble, decode, encode, recording, stretches

FFCONCAT = b"ffconcat version 1.0\nfile '/etc/hostname'\n"
SDP = b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n"
HLS = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63606060000000040001f61738550000000049454e44ae426082"
)


def wav(
    rate: int = 16_000, channels: int = 1, bits: int = 16, data: bytes = bytes(3200), size: int | None = None
) -> bytes:
    size = len(data) if size is None else size
    align = channels * bits // 8
    fmt = struct.pack("<HHIIHH", 1, channels, rate, min(rate * align, 2**32 - 1), align, bits)
    return (
        b"RIFF"
        + struct.pack("<I", min(36 + size, 2**32 - 1))
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + fmt
        + b"data"
        + struct.pack("<I", size)
        + data
    )


def silent_video() -> bytes:
    blob = io.BytesIO()
    with av.open(blob, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=5)
        stream.width = stream.height = 32
        for number in range(3):
            frame = av.VideoFrame(32, 32, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 5)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return blob.getvalue()


REFUSED = {
    "ffconcat": FFCONCAT,
    "sdp": SDP,
    "hls": HLS,
    "text": b"Dear diary, nothing happened today.\n" * 50,
    "png": PNG,
    "html": b"<!DOCTYPE html><html><body><audio src='file:///etc/passwd'></audio></body></html>",
    "zip": b"PK\x03\x04" + bytes(500),
    "zeros": bytes(100_000),
    "one byte": b"\x00",
    "noise": np.random.default_rng(5).bytes(50_000),
    "wav header": wav(data=b""),
    "riff only": b"RIFF\x24\x00\x00\x00WAVE",
    "flac header": recording("flac", 5)[:60],
    "mp3 tag": b"ID3\x04\x00\x00\x00\x00\x0f\x76" + bytes(2038),
    "m4a without its end": recording("m4a", 5)[:-2000],
    "ogg header": recording("opus", 5)[:60],
    "video only": silent_video(),
    "dash": b"<?xml version='1.0'?><MPD><Period><BaseURL>file:///etc/passwd</BaseURL></Period></MPD>",
    "subtitles": b"1\n00:00:00,000 --> 00:00:02,000\nHello\n",
    "lavfi": b"sine=frequency=1000:duration=5",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_recording_is_refused_with_a_sentence(name):
    began = time.monotonic()
    with pytest.raises(BadInput) as refusal:
        decode(REFUSED[name])
    assert time.monotonic() - began < 15
    assert re.fullmatch(r"[^\n]+[;,] [^\n]+\.", str(refusal.value))


def test_the_sentence_fits_the_fault():
    with pytest.raises(BadInput, match="no audio stream"):
        decode(REFUSED["video only"])
    with pytest.raises(BadInput, match="known format"):
        decode(FFCONCAT)
    with pytest.raises(BadInput, match="Nothing"):
        decode(wav(data=b""))


@pytest.mark.parametrize("rate", [2_000, 8_000, 16_000, 44_100, 192_000, 768_000])
def test_a_single_sample_is_a_recording(rate):
    samples, missing = decode(wav(rate=rate, data=bytes(2)))
    assert len(samples) >= 1
    assert missing == []


def test_frames_that_never_decode_are_bad_input():
    data = bytearray(recording("m4a", 5))
    start = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    data[start:end] = bytes(end - start)
    with pytest.raises(BadInput, match="Nothing"):
        decode(bytes(data))


@pytest.mark.parametrize(
    ("data", "accepted"),
    [
        (wav(rate=1), False),
        (wav(rate=MIN_SOURCE_RATE - 1), False),
        (wav(rate=MIN_SOURCE_RATE), True),
        (wav(rate=MAX_SOURCE_RATE), True),
        (wav(rate=MAX_SOURCE_RATE + 1), False),
        (wav(channels=MAX_CHANNELS), True),
        (wav(channels=MAX_CHANNELS + 1), False),
        (wav(channels=1000), False),
    ],
)
def test_rates_and_channels_have_bounds(data, accepted):
    if accepted:
        assert len(decode(data)[0])
    else:
        with pytest.raises(OverLimit):
            decode(data)


def flac_claiming(seconds: int) -> bytes:
    """A short FLAC whose header claims another length; 36 bits from bit 108 of STREAMINFO."""
    data = bytearray(encode(babble(2, 16_000), "flac", "flac", 16_000))
    at = 8 + 13
    value = int.from_bytes(data[at : at + 5], "big") >> 36 << 36 | seconds * 16_000
    data[at : at + 5] = value.to_bytes(5, "big")
    return bytes(data)


def test_the_duration_has_a_bound():
    with pytest.raises(OverLimit, match=f"{MAX_RECORDING_SECONDS:,}"):
        decode(flac_claiming(MAX_RECORDING_SECONDS + 1))
    assert len(decode(flac_claiming(MAX_RECORDING_SECONDS))[0]) == 2 * 16_000


def test_silence_by_the_hour_takes_no_memory():
    hours = encode(np.zeros(3600 * 16_000, np.int16), "flac", "flac", 16_000, None)
    parts = stretches(hours, 2, each=lambda part: None)
    assert sum(len(part.samples) for part in parts) == 3600 * 16_000
    assert not any(part.samples.any() for part in parts)


def attempts(send: int) -> None:
    """In a confined child: try what decoding needs not, and report what worked."""
    worked = []
    media_child.decoding.warm_up()
    media_child.confine()
    for name, attempt in {
        "file": lambda: Path("/etc/hostname").read_bytes(),
        "write": lambda: Path("/tmp/longscribe-escape").write_bytes(b"x"),  # noqa: S108
        "socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
        "unix socket": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
        "pipe": os.pipe,
        "duplicate": lambda: os.dup(0),
        "program": lambda: os.posix_spawn("/bin/true", ["true"], {}) and os.waitpid(-1, 0)[1] and 1 / 0,
        "memory": lambda: bytearray(2 * 2**30),
        "limits": lambda: media_child.resource.setrlimit(media_child.resource.RLIMIT_CORE, (1, 1)),
    }.items():
        try:
            attempt()
        except (OSError, MemoryError, ValueError, ZeroDivisionError):
            continue
        worked.append(name)
    os.write(send, ",".join(worked).encode() or b"nothing")


def test_a_confined_child_can_open_nothing():
    receive, send = os.pipe()
    child = os.fork()
    if not child:
        try:
            attempts(send)
        finally:
            os._exit(0)
    os.close(send)
    os.waitpid(child, 0)
    told = os.read(receive, 1000).decode()
    os.close(receive)
    assert told == "nothing"


def test_children_are_started_bare(monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/secret.json")
    child = Child()
    try:
        environment = Path(f"/proc/{child.pid}/environ").read_bytes()
        assert b"secret" not in environment
        assert {entry.split(b"=")[0] for entry in environment.split(b"\0") if entry} <= {
            b"PYTHONPATH",
            b"PYTHONDONTWRITEBYTECODE",
        }
        child.send(Tag.DEMUX, DEMUX_ARGUMENTS.pack(10, 0))
        assert child.receive()[0] is Tag.READ  # it has confined itself by now
        limits = Path(f"/proc/{child.pid}/limits").read_text()
        assert re.search(r"Max open files\s+0\s+0", limits)
        assert re.search(r"Max core file size\s+0\s+0", limits)
        assert len(list(Path(f"/proc/{child.pid}/fd").iterdir())) == 3
    finally:
        child.close()


def test_a_reader_of_nothing_useful_cannot_hang(monkeypatch):
    monkeypatch.setattr("longscribe.adapters.media.processes.PATIENCE_SECONDS", 2.0)
    began = time.monotonic()
    with pytest.raises(BadInput):
        decode(bytes(3_000_000) + recording("wav", 5))
    assert time.monotonic() - began < 20


def test_mutated_files_end_in_samples_or_bad_input():
    random = np.random.default_rng(int(os.environ.get("LONGSCRIBE_SEED", "7")))
    for kind in ("wav", "flac", "mp3", "m4a", "aac", "mka", "ogg", "opus"):
        original = recording(kind, 5)
        for _ in range(3):
            data = bytearray(original)
            for _ in range(random.integers(1, 30)):
                place = random.integers(0, len(data)) if random.random() < 0.7 else random.integers(0, 400)
                data[place] = random.integers(0, 256)
            try:
                samples, missing = decode(bytes(data))
            except BadInput:
                continue
            assert all(0 <= loss.start < loss.end <= len(samples) for loss in missing)
            assert len(samples) < 60 * 16_000 or missing, sys.getsizeof(data)
