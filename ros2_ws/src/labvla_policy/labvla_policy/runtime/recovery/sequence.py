"""Recoveries as data: what is asked of whom, and what has to be seen before the next is asked."""

from __future__ import annotations

from dataclasses import dataclass

from labvla_policy.runtime.recovery.state import Fact

CELL = "cell"  # what is no arm's own: controllers, and the stop that the stack latched


@dataclass(frozen=True)
class Step:
    """One request, and what ends it."""

    subject: str  # arm, or CELL
    call: str  # as the port knows it
    does: str  # in words, for the operator
    timeout: float  # s
    advice: str  # when it did not help
    until: frozenset[Fact] = frozenset()  # seen already: nothing is asked; none: the answer counts
    confirm: str = ""  # what a person has to have checked before
    insists: bool = False  # asked again after a refusal, as long as there is time
    passing: bool = False  # a later step undoes what was waited for


def cell_steps(controllers: tuple[str, ...], latches: bool = True) -> tuple[Step, ...]:
    """Return the end of every recovery; not all controllers latch a stop that has to be cleared."""
    activate = Step(
        CELL,
        "activate_controllers",
        f"activate {', '.join(controllers)}",
        until=frozenset({Fact.CONTROLLERS_ACTIVE}),
        timeout=15.0,
        advice="`ros2 control list_controllers` shows what holds the joints; read the log of "
        "the controller manager",
        insists=True,  # on a UR somebody else activates them, too: controller_stopper
    )
    reset = Step(
        CELL,
        "reset_stop",
        "clear the stop",
        timeout=10.0,
        advice="is the policy node running, or hung? `labvla status` shows it",
        insists=True,  # it first has to hear that the robot is ready
    )
    return (activate, reset) if latches else (activate,)
