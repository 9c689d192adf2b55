"""Stand-in: the arguments and the nodes of one UR's launch file."""

import xacro
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

ARGUMENTS = {
    "tf_prefix": "",
    "use_mock_hardware": "false",
    "headless_mode": "false",
    "activate_joint_controller": "true",
    "initial_joint_controller": "scaled_joint_trajectory_controller",
    "launch_rviz": "true",
    "description_file": "",
    "kinematics_params_file": "",
    "use_tool_communication": "false",
    "tool_device_name": "/tmp/ttyUR",
    "tool_voltage": "0",
}
ACTIVE = [
    "joint_state_broadcaster",
    "io_and_status_controller",
    "speed_scaling_state_broadcaster",
    "force_torque_sensor_broadcaster",
]
LOADED = ["scaled_joint_trajectory_controller", "joint_trajectory_controller"]


def spawner(names, *words):
    """Return a spawner that finds its manager at the root, as the driver's does."""
    return Node(
        package="controller_manager",
        executable="spawner",
        arguments=["--controller-manager", "/controller_manager", *words, *names],
    )


def bring_up(context):
    """Return the driver's nodes."""
    told = context.launch_configurations
    share = FindPackageShare("ur_robot_driver").perform(context)
    path = told["description_file"] or f"{share}/urdf/ur.urdf.xacro"
    passed = ("ur_type", "robot_ip", "tf_prefix", "use_mock_hardware", "tool_device_name")
    mappings = {name: told[name] for name in passed}
    document = xacro.process_file(path, mappings={**mappings, "name": told["ur_type"]})
    active, loaded = list(ACTIVE), list(LOADED)
    if told["activate_joint_controller"] == "true":
        loaded.remove(told["initial_joint_controller"])
        active.append(told["initial_joint_controller"])
    real = [] if told["use_mock_hardware"] == "true" else ["dashboard_client"]
    return [
        Node(
            package="robot_state_publisher",
            executable="robot_state_publisher",
            parameters=[{"robot_description": document.toxml()}],
        ),
        Node(
            package="controller_manager",
            executable="ros2_control_node",
            parameters=[f"{share}/config/ur_controllers.yaml"],
        ),
        spawner(active),
        spawner(loaded, "--inactive"),
        *(Node(package="ur_robot_driver", executable=name, name=name) for name in real),
    ]


def generate_launch_description():
    """Return the driver's launch file."""
    declared = [
        DeclareLaunchArgument(name, default_value=value) for name, value in ARGUMENTS.items()
    ]
    required = [DeclareLaunchArgument(name) for name in ("ur_type", "robot_ip")]
    return LaunchDescription([*required, *declared, OpaqueFunction(function=bring_up)])
