"""Chunk-sized audio: slices are the very samples, wherever they were put together."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from longscribe.audio import Held, slice_spans, to_samples, to_segment
from longscribe.messages import Span
from longscribe.ports import Decoded, Samples

NOISE: Samples = np.random.default_rng(7).integers(-32_768, 32_768, 50_000).astype(np.int16)


def test_samples_survive_pydub() -> None:
    assert np.array_equal(to_samples(to_segment(NOISE)), NOISE)
    segment = to_segment(NOISE[:16_000])
    assert (segment.frame_rate, segment.channels, segment.sample_width, len(segment)) == (16_000, 1, 2, 1_000)


SPANS = st.lists(st.integers(0, len(NOISE)), min_size=2, max_size=10, unique=True).map(sorted)


@given(SPANS, st.integers(0, 2**40))
def test_spans_are_sliced_to_the_sample_and_joined(edges: list[int], offset: int) -> None:
    spans = [Span(*pair) for pair in zip(edges[::2], edges[1::2], strict=False)]
    expected = np.concatenate([NOISE[span.start : span.end] for span in spans])
    moved = tuple(Span(span.start + offset, span.end + offset) for span in spans)
    assert np.array_equal(slice_spans(NOISE, moved, offset), expected)


@given(st.lists(st.integers(0, 9_000), min_size=1, max_size=6), st.data())
def test_what_is_held_can_be_sliced_until_it_is_dropped(lengths: list[int], data: st.DataObject) -> None:
    origin = data.draw(st.integers(0, 10_000))
    held = Held(origin)
    end = dropped = origin
    for length in lengths:
        held.append(Decoded(end, NOISE[end : end + length], ()))
        end = min(end + length, len(NOISE))
        start = data.draw(st.integers(dropped, end))
        stop = data.draw(st.integers(start, end))
        assert np.array_equal(held.slice(start, stop), NOISE[start:stop])
        drop = data.draw(st.integers(0, end))
        held.drop_before(drop)
        dropped = max(dropped, drop)
        assert np.array_equal(held.slice(dropped, end), NOISE[dropped:end])


def test_what_was_dropped_takes_no_memory() -> None:
    held = Held(0)
    held.append(Decoded(0, NOISE, ()))
    held.drop_before(40_000)
    assert len(held._segment.raw_data) == 2 * 10_000
