"""Texts that tell a player to open something else: another file, a server, a device. All are to be refused."""

import struct

from tests.hostile.crafted import Files, Traps
from tests.hostile.recordings import recording


def hls(target: str, more: str = "") -> bytes:
    return (
        f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n{more}#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n"
    ).encode()


def dash(target: str) -> bytes:
    return (
        "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011' type='static'"
        " mediaPresentationDuration='PT10S'><Period><AdaptationSet mimeType='audio/mp4'>"
        f"<Representation id='1' bandwidth='1'><BaseURL>{target}</BaseURL></Representation>"
        "</AdaptationSet></Period></MPD>"
    ).encode()


def tagged(data: bytes) -> bytes:
    """Behind an ID3 tag, as in an MP3."""
    return b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10) + data


def avi_with(playlist: bytes) -> bytes:
    """An AVI whose subtitle stream is a playlist (CVE-2016-1897)."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    header = struct.pack("<14I", 40_000, 0, 0, 16, 1, 0, 1, 0, 64, 64, 0, 0, 0, 0)
    stream = b"txts" + bytes(4) + struct.pack("<12I", 0, 0, 0, 1, 1, 0, 1, 1024, 0, 0, 0, 0)
    gab2 = b"GAB2\0" + struct.pack("<HI", 2, 2) + b"\0\0" + struct.pack("<HI", 4, len(playlist)) + playlist
    headers = b"hdrl" + chunk(b"avih", header) + chunk(b"LIST", b"strl" + chunk(b"strh", stream))
    body = b"AVI " + chunk(b"LIST", headers) + chunk(b"LIST", b"movi" + chunk(b"00tx", gab2))
    return chunk(b"RIFF", body)


def laughs(traps: Traps) -> bytes:
    """Entities that name each other, ten times each, and a file."""
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    return (
        f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "lol">{entities}<!ENTITY f SYSTEM "file://{traps.text}">]>'
        "<x>&a9;&f;</x>"
    ).encode()


SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {port} RTP/AVP 0\n"

FILES: Files = {
    "ffconcat of a file": lambda traps: f"ffconcat version 1.0\nfile '{traps.sound}'\n".encode(),
    "ffconcat of an address": lambda traps: f"ffconcat version 1.0\nfile '{traps.url}'\n".encode(),
    "ffconcat of two": lambda traps: f"ffconcat version 1.0\nfile {traps.sound}\nfile {traps.text}\n".encode(),
    "concat protocol": lambda traps: f"concat:{traps.sound}|{traps.sound}".encode(),
    "data protocol": lambda traps: b"data:audio/wav;base64,UklGRiQAAABXQVZF",
    "subfile protocol": lambda traps: f"subfile,,start,0,end,0,,:{traps.sound}".encode(),
    "file protocol": lambda traps: f"file://{traps.sound}".encode(),
    "pipe protocol": lambda traps: b"pipe:0",
    "crypto protocol": lambda traps: f"crypto:{traps.sound}".encode(),
    "tee": lambda traps: f"tee:{traps.text}|{traps.sound}".encode(),
    "sdp": lambda traps: SDP.format(port=traps.port).encode(),
    "sdp, 80 bytes": lambda traps: b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    "rtsp redirect": lambda traps: f"RTSPtextrtsp://127.0.0.1:{traps.port}/x\r\n".encode(),
    "hls of an address": lambda traps: hls(traps.url),
    "hls of a file": lambda traps: hls(f"file://{traps.sound}"),
    "hls of a bare path": lambda traps: hls(traps.sound),
    "hls of a concatenation": lambda traps: hls(f"concat:{traps.text}|{traps.url}"),
    "hls of data": lambda traps: hls("data:audio/wav;base64,UklGRiQAAABXQVZF"),
    "hls with a key": lambda traps: hls(traps.sound, f'#EXT-X-KEY:METHOD=AES-128,URI="{traps.url}"\n'),
    "hls with a map": lambda traps: hls(traps.sound, f'#EXT-X-MAP:URI="{traps.url}"\n'),
    "hls master": lambda traps: f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{traps.url}\n".encode(),
    "hls without an end": lambda traps: hls(traps.url).replace(b"#EXT-X-ENDLIST\n", b""),
    "hls behind an mp3's tag": lambda traps: tagged(hls(traps.url)),
    "hls behind garbage": lambda traps: bytes(3000) + hls(traps.url),
    "hls in UTF-16": lambda traps: hls(traps.url).decode().encode("utf-16"),
    "hls in an avi": lambda traps: avi_with(hls(traps.url)),
    "ffconcat in an avi": lambda traps: avi_with(f"ffconcat version 1.0\nfile {traps.sound}\n".encode()),
    "m3u": lambda traps: f"#EXTM3U\n#EXTINF:1,x\n{traps.url}\n".encode(),
    "pls": lambda traps: f"[playlist]\nFile1={traps.url}\nLength1=-1\nNumberOfEntries=1\n".encode(),
    "asx": lambda traps: f'<asx version="3.0"><entry><ref href="{traps.url}"/></entry></asx>'.encode(),
    "xspf": lambda traps: (
        f'<?xml version="1.0"?><playlist><trackList><track><location>{traps.url}</location></track>'
        "</trackList></playlist>"
    ).encode(),
    "smil": lambda traps: f'<smil><body><audio src="{traps.url}"/></body></smil>'.encode(),
    "dash of an address": lambda traps: dash(traps.url),
    "dash of a file": lambda traps: dash(f"file://{traps.sound}"),
    "xml of many laughs": laughs,
    "svg": lambda traps: (
        f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{traps.url}"/><image href="file://{traps.text}"/></svg>'
    ).encode(),
    "html": lambda traps: f"<!DOCTYPE html><audio src='{traps.url}' autoplay></audio>".encode(),
    "cue sheet": lambda traps: f'FILE "{traps.sound}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n'.encode(),
    "metadata": lambda traps: f";FFMETADATA1\ntitle={traps.url}\n".encode(),
    "picture pattern": lambda traps: b"%03d.png\n",
    "filter": lambda traps: f"amovie={traps.sound},aresample=16000".encode(),
    "subtitles": lambda traps: b"1\n00:00:00,000 --> 00:00:02,000\n{\\an8}Hello\n",
    "vobsub index": lambda traps: b"# VobSub index file, v7 (do not modify this line!)\nid: en, index: 0\n",
    "avisynth": lambda traps: f'DirectShowSource("{traps.sound}")\n'.encode(),
    "a recording behind a playlist": lambda traps: hls(traps.url) + recording("aiff", 2)[:40],
}
