"""MoveIt as a planner, and as nothing else: it is asked for ways, and never moves anything.

MoveItPy lives on one thread of its own, from its import to its end: it loads for seconds, plans for
as long as it is allowed to, and whoever waits for it waits no longer than that. Its robot is the
one that the driver publishes; groups, limits and pipelines come from the cell.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as LateError
from importlib import import_module
from importlib.util import find_spec
from math import nan
from typing import Any
from xml.etree import ElementTree

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion
from rclpy.node import Node
from shape_msgs.msg import SolidPrimitive
from std_msgs.msg import Header, String

from labvla_policy.nodes import qos
from labvla_policy.nodes.run import Lacking
from labvla_policy.nodes.vendor import message_type
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.moveit import config, whole
from labvla_policy.runtime.moveit.files import REQUEST
from labvla_policy.runtime.mover.way import Way
from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.rotations import quaternion
from labvla_policy.runtime.types import Array

DESCRIPTION = "robot_description"
LOAD_TIME = 30.0  # s for MoveIt to load a robot and its plugins
GRACE = 1.0  # s beyond the planning time for smoothing and checking
NODE = "move_to_planner"

_TIMED_OUT = -6  # of moveit_msgs/MoveItErrorCodes
_ERRORS = {
    -1: "planning failed",
    -2: "the plan is invalid",
    -10: "the arms are in contact where they are, as MoveIt sees them",
    -12: "the goal is in contact",
    -16: "the goal is invalid",
    -17: "the state is invalid",
    -26: "the state where it begins is invalid",
    -27: "the goal's state is invalid",
}


def planner_for(node: Node, cell: Cell, wanted: str, planning_time: float) -> MoveItPlanner | None:
    """Return what finds ways for `move_to`; None where motions are straight in joint space.

    `auto` takes MoveIt where it is installed, but not for a simulated cell: that publishes no
    description of its robot which MoveIt could load.
    """
    simulated = bool(node.get_parameter("use_sim_time").value)
    if wanted == "joint" or (wanted == "auto" and simulated):
        return None
    if is_installed():
        return MoveItPlanner(node, cell, planning_time)
    if wanted == "moveit":
        raise MissingPlanner(
            "planner: moveit was asked for, and moveit_py is not installed: install the ROS "
            "package moveit_py (apt: ros-$ROS_DISTRO-moveit-py), or take planner:=joint"
        )
    node.get_logger().info("moveit_py is not installed: move_to goes straight in joint space")
    return None


def is_installed() -> bool:
    """Whether moveit_py is there."""
    try:
        return find_spec("moveit.planning") is not None
    except ModuleNotFoundError:
        return False


class MissingPlanner(Lacking):
    """MoveIt was asked for by name and is not installed; the text says what to do."""


class _Thread:
    """Does one thing after the other; what hangs in it does not keep the process from ending."""

    def __init__(self, name: str) -> None:
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def submit(self, work: Callable[[], Any]) -> Future[Any]:
        """Return what will hold the result."""
        future: Future[Any] = Future()
        self._work.put((future, work))
        return future

    def _run(self) -> None:
        while True:
            future, work = self._work.get()
            try:
                future.set_result(work())
            except Exception as error:
                future.set_exception(error)


class MoveItPlanner:
    """Finds ways for all arms of a cell."""

    def __init__(self, node: Node, cell: Cell, planning_time: float) -> None:
        self._node, self._cell, self._time = node, cell, planning_time
        self._description = ""
        self._heard = threading.Event()
        node.create_subscription(String, DESCRIPTION, self._on_description, qos.LATCHED)
        self._thread = _Thread("moveit")
        self._moveit: Any = None
        self._loading: Future[Any] | None = None
        self._planning: Future[Any] | None = None

    def _on_description(self, message: String) -> None:
        first = not self._heard.is_set()
        self._description = message.data
        self._heard.set()
        if first:  # loading takes its time: better now than when somebody wants to move
            self._loading = self._thread.submit(self._load_and_tell)

    def find(self, start: Array, goal: Array) -> Way:
        """Return a way between two postures in the order of cell.joints, or raise Refused."""
        if not self._heard.is_set():
            raise _refused(
                "planner_unready",
                f"nobody publishes {self._node.resolve_topic_name(DESCRIPTION)}: does the robot's "
                "driver (robot_state_publisher) run?",
            )
        if self._planning is not None and not self._planning.done():
            raise _refused("planner_timeout", "it still works on the goal before")
        assert self._loading is not None  # begun when the description was heard
        self._result(self._loading, LOAD_TIME, "still loading")
        self._planning = self._thread.submit(lambda: self._plan(start, goal))
        message = self._result(self._planning, self._time + GRACE, "still planning")
        names = tuple(message.joint_trajectory.joint_names)
        return Way(names, _points(message.joint_trajectory.points, len(names)))

    def end(self) -> None:
        """End MoveIt's own node as soon as it has done what it does."""
        self._thread.submit(self._shut_down)

    def _result(self, work: Future[Any], seconds: float, doing: str) -> Any:
        """Return what was worked out, or refuse by name what went wrong with it."""
        try:
            return work.result(seconds)
        except LateError:
            raise _refused(
                "planner_timeout", f"{doing} after {seconds:g} s", seconds, seconds
            ) from None
        except Refused:
            raise
        except Exception as error:
            raise _refused("planner_unready", f"{type(error).__name__}: {error}") from error

    # On MoveIt's own thread

    def _load_and_tell(self) -> None:
        try:
            self._load()
        except Exception as error:
            # Whoever asks for a way tries again and is told the reason.
            self._node.get_logger().error(f"MoveIt cannot be started: {error}")
        else:
            self._node.get_logger().info(f"MoveIt plans for {whole(self._cell)}")

    def _load(self) -> None:
        if self._moveit is not None:
            return
        robot = _robot_name(self._description)
        moveit = import_module("moveit.planning").MoveItPy(
            node_name=NODE,
            name_space=self._node.get_namespace(),
            config_dict=config(self._cell, self._description, robot, self._time),
            provide_planning_service=False,
        )
        self._put_up_boxes(moveit)
        self._moveit = moveit

    def _put_up_boxes(self, moveit: Any) -> None:
        """Tell MoveIt where the gate lets nothing go."""
        with moveit.get_planning_scene_monitor().read_write() as scene:
            for box in collision_boxes(self._cell):
                scene.apply_collision_object(box)

    def _plan(self, start: Array, goal: Array) -> Any:
        self._load()
        moveit = self._moveit
        group = moveit.get_planning_component(whole(self._cell))
        group.set_start_state(robot_state=self._state(moveit, start))
        group.set_goal_state(robot_state=self._state(moveit, goal))
        told = import_module("moveit.planning").PlanRequestParameters(moveit, REQUEST)
        told.planning_time = self._time
        result = group.plan(single_plan_parameters=told)
        if not result:
            raise _no_plan(result)
        return result.trajectory.get_robot_trajectory_msg()

    def _state(self, moveit: Any, positions: Array) -> Any:
        state = import_module("moveit.core.robot_state").RobotState(moveit.get_robot_model())
        state.set_to_default_values()  # of joints that are nobody's arm
        state.joint_positions = {
            joint: float(value) for joint, value in zip(self._cell.joints, positions, strict=True)
        }
        state.update()
        return state

    def _shut_down(self) -> None:
        if self._moveit is not None:
            self._moveit.shutdown()


