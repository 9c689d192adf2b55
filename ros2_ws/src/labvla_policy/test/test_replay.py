"""The replay engine: continuous from wherever it begins, and picky about its file."""

import numpy as np
import pytest

from labvla_policy.engines.base import EngineError, Question
from labvla_policy.engines.replay import COLUMNS, Recording, ReplayEngine
from labvla_policy.engines.spec import EngineSpec
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.types import Observation

HEADER = ",".join(COLUMNS)
REST = "0,0,0,0,0,0,0,0,1"


def recording(folder, *lines):
    path = folder / "motion.csv"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def ramp(tmp_path):
    """Joint 2 goes out by 0.4 rad and back in 4 s; the gripper closes half way."""
    return recording(tmp_path, HEADER, REST, "2,0,0.4,0,0,0,0,0,0.5", "4,0,0,0,0,0,0,0,1")


def engine_of(cell, path):
    return ReplayEngine(EngineSpec("replay", cell.origin.file, {"recording": str(path)}))


def observe(cell, seconds, positions):
    return Observation(
        stamp=round(seconds * 1e9),
        joint_names=cell.joints,
        positions=np.asarray(positions, dtype=float),
        instruction="nod",
    )


@pytest.mark.parametrize("name", ["franka", "ur5e", "dual_arm", "dual_franka"])
def test_every_arm_moves_from_where_it_is(name, ramp):
    cell = load_cell(name)
    engine = engine_of(cell, ramp)
    start = np.linspace(-1, 1, len(cell.joints))
    engine.begin(observe(cell, 10.0, start))
    prediction = engine.infer(Question(observe(cell, 10.0, start)))
    dt = 1 / cell.policy.row_rate
    assert prediction.plan_start == round((10.0 + cell.policy.row_offset * dt) * 1e9)
    assert prediction.joint_targets.shape == (50, len(cell.joints))
    assert prediction.gripper_targets.shape == (50, len(cell.arms))
    moved = prediction.joint_targets[0] - start
    second_joints = [1 + sum(len(a.joints) for a in cell.arms[:k]) for k in range(len(cell.arms))]
    np.testing.assert_allclose(moved[second_joints], 0.2 * dt, rtol=1e-6)
    np.testing.assert_allclose(np.delete(moved, second_joints), 0)
    stroke = cell.arms[0].gripper.stroke
    np.testing.assert_allclose(prediction.gripper_targets[0, 0], stroke * (1 - 0.25 * dt))


def test_plans_of_different_times_agree_where_they_overlap(ramp):
    cell = load_cell("franka")
    engine = engine_of(cell, ramp)
    engine.begin(observe(cell, 0.0, np.zeros(7)))
    early = engine.infer(Question(observe(cell, 1.0, np.zeros(7))))
    # where the arm is now does not matter
    late = engine.infer(Question(observe(cell, 1.5, np.ones(7))))
    shift = 15  # rows, at 30 Hz
    np.testing.assert_allclose(early.joint_targets[shift:], late.joint_targets[:-shift], atol=1e-9)


def test_infer_before_begin(ramp):
    cell = load_cell("franka")
    with pytest.raises(EngineError, match="before begin"):
        engine_of(cell, ramp).infer(Question(observe(cell, 0, np.zeros(7))))


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ((), "got an empty file"),
        (("time,joint_1",), "expected the columns time,joint_1,joint_2"),
        ((HEADER, REST), "two rows or more"),
        ((HEADER, REST, "1,0,0,0,0,0,0,0"), ":3: expected 9 finite numbers"),
        ((HEADER, REST, "1,0,0,nan,0,0,0,0,1"), ":3: expected 9 finite numbers"),
        ((HEADER, REST, "1,0,0,x,0,0,0,0,1"), ":3: expected 9 finite numbers"),
        ((HEADER, REST, REST), "times that rise"),
        ((HEADER, REST, "1,0,0,0.1,0,0,0,0,1"), "begins and ends at offset 0"),
    ],
)
def test_bad_files(tmp_path, lines, complaint):
    with pytest.raises(EngineError) as refusal:
        Recording(recording(tmp_path, *lines))
    assert complaint in str(refusal.value)
    assert "motion.csv" in str(refusal.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(EngineError, match="cannot be read"):
        Recording(tmp_path / "absent.csv")
