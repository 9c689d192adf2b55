"""Hardware that ros2_control makes up itself: it never stops, and has nothing to recover."""

from __future__ import annotations

from collections.abc import Sequence

from labvla_policy.nodes.robot_ports.manager import ControllerManager
from labvla_policy.runtime.recovery.state import Halt, Snapshot
from labvla_policy.runtime.report import Report


class FakePort:
    """One arm of mock components."""

    def __init__(self, manager: ControllerManager) -> None:
        self._manager = manager

    def snapshot(self) -> Snapshot:
        """Tell whether somebody drives it at all."""
        if not self._manager.heard:
            return Snapshot(Halt.SILENT, "the controller_manager does not answer")
        return Snapshot(None, "fake hardware")

    def missing(self, call: str) -> str:
        """Nothing: nothing is asked."""
        raise NotImplementedError(call)

    def ask(self, call: str) -> int:
        """Nothing: no sequence names it."""
        raise NotImplementedError(call)

    def poll(self) -> Sequence[Report]:
        """Return nothing."""
        return ()
