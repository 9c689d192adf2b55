"""Stand-in: the arguments and the node of a Franka hand's launch file."""

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch_ros.actions import Node

from launch import LaunchDescription


def bring_up(context):
    """Return the hand's node."""
    told = context.launch_configurations
    fake = told["use_fake_hardware"] == "true"
    fingers = [f"{told['robot_type']}_finger_joint{i}" for i in (1, 2)]
    return [
        Node(
            package="franka_gripper",
            executable="fake_gripper_state_publisher.py" if fake else "franka_gripper_node",
            name="franka_gripper",
            namespace=told["namespace"],
            parameters=[{"robot_ip": told["robot_ip"], "joint_names": fingers}],
        )
    ]


def generate_launch_description():
    """Return the hand's launch file."""
    return LaunchDescription(
        [
            DeclareLaunchArgument("robot_ip"),
            DeclareLaunchArgument("use_fake_hardware", default_value="false"),
            DeclareLaunchArgument("robot_type", default_value="fr3"),
            DeclareLaunchArgument("namespace"),
            OpaqueFunction(function=bring_up),
        ]
    )
