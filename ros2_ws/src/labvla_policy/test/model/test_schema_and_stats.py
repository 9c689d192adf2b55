"""Columns and statistics: what does not fit is refused before anything moves."""

import json

import numpy as np
import pytest
from golden_support import GOLDEN

from labvla_policy.model.config import ModelConfig
from labvla_policy.model.errors import CheckpointError, InputError
from labvla_policy.model.pipeline.norm_stats import stats_from_json
from labvla_policy.model.pipeline.schema import pick_repo, schema_from_json
from labvla_policy.model.pipeline.vectors import DataOptions, make_plan

STATE = np.array([0.1, -0.2, 0.3, -1.5, 0.5, 1.6, 0.7, 0.03], dtype=np.float32)


def read(name):
    return json.loads((GOLDEN / "A" / name).read_text())


def a_config(**fields):
    return ModelConfig(attn_implementation="sdpa", chunk_size=10, n_action_steps=10, **fields)


def a_schema(**changes):
    return schema_from_json(read("labvla_schema.json") | changes, "schema")


def a_stats(change=lambda values: None):
    values = read("norm_stats.json")
    change(values)
    return stats_from_json(values, "stats")


def a_plan(schema=None, change=lambda values: None, options=None, **fields):
    return make_plan(a_config(**fields), schema or a_schema(), a_stats(change), options)


def chunk_of(rows):
    return np.zeros((rows, 32), dtype=np.float32)


# Deltas and absolute values


def test_every_row_is_relative_to_the_one_state_at_the_query():
    plan = a_plan()
    actions = plan.restored(chunk_of(10), STATE)
    assert actions.dtype == np.float32
    assert np.array_equal(actions, np.repeat(actions[:1], 10, axis=0))  # nothing accumulates
    mean = np.array(read("norm_stats.json")["action"]["mean"], dtype=np.float32)
    np.testing.assert_allclose(actions[0, :7], STATE[:7] + mean[:7], rtol=1e-6)


def test_the_gripper_is_absolute():
    plan = a_plan()
    closed = STATE.copy()
    closed[7] = 0.0
    assert np.array_equal(
        plan.restored(chunk_of(10), STATE)[:, 7], plan.restored(chunk_of(10), closed)[:, 7]
    )


def test_absolute_mode_takes_the_statistics_of_absolute_actions():
    plan = a_plan(action_mode="abs")
    actions = plan.restored(chunk_of(10), STATE)
    mean = np.array(read("norm_stats.json")["action_abs"]["mean"], dtype=np.float32)
    np.testing.assert_allclose(actions[0, :7], mean[:7], rtol=1e-6)


def test_absolute_mode_without_their_statistics_is_refused():
    with pytest.raises(CheckpointError, match=r"'action_abs' is missing.*labvla data stats"):
        a_plan(change=lambda values: values.pop("action_abs"), action_mode="abs")


def test_columns_beyond_the_schema_are_no_commands():
    chunk = chunk_of(10)
    chunk[:, 8:] = 1e6
    assert a_plan().restored(chunk, STATE).shape == (10, 8)
    assert np.abs(a_plan().restored(chunk, STATE)).max() < 10


def test_nothing_is_clipped():
    chunk = chunk_of(1)
    chunk[0, 7] = 3.0
    assert a_plan().restored(chunk, STATE)[0, 7] == pytest.approx(0.08, rel=1e-3)
    far = np.full((1, 32), 1000, np.float32)
    scaling = a_plan().action_scaling
    rows = far[:, :8] * scaling.spread + scaling.centre
    np.testing.assert_allclose(a_plan().denormalised(far), rows, rtol=1e-6)
    assert rows[0, 0] > 10  # rad
    back = a_plan().network_rows(rows)
    np.testing.assert_allclose(back, far[:, :8], rtol=1e-3)


# Raw layouts of robots with more columns than the policy

UR = {
    "state_dims": [11],
    "action_dims": [11],
    "delta_mask": [True] * 6 + [False] * 5,
    "gripper_action_dims": [6],
    "arm_layout": {"arm_count": "single", "arm_dof": 6, "gripper_index_in_raw": 6},
}


def raw_stats(values):
    for name in ("observation.state", "action", "action_abs"):
        wide = {key: [0.5] * 11 for key in ("mean", "std")}
        values[name] = wide | {"q01": [0.0] * 11, "q99": [0.08] * 11}


