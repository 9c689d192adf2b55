"""The recorder node: services and status around the recorder. Translation only."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Callable
from concurrent import futures
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from rclpy.task import Future
from rclpy.utilities import get_rmw_implementation_identifier

from labvla_data.nodes.recorder_parameters import (
    CELL,
    COMPRESSION,
    DEFAULT_DIRECTORY,
    DIRECTORY,
    DIRECTORY_VARIABLE,
    FLOOR,
    IMAGE_SOURCE,
    LOCKSTEP,
    MEMORY,
    PREROLL,
)
from labvla_data.nodes.step_watcher import StepWatcher
from labvla_data.nodes.taps import Taps
from labvla_data.recording.clocks import MachineClock, StampClock
from labvla_data.recording.disk import MEGABYTE
from labvla_data.recording.episode_writer import Result
from labvla_data.recording.incidents import Incident
from labvla_data.recording.intake import Item
from labvla_data.recording.ledger import Entry
from labvla_data.recording.mending import bags_in, mend_all
from labvla_data.recording.recorder import Recorder, RecorderSettings, Refused
from labvla_data.recording.sidecar import Circumstances, Sidecar, Wish
from labvla_data.recording.streams import PROTOCOL, STATUS, streams_of
from labvla_msgs.msg import LossEntry, PolicyStatus, ProtocolStatus, RecorderStatus
from labvla_msgs.srv import DiscardEpisode, FinishEpisode, StartEpisode
from labvla_policy.nodes import qos, run
from labvla_policy.nodes.events import Events
from labvla_policy.nodes.stamps import to_stamp
from labvla_policy.runtime.cell import load_cell

STATUS_PERIOD = 1.0  # s
_OUTCOMES = {
    FinishEpisode.Request.UNKNOWN: "unknown",
    FinishEpisode.Request.SUCCESS: "success",
    FinishEpisode.Request.FAILURE: "failure",
}
_STATES = {
    "idle": RecorderStatus.IDLE,
    "recording": RecorderStatus.RECORDING,
    "finishing": RecorderStatus.FINISHING,
}


class RecorderNode(Node):  # type: ignore[misc]  # rclpy has no types
    """Two threads: the executor's, for services, and the taps', for messages.

    In lock-step a third tells the simulation when all that it has sent is here.
    """

    def __init__(self) -> None:
        super().__init__("recorder")
        self.cell = load_cell(CELL.read(self))
        images: Any = IMAGE_SOURCE.read(self)
        streams = tuple(
            replace(stream, topic=self.resolve_topic_name(stream.topic))
            for stream in streams_of(self.cell, images)
        )
        settings = RecorderSettings(
            directory=_directory(DIRECTORY.read(self)),
            memory=round(MEMORY.read(self) * MEGABYTE),
            preroll=PREROLL.read(self),
            disk_floor=round(FLOOR.read(self) * MEGABYTE),
            compression=COMPRESSION.read(self),  # type: ignore[arg-type]
        )
        self._policy = PolicyStatus()
        self._step = ""
        self._message = ""
        self._events = Events(self)
        self._telling = threading.Lock()
        self._tap_node = Node(
            "recorder_taps",
            namespace=self.get_namespace(),
            start_parameter_services=False,
            enable_rosout=False,
            use_global_arguments=False,
        )
        lockstep = LOCKSTEP.read(self)
        clock = StampClock() if lockstep else MachineClock()
        self._taps = Taps(self._tap_node, streams, clock)
        self._taps.watch(self.resolve_topic_name(STATUS), self._on_status)
        self._taps.watch(self.resolve_topic_name(PROTOCOL), self._on_protocol)
        self._recorder = Recorder(
            streams,
            settings,
            connections=self._taps.connection,
            circumstances=self._circumstances,
            silent=self._taps.silent,
            drain=self._taps.poll,
            tell=self._tell,
            cell_file=Path(self.cell.origin.file),
            clock=clock,
        )
        self._directory = settings.directory
        self._statuses = self.create_publisher(RecorderStatus, "labvla/recorder", qos.RELIABLE)
        self.create_timer(
            STATUS_PERIOD, self._look_after_itself, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        self.create_service(StartEpisode, "labvla/start_episode", self._on_start)
        self.create_service(FinishEpisode, "labvla/finish_episode", self._on_finish)
        self.create_service(DiscardEpisode, "labvla/discard_episode", self._on_discard)
        self._taps.start(self._recorder.push)
        self._steps = self._follow_simulation() if lockstep else None
        interrupted = list(bags_in(settings.directory))
        threading.Thread(
            target=mend_all, args=(interrupted, self._tell), name="mending", daemon=True
        ).start()
        self.get_logger().info(f"records {self.cell.name} into {settings.directory}")

    def _follow_simulation(self) -> StepWatcher:
        steps = StepWatcher(self, self._taps.now, self._taps.has, lambda: self._recorder.is_behind)
        steps.start()
        return steps

    # Requests

    async def _on_start(
        self, request: StartEpisode.Request, response: StartEpisode.Response
    ) -> StartEpisode.Response:
        wish = Wish(
            instruction=request.instruction,
            operator=request.operator_name,
            notes=request.notes,
            tags=tuple(request.tags),
        )
        try:
            sidecar: Sidecar = await self._answer(lambda: self._recorder.start(wish))
        except Refused as refused:
            response.message = str(refused)
            return response
        response.accepted, response.episode_id = True, sidecar.episode_id
        response.message = f"recording {sidecar.episode_id}"
        if absent := self._taps.unpublished():
            response.message += f"; nobody publishes {', '.join(absent)}"
        return response

    async def _on_finish(
        self, request: FinishEpisode.Request, response: FinishEpisode.Response
    ) -> FinishEpisode.Response:
        outcome = _OUTCOMES.get(request.outcome, str(request.outcome))
        try:
            result: Result = await self._answer(
                lambda: self._recorder.finish(outcome, request.notes)
            )
        except Refused as refused:
            response.message = str(refused)
            return response
        response.accepted = result.safe
        response.path = str(result.path)
        response.duration = result.sidecar.duration
        response.lost = [_loss(entry) for entry in result.entries]
        response.message = _summary(result)
        self._message = response.message
        return response

    async def _on_discard(
        self, request: DiscardEpisode.Request, response: DiscardEpisode.Response
    ) -> DiscardEpisode.Response:
        try:
            result: Result = await self._answer(lambda: self._recorder.discard(request.reason))
        except Refused as refused:
            response.message = str(refused)
            return response
        response.accepted = True
        response.message = f"{result.sidecar.episode_id} was thrown away"
        self._message = response.message
        return response

    async def _answer(self, ask: Callable[[], futures.Future[Any]]) -> Any:
        """Wait for the recorder without holding up the executor."""
        waiting: Future = Future()
        asked = ask()
        self._publish_status()
        asked.add_done_callback(lambda _: waiting.set_result(None))
        await waiting
        self._publish_status()
        return asked.result()

    # What the recorder wants to know and to tell

    def _on_status(self, item: Item) -> None:
        policy = self._policy = deserialize_message(item.data, PolicyStatus)
        self._recorder.course.note(item.arrival, policy.motion_owner, policy.instruction)

    def _on_protocol(self, item: Item) -> None:
        protocol = deserialize_message(item.data, ProtocolStatus)
        running = protocol.state == ProtocolStatus.RUNNING
        steps, current = protocol.steps, protocol.current_step
        self._step = steps[current].text if running and current < len(steps) else ""

    def _circumstances(self) -> Circumstances:
        policy = self._policy
        return Circumstances(
            cell=self.cell.name,
            cell_hash=self.cell.hash,
            contract_hash=self.cell.contract_hash,
            instruction=policy.instruction,
            protocol_step=self._step,
            engine=policy.engine,
            policy=policy.policy,
            scheduling=policy.scheduling,
            versions=_versions(),
        )

    def _tell(self, incident: Incident) -> None:
        self._message = f"{incident.reason}: {incident.detail}"
        with self._telling:
            now = self._taps.now()
            self._events.tell(int(incident.severity), "recorder", incident, now, 0)

    def _look_after_itself(self) -> None:
        """Tell the status; give up where nothing can be received any more."""
        self._publish_status()
        if self._taps.failure is not None:
            self._recorder.end("fault")
            raise self._taps.failure

    def _publish_status(self) -> None:
        now = self._recorder.snapshot()
        self._statuses.publish(
            RecorderStatus(
                stamp=to_stamp(self._taps.now()),
                state=_STATES[now.state],
                message=self._message,
                directory=str(self._directory),
                episode_id=now.episode_id,
                duration=now.duration,
                bytes_written=now.written,
                bytes_waiting=now.waiting,
                bytes_free=now.free,
                silent=self._taps.silent(),
                lost=[_loss(entry) for entry in now.entries],
            )
        )

    def end(self) -> None:
        """End what is being recorded, and the threads."""
        if self._steps is not None:
            self._steps.end()
        self._recorder.end()
        self._taps.end()
        self._tap_node.destroy_node()


def _directory(text: str) -> Path:
    """Return the data directory with no link in it: nothing is ever written outside of it."""
    return Path(text or os.environ.get(DIRECTORY_VARIABLE) or DEFAULT_DIRECTORY).resolve()


def _loss(entry: Entry) -> LossEntry:
    return LossEntry(
        topic=entry.topic,
        written=entry.written,
        lost_transport=entry.lost_transport,
        lost_source=entry.lost_source,
        lost_writer=entry.lost_writer,
    )


def _summary(result: Result) -> str:
    lost = sum(entry.lost for entry in result.entries)
    text = f"{result.sidecar.duration:.1f} s, {lost or 'no'} messages lost: {result.path}"
    if result.incident is None:
        return text
    if not result.safe:
        repair = f"labvla record --repair {result.folder}"
        return f"not safe: {result.incident.detail}; make room, then: {repair}"
    return f"it had ended by itself ({result.incident.reason}); {text}"


def _versions() -> dict[str, str]:
    found = {
        "python": platform.python_version(),
        "ros": os.environ.get("ROS_DISTRO", "kilted"),
        "middleware": get_rmw_implementation_identifier(),
    }
    for package in ("labvla_policy", "labvla_data", "mcap"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a source tree
            found[package] = "unknown"
    return found


def main() -> int:
    """Run the node until it is interrupted."""
    return run.main_of(RecorderNode, refused=(OSError,))
