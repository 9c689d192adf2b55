"""The cycle asks at the right moment, and what it hands on was agreed by everybody."""

from collections import Counter

import numpy as np
import pytest
from runtime_support import MS, T0, Bench, plan_of

from labvla_policy.runtime.arbiter import Arbiter
from labvla_policy.runtime.cycle import RETRY, TAKEN_OVER, Cycle
from labvla_policy.runtime.gate.gate import Gate
from labvla_policy.runtime.reference import Reference, ReferenceHistory
from labvla_policy.runtime.scheduling.scheduler import Scheduler, SchedulerSettings

ROW = round(1e9 / 30)
FRAME = 33 * MS


class Rig:
    """A cycle on a bench whose controller says what a test wants."""

    def __init__(self, mode="async", **settings):
        self.bench = Bench(**settings)
        self.counts = Counter()
        self.references = ReferenceHistory()
        cell = self.bench.cell
        self.arbiter = Arbiter()
        self.cycle = Cycle(
            cell=cell,
            assembler=self.bench.assembler,
            scheduler=Scheduler(
                SchedulerSettings(mode=mode), cell.policy.row_rate, cell.policy.row_offset
            ),
            gate=Gate(cell),
            arbiter=self.arbiter,
            reports=self,
            references=self.references,
        )

    def refused(self, refusal, t):
        self.counts[refusal.reason] += 1

    limited = refused

    def controller(self, stamp, remaining=0, speed=0.0):
        state = Reference(stamp, self.bench.positions, np.full(7, speed), remaining)
        self.references.add(state)

    def ready(self, t=T0):
        """An instruction, and an observation just after it."""
        assert self.cycle.begin("pick up the beaker", t) is None
        self.bench.everything(t + MS)
        return t + MS

    def plan(self, t, speed=0.1, rows=50):
        """Joint 1 turns from where it is, from one row after t on."""
        targets = np.tile(self.bench.positions, (rows, 1))
        targets[:, 0] += speed * np.arange(rows) / 30
        return plan_of(self.bench.cell, targets, t + ROW)


@pytest.fixture
def rig():
    return Rig()


def test_without_an_instruction_nothing_is_asked(rig):
    rig.bench.everything(T0)
    assert rig.cycle.turn(T0) is None


def test_a_question_waits_for_the_last_camera_of_a_set(rig):
    t = rig.ready()
    rig.cycle.halt()
    rig.cycle.begin("go on", t)
    later = t + FRAME
    rig.bench.joints(later)
    rig.bench.grippers(later)
    rig.bench.frame("front", later)
    assert rig.cycle.turn(later + MS) is None
    rig.bench.frame("side", later)
    assert rig.cycle.turn(later + 2 * MS) is None
    rig.bench.frame("wrist", later)
    asked = rig.cycle.turn(later + 3 * MS)
    assert {frame.stamp for frame in asked.question.observation.camera_stamps} == {later}


def test_a_camera_that_stays_away_is_waited_for_one_frame_only(rig):
    t = rig.ready()
    later = t + 20 * MS
    rig.bench.joints(later)
    rig.bench.frame("front", later)
    assert rig.cycle.turn(later) is None
    asked = rig.cycle.turn(later + 34 * MS)
    assert {frame.stamp for frame in asked.question.observation.camera_stamps} == {t}


def test_free_running_cameras_are_asked_about_at_every_picture(rig):
    phases = {"front": 0, "side": 11 * MS, "wrist": 22 * MS}
    for n in range(5):
        for camera, phase in phases.items():
            stamp = T0 + n * FRAME + phase
            rig.bench.joints(stamp)
            rig.bench.grippers(stamp)
            rig.bench.frame(camera, stamp)
            if n > 2:
                rig.cycle.begin("again", stamp - 50 * MS)
                asked = rig.cycle.turn(stamp)
                used = asked.question.observation.camera_stamps
                assert max(frame.stamp for frame in used) == stamp
                rig.cycle.halt()


def test_a_refused_observation_is_counted_once_in_a_while(rig):
    rig.cycle.begin("pick", T0)
    for t in range(T0, T0 + RETRY + MS, MS):
        assert rig.cycle.turn(t) is None
    assert rig.counts == {"camera_missing": 2}
    assert rig.cycle.observations_refused == 2


