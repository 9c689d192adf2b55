"""Reading joint positions by name: drivers publish them in any order and mixed with others."""

from collections.abc import Sequence

import numpy as np

from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.types import Array


def select_positions(
    names: Sequence[str], positions: Sequence[float] | Array, wanted: Sequence[str]
) -> Array:
    """Return the positions of the wanted joints in the wanted order, or refuse the sample."""
    if len(names) != len(positions):
        raise _refused(
            "joint_state_width",
            f"expected a position for each of {len(names)} joint names, got {len(positions)}",
        )
    index = {name: i for i, name in enumerate(names)}
    if len(index) < len(names):
        twice = next(name for i, name in enumerate(names) if index[name] != i)
        raise _refused("joint_duplicated", f"{twice} appears more than once", twice)
    selected = np.empty(len(wanted))
    for column, joint in enumerate(wanted):
        if joint not in index:
            raise _refused(
                "joint_missing",
                f"{joint} is missing; the joint states have {', '.join(names) or 'no joints'}",
                joint,
            )
        selected[column] = positions[index[joint]]
    if not np.all(np.isfinite(selected)):
        joint = wanted[int(np.argmin(np.isfinite(selected)))]
        raise _refused("joint_not_finite", f"{joint} is not a finite number", joint)
    return selected


def _refused(reason: str, detail: str, joint: str = "") -> Refused:
    return Refused(Refusal(reason, detail, joint))
