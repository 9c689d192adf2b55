"""Lays the stand-ins of vendors/ out as installed packages."""

from __future__ import annotations

import shutil
from pathlib import Path

VENDORS = Path(__file__).resolve().parent / "vendors"

# Executables of each package, and which stand-in they are.
_EXECUTABLES = {
    "controller_manager": {"ros2_control_node": "manager_node", "spawner": "spawner"},
    "joint_state_publisher": {"joint_state_publisher": "silent_node"},
    "franka_gripper": {
        "franka_gripper_node": "silent_node",
        "fake_gripper_state_publisher.py": "silent_node",
    },
    "ur_robot_driver": {
        "dashboard_client": "silent_node",
        "urscript_interface": "silent_node",
        "robot_state_helper": "silent_node",
        "controller_stopper_node": "silent_node",
    },
    "rviz2": {"rviz2": "silent_node"},
    "ur_client_library": {},  # read from, but nothing of it runs
}


def make_prefix(folder: Path, without: tuple[str, ...] = ()) -> Path:
    """Return a prefix for AMENT_PREFIX_PATH in which all stand-ins are installed.

    Args:
        folder: where it is made.
        without: packages that are really there.
    """
    index = folder / "share/ament_index/resource_index/packages"
    index.mkdir(parents=True)
    shares = {path.name: path for path in VENDORS.iterdir() if path.is_dir()}
    for not_a_package in ("nodes", "ur_controllers"):  # the latter is compiled, or not there
        shares.pop(not_a_package)
    packages = {*shares, *_EXECUTABLES} - set(without)
    for package in packages:
        (index / package).touch()
        share = folder / "share" / package
        if package in shares:
            shutil.copytree(shares[package], share)
        else:
            share.mkdir()
    for package, executables in _EXECUTABLES.items():
        if package not in packages:
            continue
        library = folder / "lib" / package
        library.mkdir(parents=True)
        for name, kind in executables.items():
            shutil.copy(VENDORS / "nodes" / f"{kind}.py", library / name)
            (library / name).chmod(0o755)
    return folder
