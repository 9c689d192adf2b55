"""A recovery asks in order, believes what it sees, and leaves to people what is theirs."""

import pytest
from fake_robots import FakeFranka, FakeUr, franka_cell, ur_cell, ur_pair

from labvla_policy.runtime.recovery import franka, ur
from labvla_policy.runtime.recovery.overview import overview
from labvla_policy.runtime.recovery.recovery import CONFIRMATION, SILENCE, Phase, Recovery
from labvla_policy.runtime.recovery.sequence import CELL
from labvla_policy.runtime.recovery.state import Halt, Snapshot
from labvla_policy.runtime.types import NANOSECONDS

TICK = NANOSECONDS // 20


class Run:
    """A recovery and a clock."""

    def __init__(self, ports, sequences):
        self.ports, self.recovery, self.t = ports, Recovery(ports, sequences), 0

    @property
    def phase(self):
        return self.recovery.progress.phase

    @property
    def text(self):
        return self.recovery.progress.text

    def begin(self):
        return self.recovery.begin(self.t)

    def confirm(self):
        return self.recovery.confirm(self.t)

    def go(self, seconds=200.0, until=lambda: False):
        """Go on while it runs; a person's time passes only while one is waited for."""
        for _ in range(round(seconds * 20)):
            if self.phase in (Phase.DONE, Phase.FAILED) or until():
                return self
            self.t += TICK
            self.recovery.step(self.t)
        return self

    def go_to_confirmation(self):
        assert self.begin()[0]
        self.go(until=lambda: self.phase is Phase.WAITING)
        assert self.phase is Phase.WAITING, self.text
        return self


@pytest.fixture
def reflex():
    return Run(*franka_cell(FakeFranka()))


@pytest.fixture
def protective():
    return Run(*ur_cell(FakeUr()))


# --- success


def test_a_franka_is_cleared_connected_and_only_then_its_controllers_are_activated(reflex):
    assert reflex.begin()[0]
    assert reflex.go().phase is Phase.DONE
    assert reflex.ports["arm0"].asked == ["error_recovery", "activate_hardware"]
    assert reflex.ports[CELL].asked == ["activate_controllers", "reset_stop"]
    assert not reflex.ports[CELL].stopped


def test_of_two_arms_both_are_connected_before_the_controller_of_both_begins():
    run = Run(*franka_cell(FakeFranka(), FakeFranka()))
    order = []
    for name, port in run.ports.items():
        port.ask = lambda call, name=name, ask=port.ask: order.append((name, call)) or ask(call)
    assert run.begin()[0]
    assert run.go().phase is Phase.DONE
    assert [name for name, _ in order] == ["arm0", "arm0", "arm1", "arm1", CELL, CELL]


def test_an_arm_that_is_well_is_left_alone():
    well = FakeFranka(mode=1)
    well.hardware = "active"
    run = Run(*franka_cell(well, FakeFranka()))
    assert run.begin()[0]
    assert run.go().phase is Phase.DONE
    assert well.asked == []


def test_a_ur_is_unlocked_only_after_its_program_was_stopped_and_a_person_has_looked(protective):
    arm = protective.ports["arm"]
    protective.go_to_confirmation().go(60.0)
    assert arm.asked == ["stop_program"]
    assert arm.safety == 3
    assert "look at the arm" in protective.recovery.progress.confirm
    assert protective.confirm()[0]
    assert protective.go().phase is Phase.DONE
    assert arm.asked == ["stop_program", "unlock", "play"]
    assert protective.ports[CELL].asked == ["activate_controllers", "reset_stop"]


def test_after_an_emergency_stop_brakes_are_released_only_after_a_person_has_looked():
    arm = FakeUr(mode=5, safety=1, program=False)
    run = Run(*ur_cell(arm)).go_to_confirmation()
    assert arm.asked == []
    run.confirm()
    assert run.go().phase is Phase.DONE
    assert arm.asked == ["set_mode", "play"]


def test_without_a_pendant_program_the_driver_sends_its_own():
    arm = FakeUr(program=False)
    run = Run(*ur_cell(arm, "headless")).go_to_confirmation()
    run.confirm()
    assert run.go().phase is Phase.DONE
    assert arm.asked == ["unlock", "resend_program"]


