"""What every `Blobs` adapter keeps to."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longscribe.errors import Gone
from longscribe.messages import BlobRef
from longscribe.ports import Blobs
from tests.contract.threads import together

HOSTILE = [
    "../../etc/passwd",
    "/etc/passwd",
    "...",
    "a/../b",
    "a//b",
    "a/",
    "/",
    ".partial/x",
    "%",
    "%2e%2e%2fpasswd",
    "%/=a",
    "a b\tc",
    "\x00nul",
    "\x1b[31mred",
    "-rf",
    "CON",
    "ünïcödé/日本語.mp3",
    "\u202etxt.exe",
    "😀" * 50,
    "a" * 300,
    "a" * 199 + "..",
    "a" * 200 + "..",
    "." * 1024,
    "a/" * 500 + "b",
    "<script>&amp;'\";$(rm -rf .)`.flac",
]
"""Names that have broken other stores. All are what Google Cloud Storage allows: Unicode, no line breaks."""


class BlobsContract:
    """Subclass, and supply the fixtures ``blobs`` and ``bucket``: an empty bucket that may be written."""

    @pytest.fixture
    def blobs(self) -> Blobs:
        raise NotImplementedError

    @pytest.fixture
    def bucket(self) -> str:
        raise NotImplementedError

    def test_what_is_created_is_read(self, blobs: Blobs, bucket: str) -> None:
        ref = blobs.create(bucket, "abc/000001.flac", b"sound")
        assert (ref.bucket, ref.name) == (bucket, "abc/000001.flac")
        assert blobs.read(ref) == b"sound"
        found = blobs.stat(bucket, "abc/000001.flac")
        assert (found.ref, found.size) == (ref, 5)

    def test_an_object_can_be_empty(self, blobs: Blobs, bucket: str) -> None:
        ref = blobs.create(bucket, "empty.flac", b"")
        assert blobs.read(ref) == b""
        assert blobs.stat(bucket, "empty.flac").size == 0

    @pytest.mark.parametrize(
        ("start", "end", "expected"),
        [
            (0, None, b"0123456789"),
            (3, None, b"3456789"),
            (0, 4, b"0123"),
            (3, 4, b"3"),
            (8, 99, b"89"),
            (10, 12, b""),
            (99, None, b""),
            (5, 5, b""),
        ],
    )
    def test_a_range_ends_where_the_object_does(
        self, blobs: Blobs, bucket: str, start: int, end: int | None, expected: bytes
    ) -> None:
        ref = blobs.create(bucket, "digits.bin", b"0123456789")
        assert blobs.read(ref, start, end) == expected

    def test_a_large_object_comes_back_whole(self, blobs: Blobs, bucket: str) -> None:
        data = bytes(range(256)) * 20_000
        ref = blobs.create(bucket, "large.bin", data)
        assert blobs.read(ref) == data
        assert blobs.read(ref, 256 * 10_000 + 7, 256 * 10_000 + 10) == b"\x07\x08\x09"

    def test_creating_again_keeps_the_first(self, blobs: Blobs, bucket: str) -> None:
        first = blobs.create(bucket, "a.flac", b"first")
        assert blobs.create(bucket, "a.flac", b"second") == first
        assert blobs.read(first) == b"first"

    def test_replacing_makes_a_new_generation(self, blobs: Blobs, bucket: str) -> None:
        old = blobs.create(bucket, "a.json", b"aaaa")
        refs = {old.generation}
        for text in (b"bbbb", b"cccc", b"bbbb"):
            new = blobs.replace(bucket, "a.json", text)
            assert blobs.stat(bucket, "a.json").ref == new
            assert blobs.read(new) == text
            refs.add(new.generation)
        assert len(refs) == 4, "the same bytes written again are another generation"

    def test_the_reader_of_a_replaced_generation_is_told(self, blobs: Blobs, bucket: str) -> None:
        old = blobs.create(bucket, "a.json", b"old")
        blobs.replace(bucket, "a.json", b"new")
        with pytest.raises(Gone):
            blobs.read(old)
        with pytest.raises(Gone):
            blobs.read(old, 1, 2)

    def test_replacing_needs_no_older_object(self, blobs: Blobs, bucket: str) -> None:
        assert blobs.read(blobs.replace(bucket, "a.json", b"new")) == b"new"

    def test_what_is_not_there_is_gone(self, blobs: Blobs, bucket: str) -> None:
        with pytest.raises(Gone):
            blobs.stat(bucket, "nothing.flac")
        with pytest.raises(Gone):
            blobs.read(BlobRef(bucket, "nothing.flac", 1))

    def test_a_bucket_nobody_made_is_gone(self, blobs: Blobs) -> None:
        with pytest.raises(Gone):
            blobs.stat("no-such-longscribe-bucket", "a.flac")

    def test_deleting_twice_is_deleting_once(self, blobs: Blobs, bucket: str) -> None:
        ref = blobs.create(bucket, "a.flac", b"1")
        blobs.delete(bucket, "a.flac")
        blobs.delete(bucket, "a.flac")
        with pytest.raises(Gone):
            blobs.read(ref)
        assert list(blobs.names(bucket)) == []

    def test_an_object_created_after_a_deletion_is_another(self, blobs: Blobs, bucket: str) -> None:
        old = blobs.create(bucket, "a.flac", b"1")
        blobs.delete(bucket, "a.flac")
        new = blobs.create(bucket, "a.flac", b"1")
        assert new.generation != old.generation
        with pytest.raises(Gone):
            blobs.read(old)

    def test_names_come_in_order_and_by_prefix(self, blobs: Blobs, bucket: str) -> None:
        names = ["b/2.flac", "b/10.flac", "a.json", "b.json", "b", "ba/1.flac", "b/ö", "b/2", "B/1.flac", "b//x"]
        for name in names:
            blobs.create(bucket, name, b"x")
        assert list(blobs.names(bucket)) == sorted(names)
        for prefix in ("b", "b/", "b/2", "c", "b/ö", "b//", "a.json", "b/1"):
            assert list(blobs.names(bucket, prefix)) == sorted(n for n in names if n.startswith(prefix)), prefix

    def test_a_bucket_is_empty_at_first(self, blobs: Blobs, bucket: str) -> None:
        assert list(blobs.names(bucket)) == []

    def test_one_name_can_begin_another(self, blobs: Blobs, bucket: str) -> None:
        refs = [blobs.create(bucket, name, name.encode()) for name in ("a", "a/b", "a/b/c", "a.x", "a.x/b.y")]
        assert [blobs.read(ref) for ref in refs] == [ref.name.encode() for ref in refs]

    def test_hostile_names_are_just_names(self, blobs: Blobs, bucket: str) -> None:
        refs = {name: blobs.create(bucket, name, name.encode()) for name in HOSTILE}
        assert list(blobs.names(bucket)) == sorted(HOSTILE)
        for name, ref in refs.items():
            assert blobs.read(ref) == name.encode(), repr(name)
        for name in HOSTILE:
            blobs.delete(bucket, name)
        assert list(blobs.names(bucket)) == []

    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    @given(
        st.lists(
            st.one_of(
                st.text(
                    st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), min_size=1, max_size=250
                ),
                st.text("a./%+=-", min_size=3, max_size=12),
            ),
            min_size=1,
            max_size=3,
            unique=True,
        )
    )
    def test_any_text_is_a_name(self, blobs: Blobs, bucket: str, names: list[str]) -> None:
        try:
            refs = [blobs.create(bucket, name, name.encode()) for name in names]
            assert [blobs.read(ref).decode() for ref in refs] == names
            assert list(blobs.names(bucket)) == sorted(names)
        finally:
            for name in names:
                blobs.delete(bucket, name)

    def test_of_many_creators_one_wins_and_all_agree(self, blobs: Blobs, bucket: str) -> None:
        for turn in range(10):
            name = f"race/{turn}.bin"
            refs = together(8, lambda number, name=name: blobs.create(bucket, name, bytes([number]) * 5_000))
            assert len(set(refs)) == 1
            assert len(set(blobs.read(refs[0]))) == 1

    def test_readers_see_the_old_bytes_or_the_new(self, blobs: Blobs, bucket: str) -> None:
        size = 100_000
        blobs.create(bucket, "a.bin", b"\0" * size)

        def write(number: int) -> None:
            for turn in range(8):
                blobs.replace(bucket, "a.bin", bytes([number * 8 + turn]) * size)

        def read() -> None:
            seen = 0
            while seen < 10:
                ref = blobs.stat(bucket, "a.bin").ref
                try:
                    data = blobs.read(ref)
                except Gone:
                    seen += 1
                    continue
                assert len(data) == size
                assert len(set(data)) == 1
                seen += 1

        together(4, lambda number: write(number) if number < 2 else read())
