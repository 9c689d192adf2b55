"""Universal Robots, as ur_robot_driver 4.8 brings them up."""

from __future__ import annotations

from typing import Any

from labvla_bringup import frames, resources
from labvla_bringup.description import Expanded, Include, Process, Spawn
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

TOOL_PORT = "/tmp/ttyUR"  # where the driver forwards the tool's serial line to
FIRST_PORT = 50001  # of the four on which the driver listens for one robot


def bring_up(cell: Cell, hardware: Hardware, namespace: str) -> Parts:
    """Return what brings one or two UR arms up."""
    for arm in cell.arms:
        if arm.gripper.interface != "parallel_gripper_command":
            raise HardwareError(
                f"{arm.name}: gripper.interface: expected parallel_gripper_command, which the "
                f"Robotiq's controller offers since Jazzy; got {arm.gripper.interface}"
            )
    if len(cell.arms) == 1:
        return _one(cell, hardware, namespace)
    return _two(cell, hardware, namespace)


def _one(cell: Cell, hardware: Hardware, namespace: str) -> Parts:
    if namespace:
        raise HardwareError(
            f"namespace: ur_control.launch.py puts its controller manager at /controller_manager; "
            f"expected no namespace, got {namespace!r}. Two cells: two ROS domains"
        )
    arm = cell.arms[0]
    port = hardware.tool_port.get(arm.name) or TOOL_PORT
    forwarded = port == TOOL_PORT and not hardware.fake
    told = {
        "ur_type": arm.kind,
        "robot_ip": hardware.address(arm.name),
        "tf_prefix": arm.prefix,
        "use_mock_hardware": flag(hardware.fake),
        # Our controller is the one that moves: none of the maker's is activated first.
        "activate_joint_controller": "false",
        "launch_rviz": "false",
        "description_file": str(resources.urdf("ur5e.urdf.xacro")),
        "use_tool_communication": flag(forwarded),
        "tool_device_name": port,
        "tool_voltage": "24" if forwarded else "0",
    }
    if calibration := hardware.kinematics.get(arm.name):
        told["kinematics_params_file"] = calibration
    return Parts(
        includes=(Include("ur_robot_driver", "ur_control.launch.py", told),),
        spawns=(_gripper(arm, hardware), moving_controllers(cell, hardware)),
        transforms=(frames.bench_below(cell), *frames.cameras(cell)),
    )


def _gripper(arm: Arm, hardware: Hardware) -> Spawn:
    name = arm.gripper.action.split("/")[0]
    nodes: dict[str, Any] = {
        name: {
            "type": "parallel_gripper_action_controller/GripperActionController",
            "joint": arm.gripper.joint,
            "state_interfaces": ["position", "velocity"],
            "allow_stalling": True,  # what is grasped stops the fingers: that is success
        }
    }
    if not hardware.fake:
        activation = "robotiq_activation_controller"
        nodes[activation] = {"type": "robotiq_controllers/RobotiqActivationController"}
    return Spawn(tuple(nodes), parameter_file("gripper.yaml", nodes))


def _two(cell: Cell, hardware: Hardware, namespace: str) -> Parts:
    """Two arms under one manager, which the maker's launch file cannot do.

    Their Robotiqs are not brought up: the maker's description of it names one of its interfaces
    without a prefix, so that two of them cannot live in one manager.
    """
    told = {"bench": cell.frame, "use_mock_hardware": flag(hardware.fake)}
    for number, arm in enumerate(cell.arms):
        told |= {f"{arm.name}_robot_ip": hardware.address(arm.name), **pose_arguments(arm)}
        told[f"{arm.name}_first_port"] = str(FIRST_PORT + 4 * number)
        if calibration := hardware.kinematics.get(arm.name):
            told[f"{arm.name}_kinematics_params"] = calibration
    description = Expanded(str(resources.urdf("dual_arm.urdf.xacro")), told)
    broadcasters = _broadcasters(cell)
    servants = (
        process
        for arm in cell.arms
        for process in _servants(arm, hardware, namespace, tuple(broadcasters))
    )
    return Parts(
        processes=(
            state_publisher(description, cell.joint_states.topic),
            # Limits are kept by our controller: the manager would measure steps from the lagging
            # arm and clip what is allowed (the maker's own file says the same).
            controller_manager(cell, {"enforce_command_limits": False}),
            *(() if hardware.fake else servants),
        ),
        spawns=(
            Spawn(tuple(broadcasters), parameter_file("broadcasters.yaml", broadcasters)),
            moving_controllers(cell, hardware),
        ),
        transforms=frames.cameras(cell),
    )


def _broadcasters(cell: Cell) -> dict[str, Any]:
    nodes: dict[str, Any] = {
        "joint_state_broadcaster": {"type": "joint_state_broadcaster/JointStateBroadcaster"}
    }
    for arm in cell.arms:
        prefix = {"tf_prefix": arm.prefix}
        nodes[f"{arm.prefix}io_and_status_controller"] = {
            "type": "ur_controllers/GPIOController",
            **prefix,
        }
        nodes[f"{arm.prefix}speed_scaling_state_broadcaster"] = {
            "type": "ur_controllers/SpeedScalingStateBroadcaster",
            "state_publish_rate": 100.0,
            **prefix,
        }
        if arm.wrench is not None:
            nodes[f"{arm.prefix}force_torque_sensor_broadcaster"] = {
                "type": "force_torque_sensor_broadcaster/ForceTorqueSensorBroadcaster",
                "sensor_name": arm.wrench.sensor,
                "frame_id": arm.wrench.frame,
            }
    return nodes


def _servants(
    arm: Arm, hardware: Hardware, namespace: str, broadcasters: tuple[str, ...]
) -> tuple[Process, ...]:
    """Return what the driver runs beside the manager for one robot, in the arm's namespace."""
    reached = {"robot_ip": hardware.address(arm.name)}
    status = f"{namespace}/{arm.prefix}io_and_status_controller"

    def servant(name: str, **more: Any) -> Process:
        return Process(
            name=name, package="ur_robot_driver", namespace=arm.name, essential=False, **more
        )

    return (
        servant("dashboard_client", executable="dashboard_client", parameters=reached),
        servant("urscript_interface", executable="urscript_interface", parameters=reached),
        servant(
            "ur_robot_state_helper",
            executable="robot_state_helper",
            parameters={**reached, "headless_mode": False},
            remappings=tuple(
                (f"io_and_status_controller/{name}", f"{status}/{name}")
                for name in (
                    "robot_mode",
                    "safety_mode",
                    "robot_program_running",
                    "resend_robot_program",
                )
            ),
        ),
        servant(
            "controller_stopper",
            executable="controller_stopper_node",
            parameters={
                "headless_mode": False,
                "joint_controller_active": False,
                "consistent_controllers": broadcasters,
            },
            remappings=(
                (
                    "io_and_status_controller/robot_program_running",
                    f"{status}/robot_program_running",
                ),
                *(
                    (f"controller_manager/{verb}", f"{namespace}/controller_manager/{verb}")
                    for verb in ("switch_controller", "list_controllers")
                ),
            ),
        ),
    )
