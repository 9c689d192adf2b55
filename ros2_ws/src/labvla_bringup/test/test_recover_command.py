"""`labvla recover` goes with a recovery to its end, and asks the person where it waits for one."""

import contextlib
import os
import pty
import subprocess
import sys
import threading

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger

from labvla_policy.nodes import qos
from labvla_policy.nodes.robot_status import RobotStatus, to_message

STEPS = (("running", "arm: stop the program", ""), ("waiting", "arm: unlock", "look at the arm"))


class FakeRobotNode:
    """Tells one step after another, and waits for a confirmation as the robot node does."""

    def __init__(self, end=("done", "ready"), refusal=""):
        self._end, self._refusal, self._script = end, refusal, []
        self.confirmations, self.cancellations = 0, 0
        self._context = Context()
        rclpy.init(context=self._context)
        self._node = Node("robot", context=self._context)
        self._publisher = self._node.create_publisher(DiagnosticStatus, "labvla/robot", qos.LATCHED)
        self._node.create_service(Trigger, "labvla/recover", self._recover)
        self._node.create_service(Trigger, "labvla/confirm_recovery", self._confirm)
        self._node.create_service(Trigger, "labvla/cancel_recovery", self._cancel)
        self._timer = self._node.create_timer(1.5, self._advance)
        self._tell(("failed", "arm: what was before", ""))
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def _tell(self, told):
        phase, doing, confirm = told
        status = RobotStatus(
            "franka", recovery=phase, doing=doing, confirm=confirm, step="1 of 2", line=doing
        )
        self._publisher.publish(to_message(status, "/robot"))

    def _advance(self):
        if self._script:
            self._tell(self._script.pop(0))

    def _recover(self, _request, response):
        response.success, response.message = not self._refusal, self._refusal or "begun"
        if response.success:
            self._script = list(STEPS[1:])
            self._tell(STEPS[0])
            self._timer.reset()  # each step lasts long enough to be seen
        return response

    def _confirm(self, _request, response):
        self.confirmations += 1
        self._tell((*self._end, ""))
        response.success = True
        return response

    def _cancel(self, _request, response):
        self.cancellations += 1
        self._script = []
        self._tell(("failed", "arm: unlock: given up", ""))
        response.success = True
        return response

    def close(self):
        self._executor.shutdown()
        self._thread.join()
        self._node.destroy_node()
        self._context.try_shutdown()


def at_a_terminal(answer, *words):
    """Run the command in a terminal in which a person types an answer when asked."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "labvla_bringup.cli", *words]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as child:
        os.close(theirs)
        shown, answered = "", False
        with contextlib.suppress(OSError):  # the terminal closes with the command
            while chunk := os.read(ours, 1024):
                shown += chunk.decode()
                if "[y/N]" in shown and not answered:
                    os.write(ours, answer.encode())
                    answered = True
        os.close(ours)
    return child.returncode, shown


@pytest.fixture
def robot():
    robots = []

    def make(**how):
        robots.append(FakeRobotNode(**how))
        return robots[0]

    yield make
    for made in robots:
        made.close()


def test_every_step_is_shown_and_the_end_is_the_answer(robot, labvla):
    made = robot()
    done = labvla("recover", "--confirmed")
    assert done.returncode == 0, done.stderr
    assert "arm: stop the program" in done.stdout
    assert "look at the arm" in done.stdout
    assert done.stdout.rstrip().endswith("ready")
    assert "what was before" not in done.stdout
    assert made.confirmations == 1


def test_without_a_person_nothing_is_confirmed(robot, labvla):
    made = robot()
    done = labvla("recover")
    assert done.returncode == 1
    assert "labvla recover --confirmed" in done.stderr
    assert made.confirmations == 0
    assert made.cancellations == 1, "nobody shall find it waiting"


@pytest.mark.parametrize("answer", ["n\n", "\n", "\x04"])  # ^D: nothing at all
def test_a_person_who_does_not_agree_gives_it_up(robot, answer):
    made = robot()
    code, shown = at_a_terminal(answer, "recover")
    assert code == 1
    assert "look at the arm" in shown
    assert "not confirmed: the robot stays stopped" in shown
    assert (made.confirmations, made.cancellations) == (0, 1)


def test_a_person_who_agrees_confirms(robot):
    made = robot()
    code, shown = at_a_terminal("y\n", "recover")
    assert code == 0, shown
    assert (made.confirmations, made.cancellations) == (1, 0)


def test_a_recovery_that_fails_is_a_no_with_its_words(robot, labvla):
    robot(end=("failed", "arm: start the program: no program is loaded"))
    done = labvla("recover", "--confirmed")
    assert done.returncode == 1
    assert "no program is loaded" in done.stderr


def test_a_refusal_is_shown_at_once(robot, labvla):
    robot(refusal="arm: an emergency stop is pressed")
    done = labvla("recover")
    assert done.returncode == 1
    assert "emergency stop is pressed" in done.stderr
