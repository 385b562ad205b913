"""The assembler as a service: results and dead letters, pushed to one path each."""

from cloudevents.http import CloudEvent

from longscribe.core import topics
from longscribe.errors import LongscribeError
from longscribe.observe import Log, Severity
from longscribe.services.events import Retry, pushed
from longscribe.stages.assembler import AssemblerPorts, take_dead_letter, take_result

TAKES = {topics.RESULTS: take_result, topics.DEAD_CHUNKS: take_dead_letter}


class Assembling:
    """Takes what the two subscriptions push."""

    def __init__(self, ports: AssemblerPorts, log: Log) -> None:
        self._ports = ports
        self._log = log

    def take(self, event: CloudEvent) -> None:
        """Take one message; to return is to acknowledge.

        What is no message of ours, or one of a newer version, is not acknowledged: it comes again until a newer
        service reads it or its attempts are spent, and then waits in the subscription's dead letters. Raises
        `Retry`.
        """
        try:
            topic, data = pushed(event)
            taken = TAKES[topic](data, self._ports)
        except LongscribeError as error:
            self._log.failure("A message could not be taken", error)
        except Exception as error:  # its words must not reach the platform's log
            self._log.failure("A message could not be taken", error, Severity.ERROR)
        else:
            self._log("A message was taken", outcome=taken.what, job=taken.job_id, chunk=taken.index, run=taken.run)
            return
        raise Retry
