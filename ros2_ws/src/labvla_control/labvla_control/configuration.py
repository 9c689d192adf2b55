"""Build a configuration from plain data, such as a part of a cell file."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from labvla_control import _core


def config_from_dict(data: Mapping[str, Any]) -> _core.Config:
    """Fill a ``Config`` from nested mappings; names are those of its attributes.

    Raises:
        ValueError: A name is unknown, a value has the wrong type, or the result cannot be used.
    """
    plain = dict(data)
    joints = plain.pop("joints", [])
    grippers = plain.pop("grippers", [])
    config = _core.Config()
    _fill(config, plain, "config")
    for index, entry in enumerate(joints):
        joint = _core.JointConfig()
        _fill(joint, entry, f"joints[{index}]")
        config.joints.append(joint)
    for index, entry in enumerate(grippers):
        gripper = _core.GripperConfig()
        _fill(gripper, entry, f"grippers[{index}]")
        config.grippers.append(gripper)
    if problems := config.problems():
        raise ValueError("\n".join(problems))
    return config


def _fill(target: Any, data: Mapping[str, Any], where: str) -> None:
    for name, value in data.items():
        path = f"{where}.{name}"
        if name.startswith("_") or not hasattr(target, name):
            known = ", ".join(n for n in dir(target) if not n.startswith("_"))
            raise ValueError(f"{path}: unknown; expected one of {known}")
        if name == "velocity_law" and isinstance(value, Mapping):
            law = _core.VelocityLaw()
            _fill(law, value, path)
            target.velocity_law = law
        elif isinstance(value, Mapping):
            _fill(getattr(target, name), value, path)
        else:
            _assign(target, name, value, path)


def _assign(target: Any, name: str, value: Any, path: str) -> None:
    present = getattr(target, name)
    if isinstance(present, enum.Enum) and isinstance(value, str):
        choices = type(present).__members__
        if value.upper() not in choices:
            known = ", ".join(n.lower() for n in choices)
            raise ValueError(f"{path}: expected one of {known}, got {value!r}")
        value = choices[value.upper()]
    try:
        setattr(target, name, value)
    except TypeError as error:
        raise ValueError(
            f"{path}: expected {type(present).__name__}, got {type(value).__name__}"
        ) from error
