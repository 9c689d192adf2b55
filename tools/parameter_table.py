"""Prints the tables in docs/parameters.md: every ROS parameter of every node.

    .venv/bin/labvla-env python tools/parameter_table.py

The nodes' tables come from their declarations, the controller's from the file that its code is
generated from: neither can say anything else than what is enforced.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[1]
CONTROLLER = "compliant_trajectory_controller"
CONTROLLER_FILE = ROOT / f"ros2_ws/src/labvla_control/src/{CONTROLLER}_parameters.yaml"

# node -> the module that declares its parameters
NODES = {
    "policy": "labvla_policy.nodes.policy_parameters",
    "sim": "labvla_sim.nodes.sim_parameters",
    "robot": "labvla_policy.nodes.robot_parameters",
    "gripper_bridge": "labvla_policy.nodes.gripper_bridge_parameters",
    "controller_bridge": "labvla_policy.nodes.controller_bridge_parameters",
    "monitor": "labvla_policy.nodes.monitor_parameters",
    "window": "labvla_sim.nodes.window_parameters",
    "recorder": "labvla_data.nodes.recorder_parameters",
}


class Row(NamedTuple):
    """One parameter, for people."""

    name: str
    kind: str
    default: str
    bound: str
    reason: str


def node_rows(module: str) -> list[Row]:
    """Return the parameters that a module declares."""
    return [
        Row(p.name, p.kind, _shown(p.default), p.bound, p.reason)
        for p in import_module(module).PARAMETERS
    ]


def controller_rows(file: Path = CONTROLLER_FILE) -> list[Row]:
    """Return the controller's parameters; a name in angle brackets stands for each joint's."""
    return list(_leaves(yaml.safe_load(file.read_text(encoding="utf-8"))[CONTROLLER], ()))


def _leaves(tree: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[Row]:
    if isinstance(tree.get("type"), str):
        yield Row(
            ".".join(path),
            tree["type"],
            _shown(tree.get("default_value")),
            "; ".join(_bound(rule, values) for rule, values in tree.get("validation", {}).items()),
            tree["description"],
        )
        return
    for key, branch in tree.items():
        name = re.sub(r"^__map_(\w+)s$", r"<\1>", key)
        yield from _leaves(branch, (*path, name))


_BOUNDS = {
    "gt": "above {0}",
    "gt_eq": "at least {0}",
    "lt": "below {0}",
    "lt_eq": "at most {0}",
    "bounds": "{0} to {1}",
    "size_lt": "fewer than {0}",
    "fixed_size": "{0} numbers",
    "lower_element_bounds": "each at least {0}",
    "element_bounds": "each {0} to {1}",
    "not_empty": "not empty",
    "unique": "no repetition",
}


def _bound(rule: str, values: Sequence[Any]) -> str:
    rule = rule.removesuffix("<>")
    if rule == "one_of":
        return f"one of {', '.join(map(str, values[0]))}"
    if rule not in _BOUNDS:
        raise ValueError(f"the validation {rule!r} has no words in tools/parameter_table.py")
    return _BOUNDS[rule].format(*(f"{value:g}" for value in values))


def _shown(default: Any) -> str:
    if default is None:
        return "*required*"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, str):
        return f"`{default}`" if default else "empty"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def as_markdown() -> str:
    """Return all tables."""
    parts = [_table(node, node_rows(module)) for node, module in NODES.items()]
    parts.append(_table(CONTROLLER, controller_rows()))
    return "\n".join(parts)


def _table(title: str, rows: Sequence[Row]) -> str:
    lines = [f"## {title}", "", "| parameter | type | default | accepted | what for |"]
    lines.append("|---|---|---|---|---|")
    lines += [
        f"| `{r.name}` | {r.kind} | {r.default} | {r.bound} | {_cell(r.reason)} |" for r in rows
    ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
