"""Opens an untrusted recording with FFmpeg, within what is allowed; runs in a child."""

from collections.abc import Iterator
from typing import TypeAlias

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.container import InputContainer

from longscribe.adapters.media import containers
from longscribe.adapters.media.fragments import MAX_FRUITLESS, fragments_start, next_fragment, resume
from longscribe.adapters.media.remote import RemoteFile
from longscribe.adapters.media.wire import Refusal, SourceFormat
from longscribe.core.limits import MAX_CHANNELS, MAX_SOURCE_RATE, MIN_SOURCE_RATE

Packet: TypeAlias = "av.Packet[AudioStream]"

FORMATS = "mp3,aac,flac,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,ogg,wav,aiff"
"""The containers that may be opened; playlists, session descriptions and the rest of FFmpeg's may not."""

CODECS = (
    "aac", "aac_fixed", "aac_latm", "ac3", "alac", "amrnb", "amrwb", "eac3", "flac", "mp1float", "mp2float", "mp3",
    "mp3float", "opus", "libopus", "speex", "vorbis", "wavpack",
)  # fmt: skip
"""The decoders that may run, beside uncompressed audio (``pcm_*``)."""

PCM = (
    "alaw", "mulaw", "u8", "s8", "s8_planar", "s16le", "s16be", "s16le_planar", "s16be_planar", "s24le", "s24be",
    "s24le_planar", "s32le", "s32be", "s32le_planar", "s64le", "s64be", "f16le", "f24le", "f32le", "f32be", "f64le",
    "f64be", "u16le", "u16be", "u24le", "u24be", "u32le", "u32be",
)  # fmt: skip

BUFFER_BYTES = 256 * 2**10
"""What FFmpeg asks for at once, and what a message of packets is filled up to."""

MAX_ERRORS = 64
"""Read errors in a row after which the file counts as ended."""


class Refused(Exception):
    """The recording cannot be decoded."""

    def __init__(self, refusal: Refusal, number: int = 0) -> None:
        super().__init__(refusal)
        self.refusal, self.number = refusal, number


def open_recording(file: RemoteFile) -> InputContainer:
    """Open the recording, garbage in front of it left out, and a WAV to its end, whatever its header says.

    Of a fragmented MP4 that FFmpeg refuses for one of its pieces, it is the first good piece alone.
    """
    try:
        container = open_container(file)
    except Refused:
        if start := containers.find_start(file):
            file.skip(start)
            container = open_container(file)
        elif index_end := fragments_start(file):
            container = _first_good_piece(file, index_end)
        elif containers.lacks_index(file):
            raise Refused(Refusal.NO_INDEX) from None
        else:
            raise
    if container.format.name == "wav" and containers.wav_goes_on(file):
        container.close()
        container = open_container(file, {"ignore_length": "1"})
    return container


def _first_good_piece(file: RemoteFile, index_end: int) -> InputContainer:
    at = next_fragment(file, index_end)
    for _ in range(MAX_FRUITLESS):
        file.unpatch()
        following = next_fragment(file, at + 8)
        resume(file, index_end, at, following)
        try:
            return open_container(file)
        except Refused:
            if following < 0:
                break
            at = following
    raise Refused(Refusal.NOT_AUDIO)


def open_container(file: RemoteFile, more: dict[str, str] | None = None) -> InputContainer:
    """Open the file from its start, with ``more`` options. Raises `Refused`."""
    decoders = ",".join((*CODECS, *(f"pcm_{kind}" for kind in PCM)))
    options = {"format_whitelist": FORMATS, "codec_whitelist": decoders, "protocol_whitelist": "none"}
    options |= more or {}
    file.seek(0)
    try:
        return av.open(
            file, mode="r", container_options=options, buffer_size=BUFFER_BYTES, metadata_errors="replace"
        )
    except (av.FFmpegError, ValueError):
        raise Refused(Refusal.NOT_AUDIO) from None


def checked_format(codec: AudioCodecContext) -> SourceFormat:
    """Return what decoders must know of a stream. Raises `Refused` for a codec or bounds that are not allowed."""
    if codec.name not in CODECS and codec.name not in {f"pcm_{kind}" for kind in PCM}:
        raise Refused(Refusal.CODEC)
    channels = codec.layout.nb_channels
    if not 1 <= channels <= MAX_CHANNELS:
        raise Refused(Refusal.CHANNELS, channels)
    if not MIN_SOURCE_RATE <= codec.sample_rate <= MAX_SOURCE_RATE:
        raise Refused(Refusal.RATE, codec.sample_rate)
    return SourceFormat(codec.name, codec.sample_rate, codec.layout.name, codec.extradata or b"")


def demuxed(container: InputContainer, stream: AudioStream) -> Iterator[Packet]:
    """Yield the stream's packets, and go on after what cannot be read."""
    errors = 0
    while errors < MAX_ERRORS:
        try:
            for packet in container.demux(stream):
                if packet.size:
                    errors = 0
                    yield packet
            return
        except av.FFmpegError:
            errors += 1
