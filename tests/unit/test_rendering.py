import io
import json
import unicodedata
from html import unescape
from itertools import pairwise

import msgspec
import pysubs2
import pytest
import srt
import webvtt
from hypothesis import given
from hypothesis import strategies as st

from longscribe.core.assembly import assemble
from longscribe.core.limits import SAMPLE_RATE
from longscribe.core.rendering import FORMATS, paragraphs, render
from longscribe.core.settings import FORMATS as NAMES
from longscribe.core.settings import Settings
from longscribe.core.subtitles import cues, notes, timed
from longscribe.core.text import clean, columns
from longscribe.core.transcript import Status, Transcript
from longscribe.messages import Missing, Silence, Word
from tests.unit.builders import MS, SETTINGS, job, one_window, patient

S = SAMPLE_RATE

HOSTILE = [
    "-->", "00:00:01,000 --> 00:00:02,000", "1",
    "2\n\n3\n00:00:01,000 --> 00:00:09,000\nforged", "<b>", "</i>", "<",
    ">", "&", "&amp;", "&lt;b&gt;", "&#92;", "{\\an8}", "{\\p1}m 0 0", "{note}", "\\N", "\\n", "\\h", "a\r\n\r\nb",
    "\x00", "\x1b[2J", "\x85", "\u2028", "\u2029", "\u202eevil", "\u2066", "\u200f", "\ufeff", "WEBVTT", "NOTE x",
    "STYLE", "::cue{}", "\ud800", "x" * 100, "字" * 50, "e\u0301", " ", "", "\t", "AT&T", "12:30:45.5", "00:01.000",
]  # fmt: skip


TWINS = str.maketrans("＜＞｛｝＼＆：", "<>{}\\&:")


def transcript(words, samples=None, language="en", settings=SETTINGS, missing=(), silences=()) -> Transcript:
    """The transcript of words given as (start ms, end ms, text)."""
    said = [Word(start * MS, end * MS, text, 0.9) for start, end, text in words]
    length = samples or max([word.end for word in said], default=0) + S
    end = max([length, *(part.end for part in (*missing, *silences))])
    return assemble(
        job(end, 1, settings, missing=missing, silences=silences), [one_window(said, length, language)], language
    )


def even(text, pace=400, start=0, space=" "):
    """Words of ``text`` at an even pace."""
    parts = text.split() if space else list(text)
    return [(start + n * pace, start + (n + 1) * pace, space + part) for n, part in enumerate(parts)]


def vtt_cues(data):
    captions = webvtt.from_buffer(io.StringIO(data.decode()), format="vtt").captions
    assert all(caption.text == caption.raw_text for caption in captions), "nothing is a tag"
    return [(clock(caption.start), clock(caption.end), unescape(caption.raw_text)) for caption in captions]


def clock(text):
    hours, minutes, rest = text.split(":")
    return round(int(hours) * 3600 + int(minutes) * 60 + float(rest), 3)


def srt_cues(data):
    return [
        (cue.start.total_seconds(), cue.end.total_seconds(), cue.content)
        for cue in srt.parse(data.decode(), ignore_errors=False)
    ]


def bare(text):
    """Text without white space, in which wrapping may change it, in Unicode's compatibility form."""
    together = "".join(unicodedata.normalize("NFKC", clean(text)).split())
    return unicodedata.normalize("NFKC", together)  # an accent may have begun a line


def sane(cues):
    """Check what holds for any subtitles."""
    for start, end, text in cues:
        lines = text.split("\n")
        assert 0.8 <= round(end - start, 3) <= 7.0, (start, end, text)
        assert len(lines) <= 2
        assert all(line.strip() for line in lines)
        assert all(columns(line.translate(TWINS)) <= 42 for line in lines), lines
    for before, after in pairwise(cues):
        assert before[1] <= after[0]


# Hostile texts

TEXT = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=30), st.text("<>&-{}\\:0123,. \n", max_size=30))
TEXTS = st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 2_000), TEXT, st.booleans()), max_size=25)


