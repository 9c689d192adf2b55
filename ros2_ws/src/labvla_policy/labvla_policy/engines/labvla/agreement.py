"""Whether a checkpoint may drive a cell: decided before anything is asked of it."""

from __future__ import annotations

from collections.abc import Iterator

from labvla_policy.model.inference import LoadedPolicy
from labvla_policy.model.pipeline.vectors import Scaling, VectorPlan
from labvla_policy.runtime.cell import Cell, CellError
from labvla_policy.runtime.cell.checkpoint import CheckpointContract, check_policy_contract
from labvla_policy.runtime.cell.contract import ActionSpace
from labvla_policy.runtime.grippers import column_of_opening
from labvla_policy.runtime.refusal import Refusal, Refused

_CAMERA_PREFIX = "observation.images."
# Data that a checkpoint was trained on lie within so many standard deviations of their mean.
_REACH = 3.0
# Of a gripper's range: statistics overshoot a little, another unit by far.
_GRIPPER_SLACK = 0.25
# What a schema calls the gripper's column, as the cell's unit; a width may be one finger's or both.
_GRIPPER_UNITS = {"": None, "width": None, "open_fraction": "open_fraction"}


def check(loaded: LoadedPolicy, cell: Cell) -> ActionSpace:
    """Return what the checkpoint's rows are, or raise Refused with everything that differs."""
    space, differences = _space(loaded.vectors)
    differences += _contract_differences(loaded, cell, space)
    if not differences:  # only then are columns what the cell says they are
        differences += _camera_order(loaded, cell)
        differences += _joints_elsewhere(loaded.vectors, cell)
        differences += _grippers_elsewhere(loaded.vectors, cell)
    if differences:
        raise Refused(Refusal("checkpoint_contract", "; ".join(differences)))
    return space


def _space(vectors: VectorPlan) -> tuple[ActionSpace, list[str]]:
    columns = vectors.action_columns
    joints = vectors.delta_mask[columns.joints]
    space: ActionSpace = "delta_from_observation" if joints.any() else "absolute"
    wrong = []
    if joints.any() and not joints.all():
        wrong.append("delta_mask: expected all joints relative or none, got a mixture")
    if vectors.delta_mask[columns.is_gripper].any():
        wrong.append("delta_mask: expected gripper columns to be absolute, got relative ones")
    return space, wrong


def _contract_differences(loaded: LoadedPolicy, cell: Cell, space: ActionSpace) -> list[str]:
    semantic = loaded.schema.gripper_semantic
    if semantic not in _GRIPPER_UNITS:
        known = " or ".join(name for name in _GRIPPER_UNITS if name)
        return [f"gripper_semantic: expected {known}, got {semantic} from {loaded.source}"]
    contract = CheckpointContract(
        source=loaded.source,
        state_width=loaded.vectors.state_columns.width,
        action_width=loaded.vectors.action_width,
        gripper_columns=loaded.vectors.action_columns.grippers,
        camera_count=_cameras(loaded, cell),
        action_space=space,
        anchor=loaded.control.anchor if space != "absolute" else None,
        row_offset=loaded.control.row_offset,
        row_rate=loaded.control.row_rate,
        gripper_unit=_GRIPPER_UNITS[semantic],
    )
    try:
        check_policy_contract(cell, contract)
    except CellError as error:
        return [str(problem) for problem in error.problems]
    return []


def shown(loaded: LoadedPolicy, cell: Cell) -> tuple[int, ...]:
    """Return which of the cell's pictures the policy is shown, in the order of its slots.

    One that was trained with fewer cameras than the cell has, and knows them by name, is shown
    these; any other is shown all.
    """
    trained, own = _trained(loaded), [camera.name for camera in cell.policy_cameras]
    if trained and set(trained) < set(own):
        return tuple(own.index(name) for name in trained)
    return tuple(range(len(own)))


def _trained(loaded: LoadedPolicy) -> list[str]:
    return [name.removeprefix(_CAMERA_PREFIX) for name in loaded.schema.cameras]


def _cameras(loaded: LoadedPolicy, cell: Cell) -> int:
    """Return how many cameras the policy expects of a cell; slots where it does not say."""
    own, slots = len(cell.policy_cameras), loaded.policy.vlm.camera_slots
    if len(shown(loaded, cell)) < own:
        return own
    return len(loaded.schema.cameras) or (own if own <= slots else slots)


def _camera_order(loaded: LoadedPolicy, cell: Cell) -> Iterator[str]:
    """Where the checkpoint knows the cell's cameras by name, each has to be in its slot."""
    trained = _trained(loaded)
    own = [camera.name for camera in cell.policy_cameras]
    if set(trained) == set(own) and trained != own:
        yield (
            f"cameras: expected the slots {', '.join(trained)} as in training, "
            f"got {', '.join(own)}: correct the cell's `slot`s"
        )


def _joints_elsewhere(vectors: VectorPlan, cell: Cell) -> Iterator[str]:
    """A joint whose training data lie beyond its range is another joint, or another robot's."""
    for arm, places in zip(cell.arms, cell.policy.columns.arms, strict=True):
        limits = arm.operating_limits
        for index, (joint, column) in enumerate(zip(arm.joints, places.joints, strict=False)):
            low, high = _span(vectors.state_scaling, column, _REACH)
            lower, upper = limits.position_lower[index], limits.position_upper[index]
            if low > upper or high < lower:
                yield (
                    f"{joint}: expected training data within {lower:g} to {upper:g} rad, got "
                    f"{low:.3g} to {high:.3g} in state column {column}: another order of joints, "
                    "another robot, or statistics of other data"
                )


def _grippers_elsewhere(vectors: VectorPlan, cell: Cell) -> Iterator[str]:
    for arm, places in zip(cell.arms, cell.policy.columns.arms, strict=True):
        gripper, column = arm.gripper, places.gripper
        ends = [float(column_of_opening(gripper, m)) for m in (0.0, gripper.stroke)]
        lower, upper = min(ends), max(ends)
        slack = _GRIPPER_SLACK * (upper - lower)
        low, high = _span(vectors.action_scaling, column, 1.0)
        if low < lower - slack or high > upper + slack:
            yield (
                f"{arm.gripper_name}: expected {gripper.policy_unit} of {lower:g} to {upper:g} in "
                f"training, got {low:.3g} to {high:.3g}: another unit or another gripper"
            )


def _span(scaling: Scaling, column: int, reach: float) -> tuple[float, float]:
    centre, spread = float(scaling.centre[column]), float(scaling.spread[column])
    return centre - reach * spread, centre + reach * spread
