"""Franka FR3 and UR5e as test data; the shipped values live in the cell files."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from labvla_control import Config, config_from_dict

# lower, upper, velocity, torque, stiffness, effective inertia,
# (offset, slope, upper, lower) of the speed law
_FR3 = [
    (-2.7437, 2.7437, 2.62, 87.0, 600.0, 0.40, (-0.30, 12.0, 2.7501, -2.7501)),
    (-1.7837, 1.7837, 2.62, 87.0, 600.0, 0.40, (-0.20, 5.17, 1.7918, -1.7918)),
    (-2.9007, 2.9007, 2.62, 87.0, 600.0, 0.40, (-0.20, 7.00, 2.9065, -2.9065)),
    (-3.0421, -0.1518, 2.62, 87.0, 600.0, 0.40, (-0.30, 8.00, -0.1458, -3.0481)),
    (-2.8065, 2.8065, 5.26, 12.0, 250.0, 0.10, (-0.35, 34.0, 2.8101, -2.8101)),
    (0.5445, 4.5169, 4.18, 12.0, 150.0, 0.10, (-0.35, 11.0, 4.5205, 0.54092)),
    (-3.0159, 3.0159, 5.26, 12.0, 50.0, 0.10, (-0.35, 34.0, 3.0196, -3.0196)),
]
FR3_HOME = np.array([0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4])

_UR5E = ["shoulder_pan", "shoulder_lift", "elbow", "wrist_1", "wrist_2", "wrist_3"]
UR5E_HOME = np.array([0.0, -1.57, 1.57, -1.57, -1.57, 0.0])


def fr3_joints(prefix: str = "fr3_") -> list[dict[str, Any]]:
    return [
        {
            "name": f"{prefix}joint{index}",
            "hardware": {
                "lower": lower,
                "upper": upper,
                "velocity": velocity,
                "velocity_law": {
                    "offset": law[0],
                    "slope": law[1],
                    "upper": law[2],
                    "lower": law[3],
                },
            },
            "operating": {"velocity": min(0.3 * velocity, 1.2)},
            "impedance": {"stiffness": stiffness, "inertia": inertia, "torque": torque},
        }
        for index, (lower, upper, velocity, torque, stiffness, inertia, law) in enumerate(_FR3, 1)
    ]


def ur5e_joints(prefix: str = "") -> list[dict[str, Any]]:
    return [
        {
            "name": f"{prefix}{name}_joint",
            "hardware": {
                "lower": -np.pi if name == "elbow" else -2 * np.pi,
                "upper": np.pi if name == "elbow" else 2 * np.pi,
                "velocity": np.pi,
            },
            "operating": {"velocity": 0.9},
        }
        for name in _UR5E
    ]


FR3: dict[str, Any] = {
    "joints": fr3_joints(),
    "grippers": [{"name": "gripper", "lower": 0.0, "upper": 0.08}],
    "period": 0.001,
    "command": "effort",
    "compliance": "impedance",
}
UR5E: dict[str, Any] = {
    "joints": ur5e_joints(),
    "period": 0.002,
    "command": "position",
    "effort_unit": "ampere",
}
DUAL: dict[str, Any] = {
    "joints": fr3_joints("left_") + fr3_joints("right_"),
    "period": 0.001,
}


def build(base: dict[str, Any], **changes: Any) -> Config:
    return config_from_dict({**copy.deepcopy(base), **changes})


def fr3(**changes: Any) -> Config:
    return build(FR3, **changes)


def fr3_position(**changes: Any) -> Config:
    """An FR3 whose commands are the reference itself: what most of these tests look at."""
    return build(FR3, command="position", compliance="none", **changes)


def ur5e(**changes: Any) -> Config:
    return build(UR5E, **changes)
