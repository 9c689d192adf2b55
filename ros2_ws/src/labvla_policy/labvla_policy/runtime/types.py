"""What passes between the rooms of the policy: frozen at the edges, arrays inside."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Observation:
    """What an engine sees."""

    stamp: int  # ns, when the robot state was measured
    joint_names: tuple[str, ...]
    positions: Array  # rad, in the order of joint_names
    instruction: str


@dataclass(frozen=True)
class Prediction:
    """What an engine answers: absolute targets by name, already in SI units."""

    plan_start: int  # ns, time of row 0
    dt: float  # s between rows
    joint_names: tuple[str, ...]
    joint_targets: Array  # rows x joints, rad
    gripper_names: tuple[str, ...]
    gripper_targets: Array  # rows x grippers, m between the fingers
