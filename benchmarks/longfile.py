"""Make a long recording quickly: ten minutes of made speech, encoded once, its packets repeated for hours.

Run it as ``python -m benchmarks.longfile DIRECTORY [--hours 6.8] [--formats m4a,mp3,flac,wav,opus]``.
The same arguments give the same audio. It prints the files it wrote.
"""

import argparse
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

RATE = 44_100
UNIT_SECONDS = 600
FORMATS = {
    "m4a": ("ipod", "aac", RATE),
    "mp3": ("mp3", "libmp3lame", RATE),
    "flac": ("flac", "flac", RATE),
    "wav": ("wav", "pcm_s16le", RATE),
    "aac": ("adts", "aac", RATE),
    "opus": ("ogg", "libopus", 48_000),
    "webm": ("webm", "libopus", 48_000),
}
"""File ending → container, encoder, sample rate."""


def speechlike(seconds: int, rate: int, seed: int = 1) -> npt.NDArray[np.int16]:
    """Return stereo syllables with pauses between them, shape (samples, 2)."""
    random = np.random.default_rng(seed)
    audio = np.zeros((seconds * rate, 2), dtype=np.float32)
    time = 0.5
    while time < seconds - 1:
        length = random.uniform(0.08, 0.35)
        n = int(length * rate)
        at = int(time * rate)
        pitch = random.uniform(90, 220)
        phase = np.cumsum(np.full(n, 2 * np.pi * pitch / rate) * np.linspace(1, random.uniform(0.8, 1.2), n))
        voice = sum(np.sin(phase * k) / k * random.uniform(0.2, 1) for k in range(1, 20))
        breath = random.standard_normal(n) * random.choice([0.02, 0.3])
        syllable = (np.hanning(n) * (voice + breath) * 0.12).astype(np.float32)
        audio[at : at + n] += syllable[:, None] * np.array([1.0, 0.8], dtype=np.float32)
        time += length + (random.exponential(1.5) if random.random() < 0.12 else random.uniform(0.0, 0.08))
    audio += random.standard_normal(audio.shape).astype(np.float32) * 0.0005
    return (np.clip(audio, -1, 1) * 32_000).astype(np.int16)


def _encoded(audio: npt.NDArray[np.int16], rate: int, stream: av.AudioStream) -> Iterator[av.Packet]:
    for at in range(0, len(audio), rate):
        block = np.ascontiguousarray(audio[at : at + rate].reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(block, format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
        yield from stream.encode(frame)


def with_noise(audio: npt.NDArray[np.int16], snr: float, seed: int = 1) -> npt.NDArray[np.int16]:
    """Return ``audio`` in white noise ``snr`` dB below its mean power, pauses left out of that mean."""
    loud = audio[np.abs(audio) > 500].astype(np.float64)
    noise = np.random.default_rng(seed).normal(0, np.sqrt(np.square(loud).mean()) * 10 ** (-snr / 20), audio.shape)
    return np.clip(audio + noise, -32_768, 32_767).astype(np.int16)


def write(path: Path, hours: float, seed: int = 1, snr: float | None = None) -> None:
    """Write ``hours`` of audio to ``path``, in the format its ending names; with noise if ``snr`` (dB) is given."""
    container, codec, rate = FORMATS[path.suffix[1:]]
    audio = speechlike(UNIT_SECONDS, rate, seed)
    audio = audio if snr is None else with_noise(audio, snr, seed)
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout="stereo")
        stream.bit_rate = 128_000
        packets = [(bytes(p), p.pts, p.duration) for p in _encoded(audio, rate, stream) if p.size]
        base = stream.codec_context.time_base
        length = packets[-1][1] + packets[-1][2] - packets[0][1]
        total = int(hours * 3600 / base)
        for offset in range(0, total, length):
            for data, pts, duration in packets:
                if pts + offset >= total:
                    break
                packet = av.Packet(data)
                packet.pts = packet.dts = pts + offset
                packet.duration, packet.time_base, packet.stream = duration, base, stream
                packet.is_keyframe = True
                out.mux(packet)


def main() -> None:
    """Write the files asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--hours", type=float, default=6.8)
    parser.add_argument("--formats", default="m4a,mp3,flac", help=f"of {','.join(FORMATS)}")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    given.directory.mkdir(parents=True, exist_ok=True)
    for ending in given.formats.split(","):
        path = given.directory / f"long-{given.hours:g}h.{ending}"
        write(path, given.hours, given.seed)
        print(f"{path}  {path.stat().st_size / 2**20:,.0f} MiB")


if __name__ == "__main__":
    main()
