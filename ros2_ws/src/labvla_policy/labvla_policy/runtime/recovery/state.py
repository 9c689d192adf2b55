"""What is known of an arm at a moment, whoever made it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from labvla_policy.runtime.reasons import REASONS


class Halt(Enum):
    """Why an arm does not move; the values are reasons of events."""

    SILENT = "robot_silent"
    EMERGENCY = "emergency_stop"
    SAFEGUARD = "safeguard_stop"
    FAULT = "safety_fault"
    BY_HAND = "hand_guided"
    PROTECTIVE = "protective_stop"
    IDLE = "robot_idle"

    @property
    def remedy(self) -> str:
        """What a person does about it."""
        return REASONS[self.value].remedy


# Nothing that is sent to a driver may end these: somebody has to go and see.
FOR_PEOPLE = frozenset({Halt.EMERGENCY, Halt.SAFEGUARD, Halt.FAULT, Halt.BY_HAND})


class Fact(Enum):
    """What a step of a recovery waits for."""

    SAFE = "the safety system lets the arm move"
    POWERED = "the robot is powered and its brakes are released"
    PROGRAM_STOPPED = "no program runs on the robot"
    PROGRAM_RUNNING = "the driver's program runs on the robot"
    HARDWARE_ACTIVE = "the hardware component is active"
    CONTROLLERS_ACTIVE = "the controllers are active"


@dataclass(frozen=True)
class Snapshot:
    """An arm, or the controllers of the cell, at a moment."""

    halt: Halt | None  # None: it can move
    words: str  # the driver's own, for people
    facts: frozenset[Fact] = frozenset()
