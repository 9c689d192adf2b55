"""The scheduler asks in time, and only answers that still count get through."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from runtime_support import MS, T0, cell_of, plan_of

from labvla_policy.runtime import plans
from labvla_policy.runtime.reference import Reference
from labvla_policy.runtime.scheduling.delay import DelayEstimate, DelaySettings
from labvla_policy.runtime.scheduling.scheduler import (
    Accepted,
    Dropped,
    Scheduler,
    SchedulerSettings,
)

CELL = cell_of("franka")
ROW = round(1e9 / 30)


def scheduler_of(mode="async", **changes):
    return Scheduler(SchedulerSettings(mode=mode, **changes), row_rate=30, row_offset=1)


def answer(stamp, rows=50, level=0.0):
    """Joint 1 says when it is, so that rows can be told apart."""
    targets = np.zeros((rows, 7))
    start = stamp + ROW
    targets[:, 0] = level + (start - T0 + np.arange(rows) * ROW) / 1e9
    return plan_of(CELL, targets, start)


def settle(scheduler, ticket, prediction, t):
    """What a node does with an answer that the gate lets pass."""
    result = scheduler.reply(ticket, prediction, t)
    if isinstance(result, Accepted):
        assert scheduler.execute(result, result.plan)
    return result


def exchange(scheduler, t, latency=100 * MS, **more):
    assert scheduler.ask(t)
    return settle(scheduler, scheduler.sent(t, t), answer(t, **more), t + latency)


def test_asks_only_while_there_is_an_instruction():
    scheduler = scheduler_of()
    assert not scheduler.ask(T0)
    scheduler.begin(T0)
    assert scheduler.ask(T0)
    scheduler.end()
    assert not scheduler.ask(T0 + MS)


def test_one_question_at_a_time():
    scheduler = scheduler_of()
    scheduler.begin(T0)
    scheduler.sent(T0, T0)
    assert not scheduler.ask(T0 + MS)
    with pytest.raises(RuntimeError):
        scheduler.sent(T0 + MS, T0 + MS)


@pytest.mark.parametrize("delay", [3, 8, 20])
def test_async_asks_so_that_the_next_plan_takes_over_after_h_rows(delay):
    scheduler = scheduler_of(delay=DelaySettings(initial=delay), execute_rows=25)
    scheduler.begin(T0)
    accepted = exchange(scheduler, T0, latency=0)
    assert accepted.plan.rows == 50
    start = accepted.plan.plan_start
    asked = next(t for t in range(start, start + 50 * ROW, ROW // 4) if scheduler.ask(t))
    # asked at row H - delay of the plan, the answer's first fresh row is row H
    assert asked == pytest.approx(start + (25 - delay) * ROW, abs=ROW // 4 + 50)


def test_what_the_controller_has_left_counts_more_than_the_clock():
    scheduler = scheduler_of(delay=DelaySettings(initial=5), execute_rows=25)
    scheduler.begin(T0)
    exchange(scheduler, T0, latency=0)
    late = T0 + 40 * ROW
    assert scheduler.ask(late)
    assert not scheduler.ask(late, remaining=45 * ROW)  # the robot runs slowly
    assert scheduler.ask(late, remaining=29 * ROW)


def test_sync_executes_h_rows_from_the_first_and_looks_only_at_rest():
    scheduler = scheduler_of("sync", execute_rows=25)
    scheduler.begin(T0)
    accepted = exchange(scheduler, T0, latency=700 * MS)
    assert (accepted.plan.rows, accepted.rows_past) == (25 + plans.SLOWING, 0)
    # the arm stood still while the engine worked: nothing is skipped
    assert accepted.plan.plan_start == T0 + 700 * MS + ROW
    executed = accepted.plan.joint_targets
    np.testing.assert_array_equal(executed[:25], answer(T0).joint_targets[:25])
    assert executed[-1, 0] - executed[-2, 0] < 0.05 / 30, "brought to rest"
    end = accepted.plan.end
    assert not scheduler.ask(end - 1)
    assert scheduler.ask(end)
    assert not scheduler.ask(end, remaining=MS)


@pytest.mark.parametrize("mode", ["async", "ensemble", "rtc"])
def test_what_was_asked_for_at_rest_begins_on_arrival_and_still_tells_the_delay(mode):
    scheduler = scheduler_of(mode, delay=DelaySettings(warm_up=0))
    scheduler.begin(T0)
    ticket = scheduler.sent(T0, T0, at_rest=True)
    accepted = settle(scheduler, ticket, answer(T0), T0 + 300 * MS)
    assert accepted.plan.plan_start == T0 + 300 * MS + ROW
    assert accepted.rows_past == 0
    assert scheduler.delay_rows == 8
    scheduler.end()
    scheduler.begin(T0 + 400 * MS)
    moving = scheduler.sent(T0 + 400 * MS, T0 + 400 * MS)
    accepted = settle(scheduler, moving, answer(T0 + 400 * MS), T0 + 700 * MS)
    assert accepted.rows_past == 8


def test_ensemble_averages_the_last_few():
    scheduler = scheduler_of("ensemble", ensemble_decay=0.0, ensemble_size=2)
    scheduler.begin(T0)
    exchange(scheduler, T0, level=9.0)
    exchange(scheduler, T0 + 200 * MS, level=0.0)
    merged = exchange(scheduler, T0 + 400 * MS, level=0.4).plan
    plain = answer(T0 + 400 * MS)
    assert merged.joint_targets[0, 0] - plain.joint_targets[0, 0] == pytest.approx(0.2)


def test_rtc_hands_over_what_will_be_executed_meanwhile():
    scheduler = scheduler_of("rtc", execute_rows=25, delay=DelaySettings(initial=6))
    scheduler.begin(T0)
    assert scheduler.ask(T0)
    first = scheduler.sent(T0, T0)
    assert first.prefix is None
    plan = settle(scheduler, first, answer(T0), T0 + 100 * MS).plan
    stamp = T0 + 700 * MS
    ticket = scheduler.sent(stamp, stamp)
    assert ticket.prefix.frozen == 6
    assert ticket.prefix.rows == 25
    assert ticket.prefix.start == stamp + ROW
    expected, _ = plans.resampled(plan, ticket.prefix.start + np.arange(25) * ROW)
    np.testing.assert_allclose(ticket.prefix.joint_targets, expected, atol=1e-6)


def test_rtc_continues_what_the_controller_does_rather_than_what_it_was_told():
    scheduler = scheduler_of("rtc", delay=DelaySettings(initial=6))
    scheduler.begin(T0)
    exchange(scheduler, T0)
    stamp = T0 + 700 * MS
    executed = [Reference(stamp + 40 * MS, np.full(7, 0.1), np.zeros(7), 0)]
    plain = scheduler.sent(stamp, stamp).prefix
    scheduler.begin(T0)
    exchange(scheduler, T0)
    ticket = scheduler.sent(stamp, stamp, executed)
    assert np.abs(ticket.prefix.joint_targets[0, 1:] - 0.1).max() < 1e-9
    assert np.abs(ticket.prefix.joint_targets[-1] - plain.joint_targets[-1]).max() < 1e-9


def test_rtc_has_nothing_to_continue_after_the_end_of_the_plan():
    scheduler = scheduler_of("rtc")
    scheduler.begin(T0)
    exchange(scheduler, T0)
    late = T0 + 5000 * MS
    assert scheduler.sent(late, late).prefix is None


def test_rtc_falls_back_where_the_delay_leaves_no_room():
    scheduler = scheduler_of("rtc", execute_rows=10, delay=DelaySettings(warm_up=0, most=30))
    scheduler.begin(T0)
    exchange(scheduler, T0, latency=20 * ROW)
    assert scheduler.mode == "async"
    stamp = T0 + 1000 * MS
    assert scheduler.sent(stamp, stamp).prefix is None
    assert scheduler.fallbacks == 1


@pytest.mark.parametrize("mode", ["sync", "async", "ensemble", "rtc"])
def test_an_answer_to_an_old_instruction_never_gets_through(mode):
    scheduler = scheduler_of(mode)
    scheduler.begin(T0)
    ticket = scheduler.sent(T0, T0)
    scheduler.begin(T0 + 10 * MS)
    dropped = scheduler.reply(ticket, answer(T0), T0 + 20 * MS)
    assert dropped.refusal.reason == "reply_old_instruction"
    assert scheduler.ask(T0 + 20 * MS)
    fresh = scheduler.sent(T0 + 20 * MS, T0 + 20 * MS)
    dropped = scheduler.reply(ticket, answer(T0), T0 + 30 * MS)
    assert isinstance(dropped, Dropped)
    # and the question that is open stays open
    assert isinstance(scheduler.reply(fresh, answer(T0 + 20 * MS), T0 + 90 * MS), Accepted)


def test_an_instruction_that_changes_while_the_gate_works():
    scheduler = scheduler_of()
    scheduler.begin(T0)
    accepted = scheduler.reply(scheduler.sent(T0, T0), answer(T0), T0 + 50 * MS)
    scheduler.begin(T0 + 51 * MS)
    assert not scheduler.execute(accepted, accepted.plan)
    assert scheduler.accepted == 0
    assert scheduler.ask(T0 + 51 * MS)  # nothing of the old plan counts


def test_what_the_gate_refuses_is_never_part_of_what_follows():
    scheduler = scheduler_of("ensemble", ensemble_decay=0.0, retry=100 * MS)
    scheduler.begin(T0)
    ticket = scheduler.sent(T0, T0)
    assert isinstance(scheduler.reply(ticket, answer(T0, level=9.0), T0 + 50 * MS), Accepted)
    scheduler.failed(ticket, T0 + 55 * MS)
    assert not scheduler.ask(T0 + 154 * MS)
    t = T0 + 155 * MS
    merged = exchange(scheduler, t).plan
    np.testing.assert_allclose(merged.joint_targets, answer(t).joint_targets)


def test_a_plan_that_was_slowed_down_is_asked_about_later():
    scheduler = scheduler_of(delay=DelaySettings(initial=5), execute_rows=25)
    scheduler.begin(T0)
    accepted = scheduler.reply(scheduler.sent(T0, T0), answer(T0), T0)
    assert scheduler.execute(accepted, plans.slowed(accepted.plan, 0.5, T0))
    start = accepted.plan.plan_start
    assert not scheduler.ask(start + 21 * ROW)
    # 25 of its rows take as long as 50 others, and the answer is expected to take 5
    assert not scheduler.ask(start + 42 * ROW)
    assert scheduler.ask(start + 47 * ROW)


def test_an_answer_counts_once():
    scheduler = scheduler_of()
    scheduler.begin(T0)
    ticket = scheduler.sent(T0, T0)
    assert isinstance(scheduler.reply(ticket, answer(T0), T0 + 50 * MS), Accepted)
    again = scheduler.reply(ticket, answer(T0), T0 + 60 * MS)
    assert again.refusal.reason == "reply_unexpected"
    assert scheduler.dropped == {"reply_unexpected": 1}


def test_late_answers_are_dropped_by_the_rows_they_have_left():
    scheduler = scheduler_of(least_rows=5)
    scheduler.begin(T0)
    assert isinstance(exchange(scheduler, T0, latency=46 * ROW + 100), Dropped)
    assert scheduler.dropped == {"reply_late": 1}
    t = T0 + 2000 * MS
    assert isinstance(exchange(scheduler, t, latency=44 * ROW), Accepted)


def test_an_answer_from_an_older_observation_is_stale():
    scheduler = scheduler_of()
    scheduler.begin(T0)
    exchange(scheduler, T0 + 500 * MS)
    ticket = scheduler.sent(T0 + 400 * MS, T0 + 700 * MS)
    dropped = scheduler.reply(ticket, answer(T0 + 400 * MS), T0 + 800 * MS)
    assert dropped.refusal.reason == "reply_stale"


def test_a_silent_engine_is_given_up_and_asked_again():
    scheduler = scheduler_of(timeout=1000 * MS, retry=100 * MS)
    scheduler.begin(T0)
    ticket = scheduler.sent(T0, T0)
    assert not scheduler.ask(T0 + 1000 * MS)
    assert not scheduler.ask(T0 + 1001 * MS)
    assert scheduler.dropped == {"reply_timeout": 1}
    assert scheduler.ask(T0 + 1101 * MS)
    late = scheduler.reply(ticket, answer(T0), T0 + 1102 * MS)
    assert late.refusal.reason == "reply_unexpected"


def test_after_a_failure_there_is_a_pause():
    scheduler = scheduler_of(retry=100 * MS)
    scheduler.begin(T0)
    scheduler.failed(scheduler.sent(T0, T0), T0 + 10 * MS)
    assert not scheduler.ask(T0 + 109 * MS)
    assert scheduler.ask(T0 + 110 * MS)


@pytest.mark.parametrize("jump", [-10_000 * MS, 10_000 * MS])
def test_a_clock_that_is_set_does_not_silence_it(jump):
    scheduler = scheduler_of()
    scheduler.begin(T0)
    exchange(scheduler, T0)
    ticket = scheduler.sent(T0 + 600 * MS, T0 + 600 * MS)
    after = T0 + 700 * MS + jump
    scheduler.ask(after)
    assert scheduler.ask(after + 200 * MS)
    reply = scheduler.reply(ticket, answer(T0 + 600 * MS), after + 200 * MS)
    assert isinstance(reply, Dropped)


# --- delay


def test_the_estimate_ignores_warm_up_and_counts_consumed_rows():
    scheduler = scheduler_of(delay=DelaySettings(warm_up=2, initial=8))
    scheduler.begin(T0)
    exchange(scheduler, T0, latency=40 * ROW)  # compiling
    exchange(scheduler, T0 + 2000 * MS, latency=30 * ROW)
    assert scheduler.delay_rows == 8
    exchange(scheduler, T0 + 4000 * MS, latency=5 * ROW + ROW // 2)
    # rows 0 to 4 lie at row times 1 to 5: five rows are past
    assert scheduler.delay_rows == 5


@pytest.mark.parametrize(
    ("delays", "estimate"),
    [
        ([4] * 19 + [25], 4),
        ([4] * 4 + [9], 9),
        ([4] * 17 + [9] * 3, 9),
        ([100] * 20, 30),
        ([], 8),
        ([-3], 0),
    ],
)
def test_the_estimate_is_robust_and_bounded(delays, estimate):
    delay = DelayEstimate(DelaySettings(warm_up=0))
    for rows in delays:
        delay.add(rows)
    assert delay.rows == estimate
    assert delay.saturated == (estimate == 30)


def test_an_outage_is_forgotten():
    delay = DelayEstimate(DelaySettings(warm_up=0, window=20))
    for rows in [30] * 20 + [4] * 20:
        delay.add(rows)
    assert delay.rows == 4


# --- whatever happens


class Whatever(RuleBasedStateMachine):
    """Random life with an engine: answers late, twice, never, across instructions."""

    def __init__(self):
        super().__init__()
        self.t = T0
        self.scheduler = None
        self.open = []
        self.began = T0

    @rule(mode=st.sampled_from(["sync", "async", "ensemble", "rtc"]), rows=st.integers(1, 50))
    @precondition(lambda self: self.scheduler is None)
    def start(self, mode, rows):
        self.scheduler = scheduler_of(mode, execute_rows=rows)
        self.best = -1

    @rule(step=st.integers(0, 800))
    def wait(self, step):
        self.t += step * MS

    @precondition(lambda self: self.scheduler)
    @rule()
    def instruct(self):
        self.scheduler.begin(self.t)
        self.began = self.t
        self.best = -1

    @precondition(lambda self: self.scheduler)
    @rule(age=st.integers(0, 150))
    def ask(self, age):
        if self.scheduler.ask(self.t):
            stamp = self.t - age * MS
            ticket = self.scheduler.sent(stamp, self.t)
            assert ticket.epoch == self.scheduler.epoch
            self.open.append((ticket, stamp, self.t))

    @precondition(lambda self: self.open)
    @rule(
        which=st.integers(0, 100), rows=st.integers(1, 50), keep=st.booleans(), gate=st.booleans()
    )
    def reply(self, which, rows, keep, gate):
        ticket, stamp, sent = self.open[which % len(self.open)]
        if not keep:
            self.open.remove((ticket, stamp, sent))
        before = dict(self.scheduler.dropped)
        result = self.scheduler.reply(ticket, answer(stamp, rows), self.t)
        if isinstance(result, Accepted):
            assert ticket.epoch == self.scheduler.epoch
            assert sent >= self.began
            assert stamp > self.best
            assert self.t - sent <= 2_000 * MS
            assert result.plan.rows - result.rows_past >= 1
            assert plans.rows_past(result.plan, self.t) == result.rows_past
            assert np.all(np.isfinite(result.plan.joint_targets))
            if not gate:
                self.scheduler.failed(ticket, self.t)
                return
            assert self.scheduler.execute(result, result.plan)
            self.best = stamp
        else:
            reason = result.refusal.reason
            assert self.scheduler.dropped[reason] == before.get(reason, 0) + 1

    @precondition(lambda self: self.open)
    @rule()
    def fail(self):
        self.scheduler.failed(self.open.pop()[0], self.t)

    @invariant()
    def the_estimate_is_bounded(self):
        if self.scheduler:
            assert 0 <= self.scheduler.delay_rows <= 30


Whatever.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestWhatever = Whatever.TestCase
