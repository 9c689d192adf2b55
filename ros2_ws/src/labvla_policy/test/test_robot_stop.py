"""A robot that stops by itself: driver, robot node, policy, controller and gripper together."""

import gc
import json
import time
from pathlib import Path

import pytest
import rclpy
import vendor_messages
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger

from labvla_msgs.msg import GripperSetpoints, PolicyStatus
from labvla_msgs.srv import SetInstruction
from labvla_policy.nodes import gripper_bridge_node, qos
from labvla_policy.nodes.policy_node import PolicyNode
from labvla_policy.nodes.robot_node import RobotNode
from labvla_policy.runtime.report import Report

if absent := vendor_messages.provide():
    pytest.skip(absent, allow_module_level=True)

import mock_drivers

REPLAY = Path(__file__).resolve().parents[4] / "config" / "replays" / "nod.csv"
HELD, OPEN = 0.02, 0.08  # m


class Hand:
    """The driver of a hand."""

    def __init__(self):
        self.goals, self.reports = [], []

    def ready(self):
        return True

    def send(self, goal):
        self.goals.append(goal)
        ticket = len(self.goals)
        self.reports += [Report(ticket, "accepted"), Report(ticket, "succeeded")]
        return ticket

    def poll(self):
        reports, self.reports = self.reports, []
        return reports


class Controller:
    """Our controller: says what the fingers shall do, and holds them while it is stopped."""

    def __init__(self, node):
        self.stopped, self.target = False, HELD
        self._setpoints = node.create_publisher(
            GripperSetpoints, "labvla_controller/gripper", qos.RELIABLE
        )
        for verb, stopped in (("stop", True), ("reset_stop", False)):
            node.create_service(
                Trigger,
                f"labvla_controller/{verb}",
                lambda _, response, stopped=stopped: self._on(stopped, response),
            )
        node.create_timer(0.02, self._tell)

    def _on(self, stopped, response):
        self.stopped, response.success = stopped, True
        return response

    def _tell(self):
        self._setpoints.publish(
            GripperSetpoints(
                gripper_names=["arm_gripper"], targets=[self.target], holding=self.stopped
            )
        )


class Cell:
    """All nodes of a Franka's cell, and a person."""

    def __init__(self, monkeypatch):
        self.hand = Hand()
        monkeypatch.setattr(gripper_bridge_node, "port_of", lambda _node, _gripper: self.hand)
        options = json.dumps({"recording": str(REPLAY)})
        told = ("cell:=franka", "engine:=replay", f"engine_options:='{options}'", "robot:=true")
        rclpy.init(args=["--ros-args", *[word for one in told for word in ("-p", one)]])
        self.policy = PolicyNode()
        self.nodes = [self.policy, RobotNode(), gripper_bridge_node.GripperBridgeNode()]
        self.context = Context()
        rclpy.init(context=self.context)
        self.world = Node("world", context=self.context)
        self.manager = mock_drivers.MockManager(self.world, mock_drivers.Behaviour())
        self.robot = mock_drivers.MockFranka(self.world, self.manager)
        self.controller = Controller(self.world)
        self.statuses = []
        self.world.create_subscription(
            PolicyStatus, "labvla/status", self.statuses.append, qos.RELIABLE
        )
        self.executors = SingleThreadedExecutor(), SingleThreadedExecutor(context=self.context)
        for node in self.nodes:
            self.executors[0].add_node(node)
        self.executors[1].add_node(self.world)
        self.policy.start_by_itself()

    def until(self, condition):
        deadline = time.monotonic() + 90.0
        while not condition():
            assert time.monotonic() < deadline, self.statuses[-1:]
            for executor in self.executors:
                end = time.monotonic() + 0.02
                while time.monotonic() < end:
                    executor.spin_once(timeout_sec=0.002)

    def until_state(self, state):
        self.until(lambda: self.statuses and self.statuses[-1].state == state)

    def call(self, kind, name, request):
        client = self.world.create_client(kind, name)
        self.until(client.service_is_ready)
        future = client.call_async(request)
        self.until(future.done)
        return future.result()

    def trigger(self, name):
        return self.call(Trigger, name, Trigger.Request())

    def say(self, text):
        request = SetInstruction.Request(instruction=text)
        return self.call(SetInstruction, "labvla/set_instruction", request).accepted

    def close(self):
        self.policy.end()
        for executor in self.executors:
            executor.shutdown()
        for node in (*self.nodes, self.world):
            node.destroy_node()
        self.context.try_shutdown()
        rclpy.try_shutdown()
        gc.collect()  # action servers and nodes hold each other, and with them sockets


@pytest.fixture
def cell(monkeypatch):
    cell = Cell(monkeypatch)
    yield cell
    cell.close()


@pytest.mark.parametrize(("mode", "reason"), [(4, "protective_stop"), (5, "emergency_stop")])
def test_what_is_held_stays_held_and_the_plan_is_gone_until_somebody_asks(cell, mode, reason):
    cell.until_state(PolicyStatus.ACTIVE)
    assert cell.say("nod")
    assert cell.policy._cycle.instruction == "nod"
    cell.until(lambda: cell.hand.goals)
    assert [goal.kind for goal in cell.hand.goals] == ["close"]

    cell.robot.mode = mode
    cell.until_state(PolicyStatus.STOPPED)
    cell.until(lambda: cell.statuses[-1].message.startswith(reason))
    cell.until(lambda: cell.controller.stopped)
    cell.controller.target = OPEN  # what a plan would go on with
    cell.robot.reflex(mode)
    assert cell.policy._cycle.instruction == ""
    assert not cell.say("nod")
    assert not cell.trigger("labvla/reset_stop").success
    assert len(cell.hand.goals) == 1, "the fingers keep what they hold"

    cell.robot.mode = 1  # the button is released; the error is not cleared by that
    cell.until(lambda: cell.trigger("labvla/recover").success)
    cell.until_state(PolicyStatus.ACTIVE)
    cell.until(lambda: not cell.controller.stopped)
    assert cell.policy._cycle.instruction == ""
    assert cell.say("nod")


def test_a_person_who_stops_the_cell_ends_its_recovery(cell):
    cell.until_state(PolicyStatus.ACTIVE)
    cell.robot.reflex()
    cell.until_state(PolicyStatus.STOPPED)
    cell.manager.behaviour.refuses["switch"] = "not yet"
    cell.until(lambda: cell.trigger("labvla/recover").success)
    cell.until(lambda: "switch" in cell.manager.behaviour.asked)
    assert cell.trigger("labvla/stop").success
    recovery = cell.nodes[1]._recovery
    cell.until(lambda: "given up by a person" in recovery.progress.text)
    cell.manager.behaviour.refuses.clear()
    asked = len(cell.manager.behaviour.asked)
    end = time.monotonic() + 2.0
    cell.until(lambda: time.monotonic() > end)
    assert len(cell.manager.behaviour.asked) == asked
    assert cell.statuses[-1].state == PolicyStatus.STOPPED
