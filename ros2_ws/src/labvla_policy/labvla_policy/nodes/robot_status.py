"""What the robot node tells on `labvla/robot`, as a record: written and read in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

TOPIC = "labvla/robot"
_STATE = "state of "  # begins the key of an arm, or of the cell's controllers


@dataclass(frozen=True)
class RobotStatus:
    """Whether real robots can move, and how far their recovery is."""

    cell: str
    cell_hash: str = ""  # of the file with which the robot node runs
    ready: bool = False
    line: str = ""  # for people
    reason: str = ""  # why they cannot move: a reason of events
    subject: str = ""  # which arm, or cell
    recovery: str = ""  # a Phase
    step: str = ""
    doing: str = ""
    confirm: str = ""  # what has to be checked, while a confirmation is waited for
    states: Mapping[str, str] = field(default_factory=dict)  # in the drivers' words, by arm


_TEXTS = ("cell_hash", "reason", "subject", "recovery", "step", "doing", "confirm")


def to_message(status: RobotStatus, node: str) -> DiagnosticStatus:
    """Write it for the topic, as diagnostics' readers expect it."""
    values = {
        **{name: getattr(status, name) for name in _TEXTS},
        **{f"{_STATE}{name}": words for name, words in status.states.items()},
    }
    return DiagnosticStatus(
        level=DiagnosticStatus.OK if status.ready else DiagnosticStatus.ERROR,
        name=f"{node.lstrip('/')}: {status.cell}",
        message=status.line,
        hardware_id=status.cell,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )


def from_message(message: DiagnosticStatus) -> RobotStatus:
    """Read it from the topic; what is not in it is empty."""
    values = {pair.key: pair.value for pair in message.values}
    return RobotStatus(
        cell=message.hardware_id,
        ready=message.level == DiagnosticStatus.OK,
        line=message.message,
        states={
            key.removeprefix(_STATE): words
            for key, words in values.items()
            if key.startswith(_STATE)
        },
        **{name: values.get(name, "") for name in _TEXTS},
    )
