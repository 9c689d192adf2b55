"""Reading joint positions by name: drivers publish them in any order and mixed with others."""

from collections.abc import Sequence

import numpy as np

from labvla_policy.runtime.types import Array


class SampleRefused(ValueError):
    """A joint state that cannot be used."""

    def __init__(self, reason: str, detail: str, joint: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.joint = joint


def select_positions(
    names: Sequence[str], positions: Sequence[float], wanted: Sequence[str]
) -> Array:
    """Return the positions of the wanted joints in the wanted order, or refuse the sample."""
    if len(names) != len(positions):
        detail = f"expected a position for each of {len(names)} joint names, got {len(positions)}"
        raise SampleRefused("joint_state_width", detail, "")
    index = {name: i for i, name in enumerate(names)}
    selected = np.empty(len(wanted))
    for column, joint in enumerate(wanted):
        if joint not in index:
            detail = f"{joint} is missing; the joint states have {', '.join(names) or 'no joints'}"
            raise SampleRefused("joint_missing", detail, joint)
        selected[column] = positions[index[joint]]
    if not np.all(np.isfinite(selected)):
        joint = wanted[int(np.argmin(np.isfinite(selected)))]
        raise SampleRefused("joint_not_finite", f"{joint} is not a finite number", joint)
    return selected
