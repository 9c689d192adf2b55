"""The bridge to other controllers: what our controller promises, as far as it can be kept."""

from dataclasses import replace

import numpy as np
import pytest
from test_adapter_trajectory import NAMES, NOW, NS, plan_of, ramp

from labvla_policy.runtime.adapters.bridge import BLIND_LIMIT, Bridge, Plan, PlanRefused
from labvla_policy.runtime.adapters.trajectory import Reference, Shaping
from labvla_policy.runtime.reference import Mode

SHAPING = Shaping(stop_acceleration=1.5)
MS = NS // 1000


class Arm:
    """A controller that follows what it is sent, and an arm that is where it says."""

    def __init__(self):
        self.trajectory, self.here = None, np.zeros(3)
        self.pushed = np.zeros(3)
        self.active, self.speed_scaling, self.forgotten = True, 1.0, 0

    def reference(self, now):
        if not self.active:
            return None
        if self.trajectory is None:
            return Reference(now, NAMES, self.here, np.zeros(3))
        return Reference(now, NAMES, *self.trajectory.at(now))

    @property
    def measured(self):
        return (self.here if self.trajectory is None else self.last) + self.pushed

    def shape(self, shaping):
        return replace(shaping, lead=0.0)

    def send(self, trajectory, now):
        self.trajectory, self.last = trajectory, trajectory.at(now)[0]

    def forget(self):
        self.forgotten += 1


class Run:
    """Time, in steps of 10 ms, and what was commanded meanwhile."""

    def __init__(self):
        self.arm, self.t = Arm(), NOW
        self.bridge = Bridge(self.arm, {"hand": 0.08}, SHAPING)
        self.path, self.speeds = [], []
        self.state = self.bridge.step(self.t)

    def wait(self, seconds):
        for _ in range(round(seconds * 100)):
            self.t += 10 * MS
            reference = self.arm.reference(self.t)
            self.arm.last = reference.positions
            self.path.append(reference.positions)
            self.speeds.append(reference.velocities)
            self.state = self.bridge.step(self.t)
        return self.state

    def send(self, sequence=1, rows=None, start=None, **changes):
        rows = ramp(60) if rows is None else rows
        plan = plan_of(rows, start=self.t if start is None else start)
        grippers = np.linspace(0.0, 0.1, len(rows))[:, None]
        plan = replace(plan, gripper_names=("hand",), gripper_targets=grippers)
        told = {"session": 1, "sequence": sequence, "observation": self.t, **changes}
        self.bridge.submit(Plan(plan, **told), self.t)


@pytest.fixture
def run():
    return Run()


def test_a_policy_that_dies_leaves_the_arm_at_rest_within_the_blind_limit_and_a_stop(run):
    run.send()
    assert run.wait(0.1).mode is Mode.TRACKING
    stop = 0.3 / SHAPING.stop_acceleration  # of the fastest joint
    state = run.wait(BLIND_LIMIT + stop)
    assert (state.mode, state.stop_reason) == (Mode.HOLD, "end_of_data")
    assert not np.any(run.speeds[-1])
    assert np.abs(run.path[-1]).max() < 0.3 * (BLIND_LIMIT + stop)


def test_a_stream_is_followed_without_ever_slowing_down(run):
    for sequence in range(1, 8):
        run.send(sequence, rows=ramp(60) + 0.3 * (run.t - NOW) / NS * np.array([1, -2 / 3, 1 / 3]))
        run.wait(0.2)
    speeds = np.abs(np.array(run.speeds[60:]))
    assert speeds[:, 0] == pytest.approx(0.3, abs=0.01)
    assert run.state.accepted == 7
    assert run.state.stops == 0


