"""One owner at a time, and nothing of a former owner gets through."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from runtime_support import MS, T0

from labvla_policy.runtime.arbiter import Arbiter, Lease, Owner
from labvla_policy.runtime.refusal import Refusal

ORDER = [Owner.POLICY, Owner.MOVE_TO, Owner.CORRECTION, Owner.TELEOP]


def test_nobody_owns_the_motion_at_first():
    assert Arbiter().owner(T0) is None


@pytest.mark.parametrize("holder", ORDER)
@pytest.mark.parametrize("other", ORDER)
def test_priorities(holder, other):
    arbiter = Arbiter()
    first = arbiter.request(holder, T0)
    second = arbiter.request(other, T0 + MS)
    if ORDER.index(other) >= ORDER.index(holder):
        assert isinstance(second, Lease)
        assert arbiter.owner(T0 + MS) is other
        assert arbiter.admit(second, T0 + MS, T0 + 2 * MS) is None
        assert arbiter.admit(first, T0 + MS, T0 + 2 * MS).reason == "not_owner"
    else:
        assert isinstance(second, Refusal)
        assert (second.reason, second.subject) == ("motion_owned", holder.label)
        assert arbiter.admit(first, T0 + MS, T0 + 2 * MS) is None


def test_a_plan_from_before_the_hand_over_is_refused():
    arbiter = Arbiter()
    teleop = arbiter.request(Owner.TELEOP, T0)
    arbiter.release(teleop)
    lease = arbiter.request(Owner.POLICY, T0 + 100 * MS)
    assert arbiter.admit(lease, T0 + 99 * MS, T0 + 150 * MS).reason == "plan_before_handover"
    assert arbiter.admit(lease, T0 + 100 * MS, T0 + 150 * MS) is None


def test_after_preemption_the_former_owner_has_to_ask_again():
    arbiter = Arbiter()
    policy = arbiter.request(Owner.POLICY, T0)
    teleop = arbiter.request(Owner.TELEOP, T0 + MS)
    arbiter.release(teleop)
    assert arbiter.owner(T0 + 2 * MS) is None
    assert arbiter.admit(policy, T0 + 2 * MS, T0 + 3 * MS).reason == "not_owner"


def test_a_former_owner_cannot_give_away_what_is_not_his():
    arbiter = Arbiter()
    policy = arbiter.request(Owner.POLICY, T0)
    arbiter.request(Owner.TELEOP, T0)
    arbiter.release(policy)
    assert arbiter.owner(T0) is Owner.TELEOP


@pytest.mark.parametrize(("owner", "limit"), list(zip(ORDER, [3000, 1000, 1000, 500], strict=True)))
def test_silence_ends_the_ownership(owner, limit):
    arbiter = Arbiter()
    lease = arbiter.request(owner, T0)
    assert arbiter.admit(lease, T0, T0 + 400 * MS) is None
    alive = T0 + 400 * MS
    assert arbiter.owner(alive + limit * MS) is owner
    assert arbiter.keep(lease, alive + limit * MS)
    alive += limit * MS
    assert arbiter.owner(alive + limit * MS + 1) is None
    assert not arbiter.keep(lease, alive + limit * MS + 1)
    assert arbiter.admit(lease, alive, alive + 1).reason == "not_owner"


def test_a_clock_that_goes_back_ends_the_ownership():
    arbiter = Arbiter()
    lease = arbiter.request(Owner.TELEOP, T0)
    assert arbiter.owner(T0 - 1) is None
    assert not arbiter.keep(lease, T0 + 1)


def test_a_stop_is_above_all_and_latched():
    arbiter = Arbiter()
    lease = arbiter.request(Owner.TELEOP, T0)
    arbiter.stop()
    assert arbiter.stopped
    assert arbiter.owner(T0) is None
    assert arbiter.admit(lease, T0, T0).reason == "stopped"
    assert not arbiter.keep(lease, T0)
    assert arbiter.request(Owner.TELEOP, T0).reason == "stopped"
    arbiter.reset_stop()
    assert arbiter.owner(T0) is None  # nobody resumes by himself
    assert arbiter.admit(lease, T0, T0).reason == "not_owner"
    assert isinstance(arbiter.request(Owner.POLICY, T0), Lease)


class Rivals(RuleBasedStateMachine):
    """Everybody asks, sends and gives up at random: one at most gets through at a time."""

    def __init__(self):
        super().__init__()
        self.arbiter, self.t, self.leases, self.holder = Arbiter(), T0, [], None

    @rule(step=st.integers(0, 1500))
    def wait(self, step):
        self.t += step * MS

    @rule(owner=st.sampled_from(ORDER))
    def ask(self, owner):
        before = self.arbiter.owner(self.t)
        answer = self.arbiter.request(owner, self.t)
        if isinstance(answer, Lease):
            assert before is None or before <= owner
            self.leases.append(answer)
            self.holder = answer

    @rule()
    def everybody_sends(self):
        through = [a for a in self.leases if self.arbiter.admit(a, self.t, self.t) is None]
        assert len(through) <= 1
        assert through in ([], [self.holder])

    @rule(which=st.integers(0, 50))
    def release(self, which):
        if self.leases:
            self.arbiter.release(self.leases[which % len(self.leases)])

    @rule()
    def stop(self):
        self.arbiter.stop()
        assert all(self.arbiter.admit(a, self.t, self.t) for a in self.leases)

    @rule()
    def reset(self):
        self.arbiter.reset_stop()


Rivals.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestRivals = Rivals.TestCase
