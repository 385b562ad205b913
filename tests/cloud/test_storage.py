"""What only Google Cloud Storage does: metadata, large uploads, and answers that are lost, refused or damaged."""

import gzip
import time
import uuid
from collections.abc import Iterator

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from local_cloud.emulators import Emulators
from longscribe.adapters.gcp import storage as adapter
from longscribe.adapters.gcp.storage import GcsBlobs
from longscribe.errors import Gone, LongscribeError, Misconfigured, OverLimit, Permanent, Transient
from longscribe.messages import BlobRef
from tests.cloud.proxies import HttpProxy
from tests.hostile.names import NAMES, fits_the_cloud


@pytest.fixture
def proxy(cloud: Emulators) -> Iterator[HttpProxy]:
    with HttpProxy(cloud.storage) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: HttpProxy) -> Iterator[storage.Client]:
    client = storage.Client("test", AnonymousCredentials(), client_options={"api_endpoint": proxy.url})
    yield client
    client.close()


@pytest.fixture
def bucket(client: storage.Client, proxy: HttpProxy) -> str:
    name: str = client.create_bucket(f"test-{uuid.uuid4().hex}").name
    proxy.calls.clear()
    return name


@pytest.fixture
def blobs(client: storage.Client) -> GcsBlobs:
    return GcsBlobs(client)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "_RETRY", adapter._RETRY.with_timeout(0.3))


def test_an_uploads_metadata_comes_along(blobs: GcsBlobs, client: storage.Client, bucket: str) -> None:
    blob = client.bucket(bucket).blob("talk.mp3")
    blob.metadata = {"language": "de", "vocabulary": "Œuvre"}
    blob.upload_from_string(b"sound")
    assert blobs.stat(bucket, "talk.mp3").metadata == {"language": "de", "vocabulary": "Œuvre"}
    blobs.create(bucket, "plain", b"")
    assert blobs.stat(bucket, "plain").metadata == {}


def test_each_call_costs_one_request(blobs: GcsBlobs, proxy: HttpProxy, bucket: str) -> None:
    ref = blobs.create(bucket, "a.flac", b"0123456789")
    blobs.replace(bucket, "b.json", b"{}")
    assert proxy.calls == {"POST": 2}
    blobs.read(ref)
    blobs.read(ref, 3, 5)
    blobs.stat(bucket, "a.flac")
    list(blobs.names(bucket))
    assert proxy.calls == {"POST": 2, "GET": 4}
    blobs.create(bucket, "a.flac", b"again")
    assert proxy.calls == {"POST": 3, "GET": 5}, "only a second creation has to look"
    blobs.delete(bucket, "a.flac")
    assert proxy.calls == {"POST": 3, "GET": 5, "DELETE": 1}


def test_what_is_larger_than_one_request_takes_comes_back_whole(blobs: GcsBlobs, bucket: str) -> None:
    data = bytes(range(256)) * 40_000
    ref = blobs.replace(bucket, "large.json", data)
    assert blobs.read(ref) == data
    assert blobs.read(ref, 9_000_001, 9_000_004) == data[9_000_001:9_000_004]


def test_a_transcript_has_its_type(blobs: GcsBlobs, client: storage.Client, bucket: str) -> None:
    for name, kind in (
        ("a.json", "application/json"),
        ("a.txt", "text/plain"),
        ("a.xyz", "application/octet-stream"),
    ):
        blobs.replace(bucket, name, b"{}")
        assert client.bucket(bucket).get_blob(name).content_type == kind


def test_an_object_marked_as_compressed_is_read_as_it_is_stored(
    blobs: GcsBlobs, client: storage.Client, bucket: str
) -> None:
    data = gzip.compress(b"sound" * 100)
    blob = client.bucket(bucket).blob("talk.wav")
    blob.content_encoding = "gzip"
    blob.upload_from_string(data)
    ref = blobs.stat(bucket, "talk.wav").ref
    assert blobs.read(ref) == data
    assert blobs.read(ref, 2, 10) == data[2:10]


