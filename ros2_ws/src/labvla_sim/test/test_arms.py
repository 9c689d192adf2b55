"""The generated arm is where the maker says, weighs what the maker says, and holds itself up."""

from dataclasses import replace

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.kinematics import CHAINS
from labvla_sim.arms import SourceUnavailable, arm_spec
from labvla_sim.arms.fr3 import TABLE
from labvla_sim.arms.generator import ARMATURE
from labvla_sim.plant import JointServo
from labvla_sim.plant.sim_cell import SILENT, SimCell

ARM = load_cell("franka").arms[0]
LIMITS = ARM.hardware_limits
BUILT = arm_spec(ARM)
MODEL = BUILT.spec.compile()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=7, max_size=7))
def test_the_flange_is_where_the_published_chain_puts_it(shares):
    joints = np.asarray(LIMITS.position_lower) + np.asarray(shares) * np.subtract(
        LIMITS.position_upper, LIMITS.position_lower
    )
    data = mujoco.MjData(MODEL)
    for name, value in zip(ARM.joints, joints, strict=True):
        data.joint(name).qpos = value
    mujoco.mj_kinematics(MODEL, data)
    published = CHAINS["fr3"].forward(joints)
    flange = data.body("flange")
    assert np.abs(flange.xpos - published[:3, 3]).max() < 1e-6
    assert np.abs(flange.xmat.reshape(3, 3) - published[:3, :3]).max() < 1e-6


def test_links_and_tool_weigh_what_is_published():
    for number, link in enumerate(TABLE.links):
        assert MODEL.body(f"link{number}").mass[0] == pytest.approx(link.mass)
    fingers = sum(MODEL.body(f"{side}_finger").mass[0] for side in ("left", "right"))
    assert MODEL.body("hand").mass[0] + fingers == pytest.approx(ARM.payload.mass)


def test_joint_ranges_and_motors_are_the_cells():
    for number, name in enumerate(ARM.joints):
        expected = (LIMITS.position_lower[number], LIMITS.position_upper[number])
        assert MODEL.joint(name).range == pytest.approx(expected)
        assert MODEL.dof_armature[MODEL.joint(name).dofadr[0]] == ARMATURE


def test_the_tool_point_lies_between_the_pads():
    data = mujoco.MjData(MODEL)
    mujoco.mj_kinematics(MODEL, data)
    flange = data.body("flange")
    tool = flange.xpos + flange.xmat.reshape(3, 3) @ ARM.tcp.matrix()[:3, 3]
    pads = [data.geom(f"{side}_finger_pad").xpos for side in ("left", "right")]
    assert np.linalg.norm(np.mean(pads, axis=0) - tool) < 1e-4


def test_no_posture_of_the_cell_has_the_arm_touching_itself():
    data = mujoco.MjData(MODEL)
    for posture in ARM.postures:
        for name, value in zip(ARM.joints, posture.joints, strict=True):
            data.joint(name).qpos = value
        mujoco.mj_forward(MODEL, data)
        assert data.ncon == 0


def test_the_hand_cannot_pass_through_the_foot():
    data = mujoco.MjData(MODEL)
    folded = (0.0, -1.7, 0.4, -3.0, 0.3, 0.9, -2.3)
    for name, value in zip(ARM.joints, folded, strict=True):
        data.joint(name).qpos = value
    mujoco.mj_forward(MODEL, data)
    assert data.ncon > 0


def test_gravity_is_compensated_inside_the_robot(cell):
    sim = SimCell(cell, noise=SILENT)
    start = sim.state().positions
    for _ in range(1000):
        sim.step(np.zeros(7), [0.08])
    assert np.abs(sim.state().positions - start).max() < 1e-3


def test_torques_act_one_cycle_later(cell):
    sim = SimCell(cell, noise=SILENT)
    kick = np.zeros(7)
    kick[0] = 1.0
    sim.step(kick, [0.08])
    assert abs(sim.truth().velocities[0]) < 1e-6
    sim.step(np.zeros(7), [0.08])
    assert sim.truth().velocities[0] > 1e-4


def test_the_robot_clips_torque_at_its_limits(cell):
    sim = SimCell(cell, noise=SILENT)
    for _ in range(200):
        sim.step(np.full(7, 1e3), [0.08])
    assert (np.abs(sim.state().efforts) <= np.asarray(LIMITS.torque) + 1e-6).all()


def test_torques_that_are_no_numbers_are_refused(sim):
    with pytest.raises(ValueError, match="expected finite torques"):
        sim.step([np.nan] * 7, [0.08])


def test_the_servo_tracks_a_slow_motion(cell):
    sim = SimCell(cell, noise=SILENT)
    servo, start = JointServo.stiff(cell), sim.state().positions
    worst = 0.0
    for tick in range(1500):
        phase = tick * 1e-3 * np.pi / 1.5
        state = sim.state()
        target = start + 0.15 * (1 - np.cos(phase))
        speed = np.full(7, 0.15 * np.pi / 1.5 * np.sin(phase))
        sim.step(servo.torques(target, speed, state.positions, state.velocities), [0.08])
        worst = max(worst, np.abs(target - state.positions).max())
    assert worst < 0.011


@pytest.mark.parametrize("width", [0.0, 0.03, 0.08])
def test_the_fingers_go_to_the_commanded_width_together(cell, width):
    sim = SimCell(cell, noise=SILENT)
    for _ in range(1500):
        sim.step(np.zeros(7), [width])
    left, right = sim.snapshot().positions[7:9]
    assert left + right == pytest.approx(width, abs=1e-3)
    assert left == pytest.approx(right, abs=1e-4)


def test_the_record_says_where_the_arm_came_from():
    assert BUILT.record["source"] == "generated"
    assert BUILT.record["kind"] == "fr3"


@pytest.mark.parametrize("source", ["menagerie", "robosuite"])
def test_a_source_that_is_not_there_is_refused_not_replaced(source):
    with pytest.raises(SourceUnavailable, match=source):
        arm_spec(ARM, source=source)


def test_an_unknown_pairing_is_refused():
    with pytest.raises(SourceUnavailable, match="no generated model"):
        arm_spec(replace(ARM, kind="nonsuch"))
