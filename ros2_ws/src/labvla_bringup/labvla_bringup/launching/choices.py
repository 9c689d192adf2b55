"""The arguments of the launch files, and the stack that they ask for. Nothing of launch in here."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from labvla_bringup.bench_cell import write_bench_cell
from labvla_bringup.controllers import KINDS
from labvla_bringup.description import Stack
from labvla_bringup.engines import ENGINES
from labvla_bringup.hardware import Hardware
from labvla_bringup.stack import AUTO, NO_ENGINE, PLANNERS, StackError, Views, describe
from labvla_policy.runtime.cell import Cell, load_cell
from labvla_policy.runtime.scheduling.scheduler import Mode


@dataclass(frozen=True)
class Choice:
    """One argument of a launch file."""

    name: str
    description: str
    default: str | None = ""  # None: it has to be given
    choices: tuple[str, ...] = ()


YES_NO = ("true", "false")

USE_FAKE_HARDWARE = Choice(
    "use_fake_hardware",
    "the maker's fake hardware: no robot is needed, positions that are commanded come back",
    "false",
    YES_NO,
)
SIM = Choice("sim", "the simulated cell instead of any robot", "false", YES_NO)
POLICY = Choice(
    "policy",
    "what answers observations; none: no policy on this computer",
    NO_ENGINE,
    (NO_ENGINE, *ENGINES),
)
CHECKPOINT = Choice("checkpoint", "what the policy labvla runs: a folder, or an id on the hub")
ENGINE_OPTIONS = Choice(
    "engine_options", "more to tell the policy: NAME=VALUE NAME=VALUE, e.g. uri=ws://gpu:8000"
)
SCHEDULING = Choice("scheduling", "how predictions follow each other", "async", get_args(Mode))
INSTRUCTION = Choice("instruction", "said once, when the policy is ready: the arm moves then")
CONTROLLER = Choice("controller", "what moves the arms", "labvla", KINDS)
RECORD = Choice("record", "run the recorder", "true", YES_NO)
RECORDINGS = Choice("recordings", "folder for episodes; empty: $LABVLA_RECORDINGS")
RVIZ = Choice("rviz", "show the cell in rviz, with plans, boxes and status", "false", YES_NO)
NAMESPACE = Choice("namespace", "of all nodes of this cell, e.g. /lab1")
PLANNER = Choice(
    "planner", "of labvla/move_to; auto: MoveIt where moveit_py is installed", AUTO, PLANNERS
)

POLICY_SIDE = (CHECKPOINT, ENGINE_OPTIONS, SCHEDULING, INSTRUCTION, PLANNER)


def cell(default: str | None) -> Choice:
    """Return the choice of the cell."""
    return Choice("cell", "name of a cell, or path of a cell file", default)


def robot(default: str, arms: Mapping[str, str]) -> tuple[Choice, ...]:
    """Return the arguments of a launch file that starts a robot.

    Args:
        default: the cell that is started when none is named.
        arms: the beginning of an arm's own arguments, by the arm's name.
    """
    addresses = tuple(
        Choice(f"{word}_ip", f"address of the robot (the cell's arm {arm!r})")
        for arm, word in arms.items()
    )
    return (
        cell(default),
        *addresses,
        USE_FAKE_HARDWARE,
        SIM,
        CONTROLLER,
        POLICY,
        *POLICY_SIDE,
        RECORD,
        RECORDINGS,
        RVIZ,
        NAMESPACE,
    )


def calibration(arm: str, word: str) -> Choice:
    """Return the argument for the factory calibration of a UR."""
    return Choice(
        f"{word}_kinematics",
        f"calibration file of the cell's arm {arm!r}, as ur_calibration wrote it; empty: the "
        "model's own, which is some millimetres off",
    )


TOOL_PORT = Choice(
    "gripper_port",
    "serial device of the gripper; empty: the tool's own, forwarded by the driver",
)


def robot_stack(given: Mapping[str, str], folder: Path, arms: Mapping[str, str]) -> Stack:
    """Describe what a robot's launch file was asked for.

    Args:
        given: the value of every argument.
        folder: for the cell as it is simulated.
        arms: the beginning of an arm's own arguments, by the arm's name.
    """
    found = load_cell(given["cell"])
    _check_arms(found, arms)
    simulated = given["sim"] == "true"
    if simulated:
        found = write_bench_cell(found, folder)
    hardware = Hardware(
        addresses=_by_arm(given, arms, "ip"),
        fake=given["use_fake_hardware"] == "true",
        controller=given["controller"],  # type: ignore[arg-type]  # one of its choices
        kinematics=_by_arm(given, arms, "kinematics"),
        tool_port={arm: given.get("gripper_port", "") for arm in arms},
    )
    return describe(
        found,
        robot="sim" if simulated else "hardware",
        engine=given["policy"],
        namespace=given["namespace"],
        record=given["record"] == "true",
        recordings=given["recordings"],
        hardware=hardware,
        views=Views(rviz=given["rviz"] == "true", markers=given["rviz"] == "true"),
        **_policy(given),
    )


def policy_stack(given: Mapping[str, str], _folder: Path) -> Stack:
    """Describe the policy alone: the robot is on another computer."""
    return describe(
        load_cell(given["cell"]),
        robot="hardware",
        engine=given["policy"],
        namespace=given["namespace"],
        record=False,
        hardware=Hardware(drive=False),
        **_policy(given),
    )


def recorder_stack(given: Mapping[str, str], _folder: Path) -> Stack:
    """Describe the recorder alone."""
    return describe(
        load_cell(given["cell"]),
        robot="hardware",
        engine=NO_ENGINE,
        namespace=given["namespace"],
        recordings=given["recordings"],
        hardware=Hardware(drive=False),
    )


def views_stack(given: Mapping[str, str], _folder: Path) -> Stack:
    """Describe what people look at, alone."""
    return describe(
        load_cell(given["cell"]),
        robot="hardware",
        engine=NO_ENGINE,
        namespace=given["namespace"],
        record=False,
        hardware=Hardware(drive=False),
        views=Views(
            rviz=given["rviz"] == "true",
            foxglove=given["foxglove"] == "true",
            markers=given["markers"] == "true",
            simulated=given["sim"] == "true",
        ),
    )


def _policy(given: Mapping[str, str]) -> dict[str, Any]:
    if given.get("policy") == NO_ENGINE:
        told = [name for name in ("checkpoint", "engine_options") if given[name]]
        if told:
            raise StackError(f"{told[0]}: expected a policy that is told it, got policy:=none")
    return {
        "engine_options": _options(given),
        "scheduling": given["scheduling"],
        "instruction": given["instruction"],
        "planner": given["planner"],
    }


def _options(given: Mapping[str, str]) -> dict[str, str]:
    options: dict[str, str] = {}
    if checkpoint := given["checkpoint"]:
        # The engine's process may have another working folder.
        folder = Path(checkpoint).expanduser()
        options["checkpoint"] = str(folder.resolve()) if folder.exists() else checkpoint
    for word in shlex.split(given["engine_options"]):
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise StackError(f"engine_options: expected NAME=VALUE NAME=VALUE, got {word!r}")
        if name in options:
            raise StackError(f"engine_options: {name} is given twice")
        options[name] = value
    return options


def _check_arms(found: Cell, arms: Mapping[str, str]) -> None:
    names = [arm.name for arm in found.arms]
    if names != list(arms):
        raise StackError(
            f"{found.name}: expected a cell whose arms are {' and '.join(arms)}, got "
            f"{' and '.join(names)}; another launch file is for it"
        )


def _by_arm(given: Mapping[str, str], arms: Mapping[str, str], what: str) -> dict[str, str]:
    return {arm: given.get(f"{word}_{what}", "") for arm, word in arms.items()}
