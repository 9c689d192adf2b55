"""Messages that come with a maker's driver, and not with this stack: looked for when needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal

from labvla_policy.nodes.run import Lacking


class MissingMessages(Lacking):
    """A driver's message package is not installed; the text names it."""


def message_type(package: str, kind: Literal["msg", "srv", "action"], name: str) -> Any:
    """Return a type of a package that comes with a driver."""
    try:
        return getattr(import_module(f"{package}.{kind}"), name)
    except (ImportError, AttributeError):
        raise MissingMessages(
            f"the cell's driver speaks {package}/{kind}/{name}, which is not installed: install "
            f"the ROS package {package} (apt: ros-$ROS_DISTRO-{package.replace('_', '-')}, or the "
            "driver's own workspace) and source it"
        ) from None


def action_type(package: str, name: str) -> Any:
    """Return an action of a package that comes with a driver."""
    return message_type(package, "action", name)


def namespace_of(prefix: str) -> str:
    """Return the namespace that drivers make of an arm's prefix, with its /; empty without one."""
    return f"{prefix[:-1]}/" if prefix else ""