def words_of(drawn):
    words, at = [], 0
    for pause, length, text, space in drawn:
        words.append((at + pause, at + pause + length, " " * space + text))
        at += pause + length
    return words


def compatible(text):
    """Text in Unicode's compatibility form, which the twins in an SRT share with what they stand for."""
    return unicodedata.normalize("NFKC", text)


def read_back(made):
    """Check that other libraries' parsers find the cues, times and text that a transcript's files were made of."""
    meant = [(cue.start / 1000, cue.end / 1000, "\n".join(cue.lines)) for cue in timed(cues(made.segments))]
    said = bare("".join(segment.text for segment in made.segments))
    assert bare("".join(text for *_, text in meant)) == said

    shown = vtt_cues(render(made, "vtt"))
    sane(shown)
    assert shown == meant

    written = srt_cues(render(made, "srt"))
    sane(written)
    assert [(*times, compatible(text)) for *times, text in written] == [
        (*times, compatible(text)) for *times, text in meant
    ]

    for kind in ("srt", "vtt"):
        again = pysubs2.SSAFile.from_string(render(made, kind).decode(), format_=kind)
        assert [(cue.start, cue.end) for cue in again] == [
            (round(start * 1000), round(end * 1000)) for start, end, _ in shown
        ]
    assert bare(render(made, "txt").decode()) == said
    assert msgspec.json.decode(render(made, "json"), type=Transcript).text == made.text


@patient
@given(TEXTS)
def test_hostile_texts_are_read_back_as_they_were_by_other_parsers(drawn):
    read_back(transcript(words_of(drawn)))


@patient
@given(TEXTS, st.lists(st.tuples(st.integers(0, 9_000), st.integers(1, 90_000), TEXT), max_size=5))
def test_hostile_reasons_make_notes_that_are_read_back_and_no_other_cue(drawn, lost):
    made = transcript(words_of(drawn))
    stretches, at = [], round(made.duration * 1000)
    for apart, length, reason in lost:
        stretches.append(Missing((at + apart) * MS, (at + apart + length) * MS, reason))
        at += apart + length
    quiet = [
        Silence(before.end, after.start, -60.0)
        for before, after in pairwise([Missing(0, round(made.duration * 1000) * MS, ""), *stretches])
        if before.end < after.start
    ]
    noted = transcript(words_of(drawn), missing=tuple(stretches), silences=tuple(quiet))
    meant = timed([*cues(noted.segments), *notes(noted.coverage)])
    written = srt_cues(render(noted, "srt"))
    assert [(*times, compatible(text)) for *times, text in written] == [
        (cue.start / 1000, cue.end / 1000, compatible("\n".join(cue.lines))) for cue in meant
    ]
    assert all(before[1] <= after[0] for before, after in pairwise(written))
    for *_, text in written:
        assert len(text.split("\n")) <= 2
        assert all(columns(line.translate(TWINS)) <= 42 for line in text.split("\n"))
    assert vtt_cues(render(noted, "vtt")) == vtt_cues(render(made, "vtt"))


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("kind", ["srt", "vtt"])
def test_each_hostile_text_alone_makes_one_kind_of_cue(text, kind):
    made = transcript([(0, 500, " before"), (500, 1000, f" {text}"), (1000, 1500, " after")])
    cues = (vtt_cues if kind == "vtt" else srt_cues)(render(made, kind))
    assert bare("".join(cue[2] for cue in cues)) == bare(f"before{text}after")


def test_srt_leaves_nothing_that_players_take_for_markup():
    written = render(transcript([(0, 900, ' <i>a</i> {\\an8}b\\N &lt; "AT&T" --> 1:02:03,4')]), "srt").decode()
    assert written.splitlines()[2:4] == ["＜i＞a＜/i＞ ｛＼an8｝b＼N ＆lt;", '"AT&T" --＞ 1:02：03,4']


# Subtitles


