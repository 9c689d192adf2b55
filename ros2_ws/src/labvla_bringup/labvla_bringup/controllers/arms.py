"""What the controllers' files need to know of the arms beyond one value each."""

from __future__ import annotations

from labvla_policy.runtime.cell import Arm, Cell


def one_wrench(cell: Cell) -> Arm | None:
    """Return the arm that yields to a wrist wrench; None where there is none, or more than one.

    Our controller reads one wrench. With two such arms both are followed stiffly, and the launch
    says so.
    """
    yielding = [arm for arm in cell.arms if arm.compliance.kind == "admittance"]
    return yielding[0] if len(yielding) == 1 else None
