"""A person's session at a running stack: readings become jogs, buttons become requests.

The loop never waits for an answer: a hand on a stick must be heard 30 times a second, also while
the recorder closes a file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from geometry_msgs.msg import TwistStamped
from std_srvs.srv import Trigger

from labvla_bringup.graph import ANSWER, Graph, GraphError
from labvla_data.teleoperation.pilot import Pilot, Wish
from labvla_data.teleoperation.reading import Button, Device, Moment
from labvla_msgs.msg import (
    ControllerState,
    GripperSetpoints,
    PolicyStatus,
    SafetyEvent,
    SimStep,
    SimStepDone,
)
from labvla_msgs.srv import DiscardEpisode, FinishEpisode, StartEpisode
from labvla_policy.nodes import qos
from labvla_policy.nodes.stamps import to_ns
from labvla_policy.runtime.cell import Arm, Cell
from labvla_policy.runtime.teleop.servo import Servo
from labvla_policy.runtime.types import NANOSECONDS

PERIOD = 1 / 30  # s between two jogs
PATIENCE = 10.0  # s for the stack to be found
TRIES = 5  # of a request whose answer is lost
FOUND = 15.0  # s that a service has to be found
STANDING = 1e-3  # rad/s
LEAVE = 5.0  # s that the arms have to come to rest at the end
_OUTCOMES = {
    Button.SUCCESS: ("success", FinishEpisode.Request.SUCCESS),
    Button.FAILURE: ("failure", FinishEpisode.Request.FAILURE),
    Button.FINISH: ("unknown", FinishEpisode.Request.UNKNOWN),
}
_TRIGGERS = {
    Button.TAKE_OVER: "labvla/take_over",
    Button.HAND_BACK: "labvla/hand_back",
    Button.STOP: "labvla/stop",
}


@dataclass(frozen=True)
class Labels:
    """What every episode of the session is called."""

    instruction: str = ""
    operator: str = ""
    tags: tuple[str, ...] = ()


@dataclass
class Tally:
    """What came of a session."""

    episodes: list[dict[str, Any]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    take_overs: int = 0
    ended: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "ended": self.ended,
            "take_overs": self.take_overs,
            "episodes": self.episodes,
            "refused": self.refused,
        }


@dataclass
class _Pending:
    """A request that has no answer yet."""

    request: Any
    then: Callable[[Any], None]
    client: Any
    asked: float  # s, monotonic
    future: Any = None
    sent: float = 0.0
    tries: int = 0


class Teleoperation:
    """Steers one arm of a running cell until the person quits."""

    def __init__(
        self,
        graph: Graph,
        cell: Cell,
        arm: Arm,
        device: Device,
        pilot: Pilot,
        labels: Labels,
        say: Callable[[str], None],
    ) -> None:
        """Prepare; `say` shows a line to the person."""
        self._graph, self._arm, self._device, self._pilot = graph, arm, device, pilot
        self._labels, self._say = labels, say
        self._servo = Servo(arm)
        self._pending: list[_Pending] = []
        self._state: ControllerState | None = None
        self._status: PolicyStatus | None = None
        self._owner = ""
        self._episode = ""
        self.tally = Tally()
        node, self._name = graph.node, f"labvla_teleop_{os.getpid()}"
        # All at once: finding a server takes its time, and nobody wants to wait for it later.
        self._clients = {
            kind: node.create_client(kind, f"labvla/{verb}_episode")
            for verb, kind in (
                ("start", StartEpisode),
                ("finish", FinishEpisode),
                ("discard", DiscardEpisode),
            )
        }
        self._triggers = {
            button: node.create_client(Trigger, name) for button, name in _TRIGGERS.items()
        }
        self._jogs = node.create_publisher(TwistStamped, "labvla/jog", qos.RELIABLE)
        self._grips = node.create_publisher(GripperSetpoints, "labvla/jog_gripper", qos.RELIABLE)
        self._done = node.create_publisher(SimStepDone, "sim/step_done", qos.RELIABLE)
        self._step: SimStep | None = None
        self._answered = -1
        node.create_subscription(
            ControllerState, f"{cell.controller.name}/state", self._on_state, qos.RELIABLE
        )
        node.create_subscription(PolicyStatus, "labvla/status", self._on_status, qos.RELIABLE)
        node.create_subscription(SafetyEvent, "labvla/events", self._on_event, qos.RELIABLE)
        node.create_subscription(SimStep, "sim/step", self._on_step, qos.RELIABLE)

    def run(self) -> Tally:
        """Steer until the person quits; whatever ends it, the stick is let go."""
        self._find_stack()
        self._say(f"{self._device.name} moves {self._arm.name} in the frame {self._pilot.frame}")
        try:
            while not self.tally.ended:
                self._tick()
        finally:
            self._leave()
        return self.tally

    def _find_stack(self) -> None:
        found = self._graph.spin_until(
            lambda: self._jogs.get_subscription_count() > 0 and self._state is not None, PATIENCE
        )
        if not found:
            missing = (
                "the policy node" if not self._jogs.get_subscription_count() else "the controller"
            )
            raise GraphError(f"{missing} is not heard of: is the stack up? Try: labvla status")

    def _tick(self) -> None:
        self._send(self._pilot.wish(self._device.read(self._moment())))
        self._ask_again()
        self._finish_step()
        end = time.monotonic() + PERIOD
        self._graph.spin_until(
            lambda: time.monotonic() >= end or self._answered != self._step_stamp, PERIOD
        )

    def _moment(self) -> Moment:
        state = self._state
        busy, refused = bool(self._pending), len(self.tally.refused)
        if state is None:
            return Moment(time.monotonic(), None, busy, refused)
        names = list(state.joint_names)
        q = np.array([state.reference_positions[names.index(j)] for j in self._arm.joints])
        return Moment(to_ns(state.stamp) / NANOSECONDS, self._servo.tool(q), busy, refused)

    def _send(self, wish: Wish) -> None:
        message = TwistStamped()
        message.header.stamp = self._graph.node.get_clock().now().to_msg()
        message.header.frame_id = f"{self._arm.name}/{wish.frame}"
        linear, angular = message.twist.linear, message.twist.angular
        linear.x, linear.y, linear.z, angular.x, angular.y, angular.z = wish.twist
        self._jogs.publish(message)
        if wish.opening is not None:
            self._grips.publish(
                GripperSetpoints(
                    gripper_names=[self._arm.gripper_name], targets=[wish.opening], holding=False
                )
            )
        for button in wish.asked:
            self._press(button)

    # Buttons

    def _press(self, button: Button) -> None:
        if button is Button.QUIT:
            self.tally.ended = "quit"
        elif button is Button.START:
            labels = self._labels
            request = StartEpisode.Request(
                instruction=labels.instruction, operator_name=labels.operator, tags=labels.tags
            )
            self._ask(self._clients[StartEpisode], request, self._on_started)
        elif button in _OUTCOMES:
            outcome, value = _OUTCOMES[button]
            request = FinishEpisode.Request(outcome=value)
            finished = partial(self._on_finished, outcome)
            self._ask(self._clients[FinishEpisode], request, finished)
        elif button is Button.DISCARD:
            self._ask(self._clients[DiscardEpisode], DiscardEpisode.Request(), self._on_answer)
        else:
            self._ask(self._triggers[button], Trigger.Request(), self._on_trigger)

    def _on_started(self, answer: Any) -> None:
        self._episode = answer.episode_id
        self._on_answer(answer)

    def _on_finished(self, outcome: str, answer: Any) -> None:
        if answer.accepted:
            lost = sum(e.lost_transport + e.lost_source + e.lost_writer for e in answer.lost)
            self.tally.episodes.append(
                {
                    "episode_id": self._episode,
                    "outcome": outcome,
                    "path": answer.path,
                    "duration": answer.duration,
                    "lost": lost,
                }
            )
        self._on_answer(answer)

    def _on_answer(self, answer: Any) -> None:
        self._tell(answer.accepted, answer.message)

    def _on_trigger(self, answer: Any) -> None:
        self._tell(answer.success, answer.message)

    def _tell(self, good: bool, message: str) -> None:
        if not good:
            self.tally.refused.append(message)
        self._say(message if good else f"refused: {message}")

    # Requests

    def _ask(self, client: Any, request: Any, then: Callable[[Any], None]) -> None:
        self._pending.append(_Pending(request, then, client, time.monotonic()))

    def _ask_again(self) -> None:
        """Send what is due, and hand answers on. A lost answer is asked for again, as in Graph."""
        now = time.monotonic()
        for one in tuple(self._pending):
            if one.future is not None and one.future.done():
                self._pending.remove(one)
                one.then(one.future.result())
            elif one.future is None and now - one.asked > FOUND:
                self._give_up(one, "is not there")
            elif one.future is None or now - one.sent > ANSWER:
                self._send_request(one, now)

    def _send_request(self, one: _Pending, now: float) -> None:
        if one.tries >= TRIES:
            self._give_up(one, "does not answer")
        elif one.client.service_is_ready():
            if one.future is not None:
                one.client.remove_pending_request(one.future)
            one.tries, one.sent = one.tries + 1, now
            one.future = one.client.call_async(one.request)

    def _give_up(self, one: _Pending, why: str) -> None:
        self._pending.remove(one)
        self._tell(False, f"{self._graph.resolve(one.client.srv_name)} {why}")

    # Lock-step

    def _on_step(self, message: SimStep) -> None:
        self._step = message

    @property
    def _step_stamp(self) -> int:
        return -1 if self._step is None else to_ns(self._step.stamp)

    def _finish_step(self) -> None:
        """A simulation that waits for its participants waits for the person, too."""
        if self._step is not None:
            self._answered = self._step_stamp
            self._report(SimStepDone.DONE)

    def _report(self, state: int) -> None:
        assert self._step is not None
        self._done.publish(SimStepDone(stamp=self._step.stamp, state=state, participant=self._name))

    # What is heard

    def _on_state(self, message: ControllerState) -> None:
        self._state = message

    def _on_status(self, message: PolicyStatus) -> None:
        self._status = message
        if message.motion_owner != self._owner:
            self.tally.take_overs += message.motion_owner == "teleop"
            if self._owner:
                self._say(f"{message.motion_owner} moves the arms")
            self._owner = message.motion_owner

    def _on_event(self, event: SafetyEvent) -> None:
        self._say(f"{event.reason}: {event.detail}" if event.detail else event.reason)

    # The end

    def _leave(self) -> None:
        """Let go, and give the motion back where no policy waits for it."""
        still = Wish(self._pilot.frame, (0.0,) * 6, None, ())
        waits = self._status is not None and self._status.instruction
        if self._owner == "teleop" and not waits:
            self._press(Button.HAND_BACK)
        deadline = time.monotonic() + LEAVE
        while time.monotonic() < deadline and (self._pending or self._is_ours()):
            self._send(still)
            self._ask_again()
            self._finish_step()
            self._graph.spin_for(PERIOD)
        if self._owner == "teleop" and waits:
            self._say("the policy keeps its instruction and waits: labvla say moves it again")
        if self._step is not None:
            self._report(SimStepDone.LEFT)

    def _is_ours(self) -> bool:
        """Whether the arm still moves because of us."""
        if self._state is None or self._owner != "teleop":
            return False
        return bool(np.max(np.abs(self._state.reference_velocities)) > STANDING)
