"""Goals reach the makers' actions in their units, and what becomes of them comes back in order."""

import sys
import threading
import time
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import pytest
import rclpy
from rclpy.action import ActionClient, ActionServer, CancelResponse, GoalResponse
from rclpy.context import Context
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node

from labvla_msgs.action import MoveTo
from labvla_policy.nodes import gripper_ports
from labvla_policy.nodes.action_port import ActionPort
from labvla_policy.nodes.gripper_ports import port_of
from labvla_policy.nodes.vendor import MissingMessages
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.gripping.port import Goal

CLOSE = Goal("close", 0.02, 0.1, 20.0)
OPEN = Goal("open", 0.06, 0.1, 20.0)


class FakeClient:
    """Keeps the goals that an action would get."""

    def __init__(self, _node, kind, name):
        self.kind, self.name, self.goals = kind, name, []

    def server_is_ready(self):
        return True

    def send_goal_async(self, goal):
        self.goals.append(goal)
        return SimpleNamespace(add_done_callback=lambda _call: None)


class FakeNode:
    def __init__(self):
        self.calls = []

    def create_client(self, _kind, name):
        return SimpleNamespace(call_async=lambda _request: self.calls.append(name))


class Message(SimpleNamespace):
    """A message whose nested fields are there when they are written to."""

    def __getattr__(self, name):
        setattr(self, name, Message())
        return vars(self)[name]


@pytest.fixture
def makers(monkeypatch):
    """The message packages of the makers, as far as their fields go."""
    for package, names in (
        ("franka_msgs", ("Move", "Grasp")),
        ("control_msgs", ("GripperCommand", "ParallelGripperCommand")),
    ):
        module = ModuleType(f"{package}.action")
        for name in names:
            setattr(module, name, SimpleNamespace(Goal=Message))
        monkeypatch.setitem(sys.modules, package, ModuleType(package))
        monkeypatch.setitem(sys.modules, f"{package}.action", module)
    monkeypatch.setattr(gripper_ports, "ActionClient", FakeClient)


def gripper(cell, **changes):
    return replace(load_cell(cell).arms[0].gripper, **changes)


@pytest.mark.usefixtures("makers")
def test_a_franka_hand_opens_with_move_and_closes_with_grasp_on_whatever_resists():
    node = FakeNode()
    port = port_of(node, gripper("franka"))
    assert port.ready()
    port.send(OPEN)
    port.send(CLOSE)
    (move,), (grasp,) = port._move.goals, port._grasp.goals
    assert (port._move.name, port._grasp.name) == ("franka_gripper/move", "franka_gripper/grasp")
    assert (move.width, move.speed) == (0.06, 0.1)
    assert (grasp.width, grasp.speed, grasp.force) == (0.02, 0.1, 20.0)
    assert grasp.width - grasp.epsilon.inner == 0.0
    assert grasp.width + grasp.epsilon.outer == pytest.approx(0.08)
    port.interrupt()
    assert node.calls == ["franka_gripper/stop"]


@pytest.mark.usefixtures("makers")
def test_a_gripper_command_is_in_the_units_of_the_drivers_joint():
    port = port_of(FakeNode(), gripper("franka", interface="gripper_command"))
    port.send(CLOSE)
    command = port._client.goals[0].command
    assert command.position == pytest.approx(0.01)  # of one finger
    assert command.max_effort == 20.0


@pytest.mark.usefixtures("makers")
def test_a_robotiq_closes_towards_larger_angles():
    port = port_of(FakeNode(), gripper("ur5e", interface="parallel_gripper_command"))
    port.send(Goal("close", 0.0, 0.1, 30.0))
    command = port._client.goals[0].command
    assert command.name == [gripper("ur5e").joint]
    assert command.position == [pytest.approx(0.7929)]
    assert command.effort == [30.0]


@pytest.mark.parametrize(
    ("cell", "package", "action"),
    [("franka", "franka_msgs", "Move"), ("ur5e", "control_msgs", "ParallelGripperCommand")],
)
def test_missing_messages_are_named_with_what_to_install(monkeypatch, cell, package, action):
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    monkeypatch.delitem(sys.modules, f"{package}.action", raising=False)
    with pytest.raises(MissingMessages, match=f"{package}/action/{action}.*install the ROS"):
        port_of(FakeNode(), gripper(cell))


# --- against a real action


class Server:
    """An action whose behaviour a test chooses."""

    def __init__(self):
        self.context = Context()
        rclpy.init(context=self.context)
        self.node = Node("hand", context=self.context)
        self.accepts = True
        self.takes = 0.0  # s
        self._action = ActionServer(
            self.node,
            MoveTo,
            "hand/goal",
            self._work,
            goal_callback=lambda _: GoalResponse.ACCEPT if self.accepts else GoalResponse.REJECT,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )
        self.port = ActionPort()
        self.client = ActionClient(self.node, MoveTo, "hand/goal")
        self._executor = MultiThreadedExecutor(4, context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()
        assert self.client.wait_for_server(20.0)

    def _work(self, goal):
        end = time.monotonic() + self.takes
        while time.monotonic() < end:
            if goal.is_cancel_requested:
                goal.canceled()
                return MoveTo.Result()
            time.sleep(0.01)
        goal.succeed()
        return MoveTo.Result(success=goal.request.posture != "fail")

    def reports(self, number):
        found, deadline = [], time.monotonic() + 20.0
        while len(found) < number and time.monotonic() < deadline:
            found += self.port.poll()
            time.sleep(0.01)
        return [(report.ticket, report.what) for report in found]

    def close(self):
        self._executor.shutdown()
        self._thread.join()
        self.node.destroy_node()
        self.context.try_shutdown()


@pytest.fixture(scope="module")
def running():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def server(running):
    running.accepts, running.takes, running.port = True, 0.0, ActionPort()
    return running


def test_a_goal_that_succeeds(server):
    ticket = server.port.send_to(server.client, MoveTo.Goal(posture="close"))
    assert server.reports(2) == [(ticket, "accepted"), (ticket, "succeeded")]


def test_a_goal_that_ends_without_having_been_done_has_failed(server):
    server.port.send_to(server.client, MoveTo.Goal(posture="fail"))
    assert server.reports(2) == [(1, "accepted"), (1, "failed")]


def test_a_goal_that_is_rejected(server):
    server.accepts = False
    server.port.send_to(server.client, MoveTo.Goal())
    assert server.reports(1) == [(1, "rejected")]


def test_a_goal_that_is_canceled_under_way(server):
    server.takes = 30.0
    ticket = server.port.send_to(server.client, MoveTo.Goal())
    assert server.reports(1) == [(ticket, "accepted")]
    server.port.cancel(ticket)
    assert server.reports(1) == [(ticket, "canceled")]


def test_a_goal_that_is_canceled_before_it_was_accepted(server):
    server.takes = 30.0
    server.port.cancel(server.port.send_to(server.client, MoveTo.Goal()))
    assert server.reports(2) == [(1, "accepted"), (1, "canceled")]
