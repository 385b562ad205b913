"""A watched folder: what is dropped into ``uploads/`` appears transcribed under ``transcripts/``.

::

    folder/
    ├── uploads/        recordings, each with its settings beside it if need be, and why one was refused
    ├── transcripts/    the same tree, with the recordings' transcripts
    └── .longscribe/    state; see `longscribe.embedded`

A recording is taken when its job is stored; its end is told when its transcript, or why there is none, has been
written and that was remembered. Each step may be done twice, so the process may be killed between any two.
"""

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from longscribe import wiring
from longscribe.adapters.local import folder as files
from longscribe.adapters.local.deliveries import Deliveries
from longscribe.core import uploads
from longscribe.core.rendering import render
from longscribe.core.settings import Settings, from_metadata
from longscribe.core.transcript import Kind, Transcript
from longscribe.documents import Job, JobState
from longscribe.embedded import LOOK_SHARE, Embedded
from longscribe.errors import BadInput, Gone, LongscribeError, NoSpace
from longscribe.messages import UploadEvent
from longscribe.stages import chunker
from longscribe.watching import FULL, put_whole

DELIVERIES = "served.sqlite"
"""In the home: what is remembered of transcripts that were put down."""

POLL_SECONDS = 0.5
"""Between two looks at the folder and the jobs."""

SETTLE_SECONDS = 2.0
"""How long a file must have been as it is before it is taken."""

RETRY_SECONDS = 10.0
"""Between two tries to deliver what could not be written."""

ROOM_SECONDS = 30.0
"""Between two looks at a full disk."""

ROOM_BYTES = 16 * 2**20
"""Room there must be before work goes on after a full disk: some chunks' audio and the databases' logs."""

Say = Callable[[str], None]


