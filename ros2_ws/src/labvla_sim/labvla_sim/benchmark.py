"""How well the cell keeps up with real time here; `labvla bench sim` has it beside other figures.

One thread steps plant and controller at 1 kHz in real time, a second one draws the cameras: the
arrangement that the running stack has, without ROS.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass

import numpy as np

from labvla_policy.runtime.cell import Cell
from labvla_sim.plant.pacing import Pacer
from labvla_sim.plant.rendering import CellRenderer
from labvla_sim.plant.servo import JointServo
from labvla_sim.plant.sim_cell import SimCell, Snapshot
from labvla_sim.tasks.episode import sample_episode


@dataclass(frozen=True)
class Row:
    """One measurement."""

    cameras: int
    width: int
    height: int
    real_time_factor: float
    camera_rate: float  # frames per simulated second and camera
    frames_dropped: int  # asked for while the one before was not finished
    draw_ms: float  # processor time for all cameras once, median
    tick_us: float  # processor time of plant and controller per tick, mean
    worst_lag_ms: float


class _Drawer(threading.Thread):
    """Draws the newest snapshot; one that comes while drawing waits, a second one is dropped."""

    def __init__(self, cell: Cell, size: tuple[int, int]) -> None:
        super().__init__(daemon=True)
        self.wanted: queue.Queue[Snapshot | None] = queue.Queue(maxsize=1)
        self.ready = threading.Event()
        self.drawn = 0
        self.seconds: list[float] = []
        self._cell, self._size = cell, size

    def run(self) -> None:
        renderer = CellRenderer(self._cell, sizes=self._size)
        while (snapshot := self.wanted.get()) is not None:
            start = time.thread_time()
            renderer.render(snapshot)
            if self.ready.is_set():
                self.seconds.append(time.thread_time() - start)
                self.drawn += 1
            self.ready.set()
        renderer.close()


def measure(cell: Cell, seconds: float, size: tuple[int, int], seed: int = 0) -> Row:
    """Run a scene for some simulated seconds at real time and report."""
    sim = SimCell(cell)
    episode = sample_episode(cell, "pick", seed)
    sim.reset(episode.scene, np.array(episode.joints), np.array(episode.widths), seed)
    servo = JointServo.stiff(cell)
    rest, still, widths = sim.state().positions, np.zeros(len(cell.joints)), episode.widths
    drawer = _Drawer(cell, size)
    drawer.start()
    drawer.wanted.put(sim.snapshot())
    drawer.ready.wait()  # the first picture makes the graphics context
    pacer, dropped, frames = Pacer(), 0, 0
    rate = cell.cameras[0].rate
    start, used = time.monotonic(), time.thread_time()
    for tick in range(round(seconds * 1e3)):
        target = rest + 0.1 * np.sin(2e-3 * tick)
        state = sim.state()
        sim.step(servo.torques(target, still, state.positions, state.velocities), widths)
        if sim.ticks * 1e-3 * rate >= frames + 1:
            frames += 1
            try:
                drawer.wanted.put_nowait(sim.snapshot())
            except queue.Full:
                dropped += 1
        pacer.wait(sim.ticks * 1e-3)
    wall, used = time.monotonic() - start, time.thread_time() - used
    drawer.wanted.put(None)
    drawer.join()
    return Row(
        cameras=len(cell.cameras),
        width=size[0],
        height=size[1],
        real_time_factor=round(seconds / wall, 4),
        camera_rate=round(drawer.drawn / seconds, 2),
        frames_dropped=dropped,
        draw_ms=round(1e3 * float(np.median(drawer.seconds)), 2),
        tick_us=round(1e3 * used / seconds, 1),
        worst_lag_ms=round(1e3 * pacer.worst_lag, 1),
    )
