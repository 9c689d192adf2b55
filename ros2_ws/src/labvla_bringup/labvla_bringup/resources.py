"""Where the configuration of this installation lies."""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory


def config(name: str) -> Path:
    """Return a file or folder below config/."""
    return _share("config", name)


def urdf(name: str) -> Path:
    """Return a robot description below urdf/."""
    return _share("urdf", name)


def _share(*names: str) -> Path:
    return Path(get_package_share_directory("labvla_bringup"), *names)