def test_a_stop_stays_on_the_path_and_is_latched(run):
    bend = np.column_stack([np.linspace(0, 0.6, 60), np.linspace(0, 0.6, 60) ** 2, np.zeros(60)])
    run.send(rows=bend)
    run.wait(0.3)
    run.bridge.stop(run.t)
    assert run.wait(0.02).mode is Mode.STOPPING
    state = run.wait(0.5)
    assert (state.mode, state.stop_reason, state.stops) == (Mode.STOPPED, "requested", 1)
    x, y, _ = run.path[-1]
    assert y == pytest.approx(x**2, abs=1e-3)
    with pytest.raises(PlanRefused, match="stopped"):
        run.send(2)
    assert run.bridge.reset_stop(run.t) == (True, "released; waits for a chunk")
    run.send(2, rows=np.tile(run.path[-1], (10, 1)))


def test_a_stop_is_not_released_while_the_arm_still_moves(run):
    run.send()
    run.wait(0.3)
    run.bridge.stop(run.t)
    released, why = run.bridge.reset_stop(run.t)
    assert not released
    assert "still moving" in why


def test_a_pause_comes_to_rest_and_ends_by_resume(run):
    run.send()
    run.wait(0.3)
    run.bridge.pause(run.t)
    assert run.wait(0.6).mode is Mode.PAUSED
    with pytest.raises(PlanRefused, match="paused"):
        run.send(2)
    assert run.bridge.resume(run.t)[0]
    assert run.wait(0.01).mode is Mode.HOLD


def test_where_the_controller_is_off_its_path_it_brakes_from_where_it_is(run):
    run.send()
    run.wait(0.3)
    slow = run.arm.reference(run.t)
    elsewhere = replace(slow, positions=slow.positions - 0.05)
    run.arm.reference = lambda now: replace(elsewhere, stamp=now)
    run.bridge.stop(run.t)
    begin = run.arm.trajectory.positions[0]
    assert begin == pytest.approx(elsewhere.positions)


def test_a_controller_that_ends_is_a_fault_and_the_next_plan_begins_anew(run):
    run.send()
    run.wait(0.1)
    run.arm.active = False
    run.t += 10 * MS
    state = run.bridge.step(run.t)
    assert (state.mode, state.stop_reason) == (Mode.FAULT, "not_ready")
    assert run.arm.forgotten == 1
    with pytest.raises(PlanRefused, match="not_active"):
        run.send(2)
    assert [cause.reason for cause in run.bridge.news] == ["not_ready"]


def test_an_arm_that_does_not_follow_is_stopped(run):
    run.send()
    run.wait(0.1)
    run.arm.pushed = np.array([0.0, 0.3, 0.0])
    state = run.wait(0.01)
    assert (state.mode, state.stop_reason) == (Mode.STOPPING, "tracking_error")
    assert "b is 0.3" in run.bridge.news[-1].detail


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ({"sequence": 1}, "old_sequence"),
        ({"sequence": 2, "observation": NOW + NS}, "observation_ahead"),
        ({"sequence": 2, "start": NOW - 10 * NS}, "ends_in_past"),
        ({"sequence": 2, "rows": ramp(60) + 1.0}, "first_row_far"),
        ({"sequence": 2, "rows": np.full((9, 3), np.nan)}, "target_not_finite"),
    ],
)
def test_what_cannot_be_followed_is_refused_and_the_plan_before_goes_on(run, what, reason):
    run.send()
    before = run.arm.trajectory
    with pytest.raises(PlanRefused) as refused:
        run.send(**what)
    assert refused.value.cause.reason == reason
    assert run.arm.trajectory is before
    assert run.wait(0.05).refused == 1


def test_grippers_follow_the_rows_and_keep_their_last_target(run):
    run.send()
    assert run.wait(0.34).grippers["hand"] == pytest.approx(0.1 * 10 / 59)
    held = run.wait(1.0).grippers["hand"]
    assert 0.0 < held <= 0.08
    assert run.wait(0.5).grippers["hand"] == held


def test_a_new_session_counts_from_one_again(run):
    run.send(5)
    run.send(1, session=2)
    assert run.wait(0.01).session == 2
