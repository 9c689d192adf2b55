"""What passes between the rooms of the policy: frozen at the edges, arrays inside."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from labvla_policy.runtime.observation.digest import observation_digest

Array = NDArray[np.float64]
Pixels = NDArray[np.uint8]  # height x width x 3, red first, read-only

NANOSECONDS = 1_000_000_000  # in a second; every time in the runtime is a whole number of them

# A stamp that moves against a steady clock by more than this comes from a clock that was set:
# queues and schedulers delay by less.
CLOCK_JUMP = NANOSECONDS // 2


def _none() -> Array:
    return np.empty(0)


@dataclass(frozen=True)
class CameraStamp:
    """Which frame of one camera was used."""

    camera: str
    stamp: int  # ns, capture time: the latency declared by the cell is already subtracted


@dataclass(frozen=True, eq=False)  # arrays have no truth value to compare by
class Observation:
    """What an engine sees."""

    stamp: int  # ns, when the robot state was measured
    joint_names: tuple[str, ...]
    positions: Array  # rad, measured, in the order of joint_names
    instruction: str
    grippers: Array = field(
        default_factory=_none
    )  # m between the fingers, in the order of the cell's arms
    state: Array = field(default_factory=_none)  # the policy's columns in the policy's units
    images: tuple[Pixels | None, ...] = ()  # one for each slot of the policy; None: masked
    camera_stamps: tuple[CameraStamp, ...] = ()
    skew: int = 0  # ns, latest minus earliest of all stamps
    age: int = 0  # ns, from the earliest stamp to assembly
    reference: Array | None = None  # rad, the controller's reference at the stamp, where known

    @cached_property
    def hash(self) -> bytes:
        """Fingerprint of what the engine sees, computed when first asked for: it takes a while."""
        return observation_digest(self.images, self.state, self.instruction)

    @property
    def image_mask(self) -> tuple[bool, ...]:
        """Which slots hold a picture."""
        return tuple(image is not None for image in self.images)


@dataclass(frozen=True, eq=False)
class Prefix:
    """What an answer has to begin with: the plan in execution, from the answer's first row on."""

    start: int  # ns, time of row 0
    dt: float  # s between rows
    joint_names: tuple[str, ...]
    joint_targets: Array  # rows x joints, rad
    gripper_names: tuple[str, ...]
    gripper_targets: Array  # rows x grippers, m between the fingers
    frozen: int  # leading rows that are executed before the answer can take over; the rest may bend

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.joint_targets)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What an engine answers: absolute targets by name, already in SI units."""

    plan_start: int  # ns, time of row 0
    dt: float  # s between rows
    joint_names: tuple[str, ...]
    joint_targets: Array  # rows x joints, rad
    gripper_names: tuple[str, ...]
    gripper_targets: Array  # rows x grippers, m between the fingers
    prefix_rows: int = 0  # leading rows that continue the prefix of the question

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.joint_targets)

    @property
    def times(self) -> NDArray[np.int64]:
        """Time of every row in ns."""
        steps = np.round(np.arange(self.rows) * (self.dt * NANOSECONDS)).astype(np.int64)
        return self.plan_start + steps

    @property
    def end(self) -> int:
        """Time of the last row in ns."""
        return int(self.times[-1])