def test_a_stop_that_the_stack_made_itself_is_cleared_without_asking_the_robot():
    arm = FakeUr(safety=1)
    run = Run(*ur_cell(arm))
    run.ports[CELL].active = True
    assert run.begin()[0]
    assert run.go().phase is Phase.DONE
    assert arm.asked == []
    assert run.ports[CELL].asked == ["reset_stop"]


# --- refusal


def test_a_refusal_ends_it_with_the_drivers_words_and_what_to_do(reflex):
    reflex.ports["arm0"].refusals["error_recovery"] = (1, "user stop pressed")
    reflex.begin()
    assert reflex.go().phase is Phase.FAILED
    assert "user stop pressed" in reflex.text
    assert "activate FCI in Desk" in reflex.text
    assert reflex.ports["arm0"].asked == ["error_recovery"]
    assert reflex.ports[CELL].asked == []


def test_what_a_robot_refuses_only_for_a_while_is_asked_again(protective):
    arm = protective.ports["arm"]
    arm.refusals["unlock"] = (4, "cannot unlock within 5 s of the stop")
    protective.go_to_confirmation().confirm()
    assert protective.go().phase is Phase.DONE
    assert arm.asked.count("unlock") == 5


def test_what_is_refused_for_good_ends_it_with_the_last_words(protective):
    protective.ports["arm"].refusals["play"] = (10**6, "no program is loaded")
    protective.go_to_confirmation().confirm()
    assert protective.go().phase is Phase.FAILED
    assert "no program is loaded" in protective.text
    assert protective.ports[CELL].asked == []


@pytest.mark.parametrize(
    ("safety", "halt"), [(7, "emergency"), (5, "safeguard"), (9, "fault"), (8, "violation")]
)
def test_what_people_have_to_end_is_not_even_begun(safety, halt):
    arm = FakeUr(safety=safety)
    run = Run(*ur_cell(arm))
    begun, why = run.begin()
    assert not begun
    assert halt in why
    assert run.go(5.0).phase is Phase.IDLE
    assert arm.asked == []


def test_a_driver_that_tells_nothing_is_named():
    begun, why = Run(*ur_cell(FakeUr(mode=None))).begin()
    assert not begun
    assert "nothing heard of robot_mode" in why


# --- time-out


def test_a_driver_that_does_not_answer(reflex):
    reflex.ports["arm0"].deaf.add("error_recovery")
    reflex.begin()
    assert reflex.go().phase is Phase.FAILED
    assert "no answer within 20 s" in reflex.text


def test_an_answer_that_was_lost_is_made_up_for_by_what_is_seen(reflex):
    reflex.ports["arm0"].deaf.add("activate_hardware")
    reflex.begin()
    assert reflex.go().phase is Phase.DONE


def test_a_driver_that_says_done_and_does_nothing(protective):
    protective.ports["arm"].idle.add("play")
    protective.go_to_confirmation().confirm()
    assert protective.go().phase is Phase.FAILED
    assert "not seen that the driver's program runs" in protective.text


def test_a_service_that_nobody_offers_is_named(reflex):
    reflex.ports["arm0"].absent.add("error_recovery")
    reflex.begin()
    assert reflex.go().phase is Phase.FAILED
    assert "nobody offers /driver/error_recovery" in reflex.text


def test_a_service_that_comes_late_is_waited_for(reflex):
    reflex.ports["arm0"].absent.add("error_recovery")
    reflex.begin()
    reflex.go(5.0)
    reflex.ports["arm0"].absent.clear()
    assert reflex.go().phase is Phase.DONE


def test_nobody_confirms(protective):
    protective.go_to_confirmation()
    protective.go(CONFIRMATION + 1.0)
    assert protective.phase is Phase.FAILED
    assert protective.ports["arm"].asked == ["stop_program"]


# --- wrong order


def test_a_confirmation_that_nobody_asked_for_counts_for_nothing(protective):
    assert not protective.confirm()[0]
    protective.go_to_confirmation().go(2.0)
    assert protective.ports["arm"].asked == ["stop_program"]


