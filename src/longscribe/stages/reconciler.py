"""Heals what a crash between two steps left: chunks without a message, jobs without their last event."""

from longscribe.core import topics
from longscribe.documents import ChunkState, JobState
from longscribe.messages import encode
from longscribe.stages.assembler import AssemblerPorts, finish, settle


def heal(job_id: str, ports: AssemblerPorts) -> None:
    """Bring one job on that nobody is working on; a job that is well, or still being cut, is left as it is.

    Raises `Gone`.
    """
    job = ports.jobs.job(job_id)
    if job.state is JobState.SETTLING:
        if not ports.jobs.any_pending(job_id):
            finish(job, ports)
            return
        # The vote sent chunks back, and the job's own move was lost.
        ports.jobs.move(job_id, JobState.SETTLING, JobState.TRANSCRIBING)
    elif job.state is not JobState.TRANSCRIBING or settle(job_id, ports) is not None:
        return
    for chunk in ports.jobs.chunks(job_id):
        if chunk.state is ChunkState.PENDING:
            ports.queue.publish(topics.topic(chunk.task.priority), encode(chunk.task), job_id)
