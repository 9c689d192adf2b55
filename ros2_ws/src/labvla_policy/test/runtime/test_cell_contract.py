"""A checkpoint that does not fit the cell is refused, and the refusal points into the cell file."""

from typing import Any

import pytest
from cell_support import line_of, path_of, shipped

from labvla_policy.runtime.cell import (
    Cell,
    CellError,
    CheckpointContract,
    Problem,
    check_policy_contract,
)


def checkpoint(**changes: Any) -> CheckpointContract:
    single = {
        "source": "checkpoints/demo",
        "state_width": 8,
        "action_width": 8,
        "gripper_columns": (7,),
        "camera_count": 3,
    }
    return CheckpointContract(**(single | changes))


def refusals(cell: Cell, contract: CheckpointContract) -> tuple[Problem, ...]:
    with pytest.raises(CellError) as caught:
        check_policy_contract(cell, contract)
    return caught.value.problems


TWO_ARMS = checkpoint(state_width=14, action_width=14, gripper_columns=(6, 13))


def test_canonical_checkpoints_fit_their_cells() -> None:
    check_policy_contract(shipped("franka"), checkpoint())
    check_policy_contract(shipped("ur5e"), checkpoint())
    check_policy_contract(shipped("dual_arm"), TWO_ARMS)


def test_a_14_wide_checkpoint_is_refused_on_two_frankas() -> None:
    cell = shipped("dual_franka")
    (problem,) = refusals(cell, TWO_ARMS)
    path = path_of("dual_franka")
    assert (problem.file, problem.line) == (str(path), line_of(path, "  layout: dual_16"))
    assert problem.key == "policy.layout"
    assert problem.message == (
        "expected rows of 16 (dual_16), got 14-wide states and 14-wide actions (dual_14) "
        "from checkpoints/demo"
    )
    assert "needs its own fine-tune" in problem.hint


@pytest.mark.parametrize(
    ("changes", "key", "expected"),
    [
        ({"action_width": 32}, "policy.layout", "got 32-wide actions from"),
        ({"state_width": 7}, "policy.layout", "expected rows of 8 (single_8), got 7-wide states"),
        ({"gripper_columns": (6,)}, "policy.layout", "expected gripper columns [7] (single_8)"),
        ({"camera_count": 2}, "cameras", "expected a policy for 3 cameras (front, side, wrist)"),
        ({"action_space": "velocity"}, "policy.action_space", "expected delta_from_observation"),
        ({"anchor": "reference"}, "policy.anchor", "expected measured, got reference"),
        ({"row_offset": 0}, "policy.row_offset", "expected 1, got 0"),
        ({"row_rate": 60.0}, "policy.row_rate", "expected 30.0, got 60.0"),
        ({"gripper_unit": "open_fraction"}, "arms[0].gripper.policy_unit", "expected finger_width"),
    ],
)
def test_each_difference_is_refused_by_name(
    changes: dict[str, Any], key: str, expected: str
) -> None:
    cell = shipped("franka")
    (problem,) = refusals(cell, checkpoint(**changes))
    assert problem.key == key
    assert expected in problem.message
    assert problem.line == cell.origin.line(key) is not None


def test_what_agrees_is_accepted() -> None:
    said = {"action_space": "delta_from_observation", "anchor": "measured", "row_offset": 1}
    said |= {"row_rate": 30.0, "gripper_unit": "finger_width"}
    check_policy_contract(shipped("franka"), checkpoint(**said))


def test_all_differences_are_told_at_once() -> None:
    problems = refusals(shipped("franka"), checkpoint(row_offset=0, camera_count=1, state_width=9))
    assert [problem.key for problem in problems] == [
        "cameras",
        "policy.layout",
        "policy.row_offset",
    ]
