"""The policy node's end of lock-step: steps of the simulation in, how far we are with them out."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from labvla_msgs.msg import SimStep, SimStepDone
from labvla_policy.nodes import qos
from labvla_policy.nodes.chunk_outlet import ChunkOutlet
from labvla_policy.nodes.controller_link import ControllerLink
from labvla_policy.nodes.inputs import Inputs
from labvla_policy.nodes.stamps import to_ns, to_stamp
from labvla_policy.runtime.beat import LockStep, Progress, Step

HEARTBEAT = 0.2  # s; the simulation goes on without who is silent for ten times as long

_STATES = {progress: getattr(SimStepDone, progress.name) for progress in Progress}


class LockStepLink:
    """Makes a LockStep live on `sim/step` and `sim/step_done`."""

    def __init__(
        self,
        node: Node,
        inputs: Inputs,
        controller: ControllerLink,
        outlet: ChunkOutlet,
        clock: Callable[[], int],
        is_idle: Callable[[], bool],
    ) -> None:
        self._node, self._inputs = node, inputs
        self._controller, self._outlet = controller, outlet
        self._done = node.create_publisher(SimStepDone, "sim/step_done", qos.RELIABLE)
        self.beat = LockStep(clock, self._has_arrived, is_idle, self._tell)
        node.create_subscription(SimStep, "sim/step", self._on_step, qos.RELIABLE)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(HEARTBEAT, self.beat.repeat, clock=steady)

    def _on_step(self, message: SimStep) -> None:
        self.beat.offer(Step(to_ns(message.stamp), frozenset(message.topics)))

    def _has_arrived(self, step: Step) -> bool:
        state = self._controller.references.last
        if state is None or state < step.stamp:
            return False
        return all(self._inputs.has(topic, step.stamp) for topic in step.topics)

    def _tell(self, stamp: int, progress: Progress) -> None:
        self._done.publish(
            SimStepDone(
                stamp=to_stamp(stamp),
                state=_STATES[progress],
                participant=self._node.get_fully_qualified_name(),
                session=self._outlet.session,
                sequence=self._outlet.sent,
            )
        )
