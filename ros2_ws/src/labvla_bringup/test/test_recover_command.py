"""`labvla recover` goes with a recovery to its end, and asks the person where it waits for one."""

import threading

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger

from labvla_policy.nodes import qos

STEPS = (("running", "arm: stop the program", ""), ("waiting", "arm: unlock", "look at the arm"))


class FakeRobotNode:
    """Tells one step after another, and waits for a confirmation as the robot node does."""

    def __init__(self, end=("done", "ready"), refusal=""):
        self._end, self._refusal, self._script = end, refusal, []
        self.confirmations = 0
        self._context = Context()
        rclpy.init(context=self._context)
        self._node = Node("robot", context=self._context)
        self._publisher = self._node.create_publisher(DiagnosticStatus, "labvla/robot", qos.LATCHED)
        self._node.create_service(Trigger, "labvla/recover", self._recover)
        self._node.create_service(Trigger, "labvla/confirm_recovery", self._confirm)
        self._node.create_timer(1.0, self._advance)
        self._tell(("failed", "arm: what was before", ""))
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def _tell(self, told):
        phase, doing, confirm = told
        values = {"recovery": phase, "doing": doing, "confirm": confirm, "step": "1 of 2"}
        self._publisher.publish(
            DiagnosticStatus(values=[KeyValue(key=k, value=v) for k, v in values.items()])
        )

    def _advance(self):
        if self._script:
            self._tell(self._script.pop(0))

    def _recover(self, _request, response):
        response.success, response.message = not self._refusal, self._refusal or "begun"
        if response.success:
            self._script = list(STEPS[1:])
            self._tell(STEPS[0])
        return response

    def _confirm(self, _request, response):
        self.confirmations += 1
        self._tell((*self._end, ""))
        response.success = True
        return response

    def close(self):
        self._executor.shutdown()
        self._thread.join()
        self._node.destroy_node()
        self._context.try_shutdown()


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
