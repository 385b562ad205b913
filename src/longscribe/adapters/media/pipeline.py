"""The parent's side of decoding: one child takes the file apart, others decode its ranges, results come in order.

Back-pressure runs from the consumer to the file: at most a few ranges exist beyond the one being consumed, and
packets wait in bounded inboxes. A decoder that dies costs its range. A demuxer that dies is started again at the
range it was in, which costs nothing; if it dies there again, or has hung, the rest of the recording is missing.
"""

import queue
import threading
import time
from collections.abc import Iterator

from longscribe.adapters.media.processes import PATIENCE_SECONDS, Child, ChildHung, ChildLost, processor_seconds
from longscribe.adapters.media.ranges import Job, Result, decode_range, lose_range
from longscribe.adapters.media.read_ahead import ReadAhead
from longscribe.adapters.media.wire import (
    DEMUX_ARGUMENTS,
    DONE_ARGUMENTS,
    OPENED_ARGUMENTS,
    RANGE_ARGUMENTS,
    READ_ARGUMENTS,
    REFUSED_ARGUMENTS,
    Loss,
    Payload,
    Refusal,
    Tag,
)
from longscribe.core.limits import (
    GRID,
    MAX_CHANNELS,
    MAX_RECORDING_SECONDS,
    MAX_SOURCE_RATE,
    MIN_SOURCE_RATE,
    SAMPLE_RATE,
)
from longscribe.errors import BadInput, OverLimit
from longscribe.ports import RangeReader

RANGES_AHEAD = 1
"""Ranges that may exist beyond one for each decoder: 3.84 MB of samples each."""

SCAN_RATE = 4 * 2**20
"""Bytes a second. Looking for a late place in a file without an index means reading all before it: what a demuxer
reads earns it the time to read it this slowly. A quiet core scans FLAC about fifteen times as fast."""

LONGEST = MAX_RECORDING_SECONDS * SAMPLE_RATE


