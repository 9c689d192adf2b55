"""Whether the policy behind a server is one for this cell: decided at every connection."""

from __future__ import annotations

from collections.abc import Iterator

from labvla_policy.engines.remote.dialects import Dialect
from labvla_policy.openpi.metadata import Metadata
from labvla_policy.runtime.cell import Cell, CellError
from labvla_policy.runtime.cell.checkpoint import CheckpointContract, check_policy_contract
from labvla_policy.runtime.cell.model import MOST_CAMERA_SLOTS
from labvla_policy.runtime.refusal import Refusal, Refused

JOINT_UNIT = "rad"

# What a server may say, by the name of the cell's key that is believed where it does not.
_TAKEN_FROM_THE_CELL = {
    "state_dim": "policy.layout",
    "action_dim": "policy.layout",
    "control_rate": "policy.row_rate",
    "row_offset": "policy.row_offset",
    "columns": "arms[].joints",
    "gripper_unit": "arms[].gripper.policy_unit",
    "joint_unit": JOINT_UNIT,
}


def check(metadata: Metadata, cell: Cell, dialect: Dialect, source: str) -> None:
    """Raise Refused with everything in which the server's policy differs from the cell's."""
    differences = list(_differences(metadata, cell, dialect, source))
    if differences:
        raise Refused(Refusal("server_contract", "; ".join(differences)))


def unsaid(metadata: Metadata) -> dict[str, str]:
    """Return what the server does not say, and what is believed instead."""
    return {
        name: place
        for name, place in _TAKEN_FROM_THE_CELL.items()
        if getattr(metadata, name) is None
    }


def _differences(metadata: Metadata, cell: Cell, dialect: Dialect, source: str) -> Iterator[str]:
    try:
        check_policy_contract(cell, _contract(metadata, cell, source))
    except CellError as error:
        yield from map(str, error.problems)
    policy = cell.policy
    if metadata.action_space is not None and metadata.action_space != dialect.space:
        yield (
            f"action_space: expected rows that are {dialect.space} ({dialect.name}), got "
            f"{metadata.action_space} from {source}"
        )
    if dialect.restores and policy.action_space != "absolute" and policy.anchor != "measured":
        yield (
            f"anchor: {source} adds its deltas to the measured state, the cell's policy.anchor is "
            f"{policy.anchor}"
        )
    if metadata.joint_unit not in (None, JOINT_UNIT):
        yield f"joint_unit: expected {JOINT_UNIT}, got {metadata.joint_unit} from {source}"
    columns = tuple(name or "" for name in cell.column_names)
    if metadata.columns not in (None, columns):
        yield f"columns: expected {_listed(columns)}, got {_listed(metadata.columns)} from {source}"
    cameras = tuple(camera.name for camera in cell.policy_cameras)
    if metadata.camera_names not in (None, cameras):
        yield (
            f"camera_names: expected {_listed(cameras)}, got {_listed(metadata.camera_names)} from "
            f"{source}"
        )
    if metadata.contract_hash not in (None, cell.contract_hash):
        yield (
            f"contract_hash: expected {cell.contract_hash[:12]}…, got "
            f"{str(metadata.contract_hash)[:12]}… from {source}: it serves another cell's contract"
        )


def _contract(metadata: Metadata, cell: Cell, source: str) -> CheckpointContract:
    policy, layout = cell.policy, cell.policy.columns
    return CheckpointContract(
        source=source,
        state_width=metadata.state_dim or layout.width,
        action_width=metadata.action_dim or layout.width,
        gripper_columns=metadata.gripper_columns or layout.gripper_columns,
        camera_count=_cameras(metadata, cell),
        action_space=metadata.network_action_space,  # type: ignore[arg-type]  # compared, no more
        anchor=metadata.anchor if policy.action_space != "absolute" else None,  # type: ignore[arg-type]
        row_offset=metadata.row_offset,
        row_rate=metadata.control_rate,
        gripper_unit=metadata.gripper_unit,
    )


def _cameras(metadata: Metadata, cell: Cell) -> int:
    """Return how many cameras the policy looks through.

    The original server says 3 whatever its policy was trained with: those are its slots.
    """
    if metadata.cameras is not None:
        return len(metadata.cameras)
    said, own = metadata.num_cameras, len(cell.policy_cameras)
    return own if said is None or own <= said == MOST_CAMERA_SLOTS else said


def _listed(names: tuple[str, ...] | None) -> str:
    return ", ".join(name or "-" for name in names or ())
