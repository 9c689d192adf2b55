"""A small window on the ROS graph for commands that are no nodes of the stack themselves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import rclpy
from rclpy.client import Client
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger

from labvla_bringup.description import Ready

ANSWER = 2.0  # s that a service has for its answer before it is asked again


class GraphError(RuntimeError):
    """The stack did not answer; the text says what was asked."""


class Graph:
    """A node that looks at the graph and calls services."""

    def __init__(self, namespace: str = "", domain: int | None = None) -> None:
        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = Node(
            f"labvla_cli_{os.getpid()}",
            namespace=namespace,
            context=self.context,
            start_parameter_services=False,
            enable_rosout=False,
        )
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._clients: dict[str, Client] = {}  # finding the server again would take its time

    def __enter__(self) -> Graph:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        self.context.try_shutdown()

    def resolve(self, name: str) -> str:
        """Return the full name of a topic or service."""
        return str(self.node.resolve_topic_name(name))

    def endpoints(self, ready: Ready) -> frozenset[bytes]:
        """Return who publishes what a process promises."""
        topics = [self.resolve(topic) for topic in ready.publishers]
        found = [self.node.get_publishers_info_by_topic(topic) for topic in topics]
        return frozenset(bytes(info.endpoint_gid) for infos in found for info in infos)

    def is_ready(self, ready: Ready, gone: frozenset[bytes] = frozenset()) -> bool:
        """Tell whether all that a process promises exists.

        What a killed process published is still in the graph for a while: `gone` does not count.
        """
        for topic in ready.publishers:
            if not self.endpoints(Ready(publishers=(topic,))) - gone:
                return False
        services = {name for name, _ in self.node.get_service_names_and_types()}
        return all(self.resolve(service) in services for service in ready.services)

    def spin_until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Spin until a condition holds; False when the time is over first."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                return False
            self._executor.spin_once(timeout_sec=0.05)
        return True

    def spin_for(self, seconds: float) -> None:
        """Spin for a while."""
        end = time.monotonic() + seconds
        self.spin_until(lambda: time.monotonic() >= end, seconds + 1.0)

    def call(self, service_type: Any, name: str, request: Any, timeout: float = 10.0) -> Any:
        """Call a service and return its response.

        A request whose response does not come is repeated: the server may have answered before it
        knew of this client. All services of the stack may be asked twice for the same thing.
        """
        client = self._clients.get(name)
        if client is None:
            client = self._clients[name] = self.node.create_client(service_type, name)
        if not self.spin_until(client.service_is_ready, timeout):
            raise GraphError(
                f"nobody offers {self.resolve(name)}: is the stack up in this ROS domain "
                f"({os.environ.get('ROS_DOMAIN_ID', '0')})? Try: labvla status"
            )
        for _ in range(round(timeout / ANSWER)):
            future = client.call_async(request)
            if self.spin_until(future.done, ANSWER):
                return future.result()
            client.remove_pending_request(future)
        raise GraphError(f"{self.resolve(name)} did not answer within {timeout:g} s")

    def trigger(self, name: str, timeout: float = 10.0) -> tuple[bool, str]:
        """Call a Trigger service."""
        response = self.call(Trigger, name, Trigger.Request(), timeout)
        return bool(response.success), str(response.message)
