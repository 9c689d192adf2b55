"""What it costs to publish what the sensors say, to a listener in this process."""

from __future__ import annotations

from typing import Any

from sensor_msgs.msg import CompressedImage, Image, JointState

from benchmarks.sim.timing import Work, least
from labvla_bringup.graph import Graph
from labvla_policy.nodes import qos
from labvla_policy.nodes.stamps import to_stamp
from labvla_policy.runtime.cell import Cell
from labvla_sim.nodes.cameras import CameraPublisher
from labvla_sim.plant import CellRenderer, SimCell
from labvla_sim.plant.faults import Frame

Row = dict[str, Any]

_FOUND = 20.0  # s for publisher and listener to find each other


def measure(cell: Cell, times: int, rounds: int) -> list[Row]:
    """Return a row per kind of message; the listener takes nothing out of its queue."""
    sim = SimCell(cell)
    camera, state = cell.cameras[0], sim.state()
    renderer = CellRenderer(cell, cameras=[camera.name])
    frame = Frame(0, renderer.render(sim.snapshot())[camera.name])
    renderer.close()
    size = f"{camera.width} x {camera.height}"
    with Graph("/bench_sim") as graph:
        works: dict[str, Work] = {
            f"picture, {size} raw": _pictures(graph, cell, 0, frame, Image, ""),
            f"picture, {size} as JPEG": _pictures(
                graph, cell, 1, frame, CompressedImage, "/compressed"
            ),
            "joint state": _states(graph, cell, state),
        }
        seconds = least(works, times, rounds)
    return [
        {"part": "publishing", "what": what, "microseconds": 1e6 * taken, "per_second": 1.0 / taken}
        for what, taken in seconds.items()
    ]


def _pictures(graph: Graph, cell: Cell, number: int, frame: Frame, kind: type, suffix: str) -> Work:
    """Publish one camera in the only form that somebody listens to."""
    camera = cell.cameras[number]
    graph.node.create_subscription(kind, f"{camera.topic}{suffix}", _unheard, qos.IMAGES)
    publisher = CameraPublisher(graph.node, cell, camera)
    _wait(graph, f"{camera.topic}{suffix}")

    def publish(times: int) -> None:
        for stamp in range(times):
            publisher.publish(stamp, frame)

    return publish


def _states(graph: Graph, cell: Cell, state: Any) -> Work:
    topic = cell.joint_states.topic
    graph.node.create_subscription(JointState, topic, _unheard, qos.JOINT_STATES)
    publisher = graph.node.create_publisher(JointState, topic, qos.RELIABLE)
    _wait(graph, topic)

    def publish(times: int) -> None:
        for stamp in range(times):
            message = JointState(
                name=cell.joints,
                position=state.positions,
                velocity=state.velocities,
                effort=state.efforts,
            )
            message.header.stamp = to_stamp(stamp)
            publisher.publish(message)

    return publish


def _wait(graph: Graph, topic: str) -> None:
    """Wait for the listener: what nobody listens to is not made."""
    name = graph.resolve(topic)
    if not graph.spin_until(lambda: bool(graph.node.count_subscribers(name)), _FOUND):
        raise RuntimeError(f"the listener to {name} did not appear within {_FOUND:g} s")


def _unheard(_message: object) -> None:
    """Nobody takes the messages out of their queue."""
