"""The monitor node on real topics: markers come and go with what the stack says."""

import time
from array import array

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from visualization_msgs.msg import Marker, MarkerArray

from labvla_msgs.msg import ActionChunk, ControllerState, PolicyStatus, SafetyEvent
from labvla_policy.nodes import qos
from labvla_policy.nodes.monitor_node import MonitorNode
from labvla_policy.nodes.parameters import ParameterError
from labvla_policy.nodes.stamps import to_stamp
from labvla_policy.runtime.cell import load_cell


class Scene:
    """The monitor, and a node that plays the stack and a display."""

    def __init__(self, cell, namespace="", *more):
        self.cell = load_cell(cell)
        words = [word for one in (f"cell:={cell}", "rate:=30.0", *more) for word in ("-p", one)]
        rclpy.init(args=["--ros-args", "-r", f"__ns:={namespace or '/'}", *words])
        self.context = Context()
        rclpy.init(context=self.context)
        self.world = Node("world", context=self.context, namespace=namespace or "/")
        self.arrays = []
        self.display = self.look()
        self.publishers = {
            kind: self.world.create_publisher(kind, topic, qos.RELIABLE)
            for kind, topic in (
                (ActionChunk, "labvla/action_chunk"),
                (ControllerState, f"{self.cell.controller.name}/state"),
                (PolicyStatus, "labvla/status"),
                (SafetyEvent, "labvla/events"),
            )
        }
        self.robot = self.world.create_publisher(DiagnosticStatus, "labvla/robot", qos.LATCHED)
        self.executors = (SingleThreadedExecutor(), SingleThreadedExecutor(context=self.context))
        self.node = MonitorNode()
        for executor, node in zip(self.executors, (self.node, self.world), strict=True):
            executor.add_node(node)
        self.q = np.concatenate([arm.posture("ready").joints for arm in self.cell.arms])

    def look(self):
        return self.world.create_subscription(
            MarkerArray, "labvla/markers", self.arrays.append, qos.RELIABLE
        )

    def close(self):
        for executor in self.executors:
            executor.shutdown()
        self.node.destroy_node()
        self.world.destroy_node()
        rclpy.shutdown()
        rclpy.shutdown(context=self.context)

    @property
    def now(self):
        return self.node.get_clock().now().nanoseconds

    def until(self, condition, doing=lambda: None, seconds=30.0):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            doing()
            for executor in self.executors:
                end = time.monotonic() + 0.01
                while time.monotonic() < end:
                    executor.spin_once(timeout_sec=0.002)
        return self

    def shown(self):
        """What a display has by now, by namespace and number."""
        markers = {}
        for message in self.arrays:
            for marker in message.markers:
                if marker.action == Marker.DELETEALL:
                    markers.clear()
                elif marker.action == Marker.DELETE:
                    del markers[marker.ns, marker.id]
                else:
                    markers[marker.ns, marker.id] = marker
        return markers

    def layers(self):
        return {layer for layer, _ in self.shown()}

    def text(self):
        return next((m.text for (layer, _), m in self.shown().items() if layer == "status"), "")

    def tell(self, message):
        self.publishers[type(message)].publish(message)

    def move(self, mode=ControllerState.TRACKING):
        values = array("d", self.q)
        self.tell(
            ControllerState(
                stamp=to_stamp(self.now),
                mode=mode,
                joint_names=self.cell.joints,
                reference_positions=values,
                reference_velocities=array("d", np.zeros(len(self.q))),
                measured_positions=values,
                speed_scaling=1.0,
            )
        )

    def plan(self, rows=30):
        targets = self.q + np.linspace(0, 0.1, rows)[:, np.newaxis]
        self.tell(
            ActionChunk(
                plan_start=to_stamp(self.now),
                dt=1 / 30,
                rows=rows,
                joint_names=self.cell.joints,
                joint_targets=array("d", targets.tobytes()),
            )
        )


