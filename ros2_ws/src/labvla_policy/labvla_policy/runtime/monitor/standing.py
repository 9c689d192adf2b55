"""What the cell is about, in a few lines of text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.monitor.marks import Colour, Mark, Shape
from labvla_policy.runtime.reference import Mode
from labvla_policy.runtime.types import NANOSECONDS

GOOD: Colour = (0.75, 0.95, 0.75, 1.0)
PLAIN: Colour = (0.95, 0.95, 0.95, 1.0)
BAD: Colour = (1.0, 0.45, 0.35, 1.0)

SILENT = 2 * NANOSECONDS  # policy and robot node tell their states at 5 Hz
REMEMBERED = 30 * NANOSECONDS  # how long a refusal is worth a line
WIDEST = 60  # letters
LETTERS = 0.035  # m
ABOVE = 0.15  # m over the highest place where a tool may be


@dataclass(frozen=True)
class PolicyState:
    """What the policy node says of itself."""

    stamp: int  # ns
    state: str  # as PolicyStatus names it
    moves: bool  # whether it may send anything
    instruction: str
    owner: str  # of the motion
    message: str


@dataclass(frozen=True)
class Incident:
    """The last thing that was refused or stopped."""

    stamp: int  # ns
    source: str
    reason: str
    subject: str
    detail: str


@dataclass(frozen=True)
class RobotState:
    """What the robot node says; a simulated cell has none."""

    stamp: int  # ns, when it was heard
    ready: bool
    words: str


@dataclass(frozen=True)
class Standing:
    """All that is told about a cell in words."""

    policy: PolicyState | None = None
    controller: Mode | None = None  # None: nothing recent is known
    robot: RobotState | None = None
    incident: Incident | None = None

    def lines(self, t: int) -> tuple[list[str], Colour]:
        """Return the text, and the colour that sums it up."""
        told: list[str] = []
        bad = False
        policy = self.policy if self.policy and t - self.policy.stamp <= SILENT else None
        if policy is None:
            told.append("policy: silent")
        else:
            told.append(f"policy: {policy.state}" + (f", {policy.owner} moves" * policy.moves))
            told += [f"“{policy.instruction}”"] if policy.instruction else []
            told += [policy.message] if policy.message else []
            bad = policy.state in ("stopped", "fault")
        told.append(f"controller: {self.controller.value if self.controller else 'silent'}")
        bad = bad or self.controller in (Mode.STOPPED, Mode.FAULT)
        if self.controller is Mode.STOPPED or (policy and policy.state == "stopped"):
            told.append("STOP LATCHED: labvla recover")
        if self.robot is not None:
            silent = t - self.robot.stamp > SILENT
            told.append(f"robot: {'silent' if silent else self.robot.words}")
            bad = bad or silent or not self.robot.ready
        if self.incident is not None and 0 <= t - self.incident.stamp <= REMEMBERED:
            told += _incident(self.incident, t)
        moving = self.controller is Mode.TRACKING
        return [_cut(line) for line in told], BAD if bad else GOOD if moving else PLAIN


def text(cell: Cell, standing: Standing, t: int) -> Mark:
    """Return the text over the cell."""
    lines, colour = standing.lines(t)
    tool = cell.workspace.tool
    pose = np.eye(4)
    pose[:3, 3] = (
        (tool.lower[0] + tool.upper[0]) / 2,
        (tool.lower[1] + tool.upper[1]) / 2,
        tool.upper[2] + ABOVE,
    )
    return Mark("status", 0, Shape.TEXT, colour, (LETTERS, 0, 0), pose=pose, text="\n".join(lines))


def _incident(incident: Incident, t: int) -> list[str]:
    about = f" ({incident.subject})" if incident.subject else ""
    ago = (t - incident.stamp) // NANOSECONDS
    return [
        f"{ago} s ago: {incident.source} {incident.reason}{about}",
        incident.detail,
    ]


def _cut(line: str) -> str:
    return line if len(line) <= WIDEST else f"{line[: WIDEST - 1]}…"
