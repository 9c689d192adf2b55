"""Requests to a driver's services and actions under one row of tickets; nothing waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.client import Client

from labvla_policy.nodes.action_port import ActionPort
from labvla_policy.runtime.report import Report


def success(response: Any) -> tuple[bool, str]:
    """Judge a response as std_srvs and the makers write them."""
    return bool(response.success), str(getattr(response, "message", ""))


def ok(response: Any) -> tuple[bool, str]:
    """Judge a response of the controller manager."""
    return bool(response.ok), str(getattr(response, "message", ""))


class Requests(ActionPort):
    """Calls services as an ActionPort sends goals."""

    def call(
        self,
        client: Client,
        request: Any,
        judge: Callable[[Any], tuple[bool, str]] = success,
    ) -> int:
        """Call a service; what it answers is reported."""
        ticket = self.new_ticket()
        client.call_async(request).add_done_callback(
            lambda future: self._on_response(ticket, future, judge)
        )
        return ticket

    def _on_response(
        self, ticket: int, future: Any, judge: Callable[[Any], tuple[bool, str]]
    ) -> None:
        if future.exception() is not None:
            self.report(Report(ticket, "failed", str(future.exception())))
            return
        done, words = judge(future.result())
        self.report(Report(ticket, "succeeded" if done else "failed", words))
