"""Impedance and admittance on plants with delay, noise, friction, walls and payloads."""

from __future__ import annotations

import cells
import numpy as np
import pytest
from numpy.typing import NDArray

from labvla_control import Chunk, Config, Controller, JointPlant, ServoArm, ServoPlant, TorquePlant

ROW = 1.0 / 30.0
INERTIA = np.array(
    [0.8, 0.9, 0.6, 0.6, 0.15, 0.15, 0.12]
)  # larger than what damping was chosen for
GRAVITY = 9.81


def franka_plant(
    config: Config, start: NDArray[np.float64], **changes: NDArray[np.float64]
) -> TorquePlant:
    joints = []
    for index in range(7):
        joint = JointPlant()
        joint.inertia = INERTIA[index]
        joint.viscous = 0.3
        joint.coulomb = 0.3 if index < 4 else 0.1
        for name, values in changes.items():
            setattr(joint, name, float(values[index]))
        joints.append(joint)
    return TorquePlant(
        joints, start.tolist(), config.period, position_noise=2e-5, velocity_noise=2e-3
    )


class Bench:
    """Controller and plant, cycle by cycle."""

    def __init__(self, config: Config, plant: TorquePlant, start: NDArray[np.float64]) -> None:
        self.controller = Controller(config)
        self.controller.activate(start)
        self.plant = plant
        self.names = [joint.name for joint in config.joints]
        self.sequence = 0
        self.measured: list[NDArray[np.float64]] = []
        self.command: list[NDArray[np.float64]] = []
        self.reference: list[NDArray[np.float64]] = []

    @property
    def now_ns(self) -> int:
        return round(self.controller.state().time * 1e9)

    def chunk(self, rows: NDArray[np.float64]) -> bool:
        self.sequence += 1
        return self.controller.submit(
            Chunk(
                self.names,
                np.ascontiguousarray(rows),
                ROW,
                plan_start_ns=self.now_ns,
                sequence=self.sequence,
            )
        ).accepted

    def run(self, cycles: int) -> None:
        for _ in range(cycles):
            state = self.controller.update(
                self.plant.measured_position, self.plant.measured_velocity
            )
            self.plant.step(state.command)
            self.measured.append(self.plant.position)
            self.command.append(state.command)
            self.reference.append(state.position)


@pytest.fixture
def config() -> Config:
    return cells.fr3()


def test_free_motion_is_tracked(config: Config) -> None:
    home = cells.FR3_HOME
    bench = Bench(config, franka_plant(config, home), home)
    for k in range(20):
        time = 0.1 * k + np.arange(50)[:, None] * ROW
        bench.chunk(home + 0.15 * (1 - np.cos(1.5 * time)))
        bench.run(100)
    error = np.abs(np.array(bench.measured) - np.array(bench.reference))
    assert error.max() <= 0.03
    assert np.abs(np.diff(np.array(bench.measured), axis=0)).max() > 1e-4


def test_hold_is_quiet(config: Config) -> None:
    home = cells.FR3_HOME
    bench = Bench(config, franka_plant(config, home), home)
    bench.run(3000)
    assert np.std(np.array(bench.measured)[1000:], axis=0).max() <= 1e-4


def push_into_wall(config: Config, stiffness: float) -> tuple[Bench, float]:
    home = cells.FR3_HOME
    wall = np.full(7, np.inf)
    wall[0] = 0.1
    plant = franka_plant(config, home, wall=wall, wall_stiffness=np.full(7, stiffness))
    bench = Bench(config, plant, home)
    for k in range(40):
        time = 0.1 * k + np.arange(50)[:, None] * ROW
        rows = np.tile(home, (50, 1))
        rows[:, :1] += np.minimum(0.3, 0.15 * time)
        bench.chunk(rows)
        bench.run(100)
    return bench, plant.contact(0)


@pytest.mark.parametrize("stiffness", [1e3, 1e4, 1e5])
def test_contact_with_a_wall_is_stable_and_soft(config: Config, stiffness: float) -> None:
    bench, contact = push_into_wall(config, stiffness)
    joint = config.joints[0]
    late = np.array(bench.measured)[-500:, 0]
    assert np.ptp(late) <= 2e-4
    in_series = joint.impedance.stiffness * stiffness / (joint.impedance.stiffness + stiffness)
    assert contact == pytest.approx(min(in_series * (0.3 - 0.1), joint.impedance.torque), rel=0.05)
    torque = np.array(bench.command)[:, 0]
    assert np.abs(torque).max() <= joint.impedance.torque
    assert np.abs(np.diff(torque)).max() <= joint.impedance.torque_rate * config.period + 1e-9


