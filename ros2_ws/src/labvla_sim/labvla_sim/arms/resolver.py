"""Find the model of an arm, and record which source built it.

A policy is tied to the look of the arm that it was trained on, so the source is never chosen
silently: it is asked for by name, and the record travels with every scene, episode and data set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import mujoco

from labvla_sim.arms import fr3, franka_hand, generator
from labvla_sim.quality import CAMERA, Quality

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Arm
    from labvla_sim.arms.table import ArmTable

ArmSource = Literal["generated", "menagerie", "robosuite"]

# Raise when shells, inertias or contacts change: recordings before and after differ in looks.
_GENERATOR_VERSION = 1

_TABLES: dict[str, ArmTable] = {"fr3": fr3.TABLE}
_GRIPPERS: dict[str, Callable[[Any, Arm, int, Quality], None]] = {"franka_hand": franka_hand.add_to}


class SourceUnavailable(RuntimeError):
    """The asked model does not exist here; the text says what does."""


@dataclass(frozen=True)
class ArmSpec:
    """A model that can be attached to a scene, and where it came from."""

    spec: Any  # mujoco.MjSpec: bodies link0 ... flange, joints as in the cell
    record: dict[str, str]


def arm_spec(
    arm: Arm, index: int = 0, source: ArmSource = "generated", quality: Quality = CAMERA
) -> ArmSpec:
    """Return the model of a cell's arm with its gripper.

    Args:
        arm: the arm as the cell describes it; limits, names, tool and gripper come from here.
        index: 0 for the first arm of the cell, 1 for the second.
        source: what the model is built from. Mesh sources are not supported yet.
        quality: how finely the shells are drawn.
    """
    if source != "generated":
        raise SourceUnavailable(f"arm source {source!r} is not supported yet: expected 'generated'")
    if arm.kind not in _TABLES or arm.gripper.kind not in _GRIPPERS:
        raise SourceUnavailable(
            f"no generated model of {arm.kind} with {arm.gripper.kind}: expected an arm of "
            f"{sorted(_TABLES)} with a gripper of {sorted(_GRIPPERS)}"
        )
    spec = generator.build(_TABLES[arm.kind], arm, index, quality)
    _GRIPPERS[arm.gripper.kind](spec, arm, index, quality)
    return ArmSpec(
        spec,
        {
            "arm": arm.name,
            "kind": arm.kind,
            "gripper": arm.gripper.kind,
            "source": source,
            "version": str(_GENERATOR_VERSION),
            "mujoco": mujoco.__version__,
        },
    )
