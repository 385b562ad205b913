import functools
import io
import itertools
import os
import subprocess
import sys
import time
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from longscribe.adapters.media import pipeline
from longscribe.adapters.media.av_media import AvMedia
from longscribe.core.limits import GRID, MAX_RECORDING_BYTES, SAMPLE_RATE
from longscribe.errors import BadInput, Gone, OverLimit, Poison
from tests.hostile.recordings import FORMATS, babble, decode, encode, reader, recording, stretches

SEAM_SECONDS = 125  # one seam
LONG_SECONDS = 250  # two


@functools.cache
def long_recording(seconds: int = LONG_SECONDS) -> bytes:
    return encode(babble(seconds, 16_000), "flac", "flac", 16_000)


def click_offsets(samples: np.ndarray, seconds: int, late: int) -> np.ndarray:
    """Return how far each second's click is from where it was put, in samples at 16 kHz."""
    offsets = []
    for second in range(1, seconds):
        place = second * SAMPLE_RATE + late
        offsets.append(np.argmax(np.abs(samples[place - 20 : place + 20].astype(float))) - 20)
    return np.array(offsets)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_decoded_whole_and_in_time(kind):
    samples, missing = decode(recording(kind))
    assert not missing
    priming = (
        1024 * SAMPLE_RATE // 44_100 if kind == "aac" else 0
    )  # ADTS cannot say that its first frame is priming
    assert abs(len(samples) / SAMPLE_RATE - 20) < 0.04
    assert np.abs(click_offsets(samples, 20, priming)).max() < 12


@pytest.mark.parametrize("data", ["mp3", "m4a", "aac", "opus", "long"])
def test_the_samples_depend_neither_on_the_workers_nor_on_the_start(data):
    data = long_recording() if data == "long" else recording(data, SEAM_SECONDS)
    one = stretches(data, 1)
    assert [(part.start, len(part.samples)) for part in one[:1]] == [(0, GRID)]
    for other in (stretches(data, 2), stretches(data, 4)):
        assert [part.start for part in other] == [part.start for part in one]
        assert all(np.array_equal(a.samples, b.samples) for a, b in zip(one, other, strict=True))
    for first in range(1, len(one)):
        rest = stretches(data, 2, first * GRID)
        assert [part.start for part in rest] == [part.start for part in one[first:]]
        assert all(np.array_equal(a.samples, b.samples) for a, b in zip(one[first:], rest, strict=True))
    assert stretches(data, 1, 3 * GRID) == []


