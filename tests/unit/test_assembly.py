import msgspec
import pytest

from longscribe.core.assembly import assemble
from longscribe.core.limits import SAMPLE_RATE
from longscribe.core.receipts import receipt
from longscribe.core.transcript import ChunkRecord, Kind, Provenance, Recording, Status
from longscribe.documents import Chunk, ChunkState
from longscribe.errors import Transient
from longscribe.messages import Missing, Span, Window, Word
from tests.unit.builders import SETTINGS, done, heard, job, task

S = SAMPLE_RATE


NAMES = ("Ada", "Grace", "Mary")


def chunk(index, text, model="tiny.en", attempt=1, unused_terms=0):
    start = index * 10 * S
    window = Window(start, start + 10 * S, (Span(start, start + 10 * S),))
    said = msgspec.structs.replace(heard([Word(start, start + S, text, 0.9)]), unused_terms=unused_terms)
    made = done(task(index, start, start + 10 * S, [window]), [said])
    by = msgspec.structs.replace(made.result.provenance, model=model, attempt=attempt)
    return msgspec.structs.replace(made, result=msgspec.structs.replace(made.result, provenance=by))


def test_a_whole_recording():
    made = assemble(job(20 * S, 2), [chunk(1, " Two."), chunk(0, " One.")], "en")
    assert made.status is Status.COMPLETE
    assert (made.job_id, made.recording, made.duration) == ("job", Recording("uploads", "talk.mp3"), 20.0)
    assert (made.language, made.settings, made.text) == ("en", SETTINGS, "One.\nTwo.")
    assert [(segment.start, segment.text) for segment in made.segments] == [(0.0, "One."), (10.0, "Two.")]
    assert [(part.start, part.end, part.kind) for part in made.coverage] == [(0.0, 20.0, Kind.TRANSCRIBED)]


@pytest.mark.parametrize(("left_out", "unused"), [((0, 0), ()), ((1, 2), ("Grace", "Mary")), ((3, 0), NAMES)])
def test_terms_that_found_no_room_are_named(left_out, unused):
    chunks = [chunk(index, " One.", unused_terms=count) for index, count in enumerate(left_out)]
    made = assemble(job(20 * S, 2, msgspec.structs.replace(SETTINGS, vocabulary=NAMES)), chunks, "en")
    assert made.unused_vocabulary == unused


def test_a_chunk_given_up_makes_it_partial():
    lost = Chunk(task=chunk(1, "").task, state=ChunkState.MISSING, reason="poison")
    made = assemble(job(30 * S, 3), [chunk(0, " One."), lost, chunk(2, " Three.")], "en")
    assert made.status is Status.PARTIAL
    assert made.text == "One.\nThree."
    assert [part.reason for part in made.coverage] == [None, "poison", None]
    assert made.receipt.chunks == 3
    assert len(made.provenance.chunks) == 2


@pytest.mark.parametrize("where", ["in a chunk", "after the last"])
def test_audio_that_was_lost_makes_it_partial_though_every_chunk_was_heard(where):
    lost = Missing(10 * S, 11 * S, "damaged")
    whole = chunk(0, " One.")
    if where == "in a chunk":
        cut = msgspec.structs.replace(whole.task, end=11 * S)
        made = assemble(job(11 * S, 1), [msgspec.structs.replace(whole, task=cut, missing=(lost,))], "en")
    else:
        made = assemble(job(11 * S, 1, missing=(lost,)), [whole], "en")
    assert made.status is Status.PARTIAL
    assert [(part.kind, part.reason) for part in made.coverage] == [
        (Kind.TRANSCRIBED, None),
        (Kind.MISSING, "damaged"),
    ]


def test_provenance_and_receipt_tell_who_and_at_what_cost():
    chunks = [chunk(0, " One.", "base"), chunk(1, " Two.", "small", 3), chunk(2, " Three.", "base")]
    made = assemble(job(30 * S, 3), chunks, "en")
    assert made.provenance == Provenance(
        versions=("0.1.0",),
        models=("base", "small"),
        compute_types=("int8",),
        devices=("cpu",),
        chunks=tuple(ChunkRecord(index, 0, attempt, "worker-1", 1.5) for index, attempt in enumerate((1, 3, 1))),
    )
    assert made.receipt == receipt(job(30 * S, 3), chunks, None)
    assert (made.receipt.device_seconds, made.receipt.chunks, made.receipt.attempts) == (4.5, 3, 5)
    assert made.receipt.retried == 1


def test_a_job_that_is_still_cut_or_transcribed_has_no_transcript_yet():
    with pytest.raises(Transient, match="not sealed"):
        assemble(msgspec.structs.replace(job(20 * S, 2), seal=None), [], "en")
    with pytest.raises(Transient, match="pending"):
        assemble(job(10 * S, 1), [Chunk(task=chunk(0, "").task)], "en")