def test_raw_rows_and_statistics_become_canonical():
    plan = a_plan(a_schema(**UR), raw_stats)
    raw = np.arange(1, 12, dtype=np.float32)
    state = plan.canonical_state(raw)
    assert state.tolist() == [1, 2, 3, 4, 5, 6, 0, 7]
    assert plan.canonical_state(state).tolist() == state.tolist()  # a server sends it so already
    assert plan.network_state(state)[6] == 0  # a joint that is not there stays zero
    chunk = chunk_of(1)
    chunk[0, 6] = 0.3
    actions = plan.restored(chunk, state)
    assert actions[0, 6] == 0
    assert actions[0, :6].tolist() == pytest.approx([1.5, 2.5, 3.5, 4.5, 5.5, 6.5])
    assert actions[0, 7] == pytest.approx(0.04, rel=1e-3)


def test_statistics_of_another_width_are_refused():
    with pytest.raises(CheckpointError, match=r"expected 8 columns, got 11.*other data"):
        a_plan(change=raw_stats)


def test_two_arms():
    layout = {"arm_count": "dual", "left_arm_dof": 6}
    schema = a_schema(
        state_dims=[14], action_dims=[14], delta_mask=[True] * 14, gripper_action_dims=[6, 13],
        arm_layout=layout,
    )  # fmt: skip
    assert schema.arm_layout.columns(14).grippers == (6, 13)
    assert schema.as_json()["arm_layout"] == layout
    with pytest.raises(CheckpointError, match="14 columns, got 16"):
        schema.arm_layout.columns(16)


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ({"arm_count": "triple"}, "arm_count"),
        ({"arm_count": "single", "arm_dof": 8, "gripper_index_in_raw": 8}, "arm_dof"),
        ({"arm_count": "single", "arm_dof": "7"}, "arm_dof"),
        ({"arm_count": "single", "arm_dof": 7, "gripper_index_in_raw": 3}, "gripper_index_in_raw"),
        ({"arm_count": "single", "arm_dof": 7}, "gripper_index_in_raw"),
    ],
)
def test_wrong_arm_layouts_are_refused(layout, words):
    with pytest.raises(CheckpointError, match=words):
        a_schema(arm_layout=layout)


def test_gripper_columns_that_contradict_the_arm_are_refused():
    with pytest.raises(CheckpointError, match=r"expected \[7\] with this arm_layout, got \[6\]"):
        a_plan(a_schema(gripper_action_dims=[6]))


# Schemas


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state_dims": "8"}, "state_dims: expected a list of whole numbers"),
        ({"state_dims": []}, "at least 1"),
        ({"action_dims": [8.0]}, "action_dims"),
        ({"delta_mask": [True] * 7}, "each of 8 action columns, got 7"),
        ({"delta_mask": [1] * 8}, "delta_mask: expected a list of true and false"),
        ({"delta_mask": [True] * 9}, "beyond the 8"),
        ({"gripper_action_dims": [8]}, "columns below 8"),
        ({"image_mapping": {"a": "observation.images.image1"}}, "image_mapping"),
        (
            {"image_mapping": dict.fromkeys("ab", "observation.images.image0")},
            "once each",
        ),
        (
            {"image_mapping": {str(i): f"observation.images.image{i}" for i in range(4)}},
            "at most 3",
        ),
    ],
)
def test_wrong_schemas_are_refused(changes, words):
    with pytest.raises(CheckpointError, match=words):
        a_schema(**changes)


def test_a_mask_with_an_empty_tail_is_cut():
    assert a_plan(a_schema(delta_mask=[True] * 7 + [False] * 9)).delta_mask.shape == (8,)


def test_a_schema_survives_writing():
    schema = a_schema()
    assert schema_from_json(json.loads(json.dumps(schema.as_json())), "again") == schema
    assert schema.cameras == tuple(f"observation.images.camera_{n}_rgb" for n in (1, 2, 3))


def test_rows_wider_than_the_network_are_refused():
    wide = {"state_dims": [40], "action_dims": [40], "delta_mask": [False] * 40, "arm_layout": None}
    with pytest.raises(CheckpointError, match="at most 32 columns"):
        a_plan(a_schema(**wide))


def test_one_of_several_data_sets_is_picked_by_name():
    several = {"_schema": "multi_repo_v1", "left": {"a": 1}, "right": {"a": 2}}
    assert pick_repo(several, "right", "file") == {"a": 2}
    assert pick_repo({"a": 3}, None, "file") == {"a": 3}
    assert pick_repo({"_schema": "multi_repo_v1", "only": {"a": 4}}, None, "file") == {"a": 4}
    for wrong in (None, "middle"):
        with pytest.raises(CheckpointError, match="left, right"):
            pick_repo(several, wrong, "file")


