"""The shipped cells: what they promise, and that a description survives a round trip."""

import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import yaml
from cell_support import SHIPPED, shipped, text_of, write
from hypothesis import given
from hypothesis import strategies as st

from labvla_policy.runtime.cell import Pose, Robotiq2F85, find_cells, load_cell
from labvla_policy.runtime.cell.hashing import normalised
from labvla_policy.runtime.cell.limits import braking_margin


def test_the_shipped_cells_are_found_and_load() -> None:
    assert set(SHIPPED) <= set(find_cells())
    assert [load_cell(name).name for name in SHIPPED] == list(SHIPPED)


@pytest.mark.parametrize(
    ("name", "kinds", "width", "rate"),
    [
        ("franka", ["fr3"], 8, 1000),
        ("ur5e", ["ur5e"], 8, 500),
        ("dual_arm", ["ur5e", "ur5e"], 14, 500),
        ("dual_franka", ["fr3", "fr3"], 16, 1000),
    ],
)
def test_each_cell_has_its_arms_columns_and_rate(
    name: str, kinds: list[str], width: int, rate: float
) -> None:
    cell = shipped(name)
    assert [arm.kind for arm in cell.arms] == kinds
    assert cell.policy.columns.width == len(cell.column_names) == width
    assert cell.controller.rate == rate


def test_columns_are_canonical() -> None:
    ur5e = shipped("ur5e")
    assert ur5e.column_names == (*ur5e.arms[0].joints, None, "arm_gripper")
    dual = shipped("dual_arm")
    left, right = dual.arms
    assert dual.column_names == (*left.joints, "left_gripper", *right.joints, "right_gripper")
    assert dual.policy.columns.gripper_columns == (6, 13)
    assert shipped("dual_franka").policy.columns.gripper_columns == (7, 15)
    assert len(set(shipped("dual_franka").column_names)) == 16


def test_a_franka_listens_to_the_fast_joint_states() -> None:
    for name in ("franka", "dual_franka"):
        source = shipped(name).joint_states
        assert (source.topic, source.rate) == ("franka/joint_states", 1000)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_motion_that_can_stop_is_inside_the_hardware_limits(name: str) -> None:
    """Sampled over the whole range: the closed form that loading relies on is not assumed here."""
    for arm in shipped(name).arms:
        hardware, operating = arm.hardware_limits, arm.operating_limits
        for joint in range(len(arm.joints)):
            lower, upper = operating.position_lower[joint], operating.position_upper[joint]
            acceleration, fastest = operating.acceleration[joint], operating.velocity[joint]
            for position in np.linspace(lower, upper, 20_001):
                allowed_down, allowed_up = hardware.velocity_range(joint, position)
                assert min(fastest, math.sqrt(2 * acceleration * (upper - position))) <= allowed_up
                assert max(-fastest, -math.sqrt(2 * acceleration * (position - lower))) >= (
                    allowed_down
                )


def test_the_refusal_to_brake_names_a_position_that_just_suffices(tmp_path: Path) -> None:
    just = (("[ 2.69,    1.73,", "[ 2.7372,  1.73,"),)
    assert load_cell(write(tmp_path, "franka", *just)).name == "franka"


@given(
    c=st.floats(-1, 0),
    k=st.floats(0.5, 50),
    velocity=st.floats(0.05, 5),
    share=st.floats(0.01, 0.99),
)
def test_the_braking_margin_is_enough_and_not_too_much(
    c: float, k: float, velocity: float, share: float
) -> None:
    acceleration = share * k / 2
    margin = braking_margin(c, k, velocity, acceleration)
    braking = np.linspace(0, velocity, 20_001)
    distance = braking**2 / (2 * acceleration)
    gap = c + np.sqrt(k * (distance + margin)) - braking
    assert gap.min() >= -1e-6
    assert gap.min() <= 1e-3  # touches, up to the sampling


def test_a_posture_of_the_cell_is_one_of_every_arm() -> None:
    cell = shipped("dual_arm")
    assert list(cell.posture("home")) == ["left", "right"]
    assert cell.posture("home")["right"].joints == cell.arms[1].postures[0].joints


def test_polarity_says_which_end_is_open() -> None:
    hand, robotiq = shipped("franka").arms[0].gripper, shipped("ur5e").arms[0].gripper
    assert (hand.closed, hand.open) == (0.0, 0.04)
    assert (robotiq.closed, robotiq.open) == (0.7929, 0.0)
    assert isinstance(robotiq, Robotiq2F85)


