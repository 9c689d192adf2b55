"""What the benchmark's own processes share: settings in, records out, an orderly end."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from benchmarks.node.streams import Load

Times = NDArray[np.int64]


@dataclass(frozen=True)
class Settings:
    """What each process has to know."""

    cell: str  # file
    load: Load
    offset: int  # ns, from the monotonic clock to stamps
    record: str  # file for what was noted
    rate: float = 0.0  # Hz of questions; 0: at every set of pictures

    def write(self, path: Path) -> Path:
        """Write for another process."""
        path.write_text(json.dumps(asdict(self)))
        return path

    @classmethod
    def read(cls, path: str) -> Settings:
        """Read what another process wrote."""
        data = json.loads(Path(path).read_text())
        load = {**data["load"], "phases": tuple(data["load"]["phases"])}
        return cls(**{**data, "load": Load(**load)})


def main(work: Callable[[Node, Settings, list[int]], Mapping[str, object]], name: str) -> None:
    """Let a process work until a signal, then write what it returns."""
    settings = Settings.read(sys.argv[1])
    ending: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.append(1))
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node(name, enable_rosout=False, start_parameter_services=False)
    noted = work(node, settings, ending)
    node.destroy_node()
    rclpy.try_shutdown()
    save(settings.record, noted)


def save(path: str, noted: Mapping[str, object]) -> None:
    """Write a record; whoever reads it never meets half of one."""
    unfinished = f"{path}.unfinished.npz"
    arrays: dict[str, Any] = {k: np.asarray(value, np.int64) for k, value in noted.items()}
    np.savez(unfinished, **arrays)
    Path(unfinished).replace(path)


def load_record(path: Path) -> dict[str, Times]:
    """Read a record."""
    with np.load(path) as found:
        return {key: found[key] for key in found.files}