def test_a_smaller_scale_presses_less(config: Config) -> None:
    bench, _ = push_into_wall(config, 1e4)
    bench.controller.set_stiffness_scale(0.25)
    before = bench.controller.state().stiffness_scale
    for _ in range(30):
        rows = np.tile(cells.FR3_HOME, (50, 1))
        rows[:, 0] += 0.3
        bench.chunk(rows)
        bench.run(100)
    assert before == 1.0
    assert bench.plant.contact(0) == pytest.approx(0.25 * 600.0 * 0.2, rel=0.05)
    torque = np.array(bench.command)[:, 0]
    # Half a scale per second: 0.06 N m per cycle and the noise of damping, not 57 N m at once.
    assert np.abs(np.diff(torque[-3000:])).max() < 0.5


def constant_chunks_with_payload(
    config: Config, anchor: str, seconds: float
) -> tuple[float, float]:
    """A policy that wants no motion, re-anchored at 5 Hz on what it calls the present position.

    Returns how far the reference and the robot have moved, the first sag of the spring not counted.
    """
    home = cells.FR3_HOME
    # 1 kg at the flange: shoulder 0.55 m, elbow 0.35 m, wrist 0.1 m of lever.
    payload = np.array([0.0, 0.55, 0.0, -0.35, 0.0, 0.1, 0.0]) * GRAVITY
    bench = Bench(config, franka_plant(config, home, payload=payload, payload_angle=home), home)
    bench.run(1000)
    reference, robot = bench.controller.state().position, bench.plant.position
    for _ in range(round(5 * seconds)):
        state = bench.controller.state()
        where = state.position if anchor == "reference" else state.measured_position
        assert bench.chunk(np.tile(where, (30, 1)))
        bench.run(200)
    return (
        float(np.abs(bench.controller.state().position - reference).max()),
        float(np.abs(bench.plant.position - robot).max()),
    )


def test_payload_does_not_creep_with_anchor_reference(config: Config, record_property) -> None:
    reference, robot = constant_chunks_with_payload(config, "reference", 60.0)
    record_property("drift_mrad", (1e3 * reference, 1e3 * robot))
    assert reference <= 2e-3
    assert robot <= 2e-3


def test_payload_creeps_with_anchor_measured(config: Config, record_property) -> None:
    """Why the anchor belongs to the contract: the sag becomes the new start at 5 Hz."""
    reference, robot = constant_chunks_with_payload(config, "measured", 10.0)
    record_property("drift_mrad", (1e3 * reference, 1e3 * robot))
    assert reference > 0.02
    assert robot > 0.02


def test_joint_limit_repulsion_pushes_back() -> None:
    joints = cells.fr3_joints()
    for joint in joints:
        joint["impedance"]["repulsion_stiffness"] = 200.0
    config = cells.fr3(joints=joints)
    start = cells.FR3_HOME.copy()
    controller = Controller(config)
    controller.activate(start)
    near = start.copy()
    near[1] = 1.75
    for _ in range(300):
        with_it = controller.update(near, np.zeros(7)).command[1]
    plain = Controller(cells.fr3())
    plain.activate(start)
    for _ in range(300):
        without = plain.update(near, np.zeros(7)).command[1]
    assert with_it == pytest.approx(max(-87.0, without - 200.0 * (1.75 - (1.7837 - 0.1))))


def test_feedforward_is_added_and_nan_is_not(config: Config) -> None:
    controller = Controller(config)
    controller.activate(cells.FR3_HOME)
    extra = np.array([0.0, 5.0, np.nan, 0.0, 0.0, 0.0, 0.0])
    for _ in range(50):
        command = controller.update(cells.FR3_HOME, np.zeros(7), feedforward=extra).command
    np.testing.assert_allclose(command, [0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0], atol=1e-9)


# --- admittance on a position interface ---------------------------------------------------------

UR_START = np.array([0.0, -0.6, 1.2, -0.3, 0.0, 0.0])
UR_LINKS = [0.0, 0.425, 0.392, 0.1, 0.0, 0.0]


def ur5e_soft(**changes) -> Config:
    joints = cells.ur5e_joints()
    return cells.ur5e(joints=joints, compliance="admittance", wrist_wrench=True, **changes)


def arm(**changes) -> ServoArm:
    out = ServoArm()
    out.links = UR_LINKS
    out.force_noise = 0.3
    for name, value in changes.items():
        setattr(out, name, value)
    return out


def run_soft(config: Config, plant: ServoPlant, seconds: float, rows=None, controller=None):
    if controller is None:
        controller = Controller(config)
        controller.activate(plant.position)
    command, tool, contact = [], [], []
    for cycle in range(round(seconds / config.period)):
        if rows is not None and cycle % 50 == 0:
            now = controller.state().time
            targets = rows(now + np.arange(50) * ROW)
            names = [joint.name for joint in config.joints]
            controller.submit(
                Chunk(names, targets, ROW, plan_start_ns=round(now * 1e9), sequence=cycle + 1)
            )
        state = controller.update(
            plant.position,
            plant.velocity,
            wrench=plant.wrench,
            rotation=plant.rotation,
            jacobian=plant.jacobian,
        )
        plant.step(state.command)
        command.append(state.command)
        tool.append((plant.tool_x, plant.tool_y))
        contact.append(plant.contact)
    return np.array(command), np.array(tool), np.array(contact), controller


