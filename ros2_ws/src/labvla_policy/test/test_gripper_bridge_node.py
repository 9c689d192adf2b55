"""The bridge between real topics and a hand: set-points in, goals out, faults by name."""

import math
import os
import subprocess
import sys
import time

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import JointState

from labvla_msgs.msg import GripperSetpoints, SafetyEvent
from labvla_policy.nodes import gripper_bridge_node, qos
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.report import Report


class Hand:
    """A driver that does at once what it is asked."""

    def __init__(self):
        self.goals, self.reports, self.opening = [], [], 0.08

    def ready(self):
        return True

    def send(self, goal):
        self.goals.append(goal)
        self.opening = goal.opening
        ticket = len(self.goals)
        self.reports += [Report(ticket, "accepted"), Report(ticket, "succeeded")]
        return ticket

    def cancel(self, _ticket):
        raise AssertionError("nothing to cancel")

    def interrupt(self):
        raise AssertionError("nothing to interrupt")

    def poll(self):
        reports, self.reports = self.reports, []
        return reports


class Bench:
    """The bridge, and a node that plays controller and hand to it."""

    def __init__(self, monkeypatch):
        self.hand = Hand()
        monkeypatch.setattr(gripper_bridge_node, "port_of", lambda _node, _gripper: self.hand)
        cell = load_cell("franka")
        rclpy.init(args=["--ros-args", "-p", "cell:=franka"])
        self.bridge = gripper_bridge_node.GripperBridgeNode()
        self.context = Context()
        rclpy.init(context=self.context)
        self.node = Node("bench", context=self.context)
        self.executors = SingleThreadedExecutor(), SingleThreadedExecutor(context=self.context)
        self.executors[0].add_node(self.bridge)
        self.executors[1].add_node(self.node)
        name = cell.controller.name
        self._setpoints = self.node.create_publisher(
            GripperSetpoints, f"{name}/gripper", qos.RELIABLE
        )
        gripper = cell.arms[0].gripper
        self._joint = gripper.joint
        self._states = self.node.create_publisher(JointState, gripper.state_topic, qos.RELIABLE)
        self.events, self.diagnostics = [], []
        for kind, topic, found in (
            (SafetyEvent, "labvla/events", self.events),
            (DiagnosticArray, "/diagnostics", self.diagnostics),
        ):
            self.node.create_subscription(kind, topic, found.append, qos.RELIABLE)

    def until(self, condition, names=("arm_gripper",), targets=(0.02,), holding=False):
        deadline = time.monotonic() + 20.0
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            self._setpoints.publish(
                GripperSetpoints(gripper_names=names, targets=targets, holding=holding)
            )
            finger = JointState(name=[self._joint], position=[self.hand.opening / 2])
            self._states.publish(finger)
            for executor in self.executors:
                end = time.monotonic() + 0.01
                while time.monotonic() < end:
                    executor.spin_once(timeout_sec=0.002)

    def close(self):
        for executor in self.executors:
            executor.shutdown()
        self.bridge.destroy_node()
        self.node.destroy_node()
        self.context.try_shutdown()
        rclpy.try_shutdown()


@pytest.fixture
def bench(monkeypatch):
    bench = Bench(monkeypatch)
    yield bench
    bench.close()


def test_a_target_becomes_a_goal_and_a_stop_becomes_none(bench):
    bench.until(lambda: bench.hand.goals)
    assert [(goal.kind, goal.opening) for goal in bench.hand.goals] == [("close", 0.02)]

    def message():
        statuses = bench.diagnostics[-1].status if bench.diagnostics else []
        return statuses[0].message if statuses else ""

    bench.until(lambda: message() == "closed")
    seen = len(bench.diagnostics)
    bench.until(lambda: len(bench.diagnostics) > seen + 1, targets=(0.08,), holding=True)
    assert len(bench.hand.goals) == 1
    bench.until(lambda: len(bench.hand.goals) == 2, targets=(0.08,))
    assert bench.hand.goals[1].kind == "open"
    assert bench.events == []


def test_set_points_for_another_cell_are_refused_by_name(bench):
    bench.until(lambda: bench.events, names=("left_gripper",))
    assert bench.events[0].reason == "gripper_setpoint"
    assert bench.events[0].joint == "left_gripper"
    assert bench.hand.goals == []


def test_a_state_outside_of_the_fingers_range_is_told(bench):
    bench.hand.opening = 1.0  # metres where the driver means millimetres
    bench.until(lambda: bench.events, targets=(math.nan,))
    assert bench.events[0].reason == "gripper_state_range"


def test_a_cell_whose_drivers_messages_are_missing_ends_the_node_with_their_name():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.modules['franka_msgs'] = None  # as if it were not installed\n"
            "from labvla_policy.nodes.gripper_bridge_node import main;sys.exit(main())",
            "--ros-args",
            "-p",
            "cell:=franka",
        ],
        env=os.environ,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 3
    assert "franka_msgs/action/Move, which is not installed" in done.stderr
