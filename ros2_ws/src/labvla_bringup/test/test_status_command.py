"""`labvla status` of a stack under `ros2 launch`: what its robots and its policy tell."""

import threading

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from labvla_msgs.msg import PolicyStatus
from labvla_policy.nodes import qos
from labvla_policy.nodes.robot_status import RobotStatus, from_message, to_message

STOPPED = RobotStatus(
    cell="dual_arm",
    cell_hash="abc",
    line="safety 3 (protective stop)",
    reason="protective_stop",
    subject="left",
    recovery="failed",
    doing="left: start the program: no program is loaded",
    states={"left": "safety 3 (protective stop)", "right": "safety 1 (normal)", "cell": "inactive"},
)


@pytest.fixture
def nodes():
    """A robot node and a policy node, as far as they tell how they are."""
    context = Context()
    rclpy.init(context=context)
    node = Node("robot", context=context)
    robot = node.create_publisher(DiagnosticStatus, "labvla/robot", qos.LATCHED)
    robot.publish(to_message(STOPPED, "/robot"))
    policy = node.create_publisher(PolicyStatus, "labvla/status", qos.RELIABLE)
    status = PolicyStatus(
        state=PolicyStatus.STOPPED,
        cell="dual_arm",
        engine="replay",
        message="protective_stop: why",
    )
    node.create_timer(0.1, lambda: policy.publish(status))
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    yield
    executor.shutdown()
    thread.join()
    node.destroy_node()
    context.try_shutdown()


def test_what_is_told_is_what_was_meant():
    assert from_message(to_message(STOPPED, "/robot")) == STOPPED


@pytest.mark.usefixtures("nodes")
def test_robots_and_policy_of_a_launched_stack_are_shown(labvla):
    code, told = labvla.json("status")
    assert code == 0
    assert (told["state"], told["cell"]) == ("launched", "dual_arm")
    assert told["robots"]["reason"] == "protective_stop"
    assert told["robots"]["states"] == STOPPED.states
    assert told["policy"] == {
        "state": "stopped",
        "engine": "replay",
        "instruction": "",
        "message": "protective_stop: why",
    }
    shown = labvla("status").stdout
    for words in ("dual_arm runs under ros2 launch", "protective_stop (left)", "safety 1 (normal)"):
        assert words in shown
    assert "no program is loaded" in shown
    assert "stopped, engine replay: protective_stop: why" in shown


def test_where_nothing_runs_nothing_is_up(labvla):
    code, told = labvla.json("status")
    assert code == 1
    assert (told["state"], told["robots"]) == ("down", None)
