"""The joint_trajectory_controller's traps, and that what it is sent falls into none of them.

The model below is what the controller does on replacement (docs of the facts: it forgets the old
trajectory, starts from its last command or the measured state, skips what is due). The real one was
recorded with the same adapter: docs/results, controller manager.
"""

import numpy as np
import pytest
from test_adapter_trajectory import NAMES, NOW, NS, plan_of, ramp, still

from labvla_policy.runtime.adapters.jtc import jtc_trajectory
from labvla_policy.runtime.adapters.trajectory import TrajectoryRefused, hermite

CYCLE = 0.002


class ControllerModel:
    """Replacement and sampling; `state` is what it starts a new trajectory from."""

    def __init__(self, position, velocity, t):
        self.position, self.velocity = np.array(position), np.array(velocity)
        self.t = t
        self.message = None

    def take_up(self, message, t):
        self.message = message
        start = t if message.stamp == 0 else message.stamp
        self.times = (start - self.t) / NS + message.times_from_start
        self.before = (self.position, self.velocity)
        self.began = self.t

    def sample(self, t):
        seconds = (t - self.began) / NS
        times, message = self.times, self.message
        if seconds < times[0]:
            ends = np.array([0.0, times[0]])
            positions = np.stack([self.before[0], message.positions[0]])
            velocities = np.stack([self.before[1], message.velocities[0]])
            out = hermite(ends, positions, velocities, seconds)
        elif seconds >= times[-1]:
            out = message.positions[-1], message.velocities[-1]
        else:
            out = hermite(times, message.positions, message.velocities, seconds)
        self.t = t
        self.position, self.velocity = out
        return out


def run(model, message, pick_up, seconds):
    model.take_up(message, pick_up)
    cycles = pick_up + np.arange(1, round(seconds / CYCLE)) * round(CYCLE * NS)
    return np.array([model.sample(int(t)) for t in cycles])


@pytest.mark.parametrize("pick_up_ms", [1, 4, 10, 25])
@pytest.mark.parametrize("speed_scaling", [1.0, 0.5])
def test_replacement_is_no_step_whenever_it_is_picked_up(pick_up_ms, speed_scaling):
    position, velocity = np.array([0.02, -0.03, 0.01]), np.array([0.3, -0.1, 0.0])
    reference = still(position, velocity)
    message = jtc_trajectory(plan_of(ramp()), reference, NOW, speed_scaling)
    pick_up = NOW + pick_up_ms * 1_000_000
    # Until then the old trajectory went on.
    there = position + velocity * pick_up_ms * 1e-3
    out = run(ControllerModel(there, velocity, pick_up), message, pick_up, 1.5)
    positions = np.vstack([there[None], out[:, 0]])
    velocities = np.vstack([velocity[None], out[:, 1]])
    assert np.abs(np.diff(positions, axis=0)).max() < 2.0e-3
    assert np.abs(np.diff(velocities, axis=0)).max() / CYCLE < 6.0
    assert positions[-1] == pytest.approx(ramp()[-1])
    assert not np.any(velocities[-1])


def test_starting_from_the_measured_state_only_adds_the_lag():
    """With interpolate_from_desired_state off, the arm's lag is caught up with during the lead."""
    velocity = np.array([0.3, -0.1, 0.0])
    lag = 0.002 * velocity
    message = jtc_trajectory(plan_of(ramp()), still(velocity=velocity), NOW)
    pick_up = NOW + 4_000_000
    there = 0.004 * velocity - lag
    out = run(ControllerModel(there, velocity, pick_up), message, pick_up, 1.0)
    positions = np.vstack([there[None], out[:, 0]])
    assert np.abs(np.diff(positions, axis=0)).max() < 2.0e-3


def test_the_stamp_is_never_past_and_no_point_is_due():
    for late in (0, 30, 150, 400):
        plan = plan_of(ramp(), start=NOW - late * 1_000_000)
        at = ramp()[min(15, round(late * 0.03))]
        message = jtc_trajectory(plan, still(at), NOW)
        assert message.stamp > NOW
        assert message.times_from_start[0] >= 0.0


def test_below_full_speed_time_counts_from_the_pick_up():
    message = jtc_trajectory(plan_of(ramp()), still(), NOW, speed_scaling=0.7)
    assert message.stamp == 0
    assert message.times_from_start[0] > 0.0, "a first point at time 0 would be a step"


def test_a_held_robot_is_sent_nothing():
    for scaling in (0.0, float("nan")):
        with pytest.raises(TrajectoryRefused, match="speed_zero"):
            jtc_trajectory(plan_of(ramp()), still(), NOW, speed_scaling=scaling)


def test_every_validation_of_the_controller_is_met():
    message = jtc_trajectory(plan_of(ramp()), still(), NOW)
    points = len(message.times_from_start)
    assert message.joint_names == NAMES
    assert message.positions.shape == message.velocities.shape == (points, len(NAMES))
    assert np.all(np.diff(message.times_from_start) > 0.0)
    assert not np.any(message.velocities[-1]), "the default refuses any other last velocity"
    assert message.stamp + message.times_from_start[-1] * NS > NOW


def test_a_silent_policy_leaves_the_arm_at_rest_on_its_last_row():
    message = jtc_trajectory(plan_of(ramp()), still(), NOW)
    out = run(ControllerModel(np.zeros(3), np.zeros(3), NOW), message, NOW, 3.0)
    assert out[-1, 0] == pytest.approx(ramp()[-1])
    assert not np.any(out[-1, 1])


def test_the_model_shows_the_traps():
    """The model steps where the real controller was measured to: else it would prove nothing."""
    plan = plan_of(ramp(speed=(1.0, 0.0, 0.0)))
    message = jtc_trajectory(plan, still(), NOW)
    past = type(message)(
        NOW - 300_000_000,
        message.joint_names,
        np.arange(16) / 30,
        plan.joint_targets,
        np.gradient(plan.joint_targets, 1 / 30, axis=0),
    )
    out = run(ControllerModel(np.zeros(3), np.zeros(3), NOW), past, NOW, 0.1)
    assert out[0, 0][0] > 0.25, "points that are due are stepped onto"
