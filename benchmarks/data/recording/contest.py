"""Runs a recorder beside the sender, and finds out what it cost and what it has lost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_prefix

from benchmarks.data.recording.numbered import READABLE, number_of
from labvla_bringup.graph import Graph
from labvla_data.bag.reader import BagReader
from labvla_msgs.srv import FinishEpisode, StartEpisode
from labvla_policy.runtime.cell import Cell

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 60.0  # s
SETTLING = 3.0  # s for everybody to find each other
TICKS = os.sysconf("SC_CLK_TCK")


Row = dict[str, Any]


@dataclass(frozen=True)
class Load:
    """What is sent."""

    name: str
    cell: Cell
    images: str = "cell"  # or jpeg

    @property
    def words(self) -> list[str]:
        """Return it as arguments of sender and recorder."""
        return [self.cell.origin.file, self.images]


@dataclass(frozen=True)
class Numbers:
    """What the sender's own numbers say of a topic in a recording."""

    written: int
    gaps: int  # numbers that are missing between the first and the last of a topic


def labvla(load: Load, folder: Path, seconds: float) -> Row:
    """Record with the recorder node."""
    executable = Path(get_package_prefix("labvla_data"), "lib", "labvla_data", "recorder_node")
    parameters = {
        "cell": load.cell.origin.file,
        "images": load.images,
        "data_directory": str(folder),
        "disk_floor": 100.0,
        "preroll": 0.0,
    }
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    command = [str(executable), "--ros-args", *words]
    with _running(command) as recorder, _running(_sender(load)) as sender, Graph() as graph:
        _begin(graph)
        cost, memory = _cost(recorder, seconds)
        asked = time.monotonic()
        answer = graph.call(FinishEpisode, "labvla/finish_episode", FinishEpisode.Request(), 60.0)
        finish = time.monotonic() - asked
        sent = _ended(sender)
    numbers = read_numbers(Path(answer.path))
    told = {entry.topic: entry for entry in answer.lost if entry.topic in numbers}
    return {
        "recorder": "labvla",
        "load": load.name,
        "seconds": answer.duration,
        "cpu": cost,
        "memory_mb": memory,
        "megabytes_per_second": Path(answer.path).stat().st_size / 1e6 / answer.duration,
        "sent_per_second": _rate(sent),
        "written": sum(n.written for n in numbers.values()),
        "lost": sum(n.gaps for n in numbers.values()),
        "told": {
            "on the way": sum(entry.lost_transport for entry in told.values()),
            "never sent": sum(entry.lost_source for entry in told.values()),
            "by the writer": sum(entry.lost_writer for entry in told.values()),
        },
        "unaccounted": sum(
            abs(n.gaps - told[topic].lost_transport - told[topic].lost_writer)
            for topic, n in numbers.items()
        ),
        "finish_seconds": finish,
    }


def naive(load: Load, folder: Path, seconds: float) -> Row:
    """Record with rclpy and mcap-ros2-support."""
    path = folder / "naive.mcap"
    command = [*_module("naive"), *load.words, str(path)]
    with _running(command) as recorder, _running(_sender(load)) as sender:
        _wait_for_size(path)
        time.sleep(SETTLING)
        begin = time.time_ns()
        cost, memory = _cost(recorder, seconds)
        end = time.time_ns()
        asked = time.monotonic()
        _ended(recorder)
        finish = time.monotonic() - asked
        sent = _ended(sender)
    # It writes from its first message on; the other begins an episode where this one is measured.
    numbers = read_numbers(path, begin, end)
    lost = sum(n.gaps for n in numbers.values())
    return {
        "recorder": "rclpy + mcap-ros2-support",
        "load": load.name,
        "seconds": seconds,
        "cpu": cost,
        "memory_mb": memory,
        "sent_per_second": _rate(sent),
        "written": sum(n.written for n in numbers.values()),
        "lost": lost,
        "unaccounted": lost,
        "finish_seconds": finish,
    }


def read_numbers(
    path: Path, begin: int | None = None, end: int | None = None
) -> dict[str, Numbers]:
    """Read the sender's numbers out of what was recorded between two times (ns), by topic."""
    seen: dict[str, list[int]] = {}
    with BagReader(path) as reader:
        topics = {t.name for t in reader.topics if t.kind in READABLE and t.messages}
        for message in reader.messages(topics, begin, end):
            seen.setdefault(message.topic, []).append(number_of(message.kind, bytes(message.data)))
    return {
        topic: Numbers(len(found), max(found) - min(found) + 1 - len(set(found)))
        for topic, found in seen.items()
    }


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.data.recording.{name}"]


def _sender(load: Load) -> list[str]:
    return [*_module("sender"), *load.words]


def _rate(sent: dict[str, Any]) -> float:
    return float(sum(sent["sent"].values()) / sent["seconds"])


def _cost(process: subprocess.Popen[str], seconds: float) -> tuple[float, float]:
    """Return the share of a core and the memory (MB) that a process takes for a while."""
    before, begin = _cpu(process), time.monotonic()
    time.sleep(seconds)
    share = (_cpu(process) - before) / (time.monotonic() - begin)
    status = Path(f"/proc/{process.pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return share, int(peak.split()[1]) / 1000


def _begin(graph: Graph) -> None:
    """Start an episode as soon as all streams come."""
    deadline = time.monotonic() + PATIENCE
    time.sleep(SETTLING)
    while True:
        answer = graph.call(StartEpisode, "labvla/start_episode", StartEpisode.Request(), PATIENCE)
        if answer.accepted:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"the recorder does not begin: {answer.message}")
        time.sleep(0.5)


@contextlib.contextmanager
def _running(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE)


def _ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Interrupt a process and return what it tells at its end."""
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=PATIENCE)
    return dict(json.loads(output)) if output.strip() else {}


def _wait_for_size(path: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not path.exists() or path.stat().st_size < 1000:
        if time.monotonic() > deadline:
            raise RuntimeError(f"nothing is written to {path}")
        time.sleep(0.1)


def _cpu(process: subprocess.Popen[str]) -> float:
    """Return the processor time of a process in s."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
