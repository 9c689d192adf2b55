"""Stand-ins for the makers' message packages: the fields that the robot ports use, and no others.

    labvla-env python vendor_messages.py

builds them, as `make setup-tests` does. One CMake project makes all packages, and of their
languages and type supports only those that rclpy asks for: with all of them, and a package at a
time, it takes nine times as long. Tests call `provide`; where the makers' packages are sourced,
those are used.
"""

import ctypes
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[5]
FOLDER = ROOT / "ros2_ws" / "build" / "vendor_messages"
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
LIBRARIES = FOLDER / "install" / "lib"
MODULES = LIBRARIES / PYTHON / "site-packages"
ABSENT = "no messages of the robots' makers: `make setup-tests` builds stand-ins"

GENERATORS = (
    "rosidl_cmake",
    "rosidl_generator_type_description",
    "rosidl_generator_c",
    "rosidl_typesupport_fastrtps_c",
    "rosidl_typesupport_c",
    "rosidl_generator_py",
)

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
            "msg/GraspEpsilon.msg": "float64 inner\nfloat64 outer\n",
            "action/ErrorRecovery.action": "---\n---\n",
            "action/Move.action": (
                "float64 width\nfloat64 speed\n---\nbool success\nstring error\n---\n"
                "float64 current_width\n"
            ),
            "action/Grasp.action": (
                "float64 width\nGraspEpsilon epsilon\nfloat64 speed\nfloat64 force\n---\n"
                "bool success\nstring error\n---\nfloat64 current_width\n"
            ),
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


def provide() -> str:
    """Make the stand-ins importable where the makers' packages are not; return why they are not."""
    absent = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
    if not absent:
        return ""
    if not all((MODULES / package).is_dir() for package in absent):
        return ABSENT
    sys.path.append(str(MODULES))
    # The type supports are opened by their bare names: this process has to have them already,
    # since the loader read its path when it started; others read it then.
    for package in absent:
        for library in sorted(LIBRARIES.glob(f"lib{package}__*.so")):
            ctypes.CDLL(str(library))
    os.environ.update(environment())
    return ""


def environment() -> dict[str, str]:
    """Return what other processes need to find the stand-ins, behind all that is installed."""
    added = {"LD_LIBRARY_PATH": LIBRARIES, "PYTHONPATH": MODULES}
    return {name: f"{os.environ.get(name, '')}:{place}" for name, place in added.items()}


def write(folder: Path) -> None:
    """Write the sources of all packages."""
    needs = sorted({need for needed, _ in PACKAGES.values() for need in needed})
    found = "".join(f"find_package({name} REQUIRED)\n" for name in (*GENERATORS, *needs))
    added = "".join(f"add_subdirectory({package})\n" for package in PACKAGES)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.22)\nproject(vendor_messages C CXX)\n"
        f"find_package(ament_cmake REQUIRED)\n{found}"
        # The packages that are needed bring every generator with them.
        "list(FILTER AMENT_EXTENSIONS_rosidl_generate_idl_interfaces EXCLUDE\n"
        f'  REGEX "_cpp:|introspection")\n{added}'
    )
    for package, (needed, files) in PACKAGES.items():
        _write_package(folder / package, needed, files)


def _write_package(folder: Path, needs: tuple[str, ...], files: dict[str, str]) -> None:
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (folder / "CMakeLists.txt").write_text(
        f"project({folder.name})\n"
        f"rosidl_generate_interfaces(${{PROJECT_NAME}} {' '.join(files)}\n"
        f"  DEPENDENCIES {' '.join(needs)})\nament_package()\n"
    )
    depends = "".join(f"  <depend>{need}</depend>\n" for need in needs)
    (folder / "package.xml").write_text(
        f'<?xml version="1.0"?>\n<package format="3">\n  <name>{folder.name}</name>\n'
        "  <version>0.0.0</version>\n  <description>A stand-in for tests</description>\n"
        '  <maintainer email="maintainers@labvla-ros.dev">The LabVLA-ROS authors</maintainer>\n'
        "  <license>MIT</license>\n"
        "  <buildtool_depend>ament_cmake</buildtool_depend>\n"
        "  <buildtool_depend>rosidl_default_generators</buildtool_depend>\n"
        f"{depends}"
        "  <member_of_group>rosidl_interface_packages</member_of_group>\n"
        "  <export><build_type>ament_cmake</build_type></export>\n</package>\n"
    )


def build(folder: Path) -> None:
    """Build and install all packages; raises CalledProcessError."""
    source, work, install = (folder / name for name in ("src", "build", "install"))
    write(source)
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "")
    environment = os.environ | {
        "CMAKE_PREFIX_PATH": prefixes,
        "STATIC_ROSIDL_TYPESUPPORT_C": "rosidl_typesupport_fastrtps_c",
    }
    settings = {
        "CMAKE_INSTALL_PREFIX": install,
        "CMAKE_INSTALL_RPATH": install / "lib",
        "CMAKE_INSTALL_RPATH_USE_LINK_PATH": "ON",
        "CMAKE_C_FLAGS": "-O0",
        "CMAKE_CXX_FLAGS": "-O0",
        "Python3_EXECUTABLE": sys.executable,
    }
    defined = [f"-D{name}={value}" for name, value in settings.items()]
    for command in (
        ["cmake", "-S", source, "-B", work, *defined],
        ["cmake", "--build", work, "--target", "install", "--parallel", "2"],
    ):
        subprocess.run(command, env=environment, check=True)


if __name__ == "__main__":
    build(FOLDER)