def test_cues_end_with_sentences_and_balance_their_lines():
    made = transcript(
        even("The quick brown fox jumps over the lazy dog. It then went home, had its tea and slept until noon.")
    )
    assert srt_cues(render(made, "srt")) == [
        (0.0, 3.6, "The quick brown fox\njumps over the lazy dog."),
        (3.6, 8.0, "It then went home, had its\ntea and slept until noon."),
    ]


def test_a_long_sentence_breaks_at_its_comma():
    text = "Nobody had told the captain that the harbour was closed, so he sailed on into the storm"
    made = transcript(even(text))
    assert [cue[2] for cue in srt_cues(render(made, "srt"))] == [
        "Nobody had told the captain\nthat the harbour was closed,",
        "so he sailed on into the storm",
    ]


def test_no_cue_bridges_a_pause():
    made = transcript([(0, 500, " one"), (1_500, 2_000, " two")])
    assert [text for *_, text in srt_cues(render(made, "srt"))] == ["one", "two"]


def test_short_answers_share_a_cue():
    made = transcript([(0, 300, " Yes."), (400, 700, " No."), (5_000, 5_300, " Maybe.")])
    assert srt_cues(render(made, "srt")) == [(0.0, 0.8, "Yes. No."), (5.0, 5.8, "Maybe.")]


def test_a_cue_stays_as_long_as_reading_takes_where_time_allows():
    words = even("a sentence that is said at a hurried pace", pace=100)
    ((start, end, text),) = srt_cues(render(transcript(words), "srt"))
    assert (start, end) == (0.0, len(text) / 20)
    pressed = transcript([*words[:-1], (words[-1][0], words[-1][1], " pace."), *even("Next it is", start=1_000)])
    assert srt_cues(render(pressed, "srt"))[0][1] == 1.0


def test_full_width_lines_are_half_as_long():
    text = "今日は天気がとても良いので公園まで散歩に行きました" * 2 + "。"
    made = transcript(even(text, 150, space=""), language="ja")
    lines = [line for cue in srt_cues(render(made, "srt")) for line in cue[2].split("\n")]
    assert max(map(len, lines)) <= 21
    assert "".join(lines) == made.text


def test_a_sentence_without_a_better_place_breaks_in_the_middle():
    cues = srt_cues(render(transcript(even(" ".join(["word"] * 24))), "srt"))
    assert [len(text.split()) for *_, text in cues] == [12, 12]


def test_words_without_spaces_between_may_stand_on_two_lines():
    words = [(n * 300, n * 300 + 300, "こんにちは") for n in range(5)]
    ((*_, text),) = srt_cues(render(transcript(words, language="ja"), "srt"))
    assert sorted(map(len, text.split("\n"))) == [10, 15]


def test_times_that_are_said_are_no_cue_to_a_lenient_reader():
    data = render(transcript([(0, 900, " 00:01.000"), (900, 1_800, " 00:02.000")]), "vtt")
    assert len(pysubs2.SSAFile.from_string(data.decode(), format_="vtt")) == 1
    assert vtt_cues(data)[0][2] == "00:01.000 00:02.000"


def test_parts_of_words_stay_on_one_line():
    words = [(n * 300, n * 300 + 300, part) for n, part in enumerate([" twenty", "-first", " don", "'t"] * 8)]
    for *_, text in srt_cues(render(transcript(words), "srt")):
        for line in text.split("\n"):
            assert not line.startswith(("-", "'"))


def test_a_space_may_end_a_word_too():
    made = transcript([(0, 500, " one "), (500, 800, ""), (800, 1_200, "two")])
    assert srt_cues(render(made, "srt"))[0][2] == "one two"


def test_a_word_held_for_long_is_shown_seven_seconds():
    assert srt_cues(render(transcript([(0, 20_000, " Om")]), "srt")) == [(0.0, 7.0, "Om")]


