"""CloudEvents in our own types: what a bucket and a push subscription send, checked field by field."""

import base64
import binascii
from typing import TypeVar

import msgspec
from cloudevents.http import CloudEvent
from werkzeug.exceptions import ServiceUnavailable

from longscribe.errors import DecodeError
from longscribe.messages import BlobRef, UploadEvent

FINALIZED = "google.cloud.storage.object.v1.finalized"
PUBLISHED = "google.cloud.pubsub.topic.v1.messagePublished"


Shape = TypeVar("Shape")


class Retry(ServiceUnavailable):
    """The event or message is to be delivered again: answered with 503, without a word that could hold content."""


class _StoredObject(msgspec.Struct):
    """What of an object's resource is needed; Cloud Storage writes 64-bit numbers as text."""

    bucket: str
    name: str
    generation: int
    size: int
    metadata: dict[str, str] = {}


class _Message(msgspec.Struct):
    data: str  # base64


class _Published(msgspec.Struct):
    message: _Message


def upload(event: CloudEvent) -> UploadEvent:
    """Return the upload that a *finalized* event tells of. Raises `DecodeError`."""
    found = _read(event, FINALIZED, _StoredObject)
    recording = BlobRef(found.bucket, found.name, found.generation)
    return UploadEvent(recording, found.size, found.metadata)


def pushed(event: CloudEvent) -> tuple[str, bytes]:
    """Return the topic and the bytes of a pushed message. Raises `DecodeError`.

    The topic is in the event's source: functions-framework takes it from the path that the subscription pushes to,
    ``/projects/P/topics/T``.
    """
    message = _read(event, PUBLISHED, _Published).message
    try:
        data = base64.b64decode(message.data, validate=True)
    except binascii.Error:
        raise DecodeError("The message's data is not base64; drop it.") from None
    return str(event["source"]).rpartition("/topics/")[2], data


def _read(event: CloudEvent, kind: str, shape: type[Shape]) -> Shape:
    if event["type"] != kind:
        raise DecodeError(f"The event is not of type {kind}; send this function no others.")
    try:
        return msgspec.convert(event.data, shape, strict=False)
    except msgspec.ValidationError:  # its words may quote the event
        raise DecodeError(
            f"The event of type {kind} lacks a field or holds it in the wrong type; drop it."
        ) from None
