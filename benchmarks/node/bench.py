"""Runs both nodes in turn on the same streams."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Literal

from benchmarks.common.usage import Usage, children, usage
from benchmarks.node.clock import new_offset
from benchmarks.node.engine import NAME, install_entry_point
from benchmarks.node.process import Settings, Times, load_record
from benchmarks.node.segment import Received, Window
from benchmarks.node.standin import TRAJECTORY
from benchmarks.node.streams import Load, write_cell
from labvla_bringup.graph import Graph
from labvla_bringup.process import ManagedProcess, stop_all
from labvla_bringup.stack import CHUNKS, Process, Ready
from labvla_bringup.supervisor import executable_path
from labvla_msgs.msg import PolicyStatus
from labvla_msgs.srv import SetInstruction
from labvla_policy.nodes import qos
from labvla_policy.nodes.stamps import to_ns
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.types import NANOSECONDS

NodeKind = Literal["labvla", "naive"]

READY = 40.0  # s for a process to appear in the graph
WARM_UP = 2.0  # s
ROWS_PER_QUESTION = 6  # of the policy node where it is not asked at every set: 5 Hz
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Segment:
    """What was noted while one node worked."""

    kind: NodeKind
    window: Window
    asked: Times
    received: tuple[dict[str, Received], dict[str, Received]] | None  # by topic, at both ends


@dataclass(frozen=True)
class Records:
    """What was noted of one load: all segments, what was sent, what arrived."""

    segments: list[Segment]
    sent: dict[str, Times]
    arrivals: Times


class Bench:
    """The processes of one load."""

    def __init__(self, load: Load, rate: float, cell: str, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._rate = folder, rate
        self.cell: Cell = write_cell(cell, load, folder)
        install_entry_point(folder)
        self._settings = Settings(
            self.cell.origin.file, load, new_offset(), str(folder / "record.npz"), rate
        )
        path = os.pathsep.join([str(folder), str(_ROOT), os.environ.get("PYTHONPATH", "")])
        self._environment = {**os.environ, "PYTHONPATH": path}
        self._statuses: list[PolicyStatus] = []

    def run(self, order: list[NodeKind], seconds: float) -> Records:
        """Let nodes work one after the other on streams that go on."""
        with Graph() as graph, self._helper("sender"), self._helper("standin"):
            graph.node.create_subscription(
                PolicyStatus, "labvla/status", self._statuses.append, qos.RELIABLE
            )
            states = Ready(publishers=(f"{self.cell.controller.name}/state",))
            pictures = Ready(publishers=tuple(c.topic for c in self.cell.policy_cameras))
            self._wait(graph, states)
            self._wait(graph, pictures)
            segments = [
                self._segment(graph, kind, number, seconds) for number, kind in enumerate(order)
            ]
        return Records(
            segments,
            load_record(self._folder / "sender.npz"),
            load_record(self._folder / "standin.npz")["arrivals"].reshape(-1, 2),
        )

    def _segment(self, graph: Graph, kind: NodeKind, number: int, seconds: float) -> Segment:
        record = self._folder / f"{kind}{number}.npz"
        node = self._labvla(record) if kind == "labvla" else self._naive(record)
        node.start()
        try:
            if kind == "labvla":
                self._wait(graph, Ready(publishers=(CHUNKS,)))
                self._say(graph)
                self._hear(graph)
            else:
                self._wait(graph, Ready(publishers=(TRAJECTORY,)))
            graph.spin_for(WARM_UP)
            window, received = self._measure(graph, kind, node, seconds)
        finally:
            killed = stop_all([node])
        if killed or not record.exists():
            raise RuntimeError(f"the node {kind} did not end as it should: see {self._folder}")
        return Segment(kind, window, load_record(record)["asked"].reshape(-1, 4), received)

    def _measure(
        self, graph: Graph, kind: NodeKind, node: ManagedProcess, seconds: float
    ) -> tuple[Window, tuple[dict[str, Received], dict[str, Received]] | None]:
        assert node.pid is not None
        engine = next(iter(children(node.pid)), None) if kind == "labvla" else None
        counted = [self._status(graph)] if kind == "labvla" else []
        begin, before = time.monotonic_ns(), self._used(node.pid, engine)
        time.sleep(seconds)
        end, after = time.monotonic_ns(), self._used(node.pid, engine)
        counted += [self._status(graph)] if kind == "labvla" else []
        pairs = [(b, a) for b, a in zip(before, after, strict=True)]
        window = Window(begin, end, pairs[0], pairs[1] if engine else None)
        return window, (counted[0], counted[1]) if counted else None

    @staticmethod
    def _used(node: int, engine: int | None) -> list[Usage]:
        return [usage(pid) for pid in (node, engine) if pid is not None]

    def _status(self, graph: Graph) -> dict[str, Received]:
        """Return what the policy node says that it has received, from a status made just now."""
        self._statuses.clear()
        if not graph.spin_until(lambda: bool(self._statuses), 5.0):
            raise RuntimeError("the policy node says nothing")
        return received(self._statuses[-1], self.cell)

    def _say(self, graph: Graph) -> None:
        request = SetInstruction.Request(instruction="go on")
        deadline = time.monotonic() + READY
        while not graph.call(SetInstruction, "labvla/set_instruction", request).accepted:
            if time.monotonic() > deadline:
                raise RuntimeError("the policy node takes no instruction")
            graph.spin_for(0.2)

    def _hear(self, graph: Graph) -> None:
        """Wait until the policy node has had something of every stream."""
        self._statuses.clear()

        def heard() -> bool:
            if not self._statuses:
                return False
            newest = self._statuses[-1]
            return all(map(isfinite, (newest.joint_state_age, *(c.age for c in newest.cameras))))

        if not graph.spin_until(heard, READY):
            raise RuntimeError(f"the policy node does not hear every stream: see {self._folder}")

    def _wait(self, graph: Graph, ready: Ready) -> None:
        if not graph.spin_until(lambda: graph.is_ready(ready), READY):
            raise RuntimeError(f"{ready} did not appear within {READY:g} s: see {self._folder}")

    def _labvla(self, record: Path) -> ManagedProcess:
        every_set = self._rate == 0.0
        process = Process(
            name="policy",
            package="labvla_policy",
            executable="policy_node",
            parameters={
                "cell": self.cell.origin.file,
                "engine": NAME,
                "engine_options": json.dumps({"record": str(record)}),
                "scheduling": "async",
                "execute_rows": 1 if every_set else ROWS_PER_QUESTION,
            },
        )
        command = [str(executable_path(process)), *process.ros_arguments("")]
        return self._process("policy", command)

    def _naive(self, record: Path) -> ManagedProcess:
        return self._process("naive", self._module("naive", record))

    @contextmanager
    def _helper(self, name: str) -> Iterator[None]:
        process = self._process(name, self._module(name, self._folder / f"{name}.npz"))
        process.start()
        try:
            yield
        finally:
            stop_all([process])

    def _module(self, name: str, record: Path) -> list[str]:
        settings = replace(self._settings, record=str(record))
        path = settings.write(self._folder / f"{record.stem}.json")
        return [sys.executable, "-m", f"benchmarks.node.{name}", str(path)]

    def _process(self, name: str, command: list[str]) -> ManagedProcess:
        log = self._folder / f"{name}.log"
        return ManagedProcess(name, command, self._environment, log, lambda *_: None)


def received(status: PolicyStatus, cell: Cell) -> dict[str, Received]:
    """Return what a status says about every stream, by topic."""
    now = to_ns(status.stamp)
    topics = {camera.name: camera.topic for camera in cell.policy_cameras}
    found = {
        topics[c.camera]: Received(now - round(c.age * NANOSECONDS), c.received, c.lost)
        for c in status.cameras
    }
    joints = Received(
        now - round(status.joint_state_age * NANOSECONDS),
        status.joint_states_received,
        status.joint_states_lost,
    )
    return {**found, cell.joint_states.topic: joints}
