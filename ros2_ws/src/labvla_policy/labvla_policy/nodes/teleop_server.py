"""Jogs in, checked pieces of motion out: a person takes the motion over and gives it back.

Any deflection takes over, and so does `labvla/take_over`. `labvla/hand_back` brings the arms to
rest and lets the policy go on from there, if it had an instruction.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from std_srvs.srv import Trigger

from labvla_msgs.msg import GripperSetpoints, SafetyEvent
from labvla_policy.nodes import qos
from labvla_policy.nodes.chunk_outlet import ChunkOutlet
from labvla_policy.nodes.events import Events
from labvla_policy.runtime.arbiter import Arbiter, Owner
from labvla_policy.runtime.beat import Beat, Member
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.cycle import Cycle
from labvla_policy.runtime.gate.gate import Gate
from labvla_policy.runtime.reference import ReferenceHistory
from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.teleop.jog import Jog, read_jog, read_openings
from labvla_policy.runtime.teleop.session import Command, Ended, Outcome, Session, Step

POLL = 0.03  # s between two pieces
JOG = "labvla/jog"
JOG_GRIPPER = "labvla/jog_gripper"
TAKE_OVER = "labvla/take_over"
HAND_BACK = "labvla/hand_back"
WHAT = "teleop"  # what the chunks are called


class TeleopServer:
    """Owns the motion while a person jogs. At most one session at a time."""

    def __init__(
        self,
        node: Node,
        cell: Cell,
        gate: Gate,
        arbiter: Arbiter,
        cycle: Cycle,
        references: ReferenceHistory,
        outlet: ChunkOutlet,
        events: Events,
        beat: Beat,
        why_not: Callable[[], Refusal | None],
        changed: Callable[[], None],
    ) -> None:
        """Prepare; `changed` is called whenever the motion has got another owner."""
        self._cell, self._gate, self._arbiter, self._cycle = cell, gate, arbiter, cycle
        self._references, self._outlet, self._events = references, outlet, events
        self._beat, self._why_not, self._changed = beat, why_not, changed
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._jog: Jog | None = None
        self._openings: Mapping[str, float] = {}
        self._hand_back = False
        self._busy = False
        node.create_subscription(TwistStamped, JOG, self._on_jog, qos.RELIABLE)
        node.create_subscription(GripperSetpoints, JOG_GRIPPER, self._on_gripper, qos.RELIABLE)
        node.create_service(Trigger, TAKE_OVER, self._on_take_over)
        node.create_service(Trigger, HAND_BACK, self._on_hand_back)

    @property
    def busy(self) -> bool:
        """Whether a person moves the arms."""
        return self._busy

    def end(self) -> None:
        """Send nothing more; the thread ends by itself."""
        self._ending.set()

    # Wishes

    def _on_jog(self, message: TwistStamped) -> None:
        linear, angular = message.twist.linear, message.twist.angular
        twist = (linear.x, linear.y, linear.z, angular.x, angular.y, angular.z)
        try:
            jog = read_jog(self._cell, message.header.frame_id, twist, self._beat.now())
        except Refused as refused:
            self._events.refused(refused.refusal, self._beat.now())
            return
        self._jog = jog
        if jog.deflected and not self._busy:
            self._take_over()

    def _on_gripper(self, message: GripperSetpoints) -> None:
        try:
            openings = read_openings(self._cell, message.gripper_names, message.targets)
        except Refused as refused:
            self._events.refused(refused.refusal, self._beat.now())
            return
        if not self._busy and self._take_over() is not None:
            return
        self._openings = {**self._openings, **openings}

    def _on_take_over(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        refusal = None if self._busy else self._take_over()
        response.success = refusal is None
        response.message = refusal.detail if refusal else "a person moves the arms"
        return response

    def _on_hand_back(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = True
        if self._busy:
            self._hand_back = True
            response.message = "handed back as soon as the arms stand"
        else:
            refusal = self._go_on()
            response.success = refusal is None
            response.message = refusal.detail if refusal else "nobody had taken over"
        self._beat.poke()
        return response

    # Ownership

    def _take_over(self) -> Refusal | None:
        """Begin a session, or tell why not."""
        with self._lock:
            if self._busy:
                return None
            t = self._beat.now()
            refusal = self._why_not()
            lease = refusal or self._arbiter.request(Owner.TELEOP, t)
            if isinstance(lease, Refusal):
                self._events.refused(lease, t)
                return lease
            self._cycle.halt(keep_instruction=True)
            self._busy, self._hand_back, self._openings = True, False, {}
            session = Session(self._cell, self._gate, self._arbiter, lease)
            threading.Thread(target=self._work, args=(session,), name="teleop", daemon=True).start()
        waits = self._cycle.instruction
        self._tell(
            "teleop_took_over",
            f"the policy waits with {waits!r}" if waits else "no policy was moving",
            t,
        )
        self._changed()
        return None

    def _work(self, session: Session) -> None:
        ended: Ended | None = None
        member = self._beat.join(threading.Event())
        try:
            ended = self._follow(session, member)
        finally:
            self._busy = False
            self._finish(ended)
            member.leave()

    def _follow(self, session: Session, member: Member) -> Ended | None:
        while not self._ending.is_set():
            t = member.look()
            reference = self._references.newest(t)
            command = Command(self._jog, self._openings, self._hand_back)
            step = session.step(t, reference, command)
            if isinstance(step, Ended):
                return step
            self._tell_of(step, t)
            made_from = reference.stamp if reference else t
            if step.plan is not None and not self._outlet.send_motion(step.plan, made_from, WHAT):
                break
            member.rest(POLL)
        return None

    def _tell_of(self, step: Step, t: int) -> None:
        if step.limited is not None:
            self._events.limited(step.limited, t)
        if step.refused is not None:
            self._events.refused(step.refused, t)
        if step.silent is not None:
            self._events.tell(SafetyEvent.STOPPED, step.silent.source, step.silent, t, 0)

    def _finish(self, ended: Ended | None) -> None:
        t = self._beat.now()
        if ended is not None and ended.outcome is Outcome.HANDED_BACK:
            goes_on = self._cycle.instruction
            self._tell(
                "teleop_handed_back",
                f"the policy goes on with {goes_on!r}" if goes_on else "nobody moves",
                t,
            )
            self._go_on()
        elif ended is not None and ended.refusal is not None:
            self._events.refused(ended.refusal, t)
        self._changed()
        self._beat.poke()

    def _go_on(self) -> Refusal | None:
        """Let the policy go on with the instruction that it has kept, if it may."""
        t = self._beat.now()
        instruction = self._cycle.instruction
        refusal = self._why_not()
        if refusal is None and instruction:
            refusal = self._cycle.begin(instruction, t)
        if refusal is not None:
            self._events.refused(refusal, t)
        return refusal

    def _tell(self, reason: str, detail: str, t: int) -> None:
        cause = Refusal(reason, detail)
        self._events.tell(SafetyEvent.INFO, cause.source, cause, t, 0)
