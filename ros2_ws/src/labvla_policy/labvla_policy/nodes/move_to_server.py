"""The action `labvla/move_to`: a goal is planned and carried out on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from rclpy.action import ActionServer, CancelResponse
from rclpy.node import Node

from labvla_msgs.action import MoveTo
from labvla_policy.nodes.chunk_outlet import ChunkOutlet
from labvla_policy.nodes.events import Events
from labvla_policy.runtime.arbiter import Arbiter, Owner
from labvla_policy.runtime.beat import Beat, Member
from labvla_policy.runtime.cycle import Cycle
from labvla_policy.runtime.gate.rules import Limits
from labvla_policy.runtime.mover.execution import Ended, Execution, Outcome
from labvla_policy.runtime.mover.move_to import Mover
from labvla_policy.runtime.reference import ReferenceHistory
from labvla_policy.runtime.refusal import Refusal, Refused

POLL = 0.02  # s between two steps: the controller tells its state as often
NAME = "labvla/move_to"


class _ThreadedServer(ActionServer):  # type: ignore[misc]  # rclpy has no types
    """Runs `work` beside the executor, which only gets the result: rclpy would block in it."""

    def __init__(self, node: Node, work: Callable[[Any], MoveTo.Result]) -> None:
        super().__init__(node, MoveTo, NAME, work, cancel_callback=lambda _: CancelResponse.ACCEPT)

    def notify_execute(self, goal: Any, work: Callable[[Any], MoveTo.Result] | None) -> None:
        """Begin with a goal that was accepted."""
        thread = threading.Thread(target=self._work, args=(goal,), name="move_to", daemon=True)
        thread.start()

    def _work(self, goal: Any) -> None:
        result = self._execute_callback(goal)
        super().notify_execute(goal, lambda _: result)


class MoveToServer:
    """Takes the motion over from the policy, and gives it back to whoever asks next."""

    def __init__(
        self,
        node: Node,
        mover: Mover,
        limits: Limits,
        arbiter: Arbiter,
        cycle: Cycle,
        references: ReferenceHistory,
        outlet: ChunkOutlet,
        events: Events,
        beat: Beat,
        why_not: Callable[[], Refusal | None],
    ) -> None:
        self._mover, self._limits, self._arbiter, self._cycle = mover, limits, arbiter, cycle
        self._references, self._outlet, self._events = references, outlet, events
        self._beat, self._why_not = beat, why_not
        self._ending = threading.Event()
        self._goals = 0
        self._lock = threading.Lock()
        self._server = _ThreadedServer(node, self._carry_out)

    @property
    def busy(self) -> bool:
        """Whether a goal is being carried out."""
        return self._goals > 0

    def end(self) -> None:
        """Send nothing more; threads end by themselves."""
        self._ending.set()

    def _carry_out(self, goal: Any) -> MoveTo.Result:
        with self._lock:
            self._goals += 1
        member = self._beat.join(threading.Event())
        try:
            ended = self._follow(goal, self._begin(goal.request), member)
        except Refused as refused:
            ended = Ended(Outcome.FAILED, refused.refusal)
        finally:
            with self._lock:
                self._goals -= 1
            member.leave()
        return self._finish(goal, ended)

    def _begin(self, request: MoveTo.Goal) -> Execution:
        """Take the motion over, unless the goal cannot be meant."""
        if refusal := self._why_not():
            raise Refused(refusal)
        plan = self._mover.planner(
            request.posture, request.joint_names, request.positions, request.speed_scale
        )
        lease = self._arbiter.request(Owner.MOVE_TO, self._beat.now())
        if isinstance(lease, Refusal):
            raise Refused(lease)
        self._cycle.halt()  # its plan is dropped; going on needs a new instruction
        return Execution(plan, self._limits, self._arbiter, lease)

    def _follow(self, goal: Any, execution: Execution, member: Member) -> Ended:
        """Step until the end."""
        while not self._ending.is_set():
            if goal.is_cancel_requested:
                execution.cancel()
            t = member.look()
            reference = self._references.newest(t)
            step = execution.step(t, reference)
            if isinstance(step, Ended):
                return step
            if step is not None and reference is not None:
                what = f"move_to {goal.request.posture}".rstrip()
                if not self._outlet.send_motion(step, reference.stamp, what):
                    break
            goal.publish_feedback(
                MoveTo.Feedback(progress=execution.progress(t), remaining=execution.remaining(t))
            )
            member.rest(POLL)
        return Ended(Outcome.FAILED, Refusal("not_active", "the node was deactivated"))

    def _finish(self, goal: Any, ended: Ended) -> MoveTo.Result:
        if ended.outcome is Outcome.REACHED:
            goal.succeed()
            return MoveTo.Result(success=True, message="reached", error=ended.error)
        if ended.outcome is Outcome.CANCELED:
            goal.canceled()
            return MoveTo.Result(message="canceled: stopped on the way", error=ended.error)
        refusal = ended.refusal
        assert refusal is not None
        self._events.refused(refusal, self._beat.now())
        goal.abort()
        return MoveTo.Result(reason=refusal.reason, message=refusal.detail, error=ended.error)