def serve(root: Path, settings: Settings, machine: wiring.Machine, settle: float, say: Say) -> NoReturn:
    """Transcribe what is and will be dropped into ``root``/uploads, until the process is ended.

    ``settings`` are for recordings without their own, and their model is the only one. A full disk is waited out.
    Raises `BadInput` where the folder cannot be used, `Busy` if another process works there, and what ends a stage.
    """
    for folder in (root / "uploads", root / "transcripts"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(
                f"{folder} cannot be made ({error.strerror}); choose a folder you may write to."
            ) from None
    home = root / ".longscribe"
    while True:
        try:
            with (
                Embedded(home, settings, machine, serving=True) as work,
                contextlib.closing(Deliveries(home / DELIVERIES)) as deliveries,
            ):
                watch(Serving(root, settings, work, deliveries, settle, say), work)
        except NoSpace as error:
            say(f"{error} The work goes on by itself once there is room.")
        time.sleep(ROOM_SECONDS)
        while not has_room(home):
            time.sleep(ROOM_SECONDS)


def watch(serving: "Serving", work: Embedded) -> NoReturn:
    """Serve until a stage ends, and raise what ended it."""
    serving.resume()
    work.start()
    while True:
        began = time.monotonic()
        serving.look()
        work.check()
        time.sleep(max(POLL_SECONDS, LOOK_SHARE * (time.monotonic() - began)))


def has_room(home: Path) -> bool:
    """Return whether `ROOM_BYTES` can be written."""
    probe = home / "room"
    try:
        with probe.open("wb") as file:
            file.write(bytes(ROOM_BYTES))
            file.flush()
            os.fsync(file.fileno())
        return True
    except OSError:
        return False
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


class Serving:
    """The folder's side of an `Embedded` at work: takes what arrives, tells what ended."""

    def __init__(
        self, root: Path, settings: Settings, work: Embedded, deliveries: Deliveries, settle: float, say: Say
    ) -> None:
        self._uploads = root / wiring.UPLOADS_BUCKET
        self._transcripts = root / "transcripts"
        self._settings = settings
        self._work = work
        self._deliveries = deliveries
        self._settle = settle
        self._say = say
        self._arrivals: uploads.Arrivals[files.Mark] = uploads.Arrivals()
        self._leases = not files.remote(self._uploads.stat().st_dev, _mounts())
        self._told = deliveries.told()
        self._since: dict[str, float] = {}  # when each unended job was first seen
        self._troubles: dict[str, tuple[str, float]] = {}  # what could not be done, why, and when that was
        self._said: dict[str, str] = {}  # the last complaint about each thing

    def resume(self) -> None:
        """Go on with what an earlier process left; call before the stages start."""
        for job in reversed(self._jobs()):
            if job.state.ended:
                continue
            if not job.transcripts and job.settings.model != self._settings.model and self._is_there(job):
                # No worker here could do it, and nothing of it has been delivered: `look` takes it afresh.
                self._work.forget(job.job_id)
                continue
            self._say(f"{job.recording.name}: goes on")
            if job.state is JobState.CHUNKING:
                self._work.take(UploadEvent(job.recording, job.size, {}))

    def look(self) -> None:
        """Take what has arrived, and tell what has ended. Raises `NoSpace` when the state cannot be written."""
        self._arrive()
        self._tell()
        while self._work.problems:
            self._say(f"tried again after: {self._work.problems.pop(0)}")

    def _jobs(self) -> list[Job]:
        return [job for job in self._work.jobs.jobs() if job.recording.bucket == wiring.UPLOADS_BUCKET]

    def _is_there(self, job: Job) -> bool:
        """Return whether the recording is still the one that the job transcribes."""
        try:
            return self._work.blobs.stat(job.recording.bucket, job.recording.name).ref == job.recording
        except LongscribeError:
            return False

    # What arrives

    def _arrive(self) -> None:
        listing = files.listing(self._uploads, self._unreadable)
        found = ((name, mark) for name, mark in listing if uploads.is_recording(name))
        now = time.monotonic()
        for name, (mark, since) in sorted(self._arrivals.look(found, now).items()):
            watched = now - since >= self._settle
            # What was moved here whole need not be watched, if the kernel says that nobody writes it.
            old = time.time() - mark.changed / 1e9 >= self._settle
            if (watched or old) and self._is_whole(name, mark, watched):
                try:
                    self._take(name)
                except NoSpace:
                    raise
                except Gone:  # so soon
                    continue
                except LongscribeError as error:  # tried again at the next look
                    self._complain(name, str(error))
                else:
                    self._arrivals.passed(name, mark)

    def _is_whole(self, name: str, mark: files.Mark, watched: bool) -> bool:
        try:
            written = files.written(self._uploads, name, mark, self._leases)
        except FileNotFoundError:
            return False
        except OSError as error:
            self._complain(name, f"cannot be read ({error.strerror}); change its permissions.")
            return False
        return watched if written is None else not written

    def _take(self, name: str) -> None:
        found = self._work.blobs.stat(wiring.UPLOADS_BUCKET, name)
        event = UploadEvent(found.ref, found.size, {})
        try:
            self._work.jobs.job(chunker.job_id(event))
        except Gone:
            pass
        else:
            return  # taken by an earlier process
        refusal = None
        try:
            event = UploadEvent(found.ref, found.size, self._metadata(name))
        except BadInput as error:
            refusal = str(error)
        job = self._work.take(event, refusal)
        if not job.state.ended:
            self._since[job.job_id] = job.created
            self._say(f"{name}: taken, {_bytes(found.size)}")

    def _metadata(self, name: str) -> dict[str, str]:
        """Return the settings beside a recording, checked. Raises `BadInput`."""
        uploads.check_name(name)
        try:
            sidecar = self._work.blobs.stat(wiring.UPLOADS_BUCKET, name + uploads.SIDECAR)
            data = self._work.blobs.read(sidecar.ref, 0, uploads.MAX_SIDECAR_BYTES + 1)
        except Gone:
            return {}
        metadata = uploads.read_sidecar(data)
        settings = from_metadata(metadata, self._settings)
        for option in ("model", "compute_type"):
            asked, held = getattr(settings, option), getattr(self._settings, option)
            if asked != held:
                flag = option.replace("_", "-")
                raise BadInput(
                    f"Its settings ask for the {option.replace('_', ' ')} {asked!r} and this service works with"
                    f" {held!r}; leave that out, or start longscribe serve with --{flag} {asked}."
                )
        return metadata

    # What ends

    def _tell(self) -> None:
        jobs = self._jobs()
        for job in reversed(jobs):
            if not job.state.ended:
                self._since.setdefault(job.job_id, time.time())
            elif self._told.get(job.job_id) != job.updated:
                self._end(job, jobs)

    def _end(self, job: Job, jobs: Sequence[Job]) -> None:
        """Tell the end of one job, whatever goes wrong with it; what could not be written is tried again."""
        trouble, tried = self._troubles.get(job.job_id, ("", -RETRY_SECONDS))
        if time.monotonic() - tried < RETRY_SECONDS:
            return
        try:
            lines = self._put_down(job, jobs)
            if self._work.jobs.job(job.job_id).updated != job.updated:
                return  # it went on meanwhile: its audio is needed again
            self._work.drop_audio(job.job_id)
            self._deliveries.tell(job.job_id, job.updated)
        except Gone:
            return  # deleted meanwhile
        except Exception as error:  # one job must not stop the others
            sentence = str(error) if isinstance(error, LongscribeError) else f"{type(error).__name__}; report this."
            if sentence != trouble:
                self._say(f"{job.recording.name}: not delivered yet: {sentence}")
            self._troubles[job.job_id] = (sentence, time.monotonic())
            return
        self._troubles.pop(job.job_id, None)
        self._since.pop(job.job_id, None)
        self._told[job.job_id] = job.updated
        for line in lines:
            self._say(f"{job.recording.name}: {line}")

    def _put_down(self, job: Job, jobs: Sequence[Job]) -> list[str]:
        """Write what a job ended in; return what is to be said of it."""
        if job.state is JobState.CANCELLED:
            return ["cancelled"]
        if job.state is JobState.FAILED:
            return self._refuse(job)
        if any(_replaces(other, job) for other in jobs):
            return ["not delivered: a newer recording of this name has been transcribed"]
        transcript = self._work.transcript(job.job_id)
        name = job.recording.name
        base = self._deliveries.claim(name, uploads.bases(name, first=not any(_goes_before(o, job) for o in jobs)))
        for kind in transcript.settings.formats:
            self._write(self._transcripts / f"{base}.{kind}", render(transcript, kind))
        with contextlib.suppress(LongscribeError):
            self._work.blobs.delete(wiring.UPLOADS_BUCKET, name + uploads.COMPLAINT)
        return [self._done(job, transcript, base), *_missing(transcript)]

    def _refuse(self, job: Job) -> list[str]:
        lines = [f"refused: {job.reason}"]
        if self._is_there(job):
            name = job.recording.name + uploads.COMPLAINT
            try:
                put_whole(self._uploads / name, f"{job.reason}\n".encode())
            except OSError as error:
                lines.append(f"{name} cannot be written ({error.strerror})")
        return lines

    def _write(self, path: Path, data: bytes) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            put_whole(path, data)
        except OSError as error:
            if error.errno in FULL:
                raise NoSpace(f"The disk of {path.parent} is full; make room there.") from None
            raise BadInput(f"{path} cannot be written ({error.strerror}); mend that.") from None

    def _done(self, job: Job, transcript: Transcript, base: str) -> str:
        files = ", ".join(f"transcripts/{base}.{kind}" for kind in transcript.settings.formats)
        began = self._since.get(job.job_id)
        if began is None or job.updated <= began:
            return f"{transcript.duration / 60:.1f} min → {files}"
        took = job.updated - began
        speed = transcript.duration / took
        return f"{transcript.duration / 60:.1f} min in {took / 60:.1f} min ({speed:.1f}×) → {files}"

    # What is said

    def _unreadable(self, error: OSError) -> None:
        self._complain(str(error.filename), f"cannot be read ({error.strerror}); change its permissions.")

    def _complain(self, name: str, sentence: str) -> None:
        """Say what is wrong with a file or folder, once."""
        if self._said.get(name) != sentence:
            self._said[name] = sentence
            self._say(f"{name}: {sentence}")


def _replaces(other: Job, job: Job) -> bool:
    """Return whether ``other`` transcribed a later content of the same recording."""
    later = other.recording.name == job.recording.name and other.created > job.created
    return later and other.state in (JobState.COMPLETE, JobState.PARTIAL)


def _goes_before(other: Job, job: Job) -> bool:
    """Return whether ``other``, another recording of the same stem, was there first."""
    one, two = other.recording.name, job.recording.name
    if one == two or uploads.stem(one) != uploads.stem(two):
        return False
    return (other.created, one) < (job.created, two) and other.state not in (JobState.FAILED, JobState.CANCELLED)


def _missing(transcript: Transcript) -> list[str]:
    return [
        f"missing {part.start:.1f} s to {part.end:.1f} s: {part.reason}"
        for part in transcript.coverage
        if part.kind is Kind.MISSING
    ]


def _bytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _mounts() -> str:
    try:
        return Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # no Linux
        return ""
