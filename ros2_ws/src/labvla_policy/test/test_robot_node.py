"""The robot node against drivers that speak the makers' services, actions and latched topics.

Needs the makers' message packages, or the stand-ins for them that `make setup-tests` builds.
"""

import gc
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import rclpy
import vendor_messages
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger

from labvla_msgs.msg import SafetyEvent
from labvla_policy.nodes import qos, robot_node
from labvla_policy.nodes.robot_node import RobotNode
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.recovery import recovery

ABSENT = vendor_messages.provide()
MAKERS = {"franka": "MockFranka", "ur5e": "MockUr"}


def arguments(cell, *more):
    return ["--ros-args", "-p", f"cell:={cell}", *[word for one in more for word in ("-p", one)]]


class Bench:
    """The robot node, and nodes that play the drivers, the stack and a person."""

    def __init__(self, cell, *more, policy=True):
        import mock_drivers  # needs the makers' messages

        self.words = arguments(cell, *more)
        self.context = Context()
        rclpy.init(context=self.context)
        self.world = Node("world", context=self.context)
        self.drivers = Node("drivers", context=self.context)
        self.others = Node("others", context=self.context)
        self.behaviour = mock_drivers.Behaviour()
        self.manager = mock_drivers.MockManager(self.drivers, self.behaviour)
        arms = load_cell(str(cell)).arms
        make = getattr(mock_drivers, MAKERS[{"fr3": "franka"}.get(arms[0].kind, "ur5e")])
        self.robots = [make(self.drivers, self.manager, arm.prefix) for arm in arms]
        self.stack = mock_drivers.Stack(self.others, self.behaviour, policy)
        self.events, self.told, self.diagnostics = [], [], []
        for kind, topic, found, how in (
            (SafetyEvent, "labvla/events", self.events, qos.RELIABLE),
            (DiagnosticArray, "/diagnostics", self.diagnostics, qos.RELIABLE),
            (DiagnosticStatus, "labvla/robot", self.told, qos.LATCHED),
        ):
            self.world.create_subscription(kind, topic, found.append, how)
        self.grips = self.world.create_publisher(DiagnosticArray, "labvla/grips", qos.LATCHED)
        self.clients = {
            name: self.world.create_client(Trigger, f"labvla/{name}")
            for name in ("recover", "confirm_recovery", "cancel_recovery")
        }
        # Two, because a call that is never answered keeps its executor busy.
        self.executors = [SingleThreadedExecutor(context=self.context) for _ in range(2)]
        self.executors[0].add_node(self.world)
        for node in (self.drivers, self.others):
            self.executors[1].add_node(node)
        self.start()

    @property
    def robot(self):
        return self.robots[0]

    @property
    def asked(self):
        """What was asked of drivers and stack, but for the controller's stop at the beginning."""
        return [call for call in self.behaviour.asked if call != "controller stop"]

    def start(self):
        rclpy.init(args=self.words)
        self.node = RobotNode()
        self.inside = SingleThreadedExecutor()
        self.inside.add_node(self.node)

    def stop(self):
        self.inside.shutdown()
        self.node.destroy_node()
        rclpy.shutdown()

    def kill_drivers(self):
        self.executors[1].remove_node(self.drivers)
        self.drivers.destroy_node()

    def until(self, condition, seconds=60.0):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain; told: {self.values()}"
            for executor in (self.inside, *self.executors):
                end = time.monotonic() + 0.01
                while time.monotonic() < end:
                    executor.spin_once(timeout_sec=0.002)
        return self

    def call(self, name):
        client = self.clients[name]
        self.until(client.service_is_ready)
        future = client.call_async(Trigger.Request())
        self.until(future.done)
        return future.result().success, future.result().message

    def values(self):
        return {pair.key: pair.value for pair in self.told[-1].values} if self.told else {}

    def ready(self):
        return bool(self.told) and self.told[-1].level == DiagnosticStatus.OK

    def until_ready(self):
        return self.until(self.ready)

    def until_halted(self, reason=None):
        reasons = (reason,) if reason else ("protective_stop", "robot_idle", "emergency_stop")
        return self.until(lambda: not self.ready() and self.values()["reason"] in reasons)

    def recovery(self, phase):
        return self.until(lambda: self.values().get("recovery") == phase)

    def begin(self):
        done, message = self.call("recover")
        assert done, message
        return self

    def recover(self):
        """Go with a recovery to its end, and confirm what it asks for; return its last words."""
        self.begin()
        while self.phase() not in ("done", "failed"):
            self.until(lambda: self.phase() in ("waiting", "done", "failed"))
            if self.phase() == "waiting":
                assert self.call("confirm_recovery")[0]
        return self.values()["doing"]

    def phase(self):
        return self.values().get("recovery")

    def close(self):
        self.stop()
        for executor in self.executors:
            executor.shutdown()
        for node in (self.world, self.drivers, self.others):
            node.destroy_node()
        self.context.try_shutdown()
        gc.collect()  # action servers and nodes hold each other, and with them sockets


