"""One description of a cell: `load_cell("franka")` returns it checked, or says what to repair."""

from labvla_policy.runtime.cell.arm import (
    Admittance,
    Arm,
    FrankaHand,
    Impedance,
    Posture,
    Rigid,
    Robotiq2F85,
    Wrench,
)
from labvla_policy.runtime.cell.checkpoint import CheckpointContract, check_policy_contract
from labvla_policy.runtime.cell.contract import LAYOUTS, Layout, PolicyContract
from labvla_policy.runtime.cell.geometry import Box, KeepOut, Pose
from labvla_policy.runtime.cell.limits import HardwareLimits, OperatingLimits
from labvla_policy.runtime.cell.load import find_cells, load_cell
from labvla_policy.runtime.cell.model import Camera, Cell, Workspace
from labvla_policy.runtime.cell.problems import CellError, Problem
from labvla_policy.runtime.cell.write import write_cell

__all__ = [
    "LAYOUTS",
    "Admittance",
    "Arm",
    "Box",
    "Camera",
    "Cell",
    "CellError",
    "CheckpointContract",
    "FrankaHand",
    "HardwareLimits",
    "Impedance",
    "KeepOut",
    "Layout",
    "OperatingLimits",
    "PolicyContract",
    "Pose",
    "Posture",
    "Problem",
    "Rigid",
    "Robotiq2F85",
    "Workspace",
    "Wrench",
    "check_policy_contract",
    "find_cells",
    "load_cell",
    "write_cell",
]
