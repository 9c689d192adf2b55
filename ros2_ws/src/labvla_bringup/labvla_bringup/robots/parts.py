"""What both makers' robots have in common when they come up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labvla_bringup import controllers
from labvla_bringup.controllers import ControllerError
from labvla_bringup.controllers.files import parameter_text
from labvla_bringup.description import Expanded, File, Include, Process, Spawn, Transform
from labvla_bringup.hardware import Hardware, HardwareError
from labvla_policy.runtime.cell import Arm, Cell


@dataclass(frozen=True)
class Parts:
    """What one robot adds to a stack."""

    processes: tuple[Process, ...] = ()
    includes: tuple[Include, ...] = ()
    spawns: tuple[Spawn, ...] = ()
    transforms: tuple[Transform, ...] = ()


def moving_controllers(cell: Cell, hardware: Hardware) -> Spawn:
    """Return the controllers that move the arms, all activated by one request."""
    kind = hardware.controller
    try:
        settings = controllers.parameters(cell, kind)
    except ControllerError as error:
        raise HardwareError(str(error)) from None
    if hardware.fake:
        # No program runs in a fake robot. Left out, not empty: ROS refuses an empty list in a file.
        settings = {
            name: {key: value for key, value in values.items() if key != "ready_interfaces"}
            for name, values in settings.items()
        }
    names = controllers.controller_names(cell, kind)
    return Spawn(
        names,
        parameter_file(f"{cell.name}_{kind}.yaml", settings),
        remappings=tuple(rule for name in names for rule in controllers.remappings(name, kind)),
    )


def parameter_file(name: str, nodes: Mapping[str, Any]) -> File:
    """Return a parameter file for nodes in whatever namespace."""
    return File(name, parameter_text({f"/**/{node}": values for node, values in nodes.items()}))


def state_publisher(description: Expanded, joint_states: str) -> Process:
    """Return what tells the robot's frames, from the joint states that are named."""
    return Process(
        name="robot_state_publisher",
        package="robot_state_publisher",
        executable="robot_state_publisher",
        parameters={"robot_description": description},
        remappings=(("joint_states", joint_states),) if joint_states != "joint_states" else (),
    )


def controller_manager(cell: Cell, settings: Mapping[str, Any]) -> Process:
    """Return the one manager of all arms. The arms are lost with it: the stack comes down."""
    told = {"update_rate": round(cell.controller.rate), **settings}
    return Process(
        name="ros2_control_node",
        package="controller_manager",
        executable="ros2_control_node",
        parameter_files=(parameter_file("controller_manager.yaml", {"controller_manager": told}),),
        renamed=False,  # the controllers' nodes live in it, too
    )


def flag(value: bool) -> str:
    """Return how launch files and xacro write it."""
    return "true" if value else "false"


def numbers(values: tuple[float, ...]) -> str:
    """Return how URDF writes a vector."""
    return " ".join(f"{value:.9g}" for value in values)


def pose_arguments(arm: Arm) -> dict[str, str]:
    """Return where an arm stands on the bench, as the two-arm descriptions are told it."""
    return {
        f"{arm.name}_xyz": numbers(arm.base.position),
        f"{arm.name}_rpy": numbers(arm.base.rpy),
    }


__all__ = [
    "Parts",
    "controller_manager",
    "flag",
    "moving_controllers",
    "parameter_file",
    "pose_arguments",
    "state_publisher",
]
