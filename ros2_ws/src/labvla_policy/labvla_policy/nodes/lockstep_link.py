"""A node's end of lock-step: steps of the simulation in, how far we are with them out."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from labvla_msgs.msg import SimStep, SimStepDone
from labvla_policy.nodes import qos
from labvla_policy.nodes.stamps import to_ns, to_stamp
from labvla_policy.runtime.beat import LockStep, Progress, Step

HEARTBEAT = 0.2  # s; the simulation goes on without who is silent for ten times as long

_STATES = {progress: getattr(SimStepDone, progress.name) for progress in Progress}


def _no_chunk() -> tuple[int, int]:
    """Answer for a node that sends none."""
    return 0, 0


class LockStepLink:
    """Makes a LockStep live on `sim/step` and `sim/step_done`."""

    def __init__(
        self,
        node: Node,
        clock: Callable[[], int],
        has_arrived: Callable[[Step], bool],
        is_idle: Callable[[], bool],
        newest_chunk: Callable[[], tuple[int, int]] = _no_chunk,
    ) -> None:
        """Take part; the first three are those of LockStep.

        `newest_chunk`: session and sequence of the chunk that the simulation has to wait for.
        """
        self._node, self._newest_chunk = node, newest_chunk
        self._done = node.create_publisher(SimStepDone, "sim/step_done", qos.RELIABLE)
        self.beat = LockStep(clock, has_arrived, is_idle, self._tell)
        node.create_subscription(SimStep, "sim/step", self._on_step, qos.RELIABLE)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(HEARTBEAT, self.beat.repeat, clock=steady)

    def _on_step(self, message: SimStep) -> None:
        self.beat.offer(Step(to_ns(message.stamp), frozenset(message.topics)))

    def _tell(self, stamp: int, progress: Progress) -> None:
        session, sequence = self._newest_chunk()
        self._done.publish(
            SimStepDone(
                stamp=to_stamp(stamp),
                state=_STATES[progress],
                participant=self._node.get_fully_qualified_name(),
                session=session,
                sequence=sequence,
            )
        )
