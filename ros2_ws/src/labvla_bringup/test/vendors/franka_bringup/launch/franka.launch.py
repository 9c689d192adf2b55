"""Stand-in: the arguments and the nodes of one Franka's launch file."""

import xacro
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction, Shutdown
from launch.launch_description_sources import AnyLaunchDescriptionSource
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

ARGUMENTS = {
    "robot_type": "",
    "arm_prefix": "",
    "namespace": "",
    "robot_ip": "172.16.0.3",
    "load_gripper": "false",
    "use_fake_hardware": "false",
    "fake_sensor_commands": "false",
    "joint_state_rate": "30",
    "load_franka_robot_state_broadcaster": "true",
    "controllers_yaml": "",
}
TYPES = {"joint_state_broadcaster.type": "joint_state_broadcaster/JointStateBroadcaster"}
MANAGER = {"update_rate": 1000, "thread_priority": 98, "overruns.manage": False}


def bring_up(context):
    """Return the driver's nodes."""
    told = {name: context.launch_configurations[name] for name in ARGUMENTS}
    share = FindPackageShare("franka_bringup").perform(context)
    mappings = {
        name: told[name] for name in ("robot_type", "arm_prefix", "robot_ip", "use_fake_hardware")
    }
    mappings["hand"] = told["load_gripper"]
    document = xacro.process_file(f"{share}/urdf/franka_arm.urdf.xacro", mappings=mappings)
    namespace = told["namespace"]
    nodes = [
        Node(
            package="robot_state_publisher",
            executable="robot_state_publisher",
            namespace=namespace,
            parameters=[{"robot_description": document.toxml()}],
        ),
        Node(
            package="controller_manager",
            executable="ros2_control_node",
            namespace=namespace,
            parameters=[{"robot_type": told["robot_type"], **TYPES, **MANAGER}],
            on_exit=Shutdown(),
        ),
        Node(
            package="joint_state_publisher",
            executable="joint_state_publisher",
            name="joint_state_publisher",
            namespace=namespace,
        ),
        Node(
            package="controller_manager",
            executable="spawner",
            namespace=namespace,
            arguments=[
                "joint_state_broadcaster",
                "--controller-ros-args",
                "--remap joint_states:=franka/joint_states",
            ],
        ),
    ]
    if told["load_gripper"] == "true":
        gripper = FindPackageShare("franka_gripper").perform(context)
        passed = ("namespace", "robot_ip", "use_fake_hardware")
        nodes.append(
            IncludeLaunchDescription(
                AnyLaunchDescriptionSource(f"{gripper}/launch/gripper.launch.py"),
                launch_arguments=[(name, told[name]) for name in passed],
            )
        )
    return nodes


def generate_launch_description():
    """Return the driver's launch file."""
    declared = [
        DeclareLaunchArgument(name, default_value=value) for name, value in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=bring_up)])
