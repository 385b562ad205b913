"""Which messages to send again: what the chunk documents tell of messages that were lost.

A pending chunk's message may wait in a queue, be with a worker, or be lost; its document looks the same. But queues
deliver roughly in order. So where a job has been silent for longer than any worker needs,

- chunks that were queued before the one written last, and under its priority, have been overtaken: if that one was
  answered, their messages are lost, and all of them are sent again;
- where none is overtaken, the job's last pending chunk is sent again alone, as a probe. If the queue is only full,
  the probe waits with the others, and nothing more is sent; once it is answered, all the others are overtaken.

Each sending doubles the time until the next. A message sent twice is run once: see ``stages/worker.py``.
"""

from collections.abc import Iterable, Iterator

from longscribe.documents import Chunk, ChunkState


def doubted(latest: Chunk, pending: Iterable[Chunk], now: float, bound: float) -> Iterator[Chunk]:
    """Yield the chunks of a job whose messages are to be sent again, in the order of the recording.

    ``latest`` is the chunk written last; ``pending`` are those pending, by index, and are read only if ``latest``
    is not one of them. ``now`` and ``bound``, how long a job may be silent, are in seconds.
    """
    if now - latest.updated < bound:
        return
    if latest.state is ChunkState.PENDING:
        pending = (latest,)
    overtaken, last = False, None
    for last in pending:
        if last.task.priority is latest.task.priority and last.queued < latest.queued:
            overtaken = True
            if _due(last, now, bound):
                yield last
    if last is not None and not overtaken and _due(last, now, bound):
        yield last


def _due(chunk: Chunk, now: float, bound: float) -> bool:
    return now - chunk.queued >= bound * 2.0 ** (chunk.sendings - 1)
