"""MoveIt is asked in its own words, and every way in which it can fail has a name.

moveit_py does not run here: fakes/moveit_stand_in.py has its names.
"""

import threading
import time

import moveit_stand_in
import numpy as np
import pytest
import rclpy
from moveit_stand_in import GOAL_IN_COLLISION, PLANNING_FAILED, TIMED_OUT, World
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import String

from labvla_policy.nodes import moveit_planner, qos
from labvla_policy.nodes.moveit_planner import (
    MissingPlanner,
    MoveItPlanner,
    collision_boxes,
    planner_for,
)
from labvla_policy.nodes.policy_node import PolicyNode
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.refusal import Refused

URDF = '<robot name="fr3"><link name="base"/></robot>'
PATIENCE = 20.0


class Bench:
    """A planner in a node, and a robot_state_publisher."""

    def __init__(self, cell, planning_time=5.0, namespace="/lab1"):
        self.cell = load_cell(cell)
        self.world = World((*self.cell.joints, "a_finger"))
        self.context = Context()
        rclpy.init(context=self.context)
        self.node = Node("policy", context=self.context, namespace=namespace)
        self.driver = Node("driver", context=self.context, namespace=namespace)
        self.time = planning_time
        self.start = np.concatenate([arm.posture("ready").joints for arm in self.cell.arms])
        self.goal = np.concatenate([arm.posture("home").joints for arm in self.cell.arms])

    def make(self, description=URDF):
        self.planner = MoveItPlanner(self.node, self.cell, self.time)
        if description is not None:
            publisher = self.driver.create_publisher(String, "robot_description", qos.LATCHED)
            publisher.publish(String(data=description))
            executor = SingleThreadedExecutor(context=self.context)
            executor.add_node(self.node)
            deadline = time.monotonic() + PATIENCE
            while not self.planner._heard.is_set():
                assert time.monotonic() < deadline, "no description was heard"
                executor.spin_once(timeout_sec=0.05)
            executor.shutdown()
        return self.planner

    def find(self):
        return self.planner.find(self.start, self.goal)

    def why_not(self):
        with pytest.raises(Refused) as refused:
            self.find()
        return refused.value.refusal

    def close(self):
        self.node.destroy_node()
        self.driver.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture
def bench(monkeypatch):
    """Return what makes a planner over the stand-in."""
    made = []

    def make(cell="franka", **more):
        made.append(Bench(cell, **more))
        moveit_stand_in.install(monkeypatch, made[-1].world)
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize(
    ("cell", "group"), [("franka", "arm"), ("ur5e", "arm"), ("dual_franka", "both_arms")]
)
def test_a_way_is_asked_for_by_joint_name_and_comes_back_with_its_own_order(bench, cell, group):
    stage = bench(cell)
    stage.make()
    way = stage.find()
    (asked,) = stage.world.asked
    assert asked.group == group
    by_name = dict(zip(stage.cell.joints, stage.start, strict=True))
    assert {name: asked.start[name] for name in by_name} == pytest.approx(by_name)
    assert asked.start["a_finger"] == 0.0
    assert way.joint_names == tuple(sorted(stage.world.joints))
    assert way.points.shape == (2, len(stage.world.joints))
    assert way.points[0, way.joint_names.index(stage.cell.joints[2])] == stage.start[2]


def test_moveit_is_told_the_drivers_robot_the_cells_limits_and_boxes(bench):
    stage = bench(planning_time=2.5)
    stage.make()
    stage.find()
    (moveit,) = stage.world.made
    assert moveit.name_space == "/lab1"
    assert not moveit.provides_service
    assert moveit.config["robot_description"] == URDF
    assert '<robot name="fr3">' in moveit.config["robot_description_semantic"]
    limits = moveit.config["robot_description_planning"]["joint_limits"]["fr3_joint2"]
    assert limits["max_velocity"] == stage.cell.arms[0].operating_limits.velocity[1]
    assert moveit.config["planning_pipelines"]["pipeline_names"][0] == "ompl"
    assert stage.world.asked[0].parameters.planning_time == 2.5
    assert [box.id for box in stage.world.boxes] == [
        box.name for box in stage.cell.workspace.keep_out
    ]


@pytest.mark.parametrize("cell", ["franka", "dual_arm"])
def test_boxes_are_where_the_gate_has_them(bench, cell):
    stage = bench(cell)
    foot = stage.cell.arms[0].base.matrix()
    for told, box in zip(collision_boxes(stage.cell), stage.cell.workspace.keep_out, strict=True):
        assert told.header.frame_id == stage.cell.arms[0].base_frame
        place = told.primitive_poses[0].position
        centre = foot @ [place.x, place.y, place.z, 1.0]
        np.testing.assert_allclose(centre[:3], np.add(box.lower, box.upper) / 2, atol=1e-9)
        (primitive,) = told.primitives
        np.testing.assert_allclose(primitive.dimensions, np.subtract(box.upper, box.lower))


