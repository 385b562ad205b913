"""The reconciler as a service: one look at every job that is not at rest, for a timer and for a first chunk."""

from longscribe.observe import Log
from longscribe.stages.assembler import AssemblerPorts


class Reconciling:
    """Looks after what nobody is working on."""

    def __init__(self, ports: AssemblerPorts, log: Log) -> None:
        self._ports = ports
        self._log = log

    def tick(self) -> None:
        """Look at every job that is not at rest."""
