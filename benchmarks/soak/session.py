"""Brings the stack up, gives it work again and again, and notes what there is to note."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks.common.usage import children
from benchmarks.node.bench import received
from benchmarks.node.process import load_record
from benchmarks.node.segment import Received
from benchmarks.soak.sampler import Course, Sampler
from benchmarks.soak.stream import Stream
from benchmarks.soak.witness import LISTENING
from labvla_bringup import registry
from labvla_bringup.background import BackgroundStack
from labvla_bringup.graph import Graph
from labvla_bringup.watch import Watch
from labvla_bringup.work import Episode, work
from labvla_data.recording.sidecar import load
from labvla_msgs.msg import PolicyStatus
from labvla_policy.nodes import qos
from labvla_policy.runtime.cell import Cell

TASKS = ("pick", "press")
INTERVAL = 1.0  # s between two looks at the processes
SETTLING = 2.0  # s before the first message counts
READY = 60.0  # s for the engine
PATIENCE = 30.0  # s for the witness to write what it has noted
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Report:
    """What the policy node said of itself at one moment."""

    at: int  # ns on the monotonic clock
    received: Mapping[str, Received]  # by topic
    refused: Mapping[str, int]
    rates: Mapping[str, float]  # Hz, by camera
    observations_refused: int
    predictions_refused: int


@dataclass
class Session:
    """Everything that was noted."""

    begin: int  # ns on the monotonic clock
    end: int = 0
    streams: dict[str, Stream] = field(default_factory=dict)  # by topic
    reports: list[Report] = field(default_factory=list)
    courses: dict[str, Course] = field(default_factory=dict)  # by process
    episodes: list[Episode] = field(default_factory=list)
    ledgers: list[Mapping[str, Any]] = field(default_factory=list)  # one an episode
    chunks: int = 0
    chunks_lost: int = 0
    chunks_refused: int = 0  # by the controller
    restarts: int = 0  # of processes
    gone: list[str] = field(default_factory=list)
    exit_code: int = 0

    @property
    def seconds(self) -> float:
        """How long it was."""
        return (self.end - self.begin) * 1e-9


def hold(
    cell: Cell, seconds: float, recording: bool, folder: Path, tell: Callable[[str], None]
) -> Session:
    """Let the stack work for some seconds, and for as long as the last episode takes.

    Args:
        cell: as the stack runs it.
        seconds: after which no new episode begins.
        recording: whether every episode is recorded; the recordings are not kept.
        folder: for logs and for recordings on their way.
        tell: hears of the progress.
    """
    words = [cell.origin.file, "--logs", str(folder / "logs")]
    words += ["--recordings", str(folder / "recordings")] if recording else ["--no-recorder"]
    noted = folder / "witness.npz"
    with (
        (folder / "stack.log").open("w") as log,
        BackgroundStack(words, log) as stack,
        _witness(cell, noted),
        Graph() as graph,
    ):
        observer = _Observer(graph, cell)
        observer.until_active()
        graph.spin_for(SETTLING)
        session = _work(stack.pid, observer, seconds, recording, tell)
    session.streams = {topic: Stream.of(rows) for topic, rows in load_record(noted).items()}
    session.exit_code = stack.code
    return session


class _Observer:
    """Listens to the stack; whoever spins the graph feeds it."""

    def __init__(self, graph: Graph, cell: Cell) -> None:
        self.graph, self._cell = graph, cell
        self.watch = Watch(graph)
        self.reports: list[Report] = []
        self._active = False
        graph.node.create_subscription(PolicyStatus, "labvla/status", self._on_status, qos.RELIABLE)

    def _on_status(self, status: PolicyStatus) -> None:
        self._active = status.state == PolicyStatus.ACTIVE
        if not self._active:
            return
        topics = {camera.name: camera.topic for camera in self._cell.cameras}
        refused = {topics[c.camera]: c.refused for c in status.cameras}
        refused[self._cell.joint_states.topic] = status.joint_states_refused
        self.reports.append(
            Report(
                time.monotonic_ns(),
                received(status, self._cell),
                refused,
                {c.camera: c.rate for c in status.cameras},
                status.observations_refused,
                status.predictions_refused,
            )
        )

    def until_active(self) -> None:
        if not self.graph.spin_until(lambda: self._active, READY):
            raise RuntimeError(f"the policy did not become active within {READY:g} s")

    def next_report(self) -> None:
        """Wait for a report that is made from now on."""
        known = len(self.reports)
        if not self.graph.spin_until(lambda: len(self.reports) > known + 1, READY):
            raise RuntimeError("the policy node says nothing any more")


def _work(
    supervisor: int,
    observer: _Observer,
    seconds: float,
    recording: bool,
    tell: Callable[[str], None],
) -> Session:
    observer.reports.clear()
    observer.next_report()
    session = Session(time.monotonic_ns())
    with Sampler(_processes(supervisor), INTERVAL) as sampler:
        for number, task in enumerate(cycle(TASKS)):
            past = (time.monotonic_ns() - session.begin) * 1e-9
            if past >= seconds:
                break
            tell(f"{past:.0f} of {seconds:.0f} s, episode {number + 1}")
            operator = "labvla bench soak" if recording else None
            episode = work(observer.graph, task, number, operator, _unheard)
            session.episodes.append(episode)
            if episode.recording:
                session.ledgers.append(_ledger(Path(episode.recording)))
        observer.next_report()
        session.end = time.monotonic_ns()
    watch = observer.watch
    session.reports = observer.reports
    session.courses, session.gone = sampler.courses, sorted(sampler.gone)
    session.chunks, session.chunks_lost = len(watch.sequences), watch.chunks_lost
    session.chunks_refused = watch.controller_refused
    record = registry.current()
    session.restarts = sum(process.restarts for process in record.processes) if record else 0
    return session


def _ledger(episode: Path) -> Mapping[str, Any]:
    """Return what the recorder knows of an episode, and throw the episode away."""
    sidecar = load(episode)
    if sidecar is None:
        raise RuntimeError(f"the recorder has left no ledger in {episode}")
    shutil.rmtree(episode)
    return sidecar.ledger


def _processes(supervisor: int) -> dict[str, int]:
    """Return the ids of all that belongs to the stack."""
    record = registry.current()
    if record is None:
        raise RuntimeError("the stack went down by itself")
    found = {p.name: p.pid for p in record.processes if p.pid is not None}
    engines = {f"engine{n or ''}": pid for n, pid in enumerate(children(found["policy"]))}
    return {"supervisor": supervisor, **found, **engines}


@contextlib.contextmanager
def _witness(cell: Cell, noted: Path) -> Iterator[None]:
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.soak.witness", cell.origin.file, str(noted)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        if process.stdout.readline().strip() != LISTENING:
            raise RuntimeError("the witness has failed; its output is above")
        yield
    finally:
        process.terminate()
        code = process.wait(timeout=PATIENCE)
        process.stdout.close()
    if code != 0:
        raise RuntimeError("the witness has failed; its output is above")


def _unheard(_instruction: str) -> None:
    """Say nothing: instructions are told by their number."""