def test_it_loads_once(bench):
    stage = bench()
    stage.make()
    stage.find()
    stage.find()
    assert len(stage.world.made) == 1


def test_without_a_robots_description_it_says_who_is_missing(bench):
    stage = bench()
    stage.make(description=None)
    refusal = stage.why_not()
    assert refusal.reason == "planner_unready"
    assert "/lab1/robot_description" in refusal.detail


def test_a_description_that_is_none_is_refused(bench):
    stage = bench()
    stage.make(description="no xml")
    assert stage.why_not().reason == "planner_unready"


def test_moveit_that_does_not_load_says_why_and_is_tried_again(bench):
    stage = bench()
    stage.world.load_error = "no plugin ompl_interface/OMPLPlanner"
    stage.make()
    refusal = stage.why_not()
    assert refusal.reason == "planner_unready"
    assert "no plugin ompl_interface" in refusal.detail
    stage.world.load_error = None
    assert len(stage.find().points) == 2


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        (GOAL_IN_COLLISION, "planner_no_plan", "the goal is in contact (code -12)"),
        (PLANNING_FAILED, "planner_no_plan", "planning failed (code -1)"),
        (-31, "planner_no_plan", "no way was found (code -31)"),
        (TIMED_OUT, "planner_timeout", "in the time that it had"),
    ],
)
def test_no_plan_has_moveits_own_reason(bench, code, reason, words):
    stage = bench()
    stage.world.answer = lambda start, goal: code
    stage.make()
    refusal = stage.why_not()
    assert refusal.reason == reason
    assert words in refusal.detail


def test_a_planner_that_raises_is_no_way_to_end_the_node(bench):
    def fail(start, goal):
        raise RuntimeError("segment of no length")

    stage = bench()
    stage.world.answer = fail
    stage.make()
    refusal = stage.why_not()
    assert (refusal.reason, "segment of no length" in refusal.detail) == ("planner_unready", True)


def test_a_planner_that_hangs_is_given_up_and_asked_again_when_it_is_back(bench, monkeypatch):
    go_on = threading.Event()
    stage = bench(planning_time=0.1)
    answer = stage.world.answer

    def hang(start, goal):
        go_on.wait(PATIENCE)
        return answer(start, goal)

    stage.world.answer = hang
    monkeypatch.setattr(moveit_planner, "GRACE", 0.1)
    stage.make()
    refusal = stage.why_not()
    assert (refusal.reason, "still planning" in refusal.detail) == ("planner_timeout", True)
    refusal = stage.why_not()
    assert (refusal.reason, refusal.detail) == (
        "planner_timeout",
        "it still works on the goal before",
    )
    go_on.set()
    stage.planner._planning.result(PATIENCE)
    monkeypatch.setattr(moveit_planner, "GRACE", PATIENCE)
    assert len(stage.find().points) == 2


def test_postures_with_too_few_joints_are_refused(bench):
    stage = bench()
    stage.world.answer = lambda start, goal: (stage.cell.joints, [[0.0] * 7, [0.0] * 6])
    stage.make()
    assert stage.why_not().reason == "planner_answer"


def test_its_node_is_ended_with_ours(bench):
    stage = bench()
    stage.make()
    stage.find()
    stage.planner.end()
    deadline = time.monotonic() + PATIENCE
    while not stage.world.shut_down:
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- which planner


def chosen(stage, wanted, sim=False):
    stage.node.set_parameters([rclpy.parameter.Parameter("use_sim_time", value=sim)])
    return planner_for(stage.node, stage.cell, wanted, 5.0)


def test_moveit_is_taken_where_it_is_installed_and_time_is_real(bench):
    stage = bench()
    assert isinstance(chosen(stage, "auto"), MoveItPlanner)
    assert isinstance(chosen(stage, "moveit", sim=True), MoveItPlanner)
    assert chosen(stage, "auto", sim=True) is None
    assert chosen(stage, "joint") is None


def test_without_moveit_motions_are_straight_unless_it_was_asked_for():
    stage = Bench("franka")
    try:
        assert not moveit_planner.is_installed()
        assert chosen(stage, "auto") is None
        with pytest.raises(MissingPlanner, match="install the ROS package moveit_py"):
            chosen(stage, "moveit")
    finally:
        stage.close()


def test_the_policy_node_does_not_start_without_the_planner_that_it_was_told():
    options = '{"recording": "nod.csv"}'
    words = ("cell:=franka", "engine:=replay", f"engine_options:='{options}'", "planner:=moveit")
    rclpy.init(args=["--ros-args", *[word for one in words for word in ("-p", one)]])
    try:
        with pytest.raises(MissingPlanner):
            PolicyNode()
    finally:
        rclpy.shutdown()
