#!/usr/bin/env python3
"""Stand-in: a controller manager that keeps books and moves nothing.

It takes requests as the real one does: a controller needs a type before it is loaded, is loaded
once, is configured before it is activated, and a strict switch is all or nothing.
"""

import contextlib
import json
from xml.etree import ElementTree

import rclpy
from controller_manager_msgs.msg import ControllerState, HardwareComponentState
from controller_manager_msgs.srv import (
    ConfigureController,
    ListControllers,
    ListHardwareComponents,
    LoadController,
    SetHardwareComponentState,
    SwitchController,
)
from lifecycle_msgs.msg import State
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Manager(Node):
    """The services that the spawner calls; what was asked of it is on ~/books."""

    def __init__(self):
        super().__init__(
            "controller_manager",
            allow_undeclared_parameters=True,
            automatically_declare_parameters_from_overrides=True,
        )
        self._states = {}
        self._switches = []
        self._hardware = {}
        self.create_subscription(String, "robot_description", self._on_description, LATCHED)
        self._books = self.create_publisher(String, "~/books", LATCHED)
        for kind, name, answer in (
            (ListControllers, "list_controllers", self._on_list),
            (LoadController, "load_controller", self._on_load),
            (ConfigureController, "configure_controller", self._on_configure),
            (SwitchController, "switch_controller", self._on_switch),
            (ListHardwareComponents, "list_hardware_components", self._on_list_hardware),
            (SetHardwareComponentState, "set_hardware_component_state", self._on_set_hardware),
        ):
            self.create_service(kind, f"~/{name}", answer)

    def _told(self, name, what):
        parameter = f"{name}.{what}"
        return self.get_parameter(parameter).value if self.has_parameter(parameter) else None

    def _on_list(self, _, response):
        response.controller = [
            ControllerState(name=name, state=state, type=self._told(name, "type"))
            for name, state in self._states.items()
        ]
        return response

    def _on_description(self, message):
        root = ElementTree.fromstring(message.data)
        for component in root.iter("ros2_control"):
            self._hardware.setdefault(component.get("name"), "active")

    def _on_list_hardware(self, _, response):
        response.component = [
            HardwareComponentState(name=name, state=State(label=state))
            for name, state in self._hardware.items()
        ]
        return response

    def _on_set_hardware(self, request, response):
        response.ok = request.name in self._hardware
        if response.ok:
            self._hardware[request.name] = request.target_state.label
        return response

    def _on_load(self, request, response):
        response.ok = bool(self._told(request.name, "type")) and request.name not in self._states
        if response.ok:
            self._states[request.name] = "unconfigured"
        return response

    def _on_configure(self, request, response):
        response.ok = self._states.get(request.name) == "unconfigured"
        if response.ok:
            self._states[request.name] = "inactive"
        return response

    def _on_switch(self, request, response):
        wanted = dict.fromkeys(request.activate_controllers, "inactive")
        wanted |= dict.fromkeys(request.deactivate_controllers, "active")
        response.ok = all(self._states.get(name) == state for name, state in wanted.items())
        if response.ok:
            self._states |= dict.fromkeys(request.activate_controllers, "active")
            self._states |= dict.fromkeys(request.deactivate_controllers, "inactive")
            self._switches.append(list(request.activate_controllers))
            self._publish()
        return response

    def _publish(self):
        files = {name: self._told(name, "params_file") for name in self._states}
        arguments = {name: self._told(name, "node_options_args") for name in self._states}
        told = {
            "states": self._states,
            "switches": self._switches,
            "files": files,
            "arguments": arguments,
            "update_rate": self._rate(),
        }
        self._books.publish(String(data=json.dumps(told)))

    def _rate(self):
        return self.get_parameter("update_rate").value if self.has_parameter("update_rate") else 0


def main():
    """Run until interrupted."""
    rclpy.init()
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(Manager())


main()
