"""What a word looks like: cleaned, compared, measured, and whether it ends a sentence."""

import re
import unicodedata

UNSPACED = frozenset({"zh", "yue", "ja", "th", "lo", "my", "km"})
"""Languages written without spaces between words (those Whisper splits by character, and Khmer)."""

_SPACE = re.compile(r"\s+")
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]")
_UNSPACED_CHARACTER = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]"
)
_CLOSING = "\"'”’»)]}›」』）】》"
_ALWAYS_ENDS = tuple("?!。！？؟۔।॥։።")
_ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof st vs etc jr sr inc ltd approx dept fig gen col sgt capt lt rev hon nr bzw ca mme".split()
)
_DOTTED = re.compile(r"(?:[^\W\d_]\.)+")


def clean(text: str) -> str:
    """Return ``text`` with every run of white space as one space and every control character as U+FFFD.

    Line breaks are white space. Control characters are C0, C1, lone surrogates, byte order marks and the
    directional embeddings and isolates, which would reorder what follows them; the marks that Arabic and Hebrew
    writing needs (U+200E, U+200F) stay.
    """
    return _UNSAFE.sub("\ufffd", _SPACE.sub(" ", text))


def normalised(text: str) -> str:
    """Return the letters, marks and digits of ``text``, case folded: two hearings of one word compare equal."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(character for character in folded if unicodedata.category(character)[0] in "LMN")


def unspaced(character: str) -> bool:
    """Return whether a word may begin or end at ``character`` without a space."""
    return _UNSPACED_CHARACTER.match(character) is not None


def columns(text: str) -> int:
    """Return the width of ``text``: a full-width character counts two, any other one."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def ends_clause(text: str) -> bool:
    """Return whether a comma or its like ends ``text``: a good place to break a long sentence."""
    return text.rstrip(_CLOSING + " ").endswith((",", ";", ":", "、", "，", "；", "：", "،", "–", "—"))


def ends_sentence(text: str, following: str) -> bool:
    """Return whether a sentence ends between the words ``text`` and ``following``.

    A full stop ends none after an initial or an abbreviation, nor before a small letter or a decimal's digits.
    """
    word = text.strip().rstrip(_CLOSING)
    if word.endswith(_ALWAYS_ENDS):
        return True
    if not word.endswith((".", "…", "．")):
        return False
    after = following.lstrip(" \"'“‘«([{¿¡")[:1]
    if after.islower():
        return False
    stem = word.rstrip(".…．").lower()
    if stem.lstrip(_CLOSING + "(“‘") in _ABBREVIATIONS or _DOTTED.fullmatch(word.lstrip('(“‘"')):
        return False
    return not (stem[-1:].isdigit() and after.isdigit())