def test_asking_twice_begins_once_and_confirming_twice_confirms_once(protective):
    protective.go_to_confirmation()
    assert protective.begin() == (True, f"under way: {protective.text}")
    assert protective.confirm()[0]
    assert protective.confirm() == (True, "confirmed already")
    assert protective.go().phase is Phase.DONE
    assert protective.ports["arm"].asked.count("unlock") == 1


def test_a_confirmation_counts_for_one_recovery_alone(protective):
    arm = protective.ports["arm"]
    arm.refusals["play"] = (10**6, "no")
    protective.go_to_confirmation().confirm()
    assert protective.go().phase is Phase.FAILED
    arm.safety = 3
    protective.go_to_confirmation().go(3.0)
    assert arm.asked.count("unlock") == 1


def test_a_confirmation_counts_for_one_arm_alone():
    left, right = FakeUr(), FakeUr()
    pair = Run(*ur_pair(left, right)).go_to_confirmation()
    pair.confirm()
    pair.go(until=lambda: pair.phase is Phase.WAITING)
    assert pair.text.startswith("right: unlock")
    assert (left.safety, right.safety) == (1, 3)
    pair.go(5.0)
    assert right.safety == 3
    pair.confirm()
    assert pair.go().phase is Phase.DONE


def test_who_gives_it_up_leaves_the_robot_as_it_is(protective):
    protective.go_to_confirmation()
    assert protective.recovery.cancel(protective.t)[0]
    assert protective.phase is Phase.FAILED
    assert "given up by a person" in protective.text
    protective.go(30.0)
    assert not protective.confirm()[0]
    assert protective.ports["arm"].asked == ["stop_program"]
    assert protective.recovery.cancel(protective.t) == (True, "no recovery is under way")


# --- in the middle


def test_a_manager_that_answers_nobody_while_it_connects_is_waited_for(reflex):
    arm = reflex.ports["arm0"]
    reflex.ports[CELL].idle.add("activate_controllers")
    reflex.begin()
    reflex.go(until=lambda: "activate_controllers" in reflex.ports[CELL].asked)
    arm.silent = True
    reflex.go(SILENCE - 1.0)
    arm.silent = False
    reflex.ports[CELL].active = True
    assert reflex.go().phase is Phase.DONE


def test_a_driver_that_dies_in_the_middle_ends_it(reflex):
    arm = reflex.ports["arm0"]
    arm.idle.add("activate_hardware")
    reflex.begin()
    reflex.go(until=lambda: "activate_hardware" in arm.asked)
    arm.silent = True
    reflex.go(SILENCE + 1.0)
    assert reflex.phase is Phase.FAILED
    assert "not known to a controller manager" in reflex.text
    assert "start its driver" in reflex.text


@pytest.mark.parametrize("during", ["unlock", "play"])
def test_an_emergency_stop_in_the_middle_ends_it_at_once(protective, during):
    arm = protective.ports["arm"]
    arm.idle.add(during)
    protective.go_to_confirmation().confirm()
    protective.go(until=lambda: during in arm.asked)
    arm.safety = 7
    protective.go(0.1)
    assert protective.phase is Phase.FAILED
    assert "robot emergency stop" in protective.text
    assert "release the button" in protective.text
    asked = list(arm.asked)
    arm.safety = 1  # releasing it moves nothing by itself
    protective.go(30.0)
    assert arm.asked == asked
    assert protective.ports[CELL].stopped


def test_an_emergency_stop_while_a_person_is_looking_takes_the_question_back(protective):
    protective.go_to_confirmation()
    protective.ports["arm"].safety = 6
    protective.go(0.1)
    assert protective.phase is Phase.FAILED
    assert not protective.confirm()[0]


def test_a_second_protective_stop_in_the_middle_is_not_unlocked_by_the_first_confirmation(
    protective,
):
    arm = protective.ports["arm"]
    arm.idle.add("play")
    protective.go_to_confirmation().confirm()
    protective.go(until=lambda: "play" in arm.asked)
    arm.safety = 3
    assert protective.go().phase is Phase.FAILED
    assert "came undone: unlock the protective stop" in protective.text
    assert arm.asked.count("unlock") == 1
    assert "set_mode" not in arm.asked


