"""A policy of real robots is active only while somebody says that they are ready."""

import json
import time
from pathlib import Path

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger

from labvla_msgs.msg import PolicyStatus, SafetyEvent
from labvla_msgs.srv import SetInstruction
from labvla_policy.nodes import qos
from labvla_policy.nodes.policy_node import PolicyNode
from labvla_policy.runtime.cell import load_cell

REPLAY = Path(__file__).resolve().parents[4] / "config" / "replays" / "nod.csv"


class Bench:
    """The policy node, and a node that plays robot node, controller and person."""

    def __init__(self, robot):
        options = json.dumps({"recording": str(REPLAY)})
        parameters = ("cell:=franka", "engine:=replay", f"engine_options:='{options}'")
        words = [word for one in parameters for word in ("-p", one)]
        rclpy.init(args=["--ros-args", *words, "-p", f"robot:={str(robot).lower()}"])
        self.policy = PolicyNode()
        self.context = Context()
        rclpy.init(context=self.context)
        self.world = Node("world", context=self.context)
        self.asked, self.events, self.statuses = [], [], []
        controller = load_cell("franka").controller.name
        for verb in ("stop", "reset_stop"):
            self.world.create_service(
                Trigger, f"{controller}/{verb}", lambda _, r, verb=verb: self._note(verb, r)
            )
        for kind, topic, found in (
            (SafetyEvent, "labvla/events", self.events),
            (PolicyStatus, "labvla/status", self.statuses),
        ):
            self.world.create_subscription(kind, topic, found.append, qos.RELIABLE)
        self._robot = self.world.create_publisher(DiagnosticStatus, "labvla/robot", qos.LATCHED)
        self.says = None  # reason, or "" for ready; None: the robot node does not run
        self.executors = SingleThreadedExecutor(), SingleThreadedExecutor(context=self.context)
        self.executors[0].add_node(self.policy)
        self.executors[1].add_node(self.world)
        self.policy.start_by_itself()

    def _note(self, verb, response):
        self.asked.append(verb)
        response.success = True
        return response

    def spin(self):
        if self.says is not None:
            level = DiagnosticStatus.ERROR if self.says else DiagnosticStatus.OK
            values = [
                KeyValue(key="reason", value=self.says),
                KeyValue(key="subject", value="arm"),
            ]
            self._robot.publish(DiagnosticStatus(level=level, message="words", values=values))
        for executor in self.executors:
            end = time.monotonic() + 0.02
            while time.monotonic() < end:
                executor.spin_once(timeout_sec=0.002)

    def until(self, condition):
        deadline = time.monotonic() + 60.0
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            self.spin()

    def for_seconds(self, seconds):
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > end)

    def call(self, kind, name, request):
        client = self.world.create_client(kind, name)
        self.until(client.service_is_ready)
        future = client.call_async(request)
        self.until(future.done)
        return future.result()

    def state(self):
        return self.statuses[-1].state if self.statuses else None

    def active(self):
        return self.until(lambda: self.state() == PolicyStatus.ACTIVE)

    def close(self):
        self.policy.end()
        for executor in self.executors:
            executor.shutdown()
        self.policy.destroy_node()
        self.world.destroy_node()
        self.context.try_shutdown()
        rclpy.try_shutdown()


@pytest.fixture
def bench():
    bench = Bench(robot=True)
    yield bench
    bench.close()


@pytest.fixture
def running(bench):
    bench.says = ""
    bench.active()
    return bench


def test_it_becomes_active_only_when_the_robot_is_ready(bench):
    bench.until(bench.policy._loop.ready.is_set)
    bench.for_seconds(1.0)
    assert bench.state() == PolicyStatus.READY, "nobody watches the robot"
    assert bench.statuses[-1].message.startswith("robot_silent")
    bench.says = "robot_idle"
    bench.for_seconds(1.0)
    assert bench.state() == PolicyStatus.READY
    assert bench.statuses[-1].message.startswith("robot_idle")
    bench.says = ""
    bench.active()


def test_a_robot_that_stops_drops_the_plan_and_needs_a_reset_that_is_refused_until_it_is_ready(
    running,
):
    running.says = "protective_stop"
    running.until(lambda: running.state() == PolicyStatus.STOPPED)
    running.until(lambda: "stop" in running.asked)
    assert running.policy._cycle.instruction == ""
    assert running.policy._arbiter.stopped
    stopped = [event for event in running.events if event.reason == "protective_stop"]
    assert stopped[0].severity == SafetyEvent.STOPPED
    refused = running.call(Trigger, "labvla/reset_stop", Trigger.Request())
    assert not refused.success
    assert "protective_stop" in refused.message
    running.says = ""
    running.for_seconds(0.5)
    assert running.state() == PolicyStatus.STOPPED, "ready is not the same as asked for"
    instruction = SetInstruction.Request(instruction="pick")
    assert not running.call(SetInstruction, "labvla/set_instruction", instruction).accepted
    assert running.call(Trigger, "labvla/reset_stop", Trigger.Request()).success
    running.active()
    assert "reset_stop" in running.asked


def test_a_robot_node_that_falls_silent_stops_the_policy(running):
    running.says = None
    running.until(lambda: running.state() == PolicyStatus.STOPPED)
    assert any(event.reason == "robot_silent" for event in running.events)


def offered(node):
    return {service.service_name for service in node.services}


def test_recovery_is_left_to_the_robot_node_where_there_is_one(bench):
    own = offered(bench.policy)
    assert "/labvla/reset_stop" in own
    assert "/labvla/recover" not in own


def test_a_simulated_cell_needs_no_robot_node():
    bench = Bench(robot=False)
    try:
        bench.active()
        assert "/labvla/recover" in offered(bench.policy)
    finally:
        bench.close()