@pytest.fixture
def bench():
    """Return what makes a bench whose robots are ready."""
    if ABSENT:
        pytest.skip(ABSENT)
    made = []

    def make(cell, *more, **how):
        made.append(Bench(cell, *more, **how))
        return made[-1].until_ready()

    yield make
    for one in made:
        one.close()


@pytest.fixture
def franka(bench):
    return bench("franka")


@pytest.fixture
def ur(bench):
    return bench("ur5e")


@pytest.fixture
def shorten(monkeypatch):
    """Return what shortens a step's time-out: nobody wants to wait for the real one."""

    def make(step_of_interest, seconds=3.0):
        def quick(steps):
            return lambda *told, **how: tuple(
                replace(step, timeout=seconds) if step.call == step_of_interest else step
                for step in steps(*told, **how)
            )

        for place in (robot_node.franka, robot_node.ur):
            monkeypatch.setattr(place, "steps", quick(place.steps))
        monkeypatch.setattr(robot_node, "cell_steps", quick(robot_node.cell_steps))

    return make


# --- watching


def test_a_reflex_stops_the_controller_and_is_told_with_its_error(franka):
    franka.robot.mode = 4
    franka.until(lambda: franka.events and franka.stack.stops)
    assert franka.events[0].source == "robot"
    assert franka.events[0].reason == "protective_stop"
    assert franka.events[0].severity == SafetyEvent.STOPPED
    assert "joint_reflex" in franka.events[0].detail
    assert not franka.ready()
    assert franka.values()["reason"] == "protective_stop"
    assert franka.asked == [], "nothing is cleared before somebody asks"


def test_every_part_is_in_the_diagnostics(franka):
    def levels():
        statuses = [s for message in franka.diagnostics[-1:] for s in message.status]
        return {s.name: (s.level, s.message) for s in statuses}

    franka.until(lambda: levels().get("robot: arm", (b"", ""))[0] == DiagnosticStatus.OK)
    assert set(levels()) == {"robot: arm", "robot: cell", "robot: recovery"}
    franka.robot.mode = 5
    franka.until(lambda: levels()["robot: arm"][0] == DiagnosticStatus.ERROR)
    assert levels()["robot: arm"][1].startswith("emergency_stop: robot mode 5 (user stopped)")
    franka.kill_drivers()
    franka.until(lambda: levels()["robot: cell"][0] == DiagnosticStatus.STALE)


def test_a_broadcaster_that_falls_silent_is_not_taken_for_a_robot_that_is_well(franka):
    franka.manager.controllers["franka_robot_state_broadcaster"] = "inactive"
    franka.until_halted("robot_idle")
    assert "robot mode not told" in franka.values()["state of arm"]
    franka.recover()
    franka.until_ready()


# --- success


def test_a_franka_comes_back_with_hardware_controllers_and_broadcaster(franka):
    franka.robot.reflex()
    franka.until_halted()
    franka.recover()
    franka.until_ready()
    assert franka.asked == [
        "error_recovery",
        "activate FrankaHardwareInterface",
        "switch",
        "reset_stop",
    ]
    assert franka.manager.switched == [["labvla_controller", "franka_robot_state_broadcaster"]]


def test_a_ur_waits_for_a_person_before_it_is_unlocked(ur):
    ur.robot.tell(safety=3)
    ur.until(lambda: ur.stack.stops > 0)
    ur.begin().recovery("waiting")
    assert ur.asked == ["stop"]
    assert "look at the arm" in ur.values()["confirm"]
    assert ur.call("confirm_recovery")[0]
    ur.recovery("done").until_ready()
    assert ur.asked == ["stop", "unlock", "play", "switch", "reset_stop"]


def test_after_an_emergency_stop_a_ur_is_powered_without_unlocking_or_continuing_anything(ur):
    ur.robot.tell(safety=7, robot=3, program=False)
    ur.until_halted("emergency_stop")
    ur.robot.tell(safety=1)  # the button is released, and the robot has no power yet
    ur.until_halted("robot_idle")
    ur.recover()
    ur.until_ready()
    assert ur.asked == ["set_mode", "play", "switch", "reset_stop"]
    (request,) = ur.robot.modes_asked
    assert (request.target_robot_mode, request.stop_program, request.play_program) == (7, 1, 0)


