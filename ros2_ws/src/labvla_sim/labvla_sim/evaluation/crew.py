"""Workers: processes that play episodes side by side, and may die without the others noticing."""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from labvla_data.parallel import cores
from labvla_policy.engines.base import EngineError
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.refusal import Refused
from labvla_sim.evaluation.contestant import Contestant
from labvla_sim.evaluation.job import Job
from labvla_sim.evaluation.player import Player
from labvla_sim.evaluation.record import Record, crashed

_TRIES = 2  # workers that may die over one episode
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_GOODBYE = 5.0  # s to end in


class UnfitEngine(Exception):
    """The engine cannot be made, or cannot work here; the text says why."""


@dataclass(frozen=True)
class Order:
    """An episode to be played, into a film where one is wanted."""

    job: Job
    film: Path | None = None


@contextmanager
def one_thread() -> Iterator[None]:
    """Have a process that is started meanwhile do its arithmetic in one thread.

    Workers share the cores already, and results may depend on the number of threads.
    """
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class Crew:
    """Plays episodes in processes of their own, each with an engine of its own."""

    def __init__(self, cell_file: Path, contestant: Contestant, workers: int | None) -> None:
        self._cell_file, self._contestant = cell_file, contestant
        self._count = workers or cores()

    def policy(self, steps: int | None) -> str:
        """Return the name of the engine, loaded as for an episode; raise UnfitEngine."""
        worker = _Worker(self._cell_file, self._contestant)
        try:
            return worker.policy(steps)
        finally:
            worker.end()

    def play(self, orders: Sequence[Order]) -> Iterator[tuple[Job, Record]]:
        """Yield every episode with its record as they end; raise UnfitEngine."""
        waiting, deaths = deque(orders), Counter[str]()
        workers: list[_Worker] = []
        try:
            while waiting or any(worker.order for worker in workers):
                while waiting and len(workers) < min(self._count, len(orders)):
                    workers.append(_Worker(self._cell_file, self._contestant))
                for worker in workers:
                    if worker.order is None and waiting:
                        worker.begin(waiting.popleft())
                for worker in self._heard(workers):
                    order, answer = worker.order, worker.answer()
                    assert order is not None
                    if answer is not None:
                        yield order.job, answer
                        continue
                    workers.remove(worker)
                    deaths[order.job.key] += 1
                    if deaths[order.job.key] < _TRIES:
                        waiting.appendleft(order)
                    else:
                        yield (
                            order.job,
                            crashed(order.job, f"{_TRIES} worker processes died over it"),
                        )
        finally:
            for worker in workers:
                worker.end()

    def _heard(self, workers: Sequence[_Worker]) -> list[_Worker]:
        busy = [worker for worker in workers if worker.order is not None]
        ready = wait([worker.pipe for worker in busy])
        return [worker for worker in busy if worker.pipe in ready]


class _Worker:
    """One process, seen from outside."""

    def __init__(self, cell_file: Path, contestant: Contestant) -> None:
        # A forked copy of a process with threads may hang, and libraries here have threads.
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.order: Order | None = None
        self._process = context.Process(
            target=_work, args=(other, cell_file, contestant), daemon=True
        )
        with one_thread():
            self._process.start()
        other.close()

    def begin(self, order: Order) -> None:
        """Have an episode played."""
        self.order = order
        with suppress(BrokenPipeError):  # it has died: its answer will say so
            self.pipe.send(order)

    def answer(self) -> Record | None:
        """Return the episode's record; None where the process has died."""
        order, self.order = self.order, None
        assert order is not None
        try:
            kind, value = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self._process.join(_GOODBYE)
            return None
        if kind == "unfit":
            raise UnfitEngine(value)
        result: Record = value if kind == "done" else crashed(order.job, value)
        return result

    def policy(self, steps: int | None) -> str:
        """Have the engine loaded; return its name."""
        self.pipe.send(steps)
        try:
            kind, value = self.pipe.recv()
        except EOFError:
            raise UnfitEngine("its process ended while it was loaded") from None
        if kind == "unfit":
            raise UnfitEngine(value)
        return str(value)

    def end(self) -> None:
        """Let the process go; one that is busy is ended."""
        if self.order is not None:
            self._process.terminate()
        self.pipe.close()
        self._process.join(_GOODBYE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _work(pipe: Connection, cell_file: Path, contestant: Contestant) -> None:
    """Be a worker until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    player = Player(load_cell(cell_file), contestant)
    while True:
        try:
            asked = pipe.recv()
        except EOFError:
            return
        pipe.send(_answer(player, asked))


def _answer(player: Player, asked: Order | int | None) -> tuple[str, Any]:
    """Play an episode; or only load the engine, with so many steps."""
    order = asked if isinstance(asked, Order) else None
    try:
        policy = player.load(order.job.setting.steps if order else asked)  # type: ignore[arg-type]
    except (EngineError, Refused) as error:
        return "unfit", str(error)
    except Exception:
        return "unfit", f"it raised while it was made:\n{traceback.format_exc()}"
    if order is None:
        return "loaded", policy
    try:
        return "done", player.play(order.job, order.film)
    except Exception:
        player.close()
        return "failed", traceback.format_exc(limit=-3)