def assert_command_inside(command: NDArray[np.float64], config: Config) -> None:
    dt = config.period
    for j, joint in enumerate(config.joints):
        o = joint.operating
        assert np.abs(np.diff(command[:, j], 1)).max() / dt <= o.velocity + 1e-9
        assert np.abs(np.diff(command[:, j], 2)).max() / dt**2 <= o.acceleration + 1e-7
        assert np.abs(np.diff(command[:, j], 3)).max() / dt**3 <= o.jerk + 1e-3


def test_a_push_moves_the_arm_as_the_spring_says_and_it_returns() -> None:
    config = ur5e_soft()
    plant = ServoPlant(arm(), UR_START.tolist(), config.period)
    rest = np.array([plant.tool_x, plant.tool_y])
    plant.push(10.0, 0.0)
    pushed, tool, _, controller = run_soft(config, plant, 6.0)
    expected = (10.0 - config.admittance.force_dead_band) / config.admittance.stiffness[0]
    assert tool[-1, 0] - rest[0] == pytest.approx(expected, rel=0.2)
    plant.push(0.0, 0.0)
    released, tool, _, _ = run_soft(config, plant, 6.0, controller=controller)
    np.testing.assert_allclose(tool[-1], rest, atol=1.5e-3)
    assert_command_inside(np.vstack([pushed, released]), config)


def test_no_push_is_large_enough_to_leave_the_bound() -> None:
    config = ur5e_soft()
    plant = ServoPlant(arm(), UR_START.tolist(), config.period)
    rest = plant.tool_x
    plant.push(500.0, 0.0)
    command, tool, _, controller = run_soft(config, plant, 4.0)
    assert abs(tool[-1, 0] - rest) <= 1.2 * config.admittance.max_translation
    assert np.abs(command - UR_START).max() <= config.admittance.max_joint_offset + 1e-9
    assert_command_inside(command, config)
    assert np.abs(controller.state().offset).max() > 0.01


@pytest.mark.parametrize("stiffness", [5e3, 2e4])
def test_admittance_against_a_wall_is_stable(stiffness: float) -> None:
    config = ur5e_soft()
    plant = ServoPlant(arm(wall_stiffness=stiffness), UR_START.tolist(), config.period)
    wall = plant.tool_x + 0.01
    plant = ServoPlant(arm(wall_stiffness=stiffness, wall=wall), UR_START.tolist(), config.period)

    def rows(time):
        targets = np.tile(UR_START, (50, 1))
        targets[:, 2] -= np.minimum(0.15, 0.05 * time)
        return targets

    command, tool, contact, _ = run_soft(config, plant, 6.0, rows)
    assert_command_inside(command, config)
    assert contact.max() > 0.0
    assert np.ptp(contact[-500:]) <= 6.0
    assert np.ptp(tool[-500:, 0]) <= 1e-3
    stiff = cells.ur5e()
    hard_plant = ServoPlant(
        arm(wall_stiffness=stiffness, wall=wall), UR_START.tolist(), config.period
    )
    _, _, hard, _ = run_soft(stiff, hard_plant, 6.0, rows)
    assert contact[-500:].mean() < 0.35 * hard[-500:].mean()


def test_payload_and_bias_of_the_sensor_are_taken_away() -> None:
    config = ur5e_soft(admittance={"payload_mass": 1.0})
    plant = ServoPlant(arm(payload_mass=1.0), UR_START.tolist(), config.period)
    command, _, _, _ = run_soft(config, plant, 2.0)
    assert np.abs(command - UR_START).max() <= 1e-3
    untold = ur5e_soft()
    plant = ServoPlant(arm(payload_mass=1.0), UR_START.tolist(), config.period)
    _, _, _, controller = run_soft(untold, plant, 0.01)
    controller.tare()
    command, _, _, _ = run_soft(untold, plant, 2.0, controller=controller)
    assert np.abs(command - UR_START).max() <= 2e-3


def test_a_sensor_that_dies_lets_the_offset_return() -> None:
    config = ur5e_soft()
    plant = ServoPlant(arm(), UR_START.tolist(), config.period)
    plant.push(12.0, 0.0)
    _, _, _, controller = run_soft(config, plant, 3.0)
    assert np.abs(controller.state().offset).max() > 0.01
    command = []
    for _ in range(4000):
        state = controller.update(
            plant.position,
            plant.velocity,
            wrench=np.full(6, np.nan),
            rotation=plant.rotation,
            jacobian=plant.jacobian,
        )
        plant.step(state.command)
        command.append(state.command)
    assert np.abs(state.offset).max() <= 1e-3
    assert_command_inside(np.array(command), config)
