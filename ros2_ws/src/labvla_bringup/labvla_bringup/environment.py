"""The environment in which commands and the processes that they start run."""

from __future__ import annotations

from collections.abc import MutableMapping

from labvla_bringup import resources


def set_defaults(environment: MutableMapping[str, str]) -> None:
    """Fill in what the person at the terminal has not decided."""
    # A bench belongs to this machine: two people on one network must not move each other's arms.
    environment.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    # An image of 1 MB does not fit the middleware's own default for shared memory.
    profile = str(resources.config("dds/fastdds.xml"))
    environment.setdefault("FASTDDS_DEFAULT_PROFILES_FILE", profile)
