"""Identifiers: the same for the same, different for the different, and nothing of a name in them."""

import re

from hypothesis import given
from hypothesis import strategies as st

from longscribe.core import ids

TEXT = st.text(st.characters(), max_size=40)  # lone surrogates included: a file's name may hold them


def test_ids_are_the_same_for_ever() -> None:
    """They key stored documents: a change would begin every interrupted job afresh."""
    assert ids.job_id("uploads", "talk.mp3", 7) == "07a61512dae6ac38edc4"
    assert ids.seed("job", 0, 0) == 1_477_541_056


@given(TEXT, TEXT, st.integers(0, 2**63))
def test_a_job_id_is_plain_whatever_the_name(bucket: str, name: str, generation: int) -> None:
    assert re.fullmatch("[0-9a-f]{20}", ids.job_id(bucket, name, generation))


@given(st.lists(TEXT, max_size=4), st.lists(TEXT, max_size=4))
def test_digests_differ_where_the_parts_do(one: list[str], other: list[str]) -> None:
    assert (ids.digest(*one) == ids.digest(*other)) == (one == other)


def test_parts_do_not_run_over() -> None:
    assert len({ids.digest("ab", "c"), ids.digest("a", "bc"), ids.digest("abc"), ids.digest("", "abc")}) == 4


def test_each_part_of_a_recording_counts() -> None:
    recordings = [("a", "b", 1), ("a", "b", 2), ("a", "c", 1), ("b", "b", 1)]
    assert len({ids.job_id(*recording) for recording in recordings}) == 4


def test_chunk_blobs_sort_by_index() -> None:
    names = [ids.chunk_blob("job", index) for index in (0, 9, 10, 99_999, 100_000)]
    assert names == sorted(names)
    assert names[2] == "job/000010.flac"


@given(st.integers(0, 20_000), st.integers(0, 20))
def test_a_seed_has_31_bits_and_is_its_windows_own(index: int, window: int) -> None:
    seed = ids.seed("job", index, window)
    assert 0 <= seed < 2**31
    assert seed == ids.seed("job", index, window)
    assert seed != ids.seed("job", index, window + 1) or seed != ids.seed("other", index, window)