def test_what_is_missing_is_noted():
    missing = (Missing(2 * S, 14 * S, "the audio is <damaged> --> there"),)
    made = transcript([(0, 500, " one"), (500, 1_000, " two")], samples=2 * S, missing=missing)
    assert made.status is Status.PARTIAL
    assert srt_cues(render(made, "srt")) == [
        (0.0, 1.0, "one two"),
        (2.0, 14.0, "[missing 12.0 s: the audio\nis ＜damaged＞ --＞ there]"),
    ]
    shown = render(made, "vtt").decode()
    assert shown.splitlines()[:3] == [
        "WEBVTT",
        "",
        "NOTE 0:00:02.000 to 0:00:14.000 missing 12.0 s: the audio is &lt;damaged&gt; --&gt; there",
    ]
    assert vtt_cues(shown.encode()) == [(0.0, 1.0, "one two")]


def test_a_token_of_what_is_missing_is_noted_without_its_length():
    made = transcript([], samples=S, missing=(Missing(S, S + S // 100, "the file is cut off"),))
    (cue,) = srt_cues(render(made, "srt"))
    assert cue[2] == "[missing: the file is cut off]"


def test_a_note_too_long_for_two_lines_is_cut_there():
    made = transcript([], samples=S, missing=(Missing(S, 3 * S, "reason " * 30),))
    (cue,) = srt_cues(render(made, "srt"))
    assert cue[2].endswith("reason …]")
    assert len(cue[2].split("\n")) == 2


# Text


def test_one_paragraph_a_pause():
    made = transcript([(0, 500, " One."), (700, 900, " Two."), (2_900, 3_000, " Three.")])
    assert render(made, "txt") == b"One. Two.\nThree.\n"
    assert made.text == "One. Two.\nThree."


def test_paragraphs_of_languages_without_spaces_have_none():
    made = transcript([(0, 500, "一。"), (700, 900, "二。")], language="zh")
    assert paragraphs(made.segments, "zh") == ["一。二。"]
    english = [msgspec.structs.replace(segment, language="en") for segment in made.segments]
    assert paragraphs(english, "zh") == ["一。 二。"]
    chinese = [msgspec.structs.replace(segment, language="zh") for segment in made.segments]
    assert paragraphs(chinese, "en") == ["一。二。"]


# JSON


def test_json_is_pretty_and_holds_words_only_when_asked():
    words = even("one two.")
    members = json.loads(render(transcript(words), "json"))
    assert "words" not in members["segments"][0]
    timed = Settings(language="en", model="tiny.en", word_times=True)
    data = render(transcript(words, settings=timed), "json")
    assert data.startswith(b'{\n  "version": 1,\n  "job_id": "job",\n')
    assert data.endswith(b"}\n")
    assert json.loads(data)["segments"][0]["words"][1] == {
        "start": 0.4,
        "end": 0.8,
        "text": " two.",
        "confidence": 0.9,
    }
    assert msgspec.json.decode(data, type=Transcript) == transcript(words, settings=timed)
    assert render(transcript(words, settings=timed), "srt") == render(transcript(words), "srt")


def test_a_transcript_read_without_words_makes_no_subtitles_in_silence():
    read = msgspec.json.decode(render(transcript(even("one two.")), "json"), type=Transcript)
    assert render(read, "txt") == b"one two.\n"
    with pytest.raises(ValueError, match="word_times"):
        render(read, "srt")


def test_nothing_said_is_a_whole_transcript():
    made = transcript([], samples=S, silences=(Silence(S, 2 * S, -71.04),))
    assert made.status is Status.COMPLETE
    assert render(made, "txt") == b""
    assert render(made, "srt") == b""
    assert render(made, "vtt") == b"WEBVTT\n"
    members = json.loads(render(made, "json"))
    assert members["segments"] == []
    assert members["text"] == ""
    assert members["coverage"][1] == {
        "start": 1.0,
        "end": 2.0,
        "kind": "silent",
        "level": -71.0,
        "reason": None,
        "detector": None,
    }
    assert vtt_cues(render(made, "vtt")) == []


def test_every_format_of_the_settings_can_be_written():
    assert set(FORMATS) == set(NAMES)
