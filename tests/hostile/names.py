"""Names that have steered, escaped or collided elsewhere: 500, the same for ever."""

import itertools
import unicodedata
from collections.abc import Iterator

import numpy as np

COUNT = 500

LONGEST = 1_024
"""Bytes of UTF-8 in an object's name, as Google Cloud Storage has it."""

KNOWN = (
    # paths
    "../../etc/passwd", "/etc/passwd", "..", ".", "...", "../", "./a.mp3", "a/../b.mp3", "a/./b.mp3", "a//b.mp3",
    "//server/share/a.mp3", "a/", "/", "..\\..\\windows\\system32", "C:\\a.mp3", "C:a.mp3", "\\\\.\\pipe\\x",
    "%2e%2e%2fetc%2fpasswd", "..%c0%afetc", "%00.mp3", "%", "%%", "%/=a", "file:///etc/passwd", "gs://other/a.mp3",
    "http://127.0.0.1/a.mp3", "~/.ssh/id_rsa", "~root", ".longscribe/jobs.sqlite", ".partial/x", "a/.partial/b",
    "chunks/../transcripts/x.json", "jobs.sqlite", "queue.sqlite-wal", "a.mp3/../../b", "....//....//etc/passwd",
    # control characters and terminals
    "\x1b[2J.mp3", "\x1b]0;title\x07.mp3", "\x1b]52;c;cm0gLXJm\x07.mp3", "\x9b31m.mp3", "\x90q\x9c.mp3", "a\rb.mp3",
    "a\nb.mp3", "a\r\nSet-Cookie: x.mp3", "a\tb.mp3", "a\x08\x08b.mp3", "a\x7f.mp3", "\x0e\x0f.mp3", "\x00.mp3",
    "a\x00b.mp3", "\x85\u2028\u2029.mp3", "\x1bP0;1|17/ab\x1b\\.mp3", "\x1b[6n.mp3", "\x1b[?1049h.mp3",
    # writing that turns, hides or looks alike
    "\u202e3pm.exe", "\u202dabc\u202c.mp3", "\u2066a\u2069.mp3", "\u200b.mp3", "a\u200db.mp3", "\ufeffa.mp3",
    "\u00ad.mp3", "\u180e.mp3", "caf\u00e9.mp3", "cafe\u0301.mp3", "\u212bngstrom.mp3", "\u00c5ngstrom.mp3",
    "ﬁle.mp3", "file.mp3", "ａ.mp3", "а.mp3", "a.mp3", "A.mp3", "ß.mp3", "SS.mp3", "İ.mp3", "i̇.mp3", "ı.mp3",
    "שלום.mp3", "مرحبا.mp3", "日本語.mp3", "😀.mp3", "👩‍👩‍👧.mp3", "🇩🇪.mp3", "e" + "\u0301" * 100 + ".mp3",
    "\U000e0041\U000e0042.mp3", "\ufffd.mp3", "\uffff.mp3", "\ue000.mp3",
    # shells, globs, markup, formats, queries
    "; rm -rf ~.mp3", "$(reboot).mp3", "`reboot`.mp3", "a|b.mp3", "a>b.mp3", "a&b.mp3", "&& ls.mp3", "-rf",
    "--help", "--version.mp3", "-", "--", "*", "?.mp3", "[a-z].mp3", "{a,b}.mp3", "!x.mp3", "#x.mp3", "a b.mp3",
    " a.mp3", "a.mp3 ", "a'b.mp3", 'a"b.mp3', "a\\b.mp3", "$HOME.mp3", "%s%s%n.mp3", "{0.__class__}.mp3",
    "{name}.mp3", "[bold]a[/].mp3",
    "[link=http://x]a.mp3", "[red", "[/red]", "\\[bold]", ":smile:.mp3", "<script>alert(1)</script>.mp3",
    "<img src=x onerror=y>.mp3", "'; DROP TABLE jobs; --.mp3", "' OR 1=1 --", "_", "%_%.mp3", "a?generation=1.mp3",
    "a#frag.mp3", "a;type=x.mp3", "../a?x=/../", "a&b=c.mp3", "+.mp3", "a+b c.mp3", "__proto__", "constructor",
    "null", "None", "true", "0", "-1", "1e309", "NaN",
    # names of devices, endings, dots
    "CON", "con.mp3", "NUL.mp3", "AUX", "PRN.txt", "COM1", "LPT9.mp3", "CONIN$", "a.", "a..", "a. ", "a .mp3",
    ".mp3",
    "..mp3", "...mp3", "a.mp3.", "a.mp3/", "desktop.ini", "Thumbs.db", ".DS_Store", "a.mp3:stream", "a.tar.gz.mp3",
    "a.txt", "a.json", "a.srt", "a.vtt", "a.txt.mp3", "a.json.mp3", "a", "a.settings.json", "a.mp3.settings.json",
    "a.error.txt", "a.mp3.error.txt", "a-2", "a.mp3-2", "a-2.mp3", "a.wav", "b/a.mp3", "a/a", "a.txt/b.mp3",
    # lengths
    "a" * 255, "a" * 251 + ".mp3", "a" * 256, "a" * LONGEST, "ü" * (LONGEST // 2), "😀" * (LONGEST // 4),
    "/" * 300, "a/" * 500 + "b", "." * 1_000, "../" * 300 + "x", "a" * 199 + "..", "x" * 1_000 + ".mp3", " " * 200,
    "\u0301" * 300, "\x1b" * 500, "%" * 340, "é" * 127 + ".mp3", "",
)  # fmt: skip

PIECES = (
    "a", "b", "..", ".", "/", "\\", "%", "%2f", "%2e", "\x00", "\n", "\r", "\x1b[31m", "\x9b2J", "\x07", "\u202e",
    "\u2066", "\ufeff", "\u200b", "é", "e\u0301", "ß", "日本", "😀", "[b]", "*", "?", "$(x)", "`", ";", "'", '"',
    "<", ">", "&", "-->", " ", "  ", "-", "--", "~", ".mp3", ".txt", ".json", ".settings.json", "CON", "+",
    "=", "#", ":",
    "\udcff", "\ud800", "\x7f", "\x85", "\u2028", "A" * 60, "ü" * 60,
)  # fmt: skip


def _generated() -> Iterator[str]:
    yield from KNOWN
    random = np.random.default_rng(20261126)
    while True:
        name = "".join(PIECES[at] for at in random.integers(0, len(PIECES), random.integers(1, 9)))
        yield name
        yield unicodedata.normalize("NFD", name)
        yield name.swapcase()


def _distinct() -> Iterator[str]:
    seen: set[str] = set()
    for name in _generated():
        if name not in seen:
            seen.add(name)
            yield name


NAMES = tuple(itertools.islice(_distinct(), COUNT))


def fits_a_folder(name: str) -> bool:
    """Whether Linux takes it for a path below a folder."""
    parts = name.split("/")
    return (
        not {"", ".", ".."} & set(parts)
        and "\0" not in name
        and not any("\ud800" <= char <= "\udc7f" or "\udd00" <= char <= "\udfff" for char in name)
        and all(len(part.encode("utf-8", "surrogateescape")) <= 255 for part in parts)
    )


def fits_the_cloud(name: str) -> bool:
    """Whether Google Cloud Storage takes it: Unicode of up to 1,024 bytes, no line breaks, not ``.`` or ``..``."""
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return False
    return 0 < length <= LONGEST and not {"\r", "\n"} & set(name) and name not in (".", "..")