def collision_boxes(cell: Cell) -> list[Any]:
    """Return the cell's keep-out boxes as moveit_msgs/CollisionObject.

    They are told in the frame of an arm's foot: the cell's own frame is no part of the robot where
    the maker's description has another root.
    """
    kind = message_type("moveit_msgs", "msg", "CollisionObject")
    arm = cell.arms[0]
    from_foot: Array = np.linalg.inv(arm.base.matrix()).astype(np.float64)
    boxes = []
    for box in cell.workspace.keep_out:
        lower, upper = np.array(box.lower), np.array(box.upper)
        centre = from_foot @ np.append((lower + upper) / 2, 1.0)
        boxes.append(
            kind(
                header=Header(frame_id=arm.base_frame),
                id=box.name,
                primitives=[
                    SolidPrimitive(type=SolidPrimitive.BOX, dimensions=list(upper - lower))
                ],
                primitive_poses=[_pose(centre, from_foot)],
                operation=kind.ADD,
            )
        )
    return boxes


def _pose(centre: Array, frame: Array) -> Pose:
    a, b, c = (float(value) for value in centre[:3])
    x, y, z, w = quaternion(frame[:3, :3])
    return Pose(position=Point(x=a, y=b, z=c), orientation=Quaternion(x=x, y=y, z=z, w=w))


def _robot_name(description: str) -> str:
    """Return what the robot is called: MoveIt wants the same name on both sides."""
    try:
        return ElementTree.fromstring(description).get("name", "")
    except ElementTree.ParseError as error:
        raise _refused("planner_unready", f"the robot's description is no XML: {error}") from None


def _points(points: Sequence[Any], columns: int) -> Array:
    """Return a trajectory's postures; the times are not ours."""
    rows = [list(point.positions) for point in points]
    if any(len(row) != columns for row in rows):
        raise _refused(
            "planner_answer", f"expected {columns} positions in every posture, as many as joints"
        )
    return np.array(rows, dtype=np.float64).reshape(len(rows), columns)


def _no_plan(result: Any) -> Refused:
    code = int(getattr(getattr(result, "error_code", None), "val", 0))
    if code == _TIMED_OUT:
        return _refused("planner_timeout", "it found no way in the time that it had")
    return _refused("planner_no_plan", f"{_ERRORS.get(code, 'no way was found')} (code {code})")


def _refused(reason: str, detail: str, value: float = nan, limit: float = nan) -> Refused:
    return Refused(Refusal(reason, detail, "", value, limit))