def test_a_clock_that_goes_back_does_not_end_the_questions(rig):
    rig.cycle.begin("pick", T0)
    assert rig.cycle.turn(T0) is None
    before = T0 - 100_000 * MS
    rig.cycle.begin("pick", before)
    rig.cycle.turn(before)
    assert rig.cycle.observations_refused == 2


def test_an_answer_becomes_a_chunk_and_the_next_question_waits(rig):
    t = rig.ready()
    asked = rig.cycle.turn(t)
    assert asked.begins
    chunk = rig.cycle.answer(asked, rig.plan(t), t + 100 * MS)
    assert chunk.observation is asked.question.observation
    assert chunk.latency == pytest.approx(0.1)
    rig.bench.everything(t + FRAME)
    assert rig.cycle.turn(t + 110 * MS) is None


def test_the_engine_begins_again_after_a_failure_and_after_a_new_instruction(rig):
    t = rig.ready()
    asked = rig.cycle.turn(t)
    rig.cycle.failed(asked, t + MS)
    rig.bench.everything(t + 200 * MS)
    again = rig.cycle.turn(t + 200 * MS)
    assert again.begins
    rig.cycle.begin("press the button", t + 201 * MS)
    assert rig.cycle.answer(again, rig.plan(t), t + 202 * MS) is None
    rig.bench.everything(t + 240 * MS)
    assert rig.cycle.turn(t + 240 * MS).begins
    assert rig.counts == {"reply_old_instruction": 1}


def test_what_the_controller_said_before_the_newest_plan_does_not_count(rig):
    t = rig.ready()
    rig.controller(t)  # at rest, nothing left
    begins = rig.cycle.answer(rig.cycle.turn(t), rig.plan(t), t + 10 * MS).plan.plan_start
    for later in (t + FRAME, begins + TAKEN_OVER - MS):  # of the plan before, until this one begins
        rig.controller(later)
        rig.bench.everything(later)
        assert rig.cycle.turn(later) is None
    # Once it must follow the plan and still has nothing left, it has refused it.
    late = begins + TAKEN_OVER
    rig.controller(late)
    rig.bench.everything(late + FRAME)
    assert rig.cycle.turn(late + FRAME) is not None


@pytest.mark.parametrize("mode", ["async", "ensemble"])
def test_a_plan_that_was_asked_for_at_rest_begins_when_it_comes(mode):
    """However late: skipped rows would be a jump from standstill, refused again and again."""
    rig = Rig(mode)
    t = rig.ready()
    rig.controller(t)
    asked = rig.cycle.turn(t)
    fast = rig.plan(t, speed=0.7)
    arrival = t + 300 * MS
    rig.controller(arrival)
    chunk = rig.cycle.answer(asked, fast, arrival)
    assert not rig.counts
    assert chunk.plan.plan_start == arrival + ROW
    np.testing.assert_array_equal(chunk.plan.joint_targets, fast.joint_targets)


@pytest.mark.parametrize(("remaining", "speed"), [(500 * MS, 0.0), (0, 0.3)])
def test_a_plan_for_a_moving_arm_keeps_its_times(rig, remaining, speed):
    t = rig.ready()
    rig.controller(t, remaining, speed)
    asked = rig.cycle.turn(t)
    plan = rig.plan(t)
    chunk = rig.cycle.answer(asked, plan, t + 200 * MS)
    assert chunk.plan.plan_start == plan.plan_start


def test_a_plan_that_the_gate_refuses_is_reported_and_asked_for_again(rig):
    t = rig.ready()
    asked = rig.cycle.turn(t)
    jump = rig.plan(t)
    jump.joint_targets[:, 0] += 0.5
    assert rig.cycle.answer(asked, jump, t + 50 * MS) is None
    assert rig.counts == {"first_row_jump": 1}
    assert rig.cycle.predictions_refused == 1
    rig.bench.everything(t + 170 * MS)
    assert rig.cycle.turn(t + 170 * MS) is not None


def test_a_stop_in_between_lets_no_plan_through(rig):
    t = rig.ready()
    asked = rig.cycle.turn(t)
    rig.arbiter.stop()
    assert rig.cycle.answer(asked, rig.plan(t), t + 50 * MS) is None
    assert rig.counts == {"stopped": 1}