@pytest.fixture
def scene():
    """Return what starts a monitor with a stack around it."""
    open_ones = []

    def start(*arguments):
        open_ones.append(Scene(*arguments))
        return open_ones[-1]

    yield start
    for one in open_ones:
        one.close()


def test_a_plan_comes_and_goes_again(scene):
    stage = scene("franka")
    stage.until(lambda: "boxes/tool" in stage.layers())

    def go_on():
        stage.move()
        stage.plan()

    stage.until(lambda: {"arm/plan", "arm/ghost", "cameras/view"} <= stage.layers(), go_on)
    stage.until(lambda: "arm/plan" not in stage.layers(), stage.move)
    assert "arm/ghost" not in stage.layers()
    assert {"boxes/tool", "boxes/keep_out", "status", "arm/done"} <= stage.layers()


def test_markers_are_in_the_cells_frame_without_a_stamp_and_what_moves_ends_by_itself(scene):
    stage = scene("franka")
    stage.until(lambda: "arm/done" in stage.layers(), stage.move)
    assert stage.arrays[0].markers[0].action == Marker.DELETEALL
    for (layer, _), marker in stage.shown().items():
        assert marker.header.frame_id == "bench"
        assert (marker.header.stamp.sec, marker.header.stamp.nanosec) == (0, 0)
        assert (marker.lifetime.sec == 0) == layer.startswith("boxes/")
        q = marker.pose.orientation
        assert q.x**2 + q.y**2 + q.z**2 + q.w**2 == pytest.approx(1)
        assert len(marker.colors) in (0, len(marker.points))


def test_whoever_begins_to_look_later_sees_the_boxes_too(scene):
    stage = scene("franka")
    stage.until(lambda: "boxes/tool" in stage.layers())
    stage.world.destroy_subscription(stage.display)
    stage.arrays.clear()
    stage.look()
    stage.until(lambda: {"boxes/tool", "status"} <= stage.layers())


def test_two_arms_in_a_namespace_are_told_apart(scene):
    stage = scene("dual_arm", "/lab1")

    def go_on():
        stage.move()
        stage.plan()

    stage.until(lambda: {"left/plan", "right/plan", "left/ghost"} <= stage.layers(), go_on)
    assert stage.node.get_publishers_info_by_topic("/lab1/labvla/markers")


def test_the_text_tells_state_refusal_and_robot(scene):
    stage = scene("franka")
    stage.robot.publish(DiagnosticStatus(level=DiagnosticStatus.ERROR, message="a reflex"))

    def tell():
        stamp = to_stamp(stage.now)
        stage.tell(PolicyStatus(stamp=stamp, state=PolicyStatus.STOPPED, motion_owner="none"))
        for severity, reason in ((SafetyEvent.REFUSED, "workspace"), (SafetyEvent.INFO, "hello")):
            event = SafetyEvent(stamp=stamp, severity=severity, source="gate", reason=reason)
            stage.tell(event)

    wanted = ("policy: stopped", "STOP LATCHED", "gate workspace", "robot: a reflex")
    stage.until(lambda: all(words in stage.text() for words in wanted), tell)
    assert "hello" not in stage.text()


def test_nothing_is_drawn_for_nobody(scene):
    stage = scene("franka")
    stage.until(lambda: "boxes/tool" in stage.layers())
    stage.world.destroy_subscription(stage.display)
    stage.until(lambda: stage.node._publisher.get_subscription_count() == 0)
    calls = []
    stage.node._picture.marks = lambda t: calls.append(t) or []
    began = time.monotonic()
    stage.until(lambda: time.monotonic() - began > 0.3)
    assert calls == []


@pytest.mark.parametrize("words", ["rate:=0.0", "rate:=1000.0", "trail:=.nan"])
def test_a_wrong_parameter_is_named(words):
    rclpy.init(args=["--ros-args", "-p", "cell:=franka", "-p", words])
    try:
        with pytest.raises(ParameterError, match=words.split(":=")[0]):
            MonitorNode()
    finally:
        rclpy.shutdown()
