"""The transcript as bytes: JSON, SRT, VTT and TXT, each written so that any other reader finds the same text."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

import msgspec
from pysubs2 import SSAEvent, SSAFile
from pysubs2.time import ms_to_str

from longscribe.core.subtitles import Cue, cues, missing, notes, timed
from longscribe.core.text import UNSPACED, clean
from longscribe.core.transcript import Kind, Segment, Transcript, milliseconds

PARAGRAPH = 2_000
"""Milliseconds of pause that end a paragraph."""

_TIME = re.compile(r":(?=\d{1,2}[.,]\d)")
_SRT = str.maketrans("<>{}\\", "＜＞｛｝＼")
_SRT_ENTITY = re.compile(r"&(?=#?\w+;)")
_VTT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\\": "&#92;"})


def render(transcript: Transcript, kind: str) -> bytes:
    """Return ``transcript`` in one of `FORMATS`, in UTF-8 with Unix line ends.

    The subtitles need the segments' words. Raises `ValueError` where they are left out, `KeyError` for an unknown
    format.
    """
    return FORMATS[kind](transcript).encode("utf-8")


def paragraphs(segments: Sequence[Segment], language: str | None) -> list[str]:
    """Return the text of ``segments`` as one line for each stretch without a long pause.

    ``language`` is that of segments which do not tell their own.
    """
    found: list[str] = []
    end = 0
    for segment in segments:
        text = clean(segment.text).strip()
        between = "" if (segment.language or language) in UNSPACED else " "
        if found and milliseconds(segment.start) - end < PARAGRAPH:
            found[-1] = (found[-1] + between + text).strip()
        else:
            found.append(text)
        end = milliseconds(segment.end)
    return [text for text in found if text]


def _txt(transcript: Transcript) -> str:
    return "".join(f"{line}\n" for line in paragraphs(transcript.segments, transcript.language))


def _json(transcript: Transcript) -> str:
    members = msgspec.to_builtins(transcript)
    if not transcript.settings.word_times:
        for segment in members["segments"]:
            del segment["words"]
    return msgspec.json.format(msgspec.json.encode(members), indent=2).decode() + "\n"


def _srt(transcript: Transcript) -> str:
    shown = timed([*cues(transcript.segments), *notes(transcript.coverage)])
    return _subtitles(shown, _escape_srt, "srt")


def _vtt(transcript: Transcript) -> str:
    shown = timed(cues(transcript.segments))
    head, _, body = _subtitles(shown, _escape_vtt, "vtt").partition("\n")
    remarks = [
        f"NOTE {_at(part.start)} to {_at(part.end)} {missing(part)}".translate(_VTT)
        for part in transcript.coverage
        if part.kind is Kind.MISSING
    ]
    return f"{head}\n" + "".join(f"\n{remark}\n" for remark in remarks) + body


def _at(time: float) -> str:
    return ms_to_str(milliseconds(time), fractions=True)


def _subtitles(shown: Iterable[Cue], escape: Callable[[str], str], kind: str) -> str:
    file = SSAFile()
    file.events = [SSAEvent(cue.start, cue.end, "\n".join(map(escape, cue.lines))) for cue in shown]
    written = file.to_string(kind, keep_ssa_tags=True).rstrip("\n")
    return f"{written}\n" if written else ""


def _escape_vtt(text: str) -> str:
    """Return ``text`` with references for what is markup, or what a lenient reader takes for a cue's times."""
    return _TIME.sub("&#58;", text.translate(_VTT))


def _escape_srt(text: str) -> str:
    """Return ``text`` without anything a player takes for a tag, an entity or a time.

    SubRip has no escapes: the full-width twin stands in, which Unicode's compatibility forms (NFKC) turn back.
    """
    return _TIME.sub("：", _SRT_ENTITY.sub("＆", text.translate(_SRT)))


FORMATS: Mapping[str, Callable[[Transcript], str]] = MappingProxyType(
    {"json": _json, "srt": _srt, "vtt": _vtt, "txt": _txt}
)
"""How each format of `settings.FORMATS` is written."""
