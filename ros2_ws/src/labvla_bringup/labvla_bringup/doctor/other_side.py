"""Checks of a stack on two computers, or in two containers: both sides with the same settings.

Nobody can look at the other side's settings. What is compared is what its nodes tell; where they
cannot be heard, nothing is claimed.
"""

from __future__ import annotations

import os

from labvla_bringup import registry
from labvla_bringup.doctor import dds
from labvla_bringup.doctor.frame import Context, Failed, Skipped
from labvla_bringup.graph import Graph
from labvla_bringup.launched import NAMESPACE, POLICY, Heard, launched_namespace, listen
from labvla_policy.nodes.robot_status import TOPIC as ROBOT

DISCOVERY = 3.0  # s
SETTLING = 0.5  # s in which more is found after the first
DEFAULT_DOMAIN = 0  # where a side is whose ROS_DOMAIN_ID nobody has set
ANSWER = "labvla_doctor"  # topic of `labvla doctor --answer`
UNHEARD = (
    "no robot node and no policy node is heard: not started, or on the other side ROS_DOMAIN_ID, "
    "the user or the network is another"
)
ON_BOTH = "on both computers: ROS_DOMAIN_ID, and ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET"


def same_domain(context: Context) -> str:
    """The cell's other half is not in another ROS domain than this shell."""
    own = registry.domain()
    if namespaces(own):
        return f"a stack is heard in ROS domain {own}"
    if own != DEFAULT_DOMAIN and context.cell.name in _cells(DEFAULT_DOMAIN):
        raise Failed(
            f"{context.cell.name} runs in ROS domain {DEFAULT_DOMAIN}, the default; this shell has "
            f"{own}",
            f"export ROS_DOMAIN_ID={own} on the other side, too, before it is started",
        )
    looked = " and ".join(str(domain) for domain in sorted({own, DEFAULT_DOMAIN}))
    raise Skipped(f"{UNHEARD} (looked in ROS domain {looked})", ON_BOTH)


def _cells(domain: int) -> set[str]:
    """Return the cells that run in a domain: another one's is none of our business."""
    found = set()
    for namespace in namespaces(domain):
        with Graph(namespace, domain) as graph:
            found.add(listen(graph, DISCOVERY).cell)
    return found


def same_namespace(_context: Context) -> str:
    """The stack is in the namespace in which it is looked for."""
    wanted = f"/{launched_namespace().strip('/')}"
    found = namespaces(registry.domain())
    if not found:
        raise Skipped(UNHEARD, ON_BOTH)
    for namespace, what in sorted(found.items()):
        if namespace != wanted:
            raise Failed(
                f"{what} is in the namespace {namespace}, looked for in {wanted}",
                f"export {NAMESPACE}={namespace}, or start both sides with the same namespace:=",
            )
    return wanted


def namespaces(domain: int) -> dict[str, str]:
    """Return in which namespaces a robot node or a policy node tells how it is."""
    with Graph(domain=domain) as graph:
        graph.spin_until(lambda: bool(_find(graph)), DISCOVERY)
        graph.spin_for(SETTLING)
        return _find(graph)


def _find(graph: Graph) -> dict[str, str]:
    """Return the topics that are told, by namespace."""
    found = {}
    for topic, _ in graph.node.get_topic_names_and_types():
        for told in (ROBOT, POLICY):
            if topic.endswith(f"/{told}") and graph.node.count_publishers(topic):
                found[topic.removesuffix(told).rstrip("/") or "/"] = topic
    return found


def same_cell(context: Context) -> str:
    """Robot node and policy node run with this very cell file."""
    cell = context.cell
    with Graph(launched_namespace()) as graph:
        heard = listen(graph, DISCOVERY)
    told = _hashes(heard)
    if not told:
        raise Skipped(UNHEARD, ON_BOTH)
    for node, (name, found) in told.items():
        if found != cell.hash:
            raise Failed(
                f"{node} runs the cell {name} {found[:12]}, the file here is {cell.name} "
                f"{cell.hash[:12]}",
                f"copy {cell.origin.file} to the other side, and start both with it: a chunk "
                "from another cell is refused",
            )
    return f"{' and '.join(told)}: {cell.hash[:12]}"


def _hashes(heard: Heard) -> dict[str, tuple[str, str]]:
    told: dict[str, tuple[str, str]] = {}
    if heard.robot is not None:
        told["the robot node"] = (heard.robot.cell, heard.robot.cell_hash)
    if heard.policy is not None:
        told["the policy node"] = (heard.policy.cell, heard.policy.cell_hash)
    return told


def image_across(_context: Context) -> str:
    """A 1 MB image goes to the other container or computer and comes back."""
    with Graph() as graph:
        back = graph.resolve(f"{ANSWER}/back")
        graph.spin_until(lambda: graph.node.count_publishers(back) > 0, DISCOVERY)
        answering = graph.node.count_publishers(back)
        if not answering:
            raise Skipped(
                "nobody answers on the other side",
                "run `labvla doctor --answer` in the other container, or on the other computer",
            )
        if answering > 1:
            raise Failed(f"{answering} answer", "expected one `labvla doctor --answer`")
        return dds.measure(graph, ANSWER, _hint())


def _hint() -> str:
    same = "containers: --ipc=host, --network=host and one user id on both sides"
    reach = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    return f"{same}; computers: ROS_AUTOMATIC_DISCOVERY_RANGE is {reach} here; socket_buffers"
