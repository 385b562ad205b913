import io

from longscribe.adapters.media.raw_frames import frames, measure_like
from longscribe.adapters.media.timeline import Timeline

RATE = 48_000
PACKET = 960


def placed(stamps, exact=True, declared=None):
    timeline = Timeline(RATE, exact, declared)
    return [timeline.place(stamp, PACKET) for stamp in stamps]


def test_jitter_moves_nothing():
    stamps = [0, PACKET + 900, 2 * PACKET - 900, 3 * PACKET]
    assert placed(stamps) == [(number * PACKET, False) for number in range(4)]


def test_inexact_lengths_follow_the_stamps():
    assert placed([0, PACKET + 40, 2 * PACKET], exact=False) == [(0, False), (1000, False), (1920, False)]


def test_a_gap_is_a_jump():
    assert placed([0, 10 * PACKET]) == [(0, False), (10 * PACKET, True)]


def test_small_losses_add_up_until_they_show():
    stamps = [number * PACKET + number // 2 * PACKET for number in range(40)]  # every third packet is lost
    places = placed(stamps)
    assert any(jumped for _, jumped in places)
    assert max(abs(start - stamp) for (start, _), stamp in zip(places, stamps, strict=True)) <= RATE // 10


def test_overlap_discards_nothing_and_is_repaid():
    places = placed([0, PACKET, -4 * PACKET, 3 * PACKET, 20 * PACKET])
    assert places == [(0, False), (960, False), (1920, False), (2880, False), (20 * PACKET, True)]


def test_a_clock_set_anew_goes_on():
    places = placed([0, 100 * PACKET, 0, PACKET, 2 * PACKET])
    assert [start for start, _ in places] == [0, 100 * PACKET, 101 * PACKET, 102 * PACKET, 103 * PACKET]


def test_a_stamp_beyond_the_declared_end_is_not_believed():
    places = placed([0, 10**9, 2 * PACKET], declared=100 * PACKET)
    assert [start for start, _ in places][:2] == [0, PACKET]


def test_without_stamps_the_clock_counts_and_takes_losses_from_outside():
    timeline = Timeline(RATE, True, None)
    assert timeline.place(-100, 10) == (-100, False)
    assert timeline.place(None, 10) == (-90, False)
    assert timeline.place(None, 10, lost=500) == (420, True)


def test_only_what_looks_like_a_frame_has_a_measure():
    assert measure_like(b"RIFF" + bytes(12)) is None
    assert measure_like(b"") is None
    assert measure_like(b"\xff\xfb\x90\x00" + bytes(12)) is not None


class Memory(io.BytesIO):
    @property
    def size(self):
        return len(self.getbuffer())


def test_skipped_bytes_are_counted_and_a_lone_header_is_not_believed():
    frame = b"\xff\xfb\x90\x00" + b"x" * 413  # 128 kbit/s, 44.1 kHz: 417 bytes
    measure = measure_like(frame)
    junk = b"j" * 100 + b"\xff\xfb\x90\x00" + b"j" * 30
    data = frame * 3 + junk + frame * 3 + frame[:50]
    assert measure
    found = [(len(one), skipped) for one, skipped in frames(Memory(data), measure)]
    assert found == [(417, 0)] * 3 + [(417, len(junk))] + [(417, 0)] * 2 + [(0, 50)]