def test_a_ur_that_runs_without_a_pendant_is_sent_the_drivers_program(bench, tmp_path):
    text = Path(load_cell("ur5e").origin.file).read_text()
    file = tmp_path / "ur5e.yaml"
    file.write_text(text.replace("program: pendant}", "program: headless}"))
    ur = bench(file)
    ur.robot.tell(program=False)
    ur.until_halted()
    ur.recover()
    assert ur.asked == ["resend", "switch", "reset_stop"]


def test_where_no_policy_runs_the_controllers_own_stop_is_cleared(bench):
    franka = bench("franka", policy=False)
    franka.robot.reflex()
    franka.until_halted()
    franka.recover()
    assert franka.stack.resets == 1


def test_other_controllers_than_our_own_are_activated_by_their_names(bench):
    franka = bench("franka", "controllers:=franka_robot_state_broadcaster")
    franka.robot.reflex()
    franka.until_halted()
    franka.recover()
    assert franka.manager.switched == [["franka_robot_state_broadcaster"]]
    assert franka.asked[-1] == "reset_stop"


# --- refusal, time-out, and success that is none; one by one, at every step

STEPS = {  # call of the step -> what the driver is asked, and what the operator is advised
    "error_recovery": ("franka", "error_recovery", "Release the stop button"),
    "activate_hardware": ("franka", "activate FrankaHardwareInterface", "is FCI active in Desk"),
    "activate_controllers": ("franka", "switch", "`ros2 control list_controllers` shows"),
    "reset_stop": ("franka", "reset_stop", "Is the policy node running"),
    "stop_program": ("ur5e", "stop", "Stop it on the pendant"),
    "unlock": ("ur5e", "unlock", "Read what the pendant says"),
    "set_mode": ("ur5e", "set_mode", "Initialise the robot on the pendant"),
    "play": ("ur5e", "play", "Load the program with External Control"),
}


def halted(bench, step, cell):
    """Return a bench whose robot is stopped so that this step is needed."""
    made = bench(cell)
    if cell == "franka":
        made.robot.reflex()
    elif step == "set_mode":
        made.robot.tell(robot=5, program=False)
    else:
        made.robot.tell(safety=3)
    return made.until_halted()


@pytest.mark.parametrize("step", STEPS)
def test_a_refusal_ends_it_with_the_drivers_words_and_what_to_do(bench, shorten, step):
    cell, call, advice = STEPS[step]
    shorten(step)
    made = halted(bench, step, cell)
    made.behaviour.refuses[call] = "not now"
    words = made.recover()
    assert made.phase() == "failed"
    assert advice in words
    assert made.asked[-1] == call, "nothing is asked after a refusal"
    assert not made.ready() or step == "reset_stop"
    if step not in ("error_recovery", "activate_hardware"):  # these answer without words
        assert "not now" in words


@pytest.mark.parametrize("step", STEPS)
def test_a_driver_that_never_answers_is_given_up(bench, shorten, step):
    cell, call, advice = STEPS[step]
    shorten(step)
    made = halted(bench, step, cell)
    made.behaviour.deaf.add(call)
    words = made.recover()
    assert made.phase() == "failed"
    assert "no answer within 3 s" in words
    assert advice in words
    assert made.asked.count(call) == 1
    assert made.asked[-1] == call


@pytest.mark.parametrize("step", sorted(STEPS.keys() - {"error_recovery", "reset_stop"}))
def test_what_is_said_to_be_done_is_believed_only_when_it_is_seen(bench, shorten, step):
    cell, call, advice = STEPS[step]
    shorten(step)
    made = halted(bench, step, cell)
    made.behaviour.idle.add(call)
    words = made.recover()
    assert made.phase() == "failed"
    assert "it was not seen that" in words
    assert advice in words


def test_a_program_that_cannot_be_played_yet_is_played_later(ur):
    ur.behaviour.refuses["play"] = "no program is loaded"
    ur.robot.tell(program=False)
    ur.until_halted().begin()
    ur.until(lambda: ur.asked.count("play") > 1)  # it is asked again
    ur.behaviour.refuses.clear()
    ur.recovery("done").until_ready()


# --- wrong order


def test_a_franka_whose_button_is_still_pressed_cannot_be_cleared(franka):
    franka.robot.reflex(mode=5)
    franka.until_halted("robot_idle")  # its broadcaster is gone: nobody tells the button
    assert "Release the stop button" in franka.recover()
    assert franka.asked == ["error_recovery"]