def test_a_pose_turns_about_fixed_axes() -> None:
    pose = Pose(position=(1.0, 2.0, 3.0), rpy=(math.pi / 2, 0.0, math.pi / 2))
    # Roll takes y to z, then yaw leaves it there.
    np.testing.assert_allclose(pose.matrix() @ [0, 1, 0, 1], [1, 2, 4, 1], atol=1e-15)
    # x is the axis of the roll and goes to y by the yaw.
    np.testing.assert_allclose(pose.matrix() @ [1, 0, 0, 1], [1, 3, 3, 1], atol=1e-15)


@pytest.mark.parametrize("name", SHIPPED)
def test_round_trip(tmp_path: Path, name: str) -> None:
    cell = shipped(name)
    path = tmp_path / f"{name}.yaml"
    path.write_text(yaml.safe_dump(normalised(cell), sort_keys=True, allow_unicode=True))
    again = load_cell(path)
    assert again == cell
    assert (again.hash, again.contract_hash) == (cell.hash, cell.contract_hash)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_cell_can_be_sent_to_another_process(name: str) -> None:
    cell = shipped(name)
    again = pickle.loads(pickle.dumps(cell))
    assert again == cell
    assert again.origin.line("arms[0].joints[1]") == cell.origin.line("arms[0].joints[1]")


def test_spelling_does_not_change_the_hash(tmp_path: Path) -> None:
    same = write(
        tmp_path,
        "franka",
        ("name: franka\n", "# another comment\nname: 'franka'\n"),
        ("stroke: 80 mm", "stroke: 8e-2"),
        (
            "{topic: franka/joint_states, rate: 1000 Hz}",
            "{rate: 1 kHz, topic: franka/joint_states}",
        ),
        ("-45 deg, 0, -135 deg", "-0.785398163397448309, 0, -135.0 deg"),
        ("jerk: 100", "jerk: [100, 100.0, 1e2, 100, 100, 100, 100 rad/s^3]"),
        ("One FR3 with the Franka hand,", "An arm,"),
    )
    assert load_cell(same).hash == shipped("franka").hash


@pytest.mark.parametrize(
    ("old", "new", "contract_changes"),
    [
        ("latency: 0 ms", "latency: 5 ms", False),
        ("stroke: 80 mm", "stroke: 79 mm", False),
        ("row_offset: 1", "row_offset: 0", True),
        ("anchor: measured", "anchor: reference", True),
        ("row_rate: 30 Hz", "row_rate: 10 Hz", True),
        ("policy_unit: finger_width", "policy_unit: open_fraction", True),
        ("name: wrist", "name: hand", True),
    ],
)
def test_what_changes_behaviour_changes_the_hash(
    tmp_path: Path, old: str, new: str, contract_changes: bool
) -> None:
    cell, other = shipped("franka"), load_cell(write(tmp_path, "franka", (old, new)))
    assert other.hash != cell.hash
    assert (other.contract_hash != cell.contract_hash) is contract_changes


def test_the_contract_hash_is_the_same_in_every_release() -> None:
    """Chunks and episodes carry it: a change here makes the recorded ones look foreign."""
    assert shipped("franka").contract_hash == FRANKA_CONTRACT


FRANKA_CONTRACT = "aea47fe036217478da548d0f890249469272076cfe84453fe4144edfc0c47290"


def test_a_folder_of_the_user_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "franka", ("latency: 0 ms", "latency: 9 ms"))
    monkeypatch.setenv("LABVLA_CELLS", f"{tmp_path / 'missing'}:{tmp_path}")
    assert find_cells()["franka"].parent == tmp_path
    assert load_cell("franka").cameras[0].latency == 0.009
    assert load_cell("ur5e").name == "ur5e"


def test_the_files_hold_no_long_lines() -> None:
    assert max(len(line) for name in SHIPPED for line in text_of(name).splitlines()) <= 100


def test_a_pose_is_found_again_from_its_matrix() -> None:
    for rpy in np.random.default_rng(0).uniform(-math.pi, math.pi, (200, 3)):
        matrix = Pose(position=(1.0, -2.0, 3.0), rpy=tuple(rpy)).matrix()
        np.testing.assert_allclose(Pose.from_matrix(matrix).matrix(), matrix, atol=1e-9)


@pytest.mark.parametrize("pitch", [math.pi / 2, -math.pi / 2])
def test_a_pose_that_looks_straight_up_or_down_has_no_roll(pitch: float) -> None:
    matrix = Pose(position=(0.0, 0.0, 0.0), rpy=(0.3, pitch, -1.1)).matrix()
    found = Pose.from_matrix(matrix)
    assert found.rpy[0] == 0.0
    np.testing.assert_allclose(found.matrix(), matrix, atol=1e-9)