# Statistics


def spoil(feature, key, value):
    def change(values):
        values[feature][key] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (spoil("action", "std", [0.0] * 8), r"columns \[0, 1, 2, 3, 4, 5, 6\] never moved"),
        (spoil("observation.state", "q99", [-9.0] * 8), "q01 below q99"),
        (spoil("observation.state", "std", [1.0] * 7), "lists of one length"),
        (spoil("observation.state", "std", [-1.0] * 8), "std of at least 0"),
        (spoil("observation.state", "mean", [float("nan")] * 8), "finite"),
        (spoil("observation.state", "mean", [None] * 8), "numbers"),
        (lambda values: values["action"].pop("q01"), "q01 is missing; `labvla data stats`"),
        (lambda values: values.pop("observation.state"), "'observation.state' is missing"),
        (lambda values: values.update({"_chunk_size": "ten"}), "_chunk_size"),
        (lambda values: values.update({"action": []}), "action: expected mean"),
    ],
)
def test_wrong_statistics_are_refused(change, words):
    with pytest.raises(CheckpointError, match=words):
        a_plan(change=change)


def test_a_gripper_that_never_moved_is_refused():
    with pytest.raises(CheckpointError, match=r"columns \[7\] never moved"):
        a_plan(change=spoil("observation.state", "q99", [1.0] * 7 + [0.0]))


def test_statistics_of_another_chunk_length_are_refused():
    with pytest.raises(CheckpointError, match=r"chunks of 50 rows.*predicts 10.*labvla data stats"):
        a_plan(change=lambda values: values.update({"_chunk_size": 50}))


def test_other_names_of_the_features_are_taken():
    def rename(values):
        values["state"] = values.pop("observation.state")
        values["actions"] = values.pop("action")

    assert np.array_equal(
        a_plan(change=rename).action_scaling.centre, a_plan().action_scaling.centre
    )


@pytest.mark.parametrize(("semantic", "largest"), [("width", 0.9), ("open_fraction", 40.0)])
def test_a_gripper_in_another_unit_is_refused(semantic, largest):
    with pytest.raises(CheckpointError, match="another unit"):
        a_plan(
            a_schema(gripper_semantic=semantic),
            spoil("observation.state", "q99", [1.5] * 7 + [largest]),
        )


def test_the_same_statistics_have_the_same_digest():
    def reorder(values):
        first = values.pop("action")
        values["action"] = first

    assert a_stats().digest == a_stats(reorder).digest
    assert a_stats().digest != a_stats(spoil("action", "std", [1.0] * 8)).digest


# Switches


@pytest.mark.parametrize(
    ("options", "joint", "gripper"),
    [
        (DataOptions(), 0.6620031 / 0.4575194, -1.0),
        (DataOptions(normalize_arm_joints=False), 0.0, -1.0),
        (DataOptions(gripper_norm_mode="noop"), 0.6620031 / 0.4575194, 0.0),
        (DataOptions(gripper_norm_mode="mean_std"), 0.6620031 / 0.4575194, -0.021 / 0.017001),
    ],
)
def test_switches_of_the_normalisation(options, joint, gripper):
    state = a_plan(options=options).network_state(np.zeros(8, dtype=np.float32))
    assert state[0] == pytest.approx(joint, rel=1e-4)
    assert state[7] == pytest.approx(gripper, rel=1e-4)


def test_snapping_moves_the_gripper_alone():
    plan = a_plan(options=DataOptions(snap_gripper_to_binary=True))
    for opening, snapped in ((0.021, 1.0), (0.019, -1.0)):
        state = STATE.copy()
        state[7] = opening
        assert plan.network_state(state)[7] == pytest.approx(snapped, abs=1e-3)
        assert np.array_equal(plan.network_state(state)[:7], a_plan().network_state(state)[:7])


def test_snapping_needs_canonical_gripper_statistics():
    with pytest.raises(CheckpointError, match=r"q01 = 0 and q99 = 0.08 in column 7"):
        a_plan(options=DataOptions(snap_gripper_to_binary=True, gripper_max_width=0.08))


# States


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (STATE[:7], "expected 8 numbers"),
        (np.zeros((1, 8)), "expected 8 numbers"),
        ([], "expected 8 numbers"),
        (np.full(8, np.nan), "finite"),
        ([np.inf] * 8, "finite"),
        ("state", "expected numbers"),
        ([None] * 8, "finite|numbers"),
    ],
)
def test_wrong_states_are_refused(state, words):
    with pytest.raises(InputError, match=words):
        a_plan().canonical_state(state)
