"""Whole parameter files: which controllers a cell needs for each kind, and what they are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from labvla_bringup.controllers.compliant import compliant
from labvla_bringup.controllers.crisp import TOPICS as CRISP_TOPICS
from labvla_bringup.controllers.crisp import crisp
from labvla_bringup.controllers.jtc import jtc
from labvla_policy.runtime.cell import Cell

KINDS = ("labvla", "jtc", "crisp")


class ControllerError(ValueError):
    """A cell cannot be moved by this kind of controller; the text says why."""


def controller_names(cell: Cell, kind: str) -> tuple[str, ...]:
    """Return the controllers that are activated together."""
    if kind == "labvla":
        return (cell.controller.name,)
    if kind == "jtc":
        # Not plain joint_trajectory_controller: the UR driver loads one of that name by itself, and
        # what is loaded already keeps its own parameters.
        return ("cell_trajectory_controller",)
    if kind == "crisp":
        return tuple(f"{arm.name}_impedance_controller" for arm in cell.arms)
    raise ControllerError(f"controller: expected one of {', '.join(KINDS)}, got {kind!r}")


def remappings(name: str, kind: str) -> tuple[tuple[str, str], ...]:
    """Return the rules that keep a controller's topics apart from those of the others.

    Those of crisp_controllers are called the same for every arm; the rules are for one node each.
    """
    if kind != "crisp":
        return ()
    return tuple((f"{name}:{topic}", f"{name}/{topic}") for topic in CRISP_TOPICS)


def parameters(cell: Cell, kind: str) -> dict[str, Any]:
    """Return the parameters of every controller of a kind, by name."""
    names = controller_names(cell, kind)
    if kind == "labvla":
        return {names[0]: compliant(cell)}
    if kind == "jtc":
        return {names[0]: jtc(cell)}
    for arm in cell.arms:
        if arm.compliance.kind != "impedance":
            raise ControllerError(
                f"{cell.name}: crisp_controllers need torques, and {arm.name} has a "
                f"{arm.command_interface} interface; expected controller labvla or jtc"
            )
    return {name: crisp(arm) for name, arm in zip(names, cell.arms, strict=True)}


class _NoAliases(yaml.SafeDumper):
    """ROS parameter files may hold no anchors, which PyYAML writes for whatever appears twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def to_yaml(cell: Cell, kind: str) -> str:
    """Return a parameter file that `spawner --param-file` takes."""
    head = f"# Printed by python -m labvla_bringup.controllers {cell.name} {kind}\n"
    return head + parameter_text(parameters(cell, kind))


def parameter_text(nodes: Mapping[str, Any]) -> str:
    """Return the text of a ROS parameter file."""
    told = {name: {"ros__parameters": settings} for name, settings in nodes.items()}
    return yaml.dump(told, Dumper=_NoAliases, sort_keys=False, default_flow_style=None, width=100)