def test_hardware_that_is_lost_again_ends_it(reflex):
    reflex.ports[CELL].idle.add("activate_controllers")
    reflex.begin()
    reflex.go(until=lambda: "activate_controllers" in reflex.ports[CELL].asked)
    reflex.ports["arm0"].hardware = "unconfigured"
    assert reflex.go().phase is Phase.FAILED
    assert "no longer: the hardware component is active" in reflex.text


def test_a_node_that_is_started_again_in_the_middle_goes_on_from_what_it_sees(protective):
    protective.go_to_confirmation()
    ports, sequences = protective.ports, protective.recovery._sequences
    again = Run(ports, sequences).go_to_confirmation()
    assert ports["arm"].asked == ["stop_program"]  # it is stopped: not asked a second time
    again.confirm()
    assert again.go().phase is Phase.DONE


# --- what the makers' numbers mean


@pytest.mark.parametrize(
    ("mode", "hardware", "halt"),
    [
        (1, "active", None),
        (2, "active", None),
        (3, "active", Halt.BY_HAND),
        (4, "active", Halt.PROTECTIVE),
        (5, "active", Halt.EMERGENCY),
        (99, "active", Halt.FAULT),
        (None, "active", Halt.IDLE),
        (6, "active", Halt.IDLE),
        (0, "active", None),
        (None, "unconfigured", Halt.IDLE),
        (1, "inactive", Halt.IDLE),
        (5, "unconfigured", Halt.EMERGENCY),
        (1, None, Halt.SILENT),
    ],
)
def test_franka_modes(mode, hardware, halt):
    assert franka.snapshot(mode, hardware).halt is halt


def test_of_two_frankas_whose_driver_tells_no_mode_the_hardware_speaks():
    assert franka.snapshot(None, "active", expected=False).halt is None
    assert franka.snapshot(None, "unconfigured", expected=False).halt is Halt.IDLE


@pytest.mark.parametrize(
    ("mode", "safety", "program", "halt"),
    [
        (7, 1, True, None),
        (7, 2, True, None),
        (7, 1, False, Halt.IDLE),
        (5, 1, False, Halt.IDLE),
        (3, 6, False, Halt.EMERGENCY),
        (7, 3, True, Halt.PROTECTIVE),
        (7, 12, True, Halt.SAFEGUARD),
        (7, 8, True, Halt.FAULT),
        (7, 2, False, Halt.IDLE),
        (7, 4, True, Halt.FAULT),
        (7, 5, True, Halt.SAFEGUARD),
        (7, 7, True, Halt.EMERGENCY),
        (7, 9, True, Halt.FAULT),
        (7, 10, True, Halt.FAULT),
        (7, 11, True, Halt.FAULT),
        (7, 13, True, Halt.SAFEGUARD),
        (-1, 1, False, Halt.FAULT),
        (0, 1, False, Halt.FAULT),
        (2, 1, False, Halt.IDLE),
        (3, 1, False, Halt.IDLE),
        (4, 1, False, Halt.IDLE),
        (8, 1, False, Halt.FAULT),
        (7, 14, True, Halt.FAULT),
        (6, 1, False, Halt.BY_HAND),
        (1, 1, False, Halt.FAULT),
        (42, 1, True, Halt.FAULT),
        (None, 1, True, Halt.SILENT),
        (7, None, True, Halt.SILENT),
        (7, 1, None, Halt.SILENT),
    ],
)
def test_ur_modes(mode, safety, program, halt):
    assert ur.snapshot(mode, safety, program).halt is halt


def test_what_a_person_has_to_end_is_told_before_the_rest():
    snapshots = {
        CELL: Snapshot(Halt.IDLE, "inactive"),
        "left": Snapshot(Halt.PROTECTIVE, "reflex"),
        "right": Snapshot(Halt.EMERGENCY, "pressed"),
    }
    assert overview(snapshots).halt is Halt.EMERGENCY
    assert overview(snapshots).subject == "right"
    assert overview({CELL: Snapshot(None, "active")}).halt is None
