"""The bugs, each an exact replacement in one file, in the order of the flow.

``tests`` are where it ought to be caught, the cheapest first. Where these pass, all the other suites are asked.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bug:
    """A mistake that somebody might make."""

    name: str
    file: str  #: below ``src/longscribe/``
    old: str  #: occurs exactly once
    new: str
    tests: tuple[str, ...]

    def planted(self, source: str) -> str:
        """The file's text with the bug. Raises `ValueError` if the place for it is no longer there."""
        if source.count(self.old) != 1:
            raise ValueError(f"{self.name!r}: its old text occurs {source.count(self.old)} times in {self.file}.")
        return source.replace(self.old, self.new)


_CONCLUDES = (
    "result = conclude(chunk.prepared, heard, chunk.device_seconds, attempt, self._ports, chunk.idle_seconds)"
)
_ACKNOWLEDGES = "self._acknowledge(chunk.held)"

BUGS = (
    Bug(
        "the tail of a recording is dropped",
        "stages/chunker.py",
        "        while ahead:\n            yield _framed(*ahead.popleft())\n",
        "",
        ("tests/unit/test_stages_chunker.py",),
    ),
    Bug(
        "a gap in a file is hidden",
        "adapters/media/decoding.py",
        "        if gap:\n            reason",
        "        if gap and self._failed:\n            reason",
        ("tests/unit/test_media_damage.py", "tests/hostile/test_damage.py"),
    ),
    Bug(
        "it cuts in speech though a pause is near",
        "core/cutting.py",
        "(heard[cuts] >= aim - _ZONE)",
        "(heard[cuts] >= aim)",
        ("tests/unit/test_cutting.py", "tests/unit/test_cutting_properties.py"),
    ),
    Bug(
        "an upload's language is ignored",
        "stages/chunker.py",
        "language=job.settings.language,",
        "language=ports.defaults.language,",
        ("tests/unit/test_stages_chunker.py", "tests/unit/test_services.py"),
    ),
    Bug(
        "a cancelled recording is cut to its end",
        "stages/chunker.py",
        "            if _state(job.job_id, ports.jobs) is not JobState.CHUNKING:\n                return None\n",
        "",
        ("tests/unit/test_stages_chunker.py",),
    ),
    Bug(
        "more is pulled than can be held",
        "pulling.py",
        "room = min(limit, free - len(pulled))",
        "room = limit",
        ("tests/unit/test_pulling.py",),
    ),
    Bug(
        "a lease is not renewed in time",
        "pulling.py",
        "limits.LEASE_SECONDS / 3",
        "limits.LEASE_SECONDS * 3",
        ("tests/unit/test_pulling.py",),
    ),
    Bug(
        "a chunk that failed before shares a batch",
        "pulling.py",
        "self.delivery.attempt > 1",
        "self.delivery.attempt > 2",
        ("tests/unit/test_pulling.py", "tests/simulation/test_poison.py"),
    ),
    Bug(
        "a message that comes twice is run twice",
        "stages/worker.py",
        "    if chunk.state is ChunkState.DONE and answered == task.model and not job.state.ended:\n"
        "        return Unrun.DUPLICATE\n",
        "",
        ("tests/unit/test_stages_worker.py",),
    ),
    Bug(
        "a batch's results go to the wrong windows",
        "pulling.py",
        "audio = [chunk.windows[number] for chunk, number in batch]",
        "audio = [chunk.windows[number] for chunk, number in sorted(batch, key=lambda place: place[1])]",
        ("tests/unit/test_pulling.py",),
    ),
    Bug(
        "a chunk is acknowledged before its result is published",
        "pulling.py",
        f"        {_CONCLUDES}\n        {_ACKNOWLEDGES}\n",
        f"        {_ACKNOWLEDGES}\n        {_CONCLUDES}\n",
        ("tests/unit/test_pulling.py", "tests/simulation/test_every_fault.py"),
    ),
    Bug(
        "words keep their window's times",
        "stages/worker.py",
        "words=tuple(place(window, result.words))",
        "words=result.words",
        ("tests/unit/test_stages_worker.py",),
    ),
    Bug(
        "an echo of the vocabulary is kept",
        "core/guards.py",
        "(Guard.PROMPT_ECHO not in it[1], -len(it[1]), it[0].log_probability)",
        "(-len(it[1]), it[0].log_probability)",
        ("tests/unit/test_guards.py",),
    ),
    Bug(
        "a chunk gets one attempt too many",
        "adapters/local/queue.py",
        "attempts - min(voided, ?) >= ? RETURNING",
        "attempts - min(voided, ?) > ? RETURNING",
        ("tests/contract/test_sqlite.py", "tests/contract/test_local.py"),
    ),
    Bug(
        "an overwritten recording is read on",
        "adapters/gcp/storage.py",
        "blob(ref.name, generation=ref.generation)",
        "blob(ref.name)",
        ("tests/cloud/test_storage.py", "tests/cloud/test_contracts.py"),
    ),
    Bug(
        "a chunk's audio is written over",
        "adapters/gcp/storage.py",
        "self._upload(bucket, name, data, if_generation_match=0)",
        "self._upload(bucket, name, data)",
        ("tests/cloud/test_storage.py", "tests/cloud/test_contracts.py"),
    ),
    Bug(
        "a result that comes twice is taken for a replay",
        "core/progress.py",
        "    if chunk.state is ChunkState.DONE and chunk.result == result:\n        return chunk\n",
        "",
        ("tests/unit/test_progress.py", "tests/unit/test_stages_assembler.py"),
    ),
    Bug(
        "the dead letter of a message sent again is dropped",
        "stages/assembler.py",
        "task = replace(decode(data, ChunkTask), resent=False)",
        "task = decode(data, ChunkTask)",
        ("tests/unit/test_stages_assembler.py", "tests/unit/test_reconcile.py"),
    ),
    Bug(
        "the frontier passes over a hole",
        "core/progress.py",
        "if chunk.task.index != wanted or chunk.state is ChunkState.PENDING:",
        "if chunk.state is ChunkState.PENDING:",
        ("tests/unit/test_progress.py",),
    ),
    Bug(
        "a doubtful language votes like a certain one",
        "core/voting.py",
        "round(window.samples * heard.language_probability)",
        "window.samples",
        ("tests/unit/test_voting.py",),
    ),
    Bug(
        "both sides of an overlap are kept",
        "core/merging.py",
        "_ordered(held[:kept] + words[dropped:])",
        "_ordered(held[:kept] + words)",
        ("tests/unit/test_merging.py",),
    ),
    Bug(
        "a partial transcript is called complete",
        "core/assembly.py",
        "any(tile.kind is Kind.MISSING for tile in tiles)",
        "any(chunk.result is None for chunk in chunks)",
        ("tests/unit/test_assembly.py", "tests/unit/test_stages_assembler.py"),
    ),
    Bug(
        "subtitles are not escaped",
        "core/rendering.py",
        '"<": "&lt;", ">": "&gt;",',
        '"<": "&lt;",',
        ("tests/unit/test_rendering.py",),
    ),
    Bug(
        "a lost message is never sent again",
        "stages/reconciler.py",
        "            _publish([replace(chunk, task=replace(chunk.task, resent=True))], ports)\n",
        "",
        ("tests/unit/test_reconcile.py", "tests/unit/test_stages_reconciler.py"),
    ),
    Bug(
        "the words of an error are logged",
        "services/chunking.py",
        'self._log.failure("A recording could not be cut", error)',
        'self._log.failure(f"A recording could not be cut: {error}", error)',
        ("tests/unit/test_services.py",),
    ),
)
