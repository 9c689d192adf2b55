"""Notes memory and processor time of processes at intervals, from a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.common.usage import Usage, usage


@dataclass
class Course:
    """One process over time."""

    seconds: list[float] = field(default_factory=list)  # since the begin
    memory: list[float] = field(default_factory=list)  # MB resident
    cpu: list[float] = field(default_factory=list)  # s used

    def add(self, seconds: float, now: Usage) -> None:
        """Note one sample."""
        self.seconds.append(seconds)
        self.memory.append(now.memory / 1e6)
        self.cpu.append(now.cpu)

    @property
    def load(self) -> float:
        """Processor seconds per second."""
        return (self.cpu[-1] - self.cpu[0]) / (self.seconds[-1] - self.seconds[0])


class Sampler:
    """Looks at processes for the time of a `with`."""

    def __init__(self, processes: Mapping[str, int], interval: float) -> None:
        """Prepare; `processes` has their ids by name."""
        self.courses = {name: Course() for name in processes}
        self.gone: set[str] = set()  # processes that ended meanwhile
        self._processes, self._interval = processes, interval
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def __enter__(self) -> Sampler:
        self._begin = time.monotonic()
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        self._look()

    def _run(self) -> None:
        while not self._ending.wait(self._interval):
            self._look()

    def _look(self) -> None:
        for name, pid in self._processes.items():
            try:
                now = usage(pid)
            except OSError:
                self.gone.add(name)
                continue
            self.courses[name].add(time.monotonic() - self._begin, now)
