"""Send a goal to an action of the stack and follow it to its end."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from rclpy.action import ActionClient

from labvla_bringup.graph import ANSWER, Graph, GraphError

CANCEL = 10.0  # s that a canceled goal has to end


def follow(
    graph: Graph,
    kind: Any,
    name: str,
    goal: Any,
    on_feedback: Callable[[Any], None],
    timeout: float = 10.0,
) -> Any:
    """Return the result of a goal. An interrupt cancels it and still waits for its end."""
    client = ActionClient(graph.node, kind, name)
    try:
        if not graph.spin_until(client.server_is_ready, timeout):
            raise GraphError(
                f"nobody offers {graph.resolve(name)}: is the stack up in this ROS domain "
                f"({os.environ.get('ROS_DOMAIN_ID', '0')})? Try: labvla status"
            )
        handle = _accepted(graph, client, goal, on_feedback, timeout)
        result = handle.get_result_async()
        try:
            while not graph.spin_until(result.done, 1.0):
                if not client.server_is_ready():
                    raise GraphError(f"{graph.resolve(name)} is gone: the goal's end is not known")
        except KeyboardInterrupt:
            handle.cancel_goal_async()
            if not graph.spin_until(result.done, CANCEL):
                raise
        return result.result().result
    finally:
        client.destroy()


def _accepted(
    graph: Graph,
    client: ActionClient,
    goal: Any,
    on_feedback: Callable[[Any], None],
    timeout: float,
) -> Any:
    """Return the handle of the goal, asking again where the answer did not find its way.

    The server may have answered before it knew of this client. Of two goals the newer one counts.
    """
    for _ in range(round(timeout / ANSWER)):
        future = client.send_goal_async(goal, lambda told: on_feedback(told.feedback))
        if graph.spin_until(future.done, ANSWER):
            handle = future.result()
            if not handle.accepted:
                raise GraphError("the goal was rejected without a reason")
            return handle
    raise GraphError(f"the goal was not answered within {timeout:g} s")
