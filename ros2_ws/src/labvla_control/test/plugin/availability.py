"""Whether the real controller manager and this package's plugin are installed here."""

from __future__ import annotations

from pathlib import Path

import pytest

_PACKAGES = (
    "controller_manager",
    "forward_command_controller",
    "joint_state_broadcaster",
    "joint_trajectory_controller",
)


def _missing() -> str:
    try:
        from ament_index_python.packages import PackageNotFoundError, get_package_prefix
    except ImportError:
        return "ROS 2 is not installed"
    for package in _PACKAGES:
        try:
            get_package_prefix(package)
        except PackageNotFoundError:
            return f"the ROS package {package} is not installed (bench mode does without)"
    try:
        prefix = Path(get_package_prefix("labvla_control"))
    except PackageNotFoundError:
        return "labvla_control is not built in this environment"
    if not (prefix / "lib" / "liblabvla_control_plugin.so").exists():
        return "labvla_control was built without its ros2_control controller"
    return ""


def require_controller_manager() -> None:
    """Skip the calling test module, with the reason, where the tools are absent."""
    if reason := _missing():
        pytest.skip(reason, allow_module_level=True)