@pytest.mark.parametrize("cell", MAKERS)
def test_a_pressed_button_is_not_recovered_from(bench, cell):
    made = bench(cell)
    if cell == "franka":
        made.robot.mode = 5
    else:
        made.robot.tell(safety=7, robot=3, program=False)
    made.until_halted("emergency_stop")
    done, message = made.call("recover")
    assert not done
    assert "release the button" in message
    assert made.asked == []


def test_a_confirmation_before_anything_was_asked_counts_for_nothing(ur):
    assert not ur.call("confirm_recovery")[0]
    ur.robot.tell(safety=3)
    ur.until_halted().begin().recovery("waiting")
    assert ur.asked == ["stop"]


def test_a_recovery_that_is_asked_for_twice_is_begun_once(ur):
    ur.robot.tell(safety=3)
    ur.until_halted().begin().recovery("waiting")
    done, message = ur.call("recover")
    assert done
    assert message.startswith("under way")
    assert ur.asked == ["stop"]


def test_a_robot_that_somebody_else_makes_ready_meanwhile_is_not_asked_again(ur):
    ur.robot.tell(safety=3)
    ur.until_halted().begin().recovery("waiting")
    ur.robot.tell(safety=1, program=True)  # at the pendant
    ur.call("confirm_recovery")
    ur.recovery("done").until_ready()
    assert ur.asked == ["stop", "switch", "reset_stop"]


def test_a_person_who_declines_leaves_the_robot_as_it_is(ur):
    ur.robot.tell(safety=3)
    ur.until_halted().begin().recovery("waiting")
    assert ur.call("cancel_recovery")[0]
    ur.recovery("failed")
    assert "given up by a person" in ur.values()["doing"]
    assert not ur.call("confirm_recovery")[0], "a later word finds nothing that waits"
    assert ur.asked == ["stop"]
    assert ur.robot.safety == 3


# --- in the middle


def test_a_button_that_is_pressed_while_a_person_looks_ends_it(ur):
    ur.robot.tell(safety=3)
    ur.until_halted().begin().recovery("waiting")
    ur.robot.tell(safety=7, robot=3)
    ur.recovery("failed")
    assert not ur.call("confirm_recovery")[0]
    assert ur.asked == ["stop"]


@pytest.mark.parametrize("cell", MAKERS)
def test_a_driver_that_dies_in_the_middle_ends_it_with_its_name(bench, monkeypatch, cell):
    monkeypatch.setattr(recovery, "SILENCE", 1.0)
    made = halted(bench, "unlock", cell)
    made.behaviour.deaf |= {"error_recovery", "unlock"}
    made.begin()
    if cell == "ur5e":
        made.recovery("waiting")
    else:
        made.until(lambda: "error_recovery" in made.asked)
    made.kill_drivers()
    made.recovery("failed")
    assert "controller manager" in made.values()["doing"].replace("_", " ")
    assert "start its driver" in made.values()["doing"]
    assert made.stack.resets == 0


def test_a_node_that_starts_again_in_the_middle_learns_all_from_latched_topics(ur):
    ur.robot.tell(safety=3)
    ur.until_halted().begin().recovery("waiting")
    ur.stop()
    ur.told.clear()
    ur.start()
    ur.until(lambda: ur.values().get("reason") == "protective_stop")
    assert not ur.call("confirm_recovery")[0], "nobody asked this node for anything"
    ur.recover()
    ur.until_ready()
    assert ur.asked == ["stop", "unlock", "play", "switch", "reset_stop"]


# --- two arms


def test_of_two_frankas_both_are_connected_before_the_controller_of_both_begins(bench):
    pair = bench("dual_franka")
    for robot in pair.robots:
        robot.reflex()
    pair.until_halted("robot_idle")
    pair.recover()
    pair.until_ready()
    assert pair.asked == [
        "left_error_recovery",
        "activate left_FrankaHardwareInterface",
        "right_error_recovery",
        "activate right_FrankaHardwareInterface",
        "switch",
        "reset_stop",
    ]


def test_the_arm_that_is_well_is_left_alone(bench):
    pair = bench("dual_franka")
    pair.robots[1].reflex()
    pair.until_halted("robot_idle")
    assert pair.values()["subject"] == "right"
    pair.recover()
    assert not [call for call in pair.asked if "left" in call]


