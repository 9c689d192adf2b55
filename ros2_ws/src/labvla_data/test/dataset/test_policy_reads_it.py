"""Schema and statistics of a cell's recordings are what a policy's checkpoint needs."""

import json

import numpy as np
import pytest

from labvla_data.dataset import norm_stats, robot_schema
from labvla_policy.model.config import ModelConfig
from labvla_policy.model.pipeline.norm_stats import stats_from_json
from labvla_policy.model.pipeline.schema import schema_from_json
from labvla_policy.model.pipeline.vectors import make_plan
from labvla_policy.runtime.cell import load_cell


def recorded_motion(cell):
    """States and actions of an episode; columns that the arms do not fill stay zero."""
    chance = np.random.default_rng(0)
    layout = cell.policy.columns
    rows = np.zeros((80, layout.width))
    for arm, columns in zip(cell.arms, layout.arms, strict=True):
        filled = list(columns.joints[: len(arm.joints)])
        rows[:, filled] = chance.uniform(-1, 1, (80, len(filled))).cumsum(axis=0) / 10
        rows[:, columns.gripper] = chance.uniform(0, 0.04, 80)
    return rows[:-1], rows[1:]


@pytest.mark.parametrize("name", ["franka", "ur5e", "dual_arm", "dual_franka"])
def test_rows_go_in_and_come_out_again(name):
    cell = load_cell(name)
    schema = robot_schema.of_cell(cell)
    states, actions = recorded_motion(cell)
    recipe = norm_stats.Recipe(schema.delta_mask)
    stats = norm_stats.compute(lambda: iter([(states, actions)]), recipe)
    plan = make_plan(
        ModelConfig(),
        schema_from_json(json.loads(json.dumps(schema.as_schema())), "schema"),
        stats_from_json(json.loads(json.dumps(stats)), "statistics"),
    )
    assert plan.action_columns.grippers == cell.policy.columns.gripper_columns
    state = plan.canonical_state(states[0])
    chunk = plan.network_actions(actions[:50].astype(np.float32), state)
    assert np.abs(chunk).max() < 20  # nothing is blown up
    np.testing.assert_allclose(plan.restored(chunk, state), actions[:50], rtol=1e-4, atol=1e-5)
