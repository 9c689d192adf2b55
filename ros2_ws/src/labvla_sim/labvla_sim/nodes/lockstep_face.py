"""Lock-step on ROS: steps out, and how far everybody is with them in."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.node import Node

from labvla_msgs.msg import SimStep, SimStepDone
from labvla_policy.nodes import qos
from labvla_policy.nodes.stamps import to_ns, to_stamp
from labvla_sim.plant.stepping import Answer, Progress, StepBarrier

_PROGRESS = {getattr(SimStepDone, progress.name): progress for progress in Progress}


class LockStepFace:
    """Announces steps on `sim/step`; who answers on `sim/step_done` is waited for."""

    def __init__(self, node: Node) -> None:
        self.barrier = StepBarrier()
        self._steps = node.create_publisher(SimStep, "sim/step", qos.RELIABLE)
        node.create_subscription(SimStepDone, "sim/step_done", self._on_done, qos.RELIABLE)

    def announce(self, stamp: int, topics: Sequence[str]) -> None:
        """Tell that time stands."""
        self._steps.publish(SimStep(stamp=to_stamp(stamp), topics=topics))

    def _on_done(self, message: SimStepDone) -> None:
        answer = Answer(
            to_ns(message.stamp), _PROGRESS[message.state], message.session, message.sequence
        )
        self.barrier.tell(message.participant, answer)
