"""The engine that runs a checkpoint here: what it refuses before anything moves, and its rows."""

import json
import shutil
from dataclasses import replace

import cell_checkpoint
import numpy as np
import pytest
import torch

from labvla_policy.engines.base import EngineError, Question
from labvla_policy.engines.labvla.engine import LabvlaEngine
from labvla_policy.engines.labvla.options import LabvlaOptions
from labvla_policy.engines.registry import make_engine
from labvla_policy.engines.spec import EngineSpec
from labvla_policy.model.inference import load_policy
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.plans import committed_prefix
from labvla_policy.runtime.refusal import Refused
from labvla_policy.runtime.types import Observation

torch.set_num_threads(1)
STAMP = 5_000_000_000


@pytest.fixture(scope="module")
def cell():
    return load_cell("franka")


@pytest.fixture(scope="module")
def folder(cell, tmp_path_factory):
    return cell_checkpoint.write(tmp_path_factory.mktemp("checkpoints") / "tiny", cell)


def engine_of(cell, folder, **options):
    spec = EngineSpec("labvla", cell.origin.file, {"checkpoint": str(folder), **options})
    return LabvlaEngine(spec)


@pytest.fixture(scope="module")
def engine(cell, folder):
    return engine_of(cell, folder, seed="7", samples="3")


def observe(cell, away=0.0, instruction="press the start button", stamp=STAMP, slots=3):
    draw = np.random.default_rng(0)
    positions = np.array(cell.arms[0].postures[0].joints) + away
    pictures = draw.integers(0, 255, (3, 48, 64, 3), dtype=np.uint8)
    return Observation(
        stamp=stamp,
        joint_names=cell.joints,
        positions=positions,
        instruction=instruction,
        grippers=np.array([0.04]),
        state=np.append(positions, 0.02),
        images=tuple(picture if slot < slots else None for slot, picture in enumerate(pictures)),
    )


def ask(engine, observation, prefix=None):
    engine.begin(observation)
    return engine.infer(Question(observation, prefix))


def test_it_is_found_by_its_name(cell, folder):
    spec = EngineSpec("labvla", cell.origin.file, {"checkpoint": str(folder)})
    engine = make_engine(spec)
    assert engine.policy.startswith("labvla:tiny@")


def test_rows_are_absolute_targets_by_joint_name(engine, cell):
    observation = observe(cell)
    plan = ask(engine, observation)
    assert plan.joint_names == cell.joints
    assert plan.joint_targets.shape == (cell_checkpoint.CHUNK, 7)
    assert plan.plan_start == STAMP + round(1e9 / 30)
    assert plan.dt == pytest.approx(1 / 30)
    assert plan.prefix_rows == 0
    away = plan.joint_targets - observation.positions
    assert 0.01 < np.abs(away).mean() < 1.0  # deltas by about the data's spread, added once
    assert plan.gripper_names == ("arm_gripper",)


def test_the_rows_are_those_of_the_policy_itself(cell, folder):
    """The same noise through the plain way of asking: state added once, by the other code."""
    observation = observe(cell)
    engine = engine_of(cell, folder, seed="3")
    plan = ask(engine, observation)
    loaded = load_policy(folder)
    noise = torch.randn(1, 50, 32, generator=torch.Generator().manual_seed(3))
    answer = loaded.predict(
        observation.images, observation.state, observation.instruction, noise=noise[0]
    )
    np.testing.assert_allclose(plan.joint_targets, answer.actions[:, :7], atol=1e-5)
    np.testing.assert_allclose(
        plan.gripper_targets[:, 0], np.clip(answer.actions[:, 7] * 2, 0, 0.08), atol=1e-5
    )


def test_a_seed_makes_answers_repeatable_and_an_instruction_begins_it_anew(engine, cell):
    first = ask(engine, observe(cell))
    again = engine.infer(Question(observe(cell)))
    anew = ask(engine, observe(cell))
    np.testing.assert_array_equal(first.joint_targets, anew.joint_targets)
    assert not np.array_equal(first.joint_targets, again.joint_targets)


@pytest.mark.parametrize("away", [0.0, 0.2])
def test_the_committed_prefix_is_continued_from_wherever_the_arm_is_now(cell, tmp_path, away):
    """The plan in execution is the same motion, but another delta, seen from another posture."""
    folder = cell_checkpoint.write(tmp_path / "calm", cell, reach=0.1)
    engine = engine_of(cell, folder, seed="1")
    plan = ask(engine, observe(cell))
    later = observe(cell, away, stamp=STAMP + 500_000_000)
    start = later.stamp + round(1e9 / 30)
    prefix = committed_prefix(plan, start, plan.dt, rows=15, frozen=8)
    guided = ask(engine, later, prefix)
    plain = ask(engine, later)
    assert guided.prefix_rows == 8

    def distance(answer):
        return np.abs(answer.joint_targets[:8] - prefix.joint_targets[:8]).mean()

    assert distance(guided) < 0.2 * distance(plain)
    assert distance(guided) < 0.02  # rad


