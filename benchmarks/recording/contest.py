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

from benchmarks.recording.numbered import IMAGE, STATE, number_of
from labvla_bringup.graph import Graph
from labvla_data.bag.reader import BagReader
from labvla_msgs.srv import FinishEpisode, StartEpisode
from labvla_policy.runtime.cell import Cell

PATIENCE = 60.0  # s
SETTLING = 3.0  # s for everybody to find each other
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Numbers:
    """What the sender's own numbers say of a recording: cameras and joint states."""

    written: int
    gaps: int  # numbers that are missing between the first and the last of a topic


def ours(cell: Cell, folder: Path, seconds: float) -> dict[str, Any]:
    """Record with the recorder node."""
    executable = Path(get_package_prefix("labvla_data"), "lib", "labvla_data", "recorder_node")
    parameters = {
        "cell": cell.origin.file,
        "data_directory": str(folder),
        "disk_floor": 100.0,
        "preroll": 0.0,
    }
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    command = [str(executable), "--ros-args", *words]
    with _running(command) as recorder, _running(_sender(cell)) as sender, Graph() as graph:
        _begin(graph)
        before, begin = _cpu(recorder), time.monotonic()
        time.sleep(seconds)
        spent = _cpu(recorder) - before
        elapsed = time.monotonic() - begin
        asked = time.monotonic()
        answer = graph.call(FinishEpisode, "labvla/finish_episode", FinishEpisode.Request(), 60.0)
        finish = time.monotonic() - asked
        sent = _ended(sender)
    path = Path(answer.path)
    numbers = read_numbers(path)
    told = {entry.topic: entry for entry in answer.lost}
    numbered = [entry for topic, entry in told.items() if topic in numbers]
    return {
        "recorder": "labvla",
        "cpu": spent / elapsed,
        "megabytes_per_second": path.stat().st_size / 1e6 / answer.duration,
        "written": sum(n.written for n in numbers.values()),
        "lost": sum(n.gaps for n in numbers.values()),
        "told_lost_on_the_way": sum(entry.lost_transport for entry in numbered),
        "told_never_sent": sum(entry.lost_source for entry in numbered),
        "told_lost_by_writer": sum(entry.lost_writer for entry in numbered),
        "unaccounted": sum(
            abs(n.gaps - told[topic].lost_transport - told[topic].lost_writer)
            for topic, n in numbers.items()
        ),
        "finish_seconds": finish,
        "sent_per_second": sum(sent["sent"].values()) / sent["seconds"],
    }


def naive(cell: Cell, folder: Path, seconds: float) -> dict[str, Any]:
    """Record with rclpy and mcap-ros2-support."""
    path = folder / "naive.mcap"
    command = [sys.executable, "-m", "benchmarks.recording.naive", cell.origin.file, str(path)]
    with _running(command) as recorder, _running(_sender(cell)) as sender:
        _wait_for_size(path)
        time.sleep(SETTLING)
        before, begin = _cpu(recorder), time.monotonic()
        time.sleep(seconds)
        spent = _cpu(recorder) - before
        elapsed = time.monotonic() - begin
        asked = time.monotonic()
        _ended(recorder)
        finish = time.monotonic() - asked
        sent = _ended(sender)
    numbers = read_numbers(path)
    return {
        "recorder": "rclpy + mcap-ros2-support",
        "cpu": spent / elapsed,
        "megabytes_per_second": path.stat().st_size / 1e6 / (elapsed + SETTLING),
        "written": sum(n.written for n in numbers.values()),
        "lost": sum(n.gaps for n in numbers.values()),
        "unaccounted": sum(n.gaps for n in numbers.values()),
        "finish_seconds": finish,
        "sent_per_second": sum(sent["sent"].values()) / sent["seconds"],
    }


def read_numbers(path: Path) -> dict[str, Numbers]:
    """Read the sender's numbers out of a recording, by topic."""
    seen: dict[str, list[int]] = {}
    with BagReader(path) as reader:
        topics = {t.name for t in reader.topics if t.kind in (IMAGE, STATE) and t.messages}
        for message in reader.messages(topics):
            seen.setdefault(message.topic, []).append(number_of(message.kind, message.data))
    return {
        topic: Numbers(len(found), max(found) - min(found) + 1 - len(set(found)))
        for topic, found in seen.items()
    }


def _sender(cell: Cell) -> list[str]:
    return [sys.executable, "-m", "benchmarks.recording.sender", cell.origin.file]


def _begin(graph: Graph) -> None:
    """Start an episode as soon as all streams come."""
    deadline = time.monotonic() + PATIENCE
    time.sleep(SETTLING)
    while True:
        answer = graph.call(StartEpisode, "labvla/start_episode", StartEpisode.Request())
        if answer.accepted:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"the recorder does not begin: {answer.message}")
        time.sleep(0.5)


@contextlib.contextmanager
def _running(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
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
