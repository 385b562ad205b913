"""The Python interface: `transcribe` a recording, or `stream` its text while it is being transcribed."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from os import PathLike
from pathlib import Path
from typing import TypedDict, Unpack

from longscribe import wiring
from longscribe.core.settings import Settings
from longscribe.core.transcript import Segment, Transcript
from longscribe.embedded import Embedded
from longscribe.follow import Follower

POLL_SECONDS = 0.2
"""Between two looks at a job."""


class Options(TypedDict, total=False):
    """What may be set for a recording; `Settings` has the defaults."""

    language: str | None  #: an ISO 639-1 code; None: detected
    vocabulary: tuple[str, ...]  #: names and terms to listen for
    model: str  #: a Whisper model's name, or a directory that holds one
    compute_type: str  #: a CTranslate2 quantisation, such as ``int8``
    chunk_seconds: float  #: seconds of speech in one unit of work


def transcribe(
    path: str | PathLike[str], *, state: str | PathLike[str] | None = None, **options: Unpack[Options]
) -> Transcript:
    """Transcribe one recording on this machine and return its transcript.

    ``path`` is any audio or video file that can be decoded, of any length. ``state`` is a directory that keeps the
    work done, so that an interrupted call goes on where it stopped; without one nothing is kept.

    Times in the result are seconds from the start of the recording; each segment has its words. The ``coverage``
    accounts for every part of the recording, and ``status`` is *partial* if some of it is missing.

    Raises, from `longscribe.errors`: `BadInput` for a file or an option that cannot be used, `NoSpace` when the
    disk is full, `Busy` when another process works in ``state``.
    """
    with _opened(state, options) as work:
        job_id = work.submit(Path(path))
        work.start()
        while not work.jobs.job(job_id).state.ended:
            work.check()
            time.sleep(POLL_SECONDS)
        return work.transcript(job_id)


async def stream(
    path: str | PathLike[str], *, state: str | PathLike[str] | None = None, **options: Unpack[Options]
) -> AsyncIterator[Segment]:
    """Transcribe one recording and yield its segments in order, each as soon as it is final.

    Takes and raises what `transcribe` does. All segments together are those of the transcript. Leaving the loop
    early stops the work. ``async for segment in stream("talk.mp3"): print(segment.start, segment.text)``
    """
    opened = ExitStack()
    work = opened.enter_context(_opened(state, options))
    try:
        job_id = work.submit(Path(path))
        work.start()
        follower = Follower(work.jobs, job_id)
        while True:
            view = await asyncio.to_thread(follower.look)
            for segment in view.segments:
                yield segment
            if view.job.state.ended:
                work.transcript(job_id)  # raises if it failed
                return
            work.check()
            await asyncio.sleep(POLL_SECONDS)
    finally:
        # The batches under way are finished first; the event loop need not wait for them.
        await asyncio.to_thread(opened.close)


@contextmanager
def _opened(state: str | PathLike[str] | None, options: Options) -> Iterator[Embedded]:
    settings = Settings(**options).checked()
    machine = wiring.machine(settings)
    if state is not None:
        with Embedded(Path(state), settings, machine) as work:
            yield work
        return
    with tempfile.TemporaryDirectory(prefix="longscribe-") as home:
        with Embedded(Path(home), settings, machine) as work:
            yield work
