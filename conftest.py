"""Every test run has a ROS domain and a runtime folder of its own and meets nobody."""

import os
import tempfile
from typing import Any

import pytest

_OF_STACKS = "ros2_ws/src/labvla_bringup/test/"

os.environ["ROS_DOMAIN_ID"] = str(20 + os.getpid() % 80)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="labvla-test-")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of whole stacks one after the other: they are bound to the clock."""
    from xdist.scheduler import LoadScopeScheduling

    class StacksTogether(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return _OF_STACKS if nodeid.startswith(_OF_STACKS) else nodeid

    return StacksTogether(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """In parallel runs, let all others go behind them."""
    beside = "PYTEST_XDIST_WORKER" in os.environ
    if beside and not item.nodeid.startswith(_OF_STACKS) and os.nice(0) == 0:
        os.nice(10)
