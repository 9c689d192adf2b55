"""Every test run has a ROS domain and a runtime folder of its own and meets nobody."""

import os
import tempfile
from pathlib import Path

import pytest

_OF_STACKS = Path(__file__).parent / "ros2_ws/src/labvla_bringup/test"

os.environ["ROS_DOMAIN_ID"] = str(20 + os.getpid() % 80)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="labvla-test-")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Keep the tests of whole stacks one after the other: they are bound to the clock."""
    if item.path.is_relative_to(_OF_STACKS):
        item.add_marker(pytest.mark.xdist_group("stack"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """In parallel runs, let all others go behind them."""
    beside = "PYTEST_XDIST_WORKER" in os.environ
    if beside and item.get_closest_marker("xdist_group") is None and os.nice(0) == 0:
        os.nice(10)