def test_a_policy_of_fewer_cameras_is_shown_those_that_it_knows(cell, tmp_path):
    mapping = {
        "observation.images.front": "observation.images.image0",
        "observation.images.wrist": "observation.images.image1",
    }
    folder = cell_checkpoint.write(tmp_path / "two", cell, schema={"image_mapping": mapping})
    engine = engine_of(cell, folder, seed="7")
    seen = observe(cell)

    def rows(*pictures):
        engine.begin(seen)
        return engine.infer(Question(replace(seen, images=pictures), None)).joint_targets

    front, side, wrist = seen.images
    usual = rows(front, side, wrist)
    assert np.array_equal(usual, rows(front, None, wrist))
    assert not np.array_equal(usual, rows(front, side, front))
    assert not np.array_equal(usual, rows(wrist, side, front))


def test_a_camera_that_is_absent_is_masked(engine, cell):
    full, without = ask(engine, observe(cell)), ask(engine, observe(cell, slots=2))
    assert not np.array_equal(full.joint_targets, without.joint_targets)


def test_no_picture_at_all_is_an_error(engine, cell):
    with pytest.raises(EngineError, match="expected at least one camera's frame"):
        engine.infer(Question(observe(cell, slots=0)))


LONG = "pick up the beaker and then put it down again very carefully please, slowly"


def test_an_instruction_that_is_too_long_is_refused_unless_told_otherwise(
    cell, folder, engine, capsys
):
    with pytest.raises(Refused) as refused:
        engine.begin(observe(cell, instruction=LONG))
    assert refused.value.refusal.reason == "prompt_too_long"
    assert refused.value.refusal.limit == cell_checkpoint.PROMPT_TOKENS
    cutting = engine_of(cell, folder, cut_prompts="on")
    capsys.readouterr()
    assert ask(cutting, observe(cell, instruction=LONG)).rows == 50
    told = capsys.readouterr().err
    assert told.count("are cut off") == 1
    assert ask(cutting, observe(cell)).rows == 50
    assert not capsys.readouterr().err


def test_numbers_that_are_none_are_refused(cell, folder, engine):
    live = engine_of(cell, folder)
    with torch.no_grad():
        live._live.loaded.policy.action_out_proj.bias.fill_(torch.nan)
    with pytest.raises(Refused) as refused:
        ask(live, observe(cell))
    assert refused.value.refusal.reason == "prediction_not_finite"


# What is refused before anything moves


def refusal(cell, folder):
    with pytest.raises(Refused) as refused:
        engine_of(cell, folder)
    assert refused.value.refusal.reason == "checkpoint_contract"
    return refused.value.refusal.detail


def swapped(cell, key, *columns):
    """Statistics in which columns have changed places."""
    stats = cell_checkpoint.stats_of(cell, 0.3, 0.1)
    one, other = columns
    for numbers in stats[key].values():
        numbers[one], numbers[other] = numbers[other], numbers[one]
    return {key: stats[key]}


SCHEMAS = {
    "narrow": (
        {"state_dims": [7], "action_dims": [7], "delta_mask": [True] * 6 + [False],
         "gripper_action_dims": [6]},
        "expected rows of 8 (single_8), got 7-wide states and 7-wide actions",
    ),
    "gripper first": ({"gripper_action_dims": [0]}, "expected gripper columns [7]"),
    "two cameras": (
        {"image_mapping": {"a": "observation.images.image0", "b": "observation.images.image1"}},
        "expected a policy for 3 cameras",
    ),
    "cameras in another order": (
        {"image_mapping": {
            "observation.images.wrist": "observation.images.image0",
            "observation.images.side": "observation.images.image1",
            "observation.images.front": "observation.images.image2",
        }},
        "expected the slots wrist, side, front as in training",
    ),
    "absolute": ({"delta_mask": [False] * 8}, "expected delta_from_observation, got absolute"),
    "mixture": ({"delta_mask": [True, False] + [True] * 5 + [False]}, "got a mixture"),
    "relative gripper": ({"delta_mask": [True] * 8}, "expected gripper columns to be absolute"),
    "gripper speed": ({"gripper_semantic": "velocity"}, "gripper_semantic: expected"),
    "gripper fraction": ({"gripper_semantic": "open_fraction"}, "expected finger_width"),
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEMAS)
def test_columns_that_mean_something_else(cell, tmp_path, name):
    schema, complaint = SCHEMAS[name]
    width = schema.get("state_dims", [8])[0]
    feature = {"mean": [0.0], "std": [0.3], "q01": [0.0], "q99": [0.04]}
    feature = {name: numbers * width for name, numbers in feature.items()}
    stats = dict.fromkeys(("observation.state", "action", "action_abs"), feature)
    grippers = tuple(schema.get("gripper_action_dims", (7,)))
    folder = cell_checkpoint.write(
        tmp_path / "other", cell, schema=schema, stats=stats, gripper_action_dims=grippers
    )
    assert complaint in refusal(cell, folder)


