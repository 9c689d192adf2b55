"""How the robots of a cell come up: the makers' launch files, or our own where they have none."""

from __future__ import annotations

from labvla_bringup.hardware import Hardware, HardwareError
from labvla_bringup.robots import franka, ur
from labvla_bringup.robots.parts import Parts
from labvla_policy.runtime.cell import Cell

__all__ = ["Parts", "bring_up"]

_MAKERS = {"fr3": franka.bring_up, "ur5e": ur.bring_up}


def bring_up(cell: Cell, hardware: Hardware, namespace: str) -> Parts:
    """Return what brings the robots of a cell up, or raise HardwareError."""
    kinds = {arm.kind for arm in cell.arms}
    if len(kinds) > 1:
        raise HardwareError(
            f"{cell.name}: expected two arms of one kind under one controller manager, got "
            f"{' and '.join(sorted(kinds))}"
        )
    return _MAKERS[kinds.pop()](cell, hardware, namespace)
