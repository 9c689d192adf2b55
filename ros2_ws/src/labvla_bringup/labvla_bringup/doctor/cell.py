"""Checks of the cell: its description, and its live streams where a stack is up."""

from __future__ import annotations

import time

from sensor_msgs.msg import JointState

from labvla_bringup import registry
from labvla_bringup.doctor.frame import Context, Failed, Skipped
from labvla_bringup.graph import Graph
from labvla_policy.nodes import qos
from labvla_policy.runtime.joint_sample import select_positions
from labvla_policy.runtime.refusal import Refused

LISTEN = 1.0  # s
PATIENCE = 10.0  # s; what comes later than that does not come
DISCOVERY = 3.0  # s; when one publisher has been found, all others are within this
LOWEST_RATE = 20.0  # Hz; below it a policy would act on stale states


def description(context: Context) -> str:
    """The cell file is valid."""
    if context.cell_error is not None:
        raise Failed(str(context.cell_error), "docs/cells.md explains every key")
    cell = context.cell
    arms = " and ".join(f"{arm.name} ({arm.kind})" for arm in cell.arms)
    return f"{cell.name}: {arms}, {len(cell.cameras)} cameras, hash {cell.hash[:12]}"


def contract(context: Context) -> str:
    """What a policy must provide, and whether public checkpoints do."""
    policy = context.cell.policy
    public = "" if policy.columns.canonical else "; no public checkpoint has this layout"
    return (
        f"{policy.columns.width} columns ({policy.layout}), {policy.action_space} actions at "
        f"{policy.row_rate:g} Hz{public}"
    )


def stack(context: Context) -> str:
    """The stack that is up is this cell's."""
    record = running(context)
    if record.state != "up":
        raise Failed(f"the stack is {record.state}", f"its logs: {record.log_dir}")
    ended = [process.name for process in record.processes if process.state != "ready"]
    if ended:
        raise Failed(f"not ready: {', '.join(ended)}", f"its logs: {record.log_dir}")
    return f"up with {len(record.processes)} processes"


def joint_states(context: Context) -> str:
    """Joint states come with all joints, finite and often enough."""
    record = running(context)
    cell = context.cell
    received: list[JointState] = []
    with Graph(record.namespace) as graph:
        graph.node.create_subscription(
            JointState, cell.joint_states.topic, received.append, qos.JOINT_STATES
        )
        if not graph.spin_until(lambda: bool(received), timeout=PATIENCE):
            raise Failed(
                f"nothing came on {graph.resolve(cell.joint_states.topic)} within {PATIENCE:g} s",
                "is the robot's driver running, and does the cell file name its topic?",
            )
        received.clear()
        begin = time.monotonic()
        graph.spin_until(lambda: time.monotonic() - begin > LISTEN, timeout=LISTEN + 1.0)
    rate = len(received) / (time.monotonic() - begin)
    if rate < LOWEST_RATE:
        raise Failed(f"only {rate:.0f} Hz", f"expected at least {LOWEST_RATE:g} Hz")
    try:
        select_positions(received[-1].name, received[-1].position, cell.joints)
    except Refused as refused:
        detail = refused.refusal.detail
        raise Failed(detail, "compare `joints` in the cell file with the driver") from None
    return f"{len(cell.joints)} joints at {rate:.0f} Hz"


def single_publisher(context: Context) -> str:
    """Only one node publishes action chunks."""
    record = running(context)
    with Graph(record.namespace) as graph:
        topic = graph.resolve("labvla/action_chunk")
        graph.spin_until(lambda: graph.node.count_publishers(topic) > 0, timeout=PATIENCE)
        graph.spin_until(lambda: graph.node.count_publishers(topic) > 1, timeout=DISCOVERY)
        count = graph.node.count_publishers(topic)
    if count != 1:
        raise Failed(f"{count} nodes publish {topic}", "expected exactly one: the policy node")
    return f"one node publishes {topic}"


def running(context: Context) -> registry.StackRecord:
    """Return the stack that is up, for checks that need it to be this cell's."""
    cell = context.cell
    record = registry.current()
    if record is None:
        raise Skipped(f"nothing is up in ROS domain {registry.domain()}", f"labvla up {cell.name}")
    if record.cell != cell.name:
        raise Skipped(f"the stack that is up is {record.cell}, not {cell.name}")
    return record
