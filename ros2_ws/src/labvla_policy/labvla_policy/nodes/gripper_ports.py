"""Faces of the grippers' own drivers: their actions, spoken with the messages of their makers.

Those message packages come with the drivers, and not with this stack: they are looked for when a
gripper that needs them is driven.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rclpy.action import ActionClient
from rclpy.node import Node
from std_srvs.srv import Trigger

from labvla_policy.nodes.action_port import ActionPort
from labvla_policy.nodes.vendor import action_type
from labvla_policy.runtime.cell.arm import Gripper
from labvla_policy.runtime.grippers import joint_of_opening
from labvla_policy.runtime.gripping.port import Goal, GripperPort


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
