"""Stand-ins for the makers' message packages: the fields that the robot ports use, and no others.

    labvla-env python vendor_messages.py FOLDER

builds them with colcon (some minutes) and prints the environment in which tests against mock
drivers run instead of being skipped. Where the real packages are sourced nothing is needed.
"""

import os
import subprocess
import sys
from pathlib import Path

PACKAGES = {
    "controller_manager_msgs": (
        ("lifecycle_msgs", "builtin_interfaces"),
        {
            "msg/ControllerState.msg": "string name\nstring state\nstring type\n",
            "msg/HardwareComponentState.msg": (
                "string name\nstring type\nlifecycle_msgs/State state\n"
            ),
            "srv/ListControllers.srv": "---\nControllerState[] controller\n",
            "srv/ListHardwareComponents.srv": "---\nHardwareComponentState[] component\n",
            "srv/SetHardwareComponentState.srv": (
                "string name\nlifecycle_msgs/State target_state\n---\n"
                "bool ok\nlifecycle_msgs/State state\n"
            ),
            "srv/SwitchController.srv": (
                "int32 BEST_EFFORT=1\nint32 STRICT=2\n"
                "string[] activate_controllers\nstring[] deactivate_controllers\n"
                "int32 strictness\nbool activate_asap\nbuiltin_interfaces/Duration timeout\n---\n"
                "bool ok\nstring message\n"
            ),
        },
    ),
    "franka_msgs": (
        ("action_msgs",),
        {
            "msg/Errors.msg": "bool joint_reflex\nbool communication_constraints_violation\n",
            "msg/FrankaRobotState.msg": (
                "uint8 robot_mode\nErrors current_errors\nErrors last_motion_errors\n"
            ),
            "action/ErrorRecovery.action": "---\n---\n",
        },
    ),
    "ur_dashboard_msgs": (
        ("action_msgs",),
        {
            "msg/RobotMode.msg": "int8 mode\n",
            "msg/SafetyMode.msg": "uint8 mode\n",
            "action/SetMode.action": (
                "int8 target_robot_mode\nbool stop_program\nbool play_program\n---\n"
                "bool success\nstring message\n---\n"
                "int8 current_robot_mode\nint8 current_safety_mode\n"
            ),
        },
    ),
    "ur_msgs": (
        ("geometry_msgs",),
        {
            "srv/SetPayload.srv": (
                "float32 mass\ngeometry_msgs/Vector3 center_of_gravity\n---\nbool success\n"
            ),
        },
    ),
}


def write(folder: Path) -> None:
    for package, (needs, files) in PACKAGES.items():
        for name, text in files.items():
            file = folder / "src" / package / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        finds = "".join(
            f"find_package({need} REQUIRED)\n"
            for need in ("ament_cmake", "rosidl_default_generators", *needs)
        )
        (folder / "src" / package / "CMakeLists.txt").write_text(
            f"cmake_minimum_required(VERSION 3.22)\nproject({package})\n{finds}"
            f"rosidl_generate_interfaces(${{PROJECT_NAME}} {' '.join(files)}\n"
            f"  DEPENDENCIES {' '.join(needs)})\n"
            "ament_export_dependencies(rosidl_default_runtime)\nament_package()\n"
        )
        depends = "".join(f"  <depend>{need}</depend>\n" for need in needs)
        (folder / "src" / package / "package.xml").write_text(
            f'<?xml version="1.0"?>\n<package format="3">\n  <name>{package}</name>\n'
            "  <version>0.0.0</version>\n  <description>A stand-in for tests</description>\n"
            '  <maintainer email="maintainers@labvla-ros.dev">The LabVLA-ROS authors</maintainer>\n'
            "  <license>MIT</license>\n"
            "  <buildtool_depend>ament_cmake</buildtool_depend>\n"
            "  <buildtool_depend>rosidl_default_generators</buildtool_depend>\n"
            f"{depends}"
            "  <member_of_group>rosidl_interface_packages</member_of_group>\n"
            "  <export><build_type>ament_cmake</build_type></export>\n</package>\n"
        )


def main() -> int:
    folder = Path(sys.argv[1]).resolve()
    write(folder)
    subprocess.run(
        ["colcon", "build", "--executor", "sequential", "--merge-install"], cwd=folder, check=True
    )
    install = folder / "install"
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for name, place in (
        ("AMENT_PREFIX_PATH", install),
        ("LD_LIBRARY_PATH", install / "lib"),
        ("PYTHONPATH", install / "lib" / python / "site-packages"),
    ):
        sys.stdout.write(f"export {name}={place}:{os.environ.get(name, '')}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
