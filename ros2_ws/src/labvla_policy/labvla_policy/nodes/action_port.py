"""Goals for the actions of somebody else's driver, and what became of them; nothing waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient

from labvla_policy.runtime.report import Report

_ENDS: Mapping[int, str] = {
    GoalStatus.STATUS_SUCCEEDED: "succeeded",
    GoalStatus.STATUS_CANCELED: "canceled",
}


class ActionPort:
    """Sends goals to actions; one ticket a goal, whatever action it goes to."""

    def __init__(self) -> None:
        self._tickets = 0
        self._handles: dict[int, Any] = {}
        self._canceled: set[int] = set()  # before the driver had accepted them
        self._reports: list[Report] = []

    def poll(self) -> Sequence[Report]:
        """Return what was reported since the last call."""
        reports, self._reports = self._reports, []
        return reports

    def cancel(self, ticket: int) -> None:
        """Ask the driver to give a goal up, as soon as it has accepted it."""
        handle = self._handles.get(ticket)
        if handle is None:
            self._canceled.add(ticket)
        else:
            handle.cancel_goal_async()

    def send_to(self, client: ActionClient, message: Any) -> int:
        """Send a goal and follow it."""
        ticket = self.new_ticket()
        client.send_goal_async(message).add_done_callback(
            lambda future: self._on_answer(ticket, future.result())
        )
        return ticket

    def new_ticket(self) -> int:
        """Return a ticket that was not used before."""
        self._tickets += 1
        return self._tickets

    def report(self, report: Report) -> None:
        """Note what became of something."""
        self._reports.append(report)

    def _on_answer(self, ticket: int, handle: Any) -> None:
        if not handle.accepted:
            self._reports.append(Report(ticket, "rejected"))
            return
        self._handles[ticket] = handle
        self._reports.append(Report(ticket, "accepted"))
        handle.get_result_async().add_done_callback(
            lambda future: self._on_result(ticket, future.result())
        )
        if ticket in self._canceled:
            self._canceled.discard(ticket)
            handle.cancel_goal_async()

    def _on_result(self, ticket: int, response: Any) -> None:
        self._handles.pop(ticket, None)
        what = _ENDS.get(response.status, "failed")
        # A driver may end a goal regularly and still say that it was not done.
        if what == "succeeded" and getattr(response.result, "success", True) is False:
            what = "failed"
        result = response.result
        words = getattr(result, "error", "") or getattr(result, "message", "")
        detail = words or f"status {response.status}"
        self._reports.append(Report(ticket, what, str(detail)))  # type: ignore[arg-type]
