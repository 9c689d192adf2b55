"""The controller manager: which hardware and controllers are active, and how they become it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from lifecycle_msgs.msg import State
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from labvla_policy.nodes.robot_ports.requests import Requests, ok
from labvla_policy.nodes.vendor import message_type
from labvla_policy.runtime.recovery.state import Fact, Halt, Snapshot

PACKAGE = "controller_manager_msgs"
NAME = "controller_manager"
ACTIVE = "active"
PERIOD = 0.5  # s between two looks
SILENCE = 3.0  # s after which it is not known any more
# Broadcasters only tell; with the hardware they went down, and with it they come back.
COMPANIONS = "Broadcaster"


class ControllerManager:
    """Keeps what the manager lists, and asks it for changes. Also the port of the cell."""

    def __init__(self, node: Node, controllers: Sequence[str]) -> None:
        self._controllers = tuple(controllers)
        self._types = {
            name: message_type(PACKAGE, "srv", name)
            for name in (
                "ListControllers",
                "ListHardwareComponents",
                "SetHardwareComponentState",
                "SwitchController",
            )
        }
        self._clients = {
            name: node.create_client(kind, f"{NAME}/{service}")
            for (name, kind), service in zip(
                self._types.items(),
                (
                    "list_controllers",
                    "list_hardware_components",
                    "set_hardware_component_state",
                    "switch_controller",
                ),
                strict=True,
            )
        }
        self._components: tuple[float, Mapping[str, str]] = (float("-inf"), {})
        self._listed: tuple[float, Mapping[str, tuple[str, str]]] = (float("-inf"), {})
        self._companions: set[str] = set()  # that were active once
        self._asked: dict[str, Any] = {}  # looks that are under way
        self.requests = Requests()
        node.create_timer(PERIOD, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    # What is known

    def hardware(self, name: str) -> str | None:
        """Return the state of a hardware component; None while it is not known."""
        heard, components = self._components
        return components.get(name) if time.monotonic() - heard <= SILENCE else None

    @property
    def heard(self) -> bool:
        """Whether the manager tells its controllers."""
        return time.monotonic() - self._listed[0] <= SILENCE

    def snapshot(self) -> Snapshot:
        """Tell whether the cell's controllers are active."""
        if not self.heard:
            return Snapshot(Halt.SILENT, f"the {NAME} does not answer")
        states = {name: self._state(name) for name in self._controllers}
        words = ", ".join(f"{name} {state}" for name, state in states.items())
        if any(state != ACTIVE for state in states.values()):
            return Snapshot(Halt.IDLE, words)
        # A robot moves without them, but nobody sees how it is: they belong to its recovery.
        lost = [name for name in self._companions if self._state(name) != ACTIVE]
        return Snapshot(None, words, frozenset(() if lost else {Fact.CONTROLLERS_ACTIVE}))

    def _state(self, controller: str) -> str:
        return self._listed[1].get(controller, ("absent", ""))[0]

    # What is asked

    def missing_service(self, name: str) -> str:
        """Return a service's name if nobody offers it."""
        client = self._clients[name]
        return "" if client.service_is_ready() else str(client.srv_name)

    def activate_hardware(self, component: str, requests: Requests) -> int:
        """Ask for an active hardware component."""
        target = State(id=State.PRIMARY_STATE_ACTIVE, label=ACTIVE)
        request = self._types["SetHardwareComponentState"].Request(
            name=component, target_state=target
        )
        return requests.call(self._clients["SetHardwareComponentState"], request, ok)

    def activate_controllers(self) -> int:
        """Ask for all controllers in one request: they begin in one cycle, or none does."""
        kind = self._types["SwitchController"]
        request = kind.Request(
            activate_controllers=self._inactive(), strictness=kind.Request.STRICT
        )
        return self.requests.call(self._clients["SwitchController"], request, ok)

    def _inactive(self) -> list[str]:
        listed = self._listed[1]
        wanted = [name for name in self._controllers if self._state(name) != ACTIVE]
        return wanted + [
            name
            for name, (state, kind) in listed.items()
            if state == "inactive" and kind.endswith(COMPANIONS) and name not in wanted
        ]

    # Looking

    def _look(self) -> None:
        for name, take in (
            ("ListControllers", self._take_controllers),
            ("ListHardwareComponents", self._take_components),
        ):
            client, asked = self._clients[name], self._asked.get(name)
            if not client.service_is_ready():
                continue
            if asked is not None:
                begun, future = asked
                if not future.done() and time.monotonic() - begun < SILENCE / 2:
                    continue
                client.remove_pending_request(future)
            future = client.call_async(self._types[name].Request())
            self._asked[name] = (time.monotonic(), future)
            future.add_done_callback(take)

    def _take_controllers(self, future: Any) -> None:
        if future.exception() is None and future.result() is not None:
            listed = {found.name: (found.state, found.type) for found in future.result().controller}
            self._listed = (time.monotonic(), listed)
            self._companions |= {
                name
                for name, (state, kind) in listed.items()
                if state == ACTIVE and kind.endswith(COMPANIONS)
            }

    def _take_components(self, future: Any) -> None:
        if future.exception() is None and future.result() is not None:
            states = {found.name: found.state.label for found in future.result().component}
            self._components = (time.monotonic(), states)
