"""Whether a checkpoint may drive a cell."""

from collections.abc import Iterator
from dataclasses import dataclass

from labvla_policy.runtime.cell.contract import LAYOUTS, ActionSpace, Anchor
from labvla_policy.runtime.cell.model import Cell
from labvla_policy.runtime.cell.problems import CellError, Problem


@dataclass(frozen=True, kw_only=True)
class CheckpointContract:
    """What a checkpoint, or the server in front of it, says about itself.

    None stands for what it does not say: the cell's own declaration is then taken.
    """

    source: str  # how messages name it: a folder or an address
    state_width: int
    action_width: int
    gripper_columns: tuple[int, ...]
    camera_count: int
    action_space: ActionSpace | None = None
    anchor: Anchor | None = None
    row_offset: int | None = None
    row_rate: float | None = None
    gripper_unit: str | None = None


def check_policy_contract(cell: Cell, contract: CheckpointContract) -> None:
    """Raise CellError with everything in which the checkpoint differs from the cell."""
    problems = sorted(_differences(cell, contract), key=lambda problem: problem.line or 0)
    if problems:
        raise CellError(problems)


def _differences(cell: Cell, contract: CheckpointContract) -> Iterator[Problem]:
    def problem(path: str, message: str, hint: str = "") -> Problem:
        line = cell.origin.line(path)
        return Problem(file=cell.origin.file, line=line, key=path, message=message, hint=hint)

    policy, layout = cell.policy, cell.policy.columns
    widths = {"state": contract.state_width, "action": contract.action_width}
    wrong = {what: width for what, width in widths.items() if width != layout.width}
    if wrong:
        got = " and ".join(f"{width}-wide {what}s" for what, width in wrong.items())
        known = [name for name, known in LAYOUTS.items() if known.width == contract.action_width]
        called = f" ({known[0]})" if known else ""
        yield problem(
            "policy.layout",
            f"expected rows of {layout.width} ({policy.layout}), got {got}{called} "
            f"from {contract.source}",
            f"{policy.layout} is {layout.meaning}",
        )
    elif contract.gripper_columns != layout.gripper_columns:
        yield problem(
            "policy.layout",
            f"expected gripper columns {list(layout.gripper_columns)} ({policy.layout}), "
            f"got {list(contract.gripper_columns)} from {contract.source}",
        )
    cameras = [camera.name for camera in cell.policy_cameras]
    if contract.camera_count != len(cameras):
        yield problem(
            "cameras",
            f"expected a policy for {len(cameras)} cameras ({', '.join(cameras)}), "
            f"got one for {contract.camera_count} from {contract.source}",
            "an image that is missing or too many shifts what the policy has learnt to see",
        )
    declared = {
        "action_space": contract.action_space,
        "anchor": contract.anchor,
        "row_offset": contract.row_offset,
        "row_rate": contract.row_rate,
    }
    for name, value in declared.items():
        wanted = getattr(policy, name)
        if value is not None and value != wanted:
            yield problem(
                f"policy.{name}", f"expected {wanted}, got {value} from {contract.source}"
            )
    for index, arm in enumerate(cell.arms):
        unit = arm.gripper.policy_unit
        if contract.gripper_unit is not None and contract.gripper_unit != unit:
            yield problem(
                f"arms[{index}].gripper.policy_unit",
                f"expected {unit}, got {contract.gripper_unit} from {contract.source}",
            )
