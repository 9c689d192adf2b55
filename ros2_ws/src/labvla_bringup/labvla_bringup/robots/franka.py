"""Franka robots, as franka_ros2 3.4 brings them up."""

from __future__ import annotations

from labvla_bringup import frames, resources
from labvla_bringup.description import Expanded, Include, Spawn
from labvla_bringup.hardware import Hardware, HardwareError
from labvla_bringup.robots.parts import (
    Parts,
    controller_manager,
    flag,
    moving_controllers,
    parameter_file,
    pose_arguments,
    state_publisher,
)
from labvla_policy.runtime.cell import Arm, Cell

RATE = 1000.0  # Hz of the robot's own control loop: every cycle wants a command
SOURCE = "franka/joint_states"  # where its launch files put the arm's own joint states


def bring_up(cell: Cell, hardware: Hardware, namespace: str) -> Parts:
    """Return what brings one or two Frankas up."""
    if cell.controller.rate != RATE:
        raise HardwareError(
            f"{cell.name}: controller.rate: expected {RATE:g} Hz, the rate at which a Franka is "
            f"driven, got {cell.controller.rate:g}"
        )
    if len(cell.arms) == 1:
        return _one(cell, hardware, namespace)
    return _two(cell, hardware, namespace)


def robot_type(arm: Arm) -> str:
    """Return fr3 of left_fr3_joint1."""
    return arm.joints[0].removeprefix(arm.prefix).removesuffix("_joint1")


def _one(cell: Cell, hardware: Hardware, namespace: str) -> Parts:
    arm = cell.arms[0]
    return Parts(
        includes=(
            Include(
                "franka_bringup",
                "franka.launch.py",
                {
                    "robot_type": robot_type(arm),
                    "arm_prefix": arm.prefix.rstrip("_"),
                    "namespace": namespace,
                    "robot_ip": hardware.address(arm.name),
                    "load_gripper": flag(arm.gripper.kind == "franka_hand"),
                    "use_fake_hardware": flag(hardware.fake),
                    "fake_sensor_commands": "false",
                },
            ),
        ),
        spawns=(moving_controllers(cell, hardware),),
        transforms=(frames.bench_below(cell), *frames.cameras(cell)),
    )


def _two(cell: Cell, hardware: Hardware, namespace: str) -> Parts:
    """Two arms under one manager.

    fr3_duo.launch.py brings the maker's own torso up, not two arms on a bench, and neither hands
    nor addresses as arguments: what it starts is started here, from our own description.
    """
    told = {
        "robot_type": robot_type(cell.arms[0]),
        "bench": cell.frame,
        "use_fake_hardware": flag(hardware.fake),
    }
    for arm in cell.arms:
        told |= {f"{arm.name}_robot_ip": hardware.address(arm.name), **pose_arguments(arm)}
    description = Expanded(str(resources.urdf("dual_franka.urdf.xacro")), told)
    return Parts(
        processes=(
            state_publisher(description, SOURCE),
            # An arm that misses a cycle must not hold the other one: no catching up.
            controller_manager(cell, {"thread_priority": 98, "overruns": {"manage": False}}),
        ),
        includes=tuple(_hand(arm, hardware, namespace) for arm in cell.arms),
        spawns=(_joint_states(), moving_controllers(cell, hardware)),
        transforms=frames.cameras(cell),
    )


def _joint_states() -> Spawn:
    kind = {"type": "joint_state_broadcaster/JointStateBroadcaster"}
    return Spawn(
        ("joint_state_broadcaster",),
        parameter_file("broadcasters.yaml", {"joint_state_broadcaster": kind}),
        remappings=(("joint_states", SOURCE),),
    )


def _hand(arm: Arm, hardware: Hardware, namespace: str) -> Include:
    return Include(
        "franka_gripper",
        "gripper.launch.py",
        {
            "namespace": f"{namespace}/{arm.name}",
            "robot_ip": hardware.address(arm.name),
            "robot_type": robot_type(arm),
            "use_fake_hardware": flag(hardware.fake),
        },
    )
