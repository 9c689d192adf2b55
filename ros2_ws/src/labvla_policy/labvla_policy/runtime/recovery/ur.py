"""What ur_robot_driver tells, and how a UR is made ready again.

A stop only pauses the program, which would go on with the old motion: it is stopped first.
The driver's set_mode unlocks a protective stop and restarts the safety system by itself when it
finds the robot in them. It is therefore called only after a person has confirmed and the safety
mode is normal, and never in a violation or fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from labvla_policy.runtime.recovery.sequence import Step
from labvla_policy.runtime.recovery.state import Fact, Halt, Snapshot

_SAFETY: Mapping[int, tuple[str, Halt | None]] = {
    1: ("normal", None),
    2: ("reduced", None),
    3: ("protective stop", Halt.PROTECTIVE),
    4: ("recovery", Halt.FAULT),
    5: ("safeguard stop", Halt.SAFEGUARD),
    6: ("system emergency stop", Halt.EMERGENCY),
    7: ("robot emergency stop", Halt.EMERGENCY),
    8: ("violation", Halt.FAULT),
    9: ("fault", Halt.FAULT),
    10: ("validate joint id", Halt.FAULT),
    11: ("undefined", Halt.FAULT),
    12: ("automatic mode safeguard stop", Halt.SAFEGUARD),
    13: ("three-position enabling stop", Halt.SAFEGUARD),
}

_RUNNING = 7
_MODES: Mapping[int, tuple[str, Halt | None]] = {
    -1: ("no controller", Halt.FAULT),
    0: ("disconnected", Halt.FAULT),
    1: ("confirm safety", Halt.FAULT),
    2: ("booting", Halt.IDLE),
    3: ("power off", Halt.IDLE),
    4: ("power on", Halt.IDLE),
    5: ("idle", Halt.IDLE),
    6: ("backdrive", Halt.BY_HAND),
    _RUNNING: ("running", None),
    8: ("updating firmware", Halt.FAULT),
}

_LOOK = "look at the arm: the cause is gone, nobody is in reach, and nothing is squeezed"


def snapshot(mode: int | None, safety: int | None, program: bool | None) -> Snapshot:
    """Judge what was heard; the first thing that hinders the arm counts."""
    told = {"robot_mode": mode, "safety_mode": safety, "robot_program_running": program}
    if mode is None or safety is None or program is None:
        silent = [name for name, value in told.items() if value is None]
        return Snapshot(Halt.SILENT, f"nothing heard of {', '.join(silent)}")
    safety_name, unsafe = _SAFETY.get(safety, (f"unknown mode {safety}", Halt.FAULT))
    mode_name, powerless = _MODES.get(mode, (f"unknown mode {mode}", Halt.FAULT))
    facts = {Fact.PROGRAM_RUNNING if program else Fact.PROGRAM_STOPPED}
    facts |= set() if unsafe else {Fact.SAFE}
    facts |= {Fact.POWERED} if mode == _RUNNING else set()
    words = (
        f"safety {safety} ({safety_name}), robot mode {mode} ({mode_name}), "
        f"program {'running' if program else 'stopped'}"
    )
    halt = unsafe or powerless or (None if program else Halt.IDLE)
    return Snapshot(halt, words, frozenset(facts))


def steps(arm: str, program: Literal["pendant", "headless"]) -> tuple[Step, ...]:
    """Return what is asked of the driver, in the order that is safe."""
    start = (
        Step(
            arm,
            "play",
            "start the program on the pendant",
            until=frozenset({Fact.PROGRAM_RUNNING}),
            timeout=20.0,
            advice="load the program with External Control on the pendant; is the robot in remote "
            "control, and the computer's address right in the program?",
            insists=True,  # the robot refuses to play just after its brakes were released
        )
        if program == "pendant"
        else Step(
            arm,
            "resend_program",
            "send the driver's program to the robot",
            until=frozenset({Fact.PROGRAM_RUNNING}),
            timeout=20.0,
            advice="put the robot into remote control; the driver runs with headless_mode:=true?",
            insists=True,
        )
    )
    return (
        Step(
            arm,
            "stop_program",
            "stop the program, so that the old motion is not continued",
            until=frozenset({Fact.PROGRAM_STOPPED}),
            timeout=10.0,
            advice="stop it on the pendant; the robot has to be in remote control",
            passing=True,
        ),
        Step(
            arm,
            "unlock",
            "unlock the protective stop",
            until=frozenset({Fact.SAFE}),
            timeout=20.0,
            advice="read what the pendant says; confirm it there",
            confirm=_LOOK,
            insists=True,  # the robot refuses within 5 s of the stop
        ),
        Step(
            arm,
            "set_mode",
            "power the robot and release its brakes",
            until=frozenset({Fact.POWERED}),
            timeout=60.0,
            advice="initialise the robot on the pendant, and confirm what it asks",
            confirm=_LOOK,
        ),
        start,
    )
