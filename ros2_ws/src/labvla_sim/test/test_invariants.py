"""The monitor finds nothing where nothing is wrong, and everything that is made wrong."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from labvla_control import Chunk, Mode, Refusal
from labvla_sim.experts import make_expert
from labvla_sim.plant import SimCell
from labvla_sim.plant.controlled import ControlledCell
from labvla_sim.plant.invariants import INVARIANTS, InvariantMonitor
from labvla_sim.plant.sim_cell import TICK, RobotState
from labvla_sim.plant.truth import Touch
from labvla_sim.tasks import Trial

HOME = np.array([0.0, -0.2, 0.0, -2.2, 0.0, 2.0, 0.785])
SECONDS = 1.0


class Series:
    """A second of a calm motion that keeps every promise; tests spoil one thing of it."""

    def __init__(self, cell):
        arm = cell.arms[0]
        self.operating, self.hardware = arm.operating_limits, arm.hardware_limits
        self.springs = arm.compliance
        self.t = np.arange(0.0, SECONDS, 1e-3)
        rows = len(self.t)
        self.reference = np.tile(HOME, (rows, 1))
        self.command = np.zeros((rows, 7))
        self.positions = self.reference.copy()
        self.velocities = np.zeros((rows, 7))
        self.efforts = np.zeros((rows, 7))
        self.widths = np.full((rows, 1), 0.04)
        self.touches = [[] for _ in range(rows)]
        self.modes = [Mode.TRACKING] * rows
        self.anchors = np.zeros(rows, dtype=int)
        self.chunks = set(range(0, rows, 100))  # ticks at which a chunk is accepted
        self.stops: dict[int, str] = {}
        self.travel(rows)

    def travel(self, end):
        """Move from rest to rest, smoothly, until a tick."""
        part = np.clip(np.arange(len(self.t)) / end, 0.0, 1.0)
        way = 0.02 * min(1.0, end / 500) ** 3
        self.move(slice(None), way * (10 * part**3 - 15 * part**4 + 6 * part**5)[:, None])

    def move(self, joint, offsets):
        """Have the reference of one joint follow offsets from home, the arm with it."""
        self.reference[:, joint] = HOME[joint] + offsets
        self.positions[:, joint] = self.reference[:, joint]

    def touch(self, part, body, force, ticks=100):
        for row in range(300, 300 + ticks):
            self.touches[row] = [Touch("arm", part, body, force)]

    def halt(self, at, rest):
        """Stop at a tick; the reference is at rest from another one on."""
        self.stops[at] = "halted"
        self.travel(rest)
        self.modes[at:] = [Mode.STOPPED] * (len(self.t) - at)

    def feed(self, monitor, begin=0):
        for row in range(len(self.t)):
            stamp = begin + row * TICK
            if row in self.chunks:
                monitor.accepted(stamp)
            if row in self.stops:
                call = getattr(monitor, self.stops[row])
                call(stamp) if self.stops[row] == "halted" else call()
            measured = RobotState(
                stamp,
                self.positions[row],
                self.velocities[row],
                self.efforts[row],
                self.widths[row],
            )
            control = SimpleNamespace(
                position=self.reference[row],
                command=self.command[row],
                mode=self.modes[row],
                anchors=int(self.anchors[row]),
                plan_rate=1.0 if self.modes[row] is Mode.TRACKING else 0.0,
            )
            monitor.observe(measured, control, self.widths[row], self.touches[row])


@pytest.fixture
def series(cell):
    return Series(cell)


@pytest.fixture
def monitor(cell):
    monitor = InvariantMonitor(cell)
    monitor.interrupt(frozenset({"beaker"}))
    monitor.begin(0)
    return monitor


def violated(monitor):
    return {found.name for found in monitor.report() if found.violations}


def test_a_calm_motion_breaks_nothing(series, monitor):
    series.feed(monitor)
    assert violated(monitor) == set()
    assert [found.name for found in monitor.report()] == list(INVARIANTS)


def too_fast(s):
    s.move(0, 1.01 * s.operating.velocity[0] * (s.t - 0.5))


def too_abrupt(s):
    s.move(0, 1.01 * s.operating.acceleration[0] / 2 * np.maximum(0.3 - s.t, 0.0) ** 2)


def too_jerky(s):
    # Up, down and up again: what is left at the end is rest.
    jerk = np.zeros(len(s.t))
    jerk[100:120], jerk[120:160], jerk[160:180] = 1.0, -1.0, 1.0
    integral = np.cumsum(np.cumsum(np.cumsum(jerk))) * 1e-9
    s.move(0, 1.01 * s.operating.jerk[0] * integral)


def beyond_the_range(s):
    s.move(0, s.operating.position_upper[0] + 1e-6 - HOME[0])


def robot_beyond_its_range(s):
    s.positions[500, 2] = s.hardware.position_lower[2] - 1e-6


def too_fast_near_the_end(s):
    # Half of what the joint may do elsewhere.
    s.positions[500, 0] = s.hardware.position_upper[0] - 0.02
    s.velocities[500, 0] = 0.5 * s.hardware.velocity[0]


def too_strong(s):
    ramp = np.clip(np.arange(len(s.t)) * 0.4, 0.0, s.springs.torque[5] * 1.001)
    s.command[:, 5] = ramp


def too_sudden(s):
    s.command[500:, 0] = s.springs.torque_rate[0] * 1e-3 * 1.01


def clipped(s):
    s.efforts[500, 3] = -s.hardware.torque[3]


def tool_too_fast(s):
    # Base and shoulder together, each at its own allowed speed.
    s.positions[:, 0] = HOME[0] + 2.0 * (s.t - 0.5)


def pushes_the_bench(s):
    s.touch("arm", "world", 150.0)


def crushes_the_beaker(s):
    s.touch("left_pad", "beaker", 31.0)


def hammers_the_button(s):
    s.touch("right_pad", "hot_plate_button", 31.0)


def goes_on_without_chunks(s):
    s.chunks = {0}
    s.travel(700)


def stops_too_late(s):
    s.chunks = {0}
    s.modes[400:] = [Mode.STOPPING] * 600
    s.travel(900)


def never_got_a_chunk(s):
    s.chunks = set()
    s.modes[:] = [Mode.STOPPING] * len(s.t)


def stops_too_slowly_after_a_stop(s):
    s.stops[100] = "halted"
    s.modes[100:] = [Mode.STOPPING] * 900


def moves_again_after_a_stop(s):
    s.halt(100, 200)
    s.reference[700:, 3] += 2e-6


def lets_go_after_a_stop(s):
    s.halt(100, 200)
    s.widths[150:] += 0.001


WRONG = {
    "reference_position": beyond_the_range,
    "reference_velocity": too_fast,
    "reference_acceleration": too_abrupt,
    "reference_jerk": too_jerky,
    "measured_position": robot_beyond_its_range,
    "measured_velocity": too_fast_near_the_end,
    "command_torque": too_strong,
    "command_torque_rate": too_sudden,
    "joint_torque": clipped,
    "tool_speed": tool_too_fast,
    "contact_force": pushes_the_bench,
    "grasp_force": crushes_the_beaker,
    "press_force": hammers_the_button,
    "blind_execution": goes_on_without_chunks,
    "standstill": stops_too_late,
    "motion_after_stop": moves_again_after_a_stop,
    "grasp_after_stop": lets_go_after_a_stop,
}


def test_every_invariant_is_shown_to_fail():
    assert list(WRONG) == list(INVARIANTS)


# What cannot be spoiled alone: a jump of one tick is fast, abrupt and jerky at once.
ALONG = {
    "reference_velocity": {"tool_speed"},
    "reference_acceleration": {"reference_jerk"},
    "measured_position": {"tool_speed"},
    "measured_velocity": {"tool_speed"},
    "motion_after_stop": {"reference_acceleration", "reference_jerk"},
}


@pytest.mark.parametrize("name", WRONG)
def test_an_invariant_fails_where_it_must_and_no_other(name, series, monitor):
    WRONG[name](series)
    series.feed(monitor)
    assert name in violated(monitor)
    assert violated(monitor) <= {name} | ALONG.get(name, set())


@pytest.mark.parametrize("spoil", [never_got_a_chunk, stops_too_slowly_after_a_stop])
def test_other_ways_to_miss_a_standstill(spoil, series, monitor):
    spoil(series)
    series.feed(monitor)
    assert violated(monitor) == {"standstill"}


def test_a_number_that_is_none_is_a_violation(series, monitor):
    series.positions[500, 1] = np.nan
    series.feed(monitor)
    found = {f.name: f for f in monitor.report()}["measured_position"]
    assert (found.violations, found.joint, found.first) == (1, "fr3_joint2", pytest.approx(0.5))
    assert np.isnan(found.value)


def test_a_violation_has_time_joint_value_and_limit(series, monitor):
    too_fast(series)
    series.feed(monitor, begin=7 * TICK)
    found = {f.name: f for f in monitor.report()}["reference_velocity"]
    limit = series.operating.velocity[0]
    assert (found.joint, found.limit) == ("fr3_joint1", limit)
    assert found.value == pytest.approx(1.01 * limit)
    assert found.first == pytest.approx(0.008)  # the first difference
    assert found.violations == len(series.t) - 1


@pytest.mark.parametrize("anchored", [True, False])
def test_only_an_anchor_excuses_a_step_of_the_reference(anchored, series, monitor):
    series.reference[500:] += 0.02
    series.anchors[500:] = anchored
    series.feed(monitor)
    expected = {"reference_velocity", "reference_acceleration", "reference_jerk"}
    assert violated(monitor) == (set() if anchored else expected)


def test_a_new_scene_is_no_step(series, monitor, cell):
    series.feed(monitor)
    monitor.interrupt(frozenset())
    elsewhere = Series(cell)
    elsewhere.move(3, 0.3)
    elsewhere.feed(monitor, begin=1000 * TICK)
    assert violated(monitor) == set()


def test_a_pause_that_ended_is_forgotten(series, monitor):
    series.halt(100, 300)
    series.stops[400] = "released"
    series.modes[400:] = [Mode.TRACKING] * 600
    part = np.clip((series.t - 0.4) / 0.6, 0.0, 1.0)
    series.reference += 0.02 * (10 * part**3 - 15 * part**4 + 6 * part**5)[:, None]
    series.widths[400:] += 0.01
    series.feed(monitor)
    assert violated(monitor) == set()


def test_forces_on_bodies_that_nobody_may_lift_are_contacts(series, monitor):
    series.touch("left_pad", "hot_plate", 150.0)
    series.feed(monitor)
    assert violated(monitor) == {"contact_force"}


def test_a_peak_of_a_millisecond_is_averaged(series, monitor):
    series.touch("arm", "world", 1000.0, ticks=1)
    series.feed(monitor)
    found = {f.name: f for f in monitor.report()}["contact_force"]
    assert (found.violations, found.value) == (0, pytest.approx(100.0))


@pytest.fixture
def controlled(cell):
    trial = Trial(SimCell(cell))
    trial.reset("pick", 3)
    return ControlledCell(trial)


def pick(controlled, ticks, on_tick=None):
    """Let the expert pick the beaker up, a new chunk every 300 ticks unless it is stopped."""
    sim = controlled.trial.sim
    expert = make_expert(sim.cell, "pick", controlled.trial.episode.scene)
    expert.begin()
    controlled.monitor.begin(sim.stamp)
    for tick in range(ticks):
        if tick % 300 == 0 and controlled.controller.state().closed == Refusal.NONE:
            plan = expert.plan(sim.truth())
            chunk = Chunk(
                list(sim.cell.joints),
                plan.joints,
                plan.dt,
                plan_start_ns=sim.stamp + round(plan.dt * 1e9),
                observation_ns=sim.stamp,
                sequence=tick + 1,
                gripper_names=["arm_gripper"],
                gripper_targets=plan.widths,
            )
            verdict = controlled.submit(chunk, sim.stamp)
            assert verdict.accepted, str(verdict)
        if on_tick:
            on_tick(tick)
        controlled.tick()
    return {found.name: found for found in controlled.monitor.report()}


def test_a_grasp_under_the_real_controller_breaks_nothing(controlled):
    found = pick(controlled, 5000)
    assert {f.name: f for f in found.values() if f.violations} == {}
    assert found["reference_velocity"].value != 0
    assert found["grasp_force"].value > 10.0
    assert 0.1 < found["tool_speed"].value < 1.0


def test_a_stop_is_timed_from_the_moment_of_the_request(controlled):
    asked = []

    def stop(tick):
        if tick == 1000:
            controlled.stop()
            asked.append(time.monotonic_ns())

    found = pick(controlled, 2000, stop)
    after = controlled.monitor.after(asked[0])
    assert {f.name: f for f in found.values() if f.violations} == {}
    assert 0 < after.slowing < 60.0
    assert 0.05 < after.standing < 0.8
    unwatched = controlled.monitor.after(time.monotonic_ns())
    assert np.isnan([unwatched.slowing, unwatched.standing]).all()


def test_what_has_not_happened_after_an_instant_is_infinite(series, monitor):
    series.move(0, 0.1 * series.t)
    begun = time.monotonic_ns()
    series.feed(monitor)
    middle = (begun + time.monotonic_ns()) // 2
    after = monitor.after(middle)
    assert (after.slowing, after.standing) == (np.inf, np.inf)


def test_an_arm_that_stood_when_it_was_stopped_tells_nothing_of_the_stop(series, monitor):
    series.travel(1)
    begun = time.monotonic_ns()
    series.feed(monitor)
    after = monitor.after((begun + time.monotonic_ns()) // 2)
    assert np.isnan(after.slowing)
    assert after.standing == 0.0


def test_a_monitor_that_watches_nothing_costs_and_says_nothing(controlled):
    for _ in range(10):
        controlled.tick()
    assert controlled.monitor.report() == []
    controlled.monitor.begin(controlled.trial.sim.stamp)
    for _ in range(10):
        controlled.tick()
    controlled.monitor.end()
    seen = {f.name: f for f in controlled.monitor.report()}["measured_position"].time
    for _ in range(10):
        controlled.tick()
    assert {f.name: f for f in controlled.monitor.report()}["measured_position"].time == seen
