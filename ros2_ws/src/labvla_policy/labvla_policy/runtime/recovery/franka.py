"""What franka_ros2 tells, and how an FR3 is made ready again.

After an error of the robot's interface the driver lives on with its hardware component unconfigured
and every controller on it inactive, the one that tells the robot's mode among them. So the mode is
not known during a recovery: the driver's answers and the component's state have to do.
"""

from __future__ import annotations

from collections.abc import Mapping

from labvla_policy.runtime.recovery.sequence import Step
from labvla_policy.runtime.recovery.state import Fact, Halt, Snapshot

ACTIVE = "active"

_MODES: Mapping[int, tuple[str, Halt | None]] = {
    0: ("other", None),  # seen between two modes
    1: ("idle", None),
    2: ("move", None),
    3: ("guiding", Halt.BY_HAND),
    4: ("reflex", Halt.PROTECTIVE),
    5: ("user stopped", Halt.EMERGENCY),
    6: ("automatic error recovery", Halt.IDLE),
}


def snapshot(
    mode: int | None, hardware: str | None, errors: str = "", expected: bool = True
) -> Snapshot:
    """Judge what was heard: the robot's mode if it is recent, and the component's state.

    Args:
        mode: the robot's; None while nobody tells it.
        hardware: the state of its component; None while no manager knows it.
        errors: of its last motion.
        expected: whether somebody should tell the mode; else the hardware speaks for it.
    """
    if hardware is None:
        return Snapshot(Halt.SILENT, "its hardware component is not known to a controller manager")
    facts = frozenset({Fact.HARDWARE_ACTIVE} if hardware == ACTIVE else ())
    if mode is None:
        halt = None if hardware == ACTIVE and not expected else Halt.IDLE
        return Snapshot(halt, f"hardware {hardware}, robot mode not told", facts)
    name, halt = _MODES.get(mode, (f"unknown mode {mode}", Halt.FAULT))
    if halt is None and hardware != ACTIVE:
        halt = Halt.IDLE
    words = f"robot mode {mode} ({name}), hardware {hardware}"
    return Snapshot(halt, f"{words}: {errors}" if errors and halt else words, facts)


def steps(arm: str) -> tuple[Step, ...]:
    """Return what is asked of the driver, in the order that it needs."""
    return (
        Step(
            arm,
            "error_recovery",
            "clear the robot's error",
            timeout=20.0,
            advice="release the stop button, open the brakes and activate FCI in Desk; if the arm "
            "stands outside of its limits or in contact, guide it free by hand",
        ),
        Step(
            arm,
            "activate_hardware",
            "connect the driver to the robot again",
            until=frozenset({Fact.HARDWARE_ACTIVE}),
            timeout=20.0,
            advice="read the driver's log; is FCI active in Desk, and the robot reachable?",
        ),
    )