class Pipeline:
    """Decodes one recording from range ``first`` on, with up to ``workers`` decoders at once.

    Iterate over it for the results, in order; `close` leaves nothing running.
    """

    def __init__(self, read: RangeReader, size: int, first: int, workers: int) -> None:
        self._read, self._size = read, size
        self._index = first  #: the range that is being filled, or comes next
        self._job: Job | None = None  #: that range, once it has begun
        self._format: Payload = b""
        self._declared = -1
        self._slots = threading.Semaphore(workers + RANGES_AHEAD)
        self._waiting: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._order: queue.SimpleQueue[Job | BaseException | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._stopped = False
        self._children: set[Child] = set()
        self._unfinished: set[Job] = set()
        self._threads = [threading.Thread(target=self._demux, name="longscribe-demux")]
        self._threads += [
            threading.Thread(target=self._work, args=(number == 0,), name=f"longscribe-decode-{number}")
            for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def __iter__(self) -> Iterator[Result]:
        """Yield the ranges in the order of the recording. Raises `BadInput`, and whatever the reader raised."""
        while (item := self._order.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            result = item.outcome.result()
            self._slots.release()
            yield result

    def close(self) -> None:
        """Kill every child and wait until nothing runs any more."""
        with self._lock:
            self._stopped = True
            for child in self._children:
                child.kill()
            for job in self._unfinished:
                job.inbox.close(ChildLost("decoding was given up"))
        self._slots.release()
        self._dismiss()
        for thread in self._threads:
            thread.join()

    def _dismiss(self) -> None:
        for _ in self._threads:
            self._waiting.put(None)

    def _spawn(self) -> Child:
        with self._lock:
            if self._stopped:
                raise ChildLost("decoding was given up")
            child = Child()
            self._children.add(child)
            return child

    def _discard(self, child: Child | None) -> None:
        if child:
            with self._lock:
                self._children.discard(child)
                child.close()

    def _work(self, first: bool) -> None:
        """Decode ranges, until there are none: what each decoder's thread does."""
        child = job = None
        try:
            child = self._spawn() if first else None  # the first text should not wait for a process to start
            while job := self._waiting.get():
                try:
                    child = child or self._spawn()
                    result = decode_range(child, job)
                except ChildLost as lost:
                    self._discard(child)
                    child = None
                    result = lose_range(job, str(lost))
                with self._lock:
                    self._unfinished.discard(job)
                job.outcome.set_result(result)
        except BaseException as error:  # it is the consumer's to raise
            if job:
                job.outcome.set_exception(error)
        finally:
            self._discard(child)

    def _demux(self) -> None:
        """Take the file apart: what the demuxer's thread does."""
        try:
            with ReadAhead(self._read, self._size) as ahead:
                self._demux_to_the_end(ahead)
        except BaseException as error:  # it is the consumer's to raise
            if self._job:
                self._job.inbox.close(error)
            self._order.put(error)
        self._order.put(None)
        self._dismiss()

    def _demux_to_the_end(self, ahead: ReadAhead) -> None:
        died_in = -1
        while True:
            child = self._spawn()
            try:
                return self._follow(child, ahead)
            except ChildLost as lost:
                if self._stopped:
                    return None
                if not self._format:
                    raise BadInput(f"The recording cannot be opened ({lost}); convert it to FLAC.") from None
                if died_in == self._index or isinstance(lost, ChildHung):
                    return self._lose_the_rest()
                died_in = self._index
            finally:
                self._discard(child)

    def _follow(self, child: Child, ahead: ReadAhead) -> None:
        """Let a demuxer run to the end of the recording, and pass on what it says."""
        child.send(Tag.DEMUX, DEMUX_ARGUMENTS.pack(self._size, self._index))
        patience, used, unread = PATIENCE_SECONDS, 0.0, self._size
        while True:
            since = time.monotonic()
            tag, payload = child.receive()
            patience -= time.monotonic() - since  # its own time only, not the store's
            if patience < 0 and not child.starved(used):
                raise ChildHung
            if tag is Tag.READ:
                data = ahead.read(*READ_ARGUMENTS.unpack(payload))
                child.send(Tag.DATA, data)
                earned = min(len(data), unread)  # once for the whole file: reading in circles is no progress
                patience, unread = patience + earned / SCAN_RATE, unread - earned
            elif tag is Tag.END:
                return
            else:
                patience, used = PATIENCE_SECONDS, processor_seconds(child.pid)
                self._pass_on(tag, payload)

    def _pass_on(self, tag: Tag, payload: Payload) -> None:
        if tag is Tag.REFUSED:
            raise refusal(*REFUSED_ARGUMENTS.unpack(payload))
        if tag is Tag.OPENED:
            (self._declared,) = OPENED_ARGUMENTS.unpack(payload)
        elif tag is Tag.FORMAT:
            self._format = payload
            if self._job:
                self._job.inbox.put(tag, payload)
        elif tag is Tag.RANGE:
            job = self._begin(RANGE_ARGUMENTS.unpack(payload)[0])
            job.inbox.put(tag, payload)
        elif self._job and tag is Tag.PACKETS:
            self._job.inbox.put(tag, payload)
        elif self._job and tag is Tag.DONE:
            self._finish(payload)
        else:
            raise ChildLost("the decoder sent nonsense")

    def _begin(self, index: int) -> Job:
        """Return the job for a range: a new one, unless a demuxer died in it."""
        if index != self._index:
            raise ChildLost("the decoder sent nonsense")
        if self._job is None:
            self._slots.acquire()
            job = Job(index)
            with self._lock:
                if self._stopped:
                    raise ChildLost("decoding was given up")
                self._unfinished.add(job)
            job.inbox.put(Tag.FORMAT, self._format)
            self._job = job
            self._order.put(job)
            self._waiting.put(job)
        return self._job

    def _finish(self, done: Payload) -> None:
        index, end, _, _ = DONE_ARGUMENTS.unpack(done)
        start = self._index * GRID
        if index != self._index or not start <= end <= min(start + GRID, LONGEST + GRID) or self._job is None:
            raise ChildLost("the decoder sent nonsense")
        self._job.inbox.put(Tag.DONE, done)
        self._job = None
        self._index += 1

    def _lose_the_rest(self) -> None:
        """Name everything from the current range on as missing, as far as the recording was said to go."""
        end = max(self._index * GRID + 1, min(self._declared, LONGEST))
        if self._declared < 0:
            end = (self._index + 1) * GRID
        while self._index * GRID < end:
            start = self._index * GRID
            self._begin(self._index).inbox.put(Tag.RANGE, RANGE_ARGUMENTS.pack(self._index, -(2**62)))
            self._finish(DONE_ARGUMENTS.pack(self._index, min(start + GRID, end), start, Loss.DAMAGED))


def refusal(kind: int, number: int) -> BadInput:
    """Return the error for a recording that the demuxer refused."""
    limits = {
        Refusal.CHANNELS: (
            f"The recording claims {number or 'an impossible number of'} channels;"
            f" longscribe takes 1 to {MAX_CHANNELS}."
        ),
        Refusal.RATE: (
            f"The recording claims {number:,} samples a second;"
            f" longscribe takes {MIN_SOURCE_RATE:,} to {MAX_SOURCE_RATE:,}."
        ),
        Refusal.DURATION: (
            f"The recording lasts {number:,} s; split it, longscribe takes at most {MAX_RECORDING_SECONDS:,} s."
        ),
    }
    others = {
        Refusal.NO_AUDIO_STREAM: "The recording has no audio stream; give a file with sound.",
        Refusal.NOTHING_DECODES: "Nothing in the recording can be decoded; check that the file is whole.",
        Refusal.NO_INDEX: (
            "The recording is not whole: it has no index (moov), without which nothing of an MP4 can be decoded;"
            " copy it again, or have the index rebuilt."
        ),
        Refusal.REPEATS: "The recording's index names the same bytes over and over; convert it to FLAC.",
        Refusal.CODEC: "The recording's codec is not supported; convert it to FLAC, MP3, AAC or Opus.",
    }
    not_audio = (
        "This is no whole audio file of a known format; give mp3, m4a, aac, flac, wav, aiff, ogg, opus, mp4 or mkv."
    )
    if kind in limits:
        return OverLimit(limits[Refusal(kind)])
    return BadInput(others.get(Refusal(kind), not_audio) if kind in others else not_audio)