def test_of_two_urs_each_is_looked_at_before_it_is_unlocked(bench):
    pair = bench("dual_arm")
    for robot in pair.robots:
        robot.tell(safety=3)
    pair.until_halted().begin().recovery("waiting")
    assert pair.values()["doing"].startswith("left: ")
    pair.call("confirm_recovery")
    pair.until(lambda: pair.phase() == "waiting" and pair.values()["doing"].startswith("right: "))
    assert pair.asked == ["left_stop", "left_unlock", "left_play", "right_stop"]
    assert pair.robots[1].safety == 3
    pair.call("confirm_recovery")
    pair.recovery("done").until_ready()
    assert pair.asked[4:] == ["right_unlock", "right_play", "switch", "reset_stop"]


def test_a_button_at_one_arm_ends_the_recovery_of_the_other(bench):
    pair = bench("dual_arm")
    pair.robots[0].tell(safety=3)
    pair.until_halted().begin().recovery("waiting")
    pair.robots[1].tell(safety=6, robot=3, program=False)
    pair.recovery("failed")
    assert "right: safety 6 (system emergency stop)" in pair.values()["doing"]
    assert pair.asked == ["left_stop"]


@pytest.mark.parametrize("cell", ["dual_franka", "dual_arm"])
def test_a_refusal_of_the_second_arm_leaves_both_stopped(bench, shorten, cell):
    shorten("play")
    pair = bench(cell)
    for robot in pair.robots:
        if cell == "dual_franka":
            robot.reflex()
        else:
            robot.tell(program=False)
    pair.behaviour.refuses |= {"right_error_recovery": "no", "right_play": "no"}
    pair.until_halted("robot_idle")
    assert pair.recover().startswith("right: ")
    assert pair.phase() == "failed"
    assert "switch" not in pair.asked
    assert pair.stack.resets == 0


# --- payload


def test_the_payload_is_told_at_the_start_and_again_after_a_stop(ur):
    mass = load_cell("ur5e").arms[0].payload.mass
    ur.until(lambda: ur.robot.payloads == [pytest.approx(mass, abs=1e-3)])
    ur.robot.tell(program=False)
    ur.until_halted()
    ur.recover()
    ur.until(lambda: len(ur.robot.payloads) == 2)


def test_a_payload_that_is_refused_is_an_event_and_is_told_again(ur):
    ur.until(lambda: ur.robot.payloads)
    ur.behaviour.refuses["payload"] = "no"
    ur.robot.tell(program=False)
    ur.until_halted()
    ur.recover()
    ur.until(lambda: any(event.reason == "payload_refused" for event in ur.events))
    ur.behaviour.refuses.clear()
    told = len(ur.robot.payloads)
    ur.until(lambda: len(ur.robot.payloads) > told)


def test_what_is_gripped_is_told_where_the_cell_says_its_mass(bench, tmp_path):
    text = Path(load_cell("ur5e").origin.file).read_text()
    assert "program: pendant}" in text
    file = tmp_path / "ur5e.yaml"
    held = "program: pendant, payload_held: {mass: 1.5 kg, com: [0, 0, 90 mm]}}"
    file.write_text(text.replace("program: pendant}", held))
    ur = bench(file)

    def grip(state):
        status = DiagnosticStatus(name="arm_gripper", message=state)
        ur.grips.publish(DiagnosticArray(status=[status]))

    ur.until(lambda: len(ur.robot.payloads) == 1)
    grip("grasped")
    ur.until(lambda: ur.robot.payloads[1:] == [1.5])
    grip("open")
    ur.until(lambda: len(ur.robot.payloads) == 3)


# --- without robots


@pytest.mark.parametrize("cell", ["franka", "ur5e", "dual_arm", "dual_franka"])
def test_fake_hardware_has_controllers_and_nothing_else_to_recover(bench, cell):
    made = bench(cell, "fake_hardware:=true")
    made.manager.controllers["labvla_controller"] = "inactive"
    made.until(lambda: not made.ready())
    made.recover()
    made.until_ready()
    assert made.asked == ["switch", "reset_stop"]


def node(*words, before=""):
    return subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; {before}\n"
            "from labvla_policy.nodes.robot_node import main; sys.exit(main())",
            *words,
        ],
        env=os.environ,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_missing_messages_end_the_node_with_their_name():
    done = node(*arguments("franka"), before="sys.modules['controller_manager_msgs'] = None")
    assert done.returncode == 3
    assert "controller_manager_msgs/srv/ListControllers, which is not installed" in done.stderr


def test_a_cell_without_drivers_is_refused(tmp_path):
    text = Path(load_cell("franka").origin.file).read_text()
    file = tmp_path / "franka.yaml"
    file.write_text("\n".join(ln for ln in text.splitlines() if not ln.startswith("    driver:")))
    done = node(*arguments(file))
    assert done.returncode == 2
    assert "expected a `driver` for arm, got none" in done.stderr
