"""`Blobs` on Google Cloud Storage."""

from collections.abc import Iterator
from contextlib import contextmanager

from google.api_core.exceptions import NotFound, PreconditionFailed, RequestRangeNotSatisfiable
from google.cloud.storage import Client
from google.cloud.storage.retry import DEFAULT_RETRY

from longscribe.adapters.gcp.calls import TRIES_SECONDS, told
from longscribe.core.limits import MAX_NAME_BYTES
from longscribe.errors import Gone, Misconfigured, OverLimit, Transient
from longscribe.messages import BlobRef
from longscribe.ports import BlobInfo

_RETRY = DEFAULT_RETRY.with_timeout(TRIES_SECONDS)
"""Of every call: all of ours may be made twice. A second creation finds the first, a second replacement leaves an
object with the same bytes."""

_UNTYPED = "application/octet-stream"
_TYPES = {"json": "application/json", "txt": "text/plain", "srt": "application/x-subrip", "vtt": "text/vtt"}


class GcsBlobs:
    """Objects in buckets of Google Cloud Storage.

    A range that was read is of the pinned generation, byte for byte as stored, even if the object is marked as
    compressed. Uploads carry their checksum. Where a bucket keeps older versions, an overwritten generation can
    still be read.

    Raises `Gone` for an object or generation that is not there, `Misconfigured` where the service account may not,
    or a bucket to be listed or written is not there, `OverLimit` for a name over `MAX_NAME_BYTES`, and `Transient`
    when a call failed for a minute.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def stat(self, bucket: str, name: str) -> BlobInfo:
        """Return the newest generation. Raises `Gone`."""
        _checked(name)
        with told(_shown(bucket), "storage.objects.get"):
            found = self._client.bucket(bucket).get_blob(name, retry=_RETRY)
        if found is None:
            raise _gone(bucket, name)
        return BlobInfo(BlobRef(bucket, name, found.generation), found.size, found.metadata or {})

    def read(self, ref: BlobRef, start: int = 0, end: int | None = None) -> bytes:
        """Return bytes ``start`` to ``end``, fewer at the end. Raises `Gone` if another generation is there now."""
        _checked(ref.name)
        if end is not None and end <= start:
            return b""
        blob = self._client.bucket(ref.bucket).blob(ref.name, generation=ref.generation)
        with told(_shown(ref.bucket), "storage.objects.get"):
            try:
                data: bytes = blob.download_as_bytes(
                    start=start or None,  # only what is read whole comes with its checksum
                    end=None if end is None else end - 1,
                    raw_download=True,
                    retry=_RETRY,
                )
            except RequestRangeNotSatisfiable:
                return b""
            except NotFound:
                raise _gone(ref.bucket, ref.name) from None
        return data

    def create(self, bucket: str, name: str, data: bytes) -> BlobRef:
        """Write an object that does not exist yet; return the one that is there if it does."""
        with _writing(bucket):
            try:
                return self._upload(bucket, name, data, if_generation_match=0)
            except PreconditionFailed:
                pass
        try:
            return self.stat(bucket, name).ref
        except Gone:
            raise Transient(f"An object in {_shown(bucket)} was deleted while it was written; try again.") from None

    def replace(self, bucket: str, name: str, data: bytes) -> BlobRef:
        """Write an object, over any older generation. Readers see the old bytes or the new."""
        with _writing(bucket):
            return self._upload(bucket, name, data)

    def delete(self, bucket: str, name: str) -> None:
        """Delete an object; one that is not there is no error."""
        _checked(name)
        with told(_shown(bucket), "storage.objects.delete"):
            try:
                self._client.bucket(bucket).delete_blob(name, retry=_RETRY)
            except NotFound:
                return

    def delete_generation(self, ref: BlobRef) -> bool:
        """Delete an object if its newest generation is ``ref``'s; return whether it was."""
        try:
            if self.stat(ref.bucket, ref.name).ref != ref:
                return False
        except Gone:
            return False
        with told(_shown(ref.bucket), "storage.objects.delete"):
            try:
                bucket = self._client.bucket(ref.bucket)
                bucket.delete_blob(ref.name, if_generation_match=ref.generation, retry=_RETRY)
            except (NotFound, PreconditionFailed):  # overwritten or deleted meanwhile
                return False
        return True

    def names(self, bucket: str, prefix: str = "") -> Iterator[str]:
        """Yield the names in a bucket that begin with ``prefix``, in order of their characters."""
        with told(_shown(bucket), "storage.objects.list"):
            for blob in self._client.list_blobs(
                bucket, prefix=prefix, fields="items(name),nextPageToken", retry=_RETRY
            ):
                yield blob.name

    def written(self, bucket: str, since: float, until: float) -> Iterator[BlobInfo]:
        """Yield what was written from ``since`` to ``until``, in seconds since 1970. Lists the whole bucket."""
        fields = "items(name,generation,size,metadata,timeCreated),nextPageToken"
        with told(_shown(bucket), "storage.objects.list"):
            for blob in self._client.list_blobs(bucket, fields=fields, retry=_RETRY):
                if since <= blob.time_created.timestamp() < until:
                    yield BlobInfo(BlobRef(bucket, blob.name, blob.generation), blob.size, blob.metadata or {})

    def _upload(self, bucket: str, name: str, data: bytes, **precondition: int) -> BlobRef:
        _checked(name)
        blob = self._client.bucket(bucket).blob(name)
        kind = _TYPES.get(name.rpartition(".")[2], _UNTYPED)
        blob.upload_from_string(data, content_type=kind, retry=_RETRY, **precondition)
        return BlobRef(bucket, name, blob.generation)


@contextmanager
def _writing(bucket: str) -> Iterator[None]:
    with told(_shown(bucket), "storage.objects.create and storage.objects.delete"):
        try:
            yield
        except NotFound:
            raise Misconfigured(f"There is no {_shown(bucket)} to write to; apply the deployment again.") from None


def _checked(name: str) -> None:
    if len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        raise OverLimit(f"The name {name[:20]!r}… is longer than {MAX_NAME_BYTES} bytes; shorten it.")


def _shown(bucket: str) -> str:
    return f"bucket {bucket!r}"


def _gone(bucket: str, name: str) -> Gone:
    return Gone(
        f"{name!r} is not in {_shown(bucket)}, or not in that generation; was it deleted or overwritten meanwhile?"
    )