def test_a_creation_whose_confirmation_was_lost_finds_its_object(
    blobs: GcsBlobs, proxy: HttpProxy, bucket: str
) -> None:
    proxy.lost.append(503)
    ref = blobs.create(bucket, "a.flac", b"sound")
    assert not proxy.lost
    assert blobs.stat(bucket, "a.flac").ref == ref
    assert blobs.read(ref) == b"sound"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_lost_answer_is_asked_for_again(blobs: GcsBlobs, proxy: HttpProxy, bucket: str, status: int) -> None:
    for call in (
        lambda: blobs.read(blobs.replace(bucket, "a.json", b"{}")),
        lambda: blobs.read(blobs.stat(bucket, "a.json").ref),
        lambda: blobs.read(blobs.create(bucket, "a.json", b"{}")),
    ):
        proxy.lost.append(status)
        assert call() == b"{}"
        assert not proxy.lost
    proxy.lost.append(status)
    blobs.delete(bucket, "a.json")
    assert list(blobs.names(bucket)) == []


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (401, Misconfigured, "log in"),
        (403, Misconfigured, "grant it storage.objects"),
        (400, Permanent, "BadRequest"),
        (429, Transient, "try again"),
        (503, Transient, "try again"),
    ],
)
@pytest.mark.usefixtures("impatient")
def test_a_refused_call_is_told(
    blobs: GcsBlobs, proxy: HttpProxy, bucket: str, status: int, kind: type[LongscribeError], text: str
) -> None:
    ref = blobs.create(bucket, "a.flac", b"sound")
    proxy.refused = status
    for call in (
        lambda: blobs.stat(bucket, "a.flac"),
        lambda: blobs.read(ref),
        lambda: blobs.read(ref, 1, 2),
        lambda: blobs.create(bucket, "b.flac", b""),
        lambda: blobs.replace(bucket, "b.flac", b""),
        lambda: blobs.delete(bucket, "a.flac"),
        lambda: list(blobs.names(bucket)),
    ):
        with pytest.raises(kind, match=text):
            call()


def test_what_was_written_in_a_time_is_found(blobs: GcsBlobs, bucket: str) -> None:
    old = blobs.create(bucket, "a.flac", b"sound")
    time.sleep(0.05)
    since = time.time()
    time.sleep(0.05)
    new = blobs.create(bucket, "b.flac", b"more sound")
    assert [(info.ref, info.size) for info in blobs.written(bucket, since, time.time() + 1)] == [(new, 10)]
    assert [info.ref for info in blobs.written(bucket, 0, since)] == [old]


@pytest.mark.usefixtures("impatient")
def test_bytes_damaged_on_the_way_are_noticed(blobs: GcsBlobs, proxy: HttpProxy, bucket: str) -> None:
    ref = blobs.create(bucket, "a.flac", b"sound" * 1_000)
    proxy.damage = True
    with pytest.raises(Transient, match="try again"):
        blobs.read(ref)


@pytest.mark.usefixtures("impatient")
def test_a_service_that_is_not_there_is_told() -> None:
    options = {"api_endpoint": "http://127.0.0.1:1"}
    blobs = GcsBlobs(storage.Client("test", AnonymousCredentials(), client_options=options))
    with pytest.raises(Transient, match="try again"):
        blobs.create("bucket", "a.flac", b"")


def test_only_the_newest_generation_is_deleted(blobs: GcsBlobs, bucket: str) -> None:
    old = blobs.replace(bucket, "talk.mp3", b"old")
    new = blobs.replace(bucket, "talk.mp3", b"new")
    assert blobs.delete_generation(old) is False
    assert blobs.read(new) == b"new"
    assert blobs.delete_generation(new) is True
    assert blobs.delete_generation(new) is False
    assert not list(blobs.names(bucket))


def test_a_bucket_that_is_not_there_cannot_be_written(blobs: GcsBlobs) -> None:
    for write in (blobs.create, blobs.replace):
        with pytest.raises(Misconfigured, match="no bucket 'none-such'"):
            write("none-such", "a.flac", b"")
    with pytest.raises(Gone):
        blobs.read(BlobRef("none-such", "a.flac", 1))
    with pytest.raises(Misconfigured):
        list(blobs.names("none-such"))


def test_a_name_that_is_too_long_is_over_the_limit(blobs: GcsBlobs, bucket: str) -> None:
    name = "ü" * 513
    for call in (
        lambda: blobs.create(bucket, name, b""),
        lambda: blobs.stat(bucket, name),
        lambda: blobs.read(BlobRef(bucket, name, 1)),
    ):
        with pytest.raises(OverLimit, match="1024 bytes"):
            call()


def test_hostile_names_are_kept_apart_and_come_back_as_they_were(blobs: GcsBlobs, bucket: str) -> None:
    names = [name for name in NAMES if fits_the_cloud(name)][::3]
    assert len(names) > 120
    for number, name in enumerate(names):
        ref = blobs.create(bucket, name, b"%d" % number)
        assert (ref.bucket, ref.name) == (bucket, name)
    for number, name in enumerate(names):
        assert blobs.read(blobs.stat(bucket, name).ref) == b"%d" % number
    assert list(blobs.names(bucket)) == sorted(names)