@pytest.mark.parametrize(
    ("control", "complaint"),
    [
        ({"row_rate": 10.0}, "policy.row_rate: expected 30.0, got 10.0"),
        ({"row_offset": 0}, "policy.row_offset: expected 1, got 0"),
        ({"anchor": "reference"}, "policy.anchor: expected measured, got reference"),
    ],
)
def test_another_rhythm(cell, tmp_path, control, complaint):
    detail = refusal(cell, cell_checkpoint.write(tmp_path / "other", cell, control=control))
    assert complaint in detail
    assert "franka.yaml:" in detail


def test_what_a_checkpoint_does_not_say_is_taken_from_the_cell(cell, tmp_path):
    silent = {"row_rate": None, "row_offset": None, "anchor": None}
    folder = cell_checkpoint.write(tmp_path / "silent", cell, control=silent)
    assert ask(engine_of(cell, folder), observe(cell)).dt == pytest.approx(1 / 30)


def test_joints_in_another_order_are_found_by_their_statistics(cell, tmp_path):
    stats = swapped(cell, "observation.state", 3, 5)  # the elbow never opens, the wrist never shuts
    detail = refusal(cell, cell_checkpoint.write(tmp_path / "other", cell, stats=stats))
    assert "fr3_joint4: expected training data within" in detail
    assert "fr3_joint6" in detail


def test_a_gripper_in_another_unit_is_found_by_its_statistics(cell, tmp_path):
    stats = cell_checkpoint.stats_of(cell, 0.3, 0.1)
    stats["action"]["q99"][7] = 0.85  # a closed fraction, or an angle
    detail = refusal(cell, cell_checkpoint.write(tmp_path / "other", cell, stats=stats))
    assert "arm_gripper: expected finger_width of 0 to 0.04 in training" in detail


def test_a_full_sized_tokenizer_and_backbone_work_too(cell, tmp_path):
    """The golden policy is the public architecture in miniature; only its data are no Franka's."""
    folder = shutil.copytree(cell_checkpoint.GOLDEN, tmp_path / "golden")
    stats = cell_checkpoint.stats_of(cell, 0.1, 0.1) | {"_chunk_size": 10}
    (folder / "norm_stats.json").write_text(json.dumps(stats))
    engine = engine_of(cell, folder, dtype="float32")
    assert ask(engine, observe(cell)).rows == 10


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "expected the option checkpoint"),
        ({"checkpoint": "/absent"}, "no such folder"),
        ({"checkpoint": "/absent", "colour": "red"}, "got colour"),
        ({"checkpoint": "/absent", "steps": "0"}, "option steps: expected a whole number, 1 to"),
        ({"checkpoint": "/absent", "samples": "many"}, "option samples"),
        ({"checkpoint": "/absent", "graphs": "yes"}, "option graphs: expected on or off"),
        ({"checkpoint": "/absent", "rtc": "magic"}, "option rtc: expected guided, trained or off"),
        ({"checkpoint": "TINY", "threads": "0"}, "option threads: expected a whole number"),
        ({"checkpoint": "TINY", "device": "tpu"}, "device: expected cpu, cuda or cuda:N"),
        ({"checkpoint": "TINY", "device": "cuda:9"}, "device cuda:9"),
        ({"checkpoint": "TINY", "dtype": "int8"}, "dtype: expected one of"),
        ({"checkpoint": "TINY", "rtc": "trained"}, "expected a checkpoint that was trained"),
    ],
)
def test_options_that_make_no_sense(cell, folder, options, complaint):
    texts = {name: str(folder) if text == "TINY" else text for name, text in options.items()}
    with pytest.raises(EngineError, match=complaint):
        LabvlaEngine(EngineSpec("labvla", cell.origin.file, texts))


def test_every_option_is_read():
    texts = {
        "checkpoint": "x", "device": "cpu", "dtype": "float32", "dataset": "a", "steps": "4",
        "samples": "2", "rtc": "off", "products": "1", "graphs": "off", "seed": "1",
        "cut_prompts": "on", "threads": "2",
    }  # fmt: skip
    options = LabvlaOptions.parse(texts)
    assert set(texts) == set(LabvlaOptions.names())
    changed = replace(options, checkpoint="y")
    assert changed.steps == 4
    assert changed.graphs is False
    assert changed.cut_prompts is True