@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_seams_are_exact_to_the_sample_and_the_bit(kind):
    """One long resampling, without ranges, gives the same samples: lossless formats leave no excuse."""
    container, codec, rate = FORMATS[kind]
    audio = babble(SEAM_SECONDS, rate)
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    frame = av.AudioFrame.from_ndarray(audio.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = rate
    whole = np.concatenate([part.to_ndarray()[0] for one in (frame, None) for part in resampler.resample(one)])
    samples, missing = decode(encode(audio, container, codec, rate), 2)
    assert not missing
    assert len(samples) == SEAM_SECONDS * SAMPLE_RATE
    assert np.abs(samples.astype(int) - whole[: len(samples)]).max() <= 1


@pytest.mark.parametrize("kind", ["mp3", "m4a", "opus"])
def test_lossy_seams_match_a_plain_decoding(kind):
    data = recording(kind, SEAM_SECONDS)
    with av.open(io.BytesIO(data)) as plain:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
        parts = [part for frame in plain.decode(audio=0) for part in resampler.resample(frame)]
    whole = np.concatenate([part.to_ndarray()[0] for part in parts]).astype(float)
    samples, _ = decode(data, 2)
    near = slice(GRID - 800, GRID + 800)
    assert np.corrcoef(samples[near].astype(float), whole[near])[0, 1] > 0.999


def test_stereo_is_averaged():
    left = babble(2, 16_000).astype(float)
    both = np.stack([left, np.zeros_like(left)], axis=1).astype(np.int16)
    blob = io.BytesIO()
    with av.open(blob, "w", format="wav") as out:
        stream = out.add_stream("pcm_s16le", rate=16_000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(both.reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate = 16_000
        out.mux(stream.encode(frame))
    samples, _ = decode(blob.getvalue())
    assert np.abs(samples - left / 2).max() <= 1.5


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 32_000, 48_000, 96_000])
def test_any_rate_keeps_the_time(rate):
    samples, missing = decode(encode(babble(10, rate), "wav", "pcm_s16le", rate))
    assert len(samples) == 10 * SAMPLE_RATE
    assert not missing


@pytest.mark.parametrize("audio", [np.zeros(1, np.int16), np.zeros(160_000, np.int16), np.full(5, 100, np.int16)])
def test_a_sample_or_silence_is_a_result(audio):
    samples, missing = decode(encode(audio, "wav", "pcm_s16le", 16_000))
    assert np.array_equal(samples, audio)
    assert not missing


def test_the_first_range_does_not_wait_for_the_whole_file():
    head = encode(np.zeros(1, np.int16), "wav", "pcm_s16le", 16_000)[:-2]
    length = 10 * 3600 * 16_000 * 2
    head = head[:-4] + length.to_bytes(4, "little")
    reached = []

    def read(start: int, end: int) -> bytes:
        reached.append(end)
        return (head[start:] if start < len(head) else b"").ljust(end - start, b"\0")[: end - start]

    with AvMedia(1).decode(read, len(head) + length) as ranges:
        assert next(ranges).start == 0
        time.sleep(0.5)  # the rest must not be read while nobody asks for it
    assert max(reached) < 50 * 2**20


def test_chunks_survive_encoding():
    samples = babble(45, SAMPLE_RATE)
    media = AvMedia()
    assert np.array_equal(media.decode_chunk(media.encode(samples)), samples)
    assert len(media.decode_chunk(media.encode(samples[:1]))) == 1
    assert len(media.decode_chunk(media.encode(samples[:0]))) == 0


def test_unreadable_chunks_are_poison():
    media = AvMedia()
    whole = media.encode(babble(5, SAMPLE_RATE))
    for data in (b"", b"no audio", whole[:20], whole[:-2000], whole[:3000] + whole[60_000:]):
        with pytest.raises(Poison):
            media.decode_chunk(data)
    with pytest.raises(Poison):
        media.decode_chunk(encode(babble(1, 44_100), "flac", "flac", 44_100))


def test_bad_arguments():
    media = AvMedia()
    with pytest.raises(OverLimit):
        AvMedia(0)
    with pytest.raises(OverLimit):
        AvMedia(17)
    with pytest.raises(BadInput, match="empty"), media.decode(reader(b""), 0):
        pass
    with pytest.raises(OverLimit), media.decode(reader(b""), MAX_RECORDING_BYTES + 1):
        pass
    with pytest.raises(ValueError, match="multiple"), media.decode(reader(b"x"), 1, 7):
        pass


def test_what_the_reader_raises_comes_out():
    data = recording("wav")

    def vanishes(start: int, end: int) -> bytes:
        if start:
            raise Gone("overwritten")
        return data[start:end]

    with pytest.raises(Gone), AvMedia().decode(vanishes, len(data)) as ranges:
        list(ranges)


def test_a_slow_store_is_read_ahead():
    data = recording("flac", SEAM_SECONDS)

    def timed(latency: float) -> tuple[float, int]:
        reads = itertools.count()

        def read(start: int, end: int) -> bytes:
            next(reads)
            time.sleep(latency)
            return data[start:end]

        began = time.monotonic()
        with AvMedia(2).decode(read, len(data)) as ranges:
            list(ranges)
        return time.monotonic() - began, next(reads)

    _, reads = timed(0)
    assert reads < 12
    fast, slow = (min(timed(latency)[0] for _ in range(2)) for latency in (0, 0.1))
    assert slow - fast < 0.06 * reads  # they overlap: one after the other they would take 0.1 s each


@pytest.mark.parametrize("late", [False, True])
def test_a_lost_decoder_costs_its_range_and_no_more(monkeypatch, late):
    """Whether it dies before its range's first packet or ``late``, after the last."""
    data = long_recording()
    plain = stretches(data, 1)
    original = pipeline.decode_range

    def murderous(child, job):
        def receive():
            child.kill()
            raise pipeline.ChildLost("it ended with signal 9")

        if job.index == 1 and late:
            monkeypatch.setattr(child, "receive", receive)
        elif job.index == 1:
            child.kill()
        return original(child, job)

    monkeypatch.setattr(pipeline, "decode_range", murderous)
    parts = stretches(data, 2)
    assert [(part.start, len(part.samples)) for part in parts] == [
        (part.start, len(part.samples)) for part in plain
    ]
    assert [len(part.missing) for part in parts] == [0, 1, 0]
    assert (parts[1].missing[0].start, parts[1].missing[0].end) == (GRID, 2 * GRID)
    assert "signal 9" in parts[1].missing[0].reason
    assert np.array_equal(parts[2].samples, plain[2].samples)


def test_eight_channels_are_decoded_across_a_seam():
    sound = np.repeat(babble(130, 44_100), 8).reshape(1, -1)
    blob = io.BytesIO()
    with av.open(blob, "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=44_100, layout="7.1")
        frame = av.AudioFrame.from_ndarray(sound, format="s16", layout="7.1")
        frame.sample_rate, frame.pts, frame.time_base = 44_100, 0, Fraction(1, 44_100)
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    parts = stretches(blob.getvalue())
    assert [(part.start, part.missing) for part in parts] == [(0, ()), (GRID, ())]
    assert all(part.samples.any() for part in parts)


@pytest.mark.parametrize("deaths", [1, 2])
def test_a_lost_demuxer_is_started_again_once(monkeypatch, deaths):
    data = long_recording()
    plain = stretches(data, 1)
    original = pipeline.Pipeline._pass_on
    left = [deaths]

    def murderous(self, tag, payload):
        original(self, tag, payload)
        if self._index == 1 and self._job and left[0]:
            left[0] -= 1
            raise pipeline.ChildLost("it died")

    monkeypatch.setattr(pipeline.Pipeline, "_pass_on", murderous)
    parts = stretches(data, 2)
    assert sum(len(part.samples) for part in parts) == LONG_SECONDS * SAMPLE_RATE
    assert np.array_equal(parts[0].samples, plain[0].samples)
    if deaths == 1:
        assert all(np.array_equal(a.samples, b.samples) for a, b in zip(parts, plain, strict=True))
    else:
        assert [len(part.missing) for part in parts] == [0, 1, 1]


def children() -> list[str]:
    found = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # the thread has ended since
            found += (task / "children").read_text().split()
    return found


def interrupted(data: bytes) -> None:
    with AvMedia(2).decode(reader(data), len(data)) as ranges:
        next(ranges)
        raise KeyboardInterrupt


def test_leaving_ends_every_child():
    data = long_recording(2 * LONG_SECONDS)
    before = set(children())
    with AvMedia(3).decode(reader(data), len(data)) as ranges:
        next(ranges)
        assert set(children()) > before
    assert set(children()) == before
    with pytest.raises(KeyboardInterrupt):
        interrupted(data)
    assert set(children()) == before


def test_children_end_when_their_parent_is_killed(tmp_path):
    path = tmp_path / "long.flac"
    path.write_bytes(long_recording())
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom longscribe.adapters.media.av_media import AvMedia\n"
        f"data = Path({str(path)!r}).read_bytes()\n"
        "with AvMedia(2).decode(lambda s, e: data[s:e], len(data)) as ranges:\n"
        "    next(ranges)\n"
        "    pids = [p for t in Path('/proc/self/task').iterdir() for p in (t / 'children').read_text().split()]\n"
        "    print(*pids, flush=True)\n"
        "    time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    pids = parent.stdout.readline().split()
    assert len(pids) >= 1
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < deadline, "a child outlived its parent"
        time.sleep(0.05)


def _runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_media_leaves_no_descriptor_open():
    data = recording("wav")
    decode(data)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count, not paths
    for _ in range(3):
        decode(data)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
