"""Faces of the grippers' own drivers: their actions, spoken with the messages of their makers.

Those message packages come with the drivers, and not with this stack: they are looked for when a
gripper that needs them is driven.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from rclpy.node import Node
from std_srvs.srv import Trigger

from labvla_policy.runtime.cell.arm import Gripper
from labvla_policy.runtime.grippers import joint_of_opening
from labvla_policy.runtime.gripping.port import Goal, GripperPort, Report

_ENDS: Mapping[int, str] = {
    GoalStatus.STATUS_SUCCEEDED: "succeeded",
    GoalStatus.STATUS_CANCELED: "canceled",
}


class MissingMessages(RuntimeError):
    """The gripper's message package is not installed; the text names it."""


def action_type(package: str, name: str) -> Any:
    """Return an action of a package that comes with a driver."""
    try:
        return getattr(import_module(f"{package}.action"), name)
    except (ImportError, AttributeError):
        raise MissingMessages(
            f"the gripper is driven by {package}/action/{name}, which is not installed: install "
            f"the ROS package {package} (apt: ros-$ROS_DISTRO-{package.replace('_', '-')}, or the "
            "driver's own workspace) and source it"
        ) from None


class ActionPort:
    """Sends goals to actions; one ticket a goal, whatever action it goes to."""

    def __init__(self) -> None:
        self._tickets = 0
        self._handles: dict[int, Any] = {}
        self._canceled: set[int] = set()  # before the driver had accepted them
        self._reports: list[Report] = []

    def poll(self) -> Sequence[Report]:
        """Return what was reported since the last call."""
        reports, self._reports = self._reports, []
        return reports

    def cancel(self, ticket: int) -> None:
        """Ask the driver to give a goal up, as soon as it has accepted it."""
        handle = self._handles.get(ticket)
        if handle is None:
            self._canceled.add(ticket)
        else:
            handle.cancel_goal_async()

    def send_to(self, client: ActionClient, message: Any) -> int:
        """Send a goal and follow it."""
        self._tickets += 1
        ticket = self._tickets
        client.send_goal_async(message).add_done_callback(
            lambda future: self._on_answer(ticket, future.result())
        )
        return ticket

    def _on_answer(self, ticket: int, handle: Any) -> None:
        if not handle.accepted:
            self._reports.append(Report(ticket, "rejected"))
            return
        self._handles[ticket] = handle
        self._reports.append(Report(ticket, "accepted"))
        handle.get_result_async().add_done_callback(
            lambda future: self._on_result(ticket, future.result())
        )
        if ticket in self._canceled:
            self._canceled.discard(ticket)
            handle.cancel_goal_async()

    def _on_result(self, ticket: int, response: Any) -> None:
        self._handles.pop(ticket, None)
        what = _ENDS.get(response.status, "failed")
        # A driver may end a goal regularly and still say that it was not done.
        if what == "succeeded" and getattr(response.result, "success", True) is False:
            what = "failed"
        detail = getattr(response.result, "error", "") or f"status {response.status}"
        self._reports.append(Report(ticket, what, str(detail)))  # type: ignore[arg-type]


class FrankaHandPort(ActionPort):
    """franka_gripper: opens with `move`, closes with `grasp`, and stops by a service."""

    def __init__(self, node: Node, gripper: Gripper) -> None:
        super().__init__()
        self._stroke = gripper.stroke
        self._move_type = action_type("franka_msgs", "Move")
        self._grasp_type = action_type("franka_msgs", "Grasp")
        self._move = ActionClient(node, self._move_type, f"{gripper.action}/move")
        self._grasp = ActionClient(node, self._grasp_type, f"{gripper.action}/grasp")
        self._stop = node.create_client(Trigger, f"{gripper.action}/stop")

    def ready(self) -> bool:
        """Whether both actions are offered."""
        return bool(self._move.server_is_ready() and self._grasp.server_is_ready())

    def send(self, goal: Goal) -> int:
        """Open by moving; close until something resists, however wide it is."""
        if goal.kind == "open":
            message = self._move_type.Goal(width=goal.opening, speed=goal.speed)
            return self.send_to(self._move, message)
        message = self._grasp_type.Goal(width=goal.opening, speed=goal.speed, force=goal.force)
        # The hand calls it a grasp when the fingers stop within these of the width.
        message.epsilon.inner = goal.opening
        message.epsilon.outer = self._stroke - goal.opening
        return self.send_to(self._grasp, message)

    def interrupt(self) -> None:
        """Stop the fingers: the hand's calls block, and a cancellation may not reach them."""
        self._stop.call_async(Trigger.Request())


class GripperCommandPort(ActionPort):
    """control_msgs/GripperCommand: the driver's joint value and an effort."""

    def __init__(self, node: Node, gripper: Gripper) -> None:
        super().__init__()
        self._gripper = gripper
        self._type = action_type("control_msgs", "GripperCommand")
        self._client = ActionClient(node, self._type, gripper.action)

    def ready(self) -> bool:
        """Whether the action is offered."""
        return bool(self._client.server_is_ready())

    def send(self, goal: Goal) -> int:
        """Send the position, with the force that holds."""
        message = self._type.Goal()
        message.command.position = joint_of_opening(self._gripper, goal.opening)
        message.command.max_effort = goal.force
        return self.send_to(self._client, message)

    def interrupt(self) -> None:
        """Nothing: this interface has cancellation alone."""


class ParallelGripperPort(ActionPort):
    """control_msgs/ParallelGripperCommand: the same as a joint state."""

    def __init__(self, node: Node, gripper: Gripper) -> None:
        super().__init__()
        self._gripper = gripper
        self._type = action_type("control_msgs", "ParallelGripperCommand")
        self._client = ActionClient(node, self._type, gripper.action)

    def ready(self) -> bool:
        """Whether the action is offered."""
        return bool(self._client.server_is_ready())

    def send(self, goal: Goal) -> int:
        """Send the position, with the force that holds."""
        message = self._type.Goal()
        message.command.name = [self._gripper.joint]
        message.command.position = [joint_of_opening(self._gripper, goal.opening)]
        message.command.effort = [goal.force]
        return self.send_to(self._client, message)

    def interrupt(self) -> None:
        """Nothing: this interface has cancellation alone."""


_PORTS: Mapping[str, Callable[[Node, Gripper], GripperPort]] = {
    "move_and_grasp": FrankaHandPort,
    "gripper_command": GripperCommandPort,
    "parallel_gripper_command": ParallelGripperPort,
}


def port_of(node: Node, gripper: Any) -> GripperPort:
    """Return the face of a gripper's driver, as the cell's `interface` says."""
    return _PORTS[gripper.interface](node, gripper)
