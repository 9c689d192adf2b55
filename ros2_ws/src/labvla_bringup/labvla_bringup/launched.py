"""What runs under `ros2 launch`, which leaves no record: known by what it tells itself."""

from __future__ import annotations

import os
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus

from labvla_bringup.graph import Graph
from labvla_msgs.msg import PolicyStatus
from labvla_policy.nodes import qos
from labvla_policy.nodes.robot_status import TOPIC, RobotStatus, from_message

NAMESPACE = "LABVLA_NAMESPACE"  # of a stack that was started by launch
POLICY = "labvla/status"
# In the order of the message's numbers.
POLICY_STATES = ("unconfigured", "loading", "ready", "active", "paused", "stopped", "fault")


@dataclass(frozen=True)
class Heard:
    """Who told something within the time; None: not heard."""

    robot: RobotStatus | None = None
    policy: PolicyStatus | None = None

    @property
    def cell(self) -> str:
        """The cell that runs; empty where nobody was heard."""
        return self.robot.cell if self.robot else self.policy.cell if self.policy else ""


def launched_namespace() -> str:
    """Return where a stack under launch is looked for."""
    return os.environ.get(NAMESPACE, "")


def listen(graph: Graph, seconds: float) -> Heard:
    """Listen for the robot node and the policy node; both tell several times a second."""
    robots: list[DiagnosticStatus] = []
    policies: list[PolicyStatus] = []
    node = graph.node
    subscriptions = (
        node.create_subscription(DiagnosticStatus, TOPIC, robots.append, qos.LATCHED),
        node.create_subscription(PolicyStatus, POLICY, policies.append, qos.RELIABLE),
    )
    graph.spin_until(lambda: bool(robots and policies), seconds)
    for subscription in subscriptions:
        node.destroy_subscription(subscription)
    return Heard(from_message(robots[-1]) if robots else None, policies[-1] if policies else None)
