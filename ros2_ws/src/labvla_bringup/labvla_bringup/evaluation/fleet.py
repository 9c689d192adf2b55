"""Several stacks side by side: a process for each, in a ROS domain that the user has named.

Domains are never guessed: on another one of this machine a robot may be listening.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from itertools import pairwise
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from labvla_bringup.evaluation.stack_path import StackPath
from labvla_bringup.graph import GraphError
from labvla_sim.evaluation.contestant import Contestant
from labvla_sim.evaluation.crew import Order, UnfitEngine
from labvla_sim.evaluation.job import Job
from labvla_sim.evaluation.record import Record


class Fleet:
    """Gives each stack its share of the episodes."""

    def __init__(
        self, cell_file: Path, contestant: Contestant, logs: Path, domains: Sequence[int]
    ) -> None:
        self._cell_file, self._contestant = cell_file, contestant
        self._logs, self._domains = logs, domains

    def play(self, orders: Sequence[Order]) -> Iterator[tuple[Job, Record]]:
        """Yield every episode with its record as they end; raise UnfitEngine or GraphError."""
        # In a row, and not in turns: tasks follow each other in turns, and some take longer.
        ends = [len(orders) * n // len(self._domains) for n in range(len(self._domains) + 1)]
        stacks = [
            self._stack(domain, orders[begin:end])
            for domain, (begin, end) in zip(self._domains, pairwise(ends), strict=True)
            if begin < end
        ]
        busy = list(stacks)
        try:
            while busy:
                ready = wait([stack.pipe for stack in busy])
                for stack in [one for one in busy if one.pipe in ready]:
                    heard = stack.heard()
                    if heard is None:
                        busy.remove(stack)
                    else:
                        yield heard
        finally:
            for stack in stacks:
                stack.end()

    def _stack(self, domain: int, orders: Sequence[Order]) -> _Stack:
        path = StackPath(self._cell_file, self._contestant, self._logs / f"domain-{domain}")
        return _Stack(domain, path, orders)


class _Stack:
    """A process that plays through its stack, seen from outside."""

    def __init__(self, domain: int, path: StackPath, orders: Sequence[Order]) -> None:
        # A forked copy of a process with threads may hang, and libraries here have threads.
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe(duplex=False)
        self._domain = domain
        self._process = context.Process(target=_play, args=(other, domain, path, orders))
        self._process.start()
        other.close()

    def heard(self) -> tuple[Job, Record] | None:
        """Return the next episode; None when there is no more."""
        try:
            kind, value = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            raise GraphError(f"the process of ROS domain {self._domain} has ended") from None
        if kind == "unfit":
            raise UnfitEngine(value)
        if kind == "failed":
            raise GraphError(f"ROS domain {self._domain}: {value}")
        played: tuple[Job, Record] | None = value
        return played

    def end(self) -> None:
        """Have the stack go down, wherever it is."""
        self.pipe.close()
        if self._process.is_alive():
            self._process.terminate()
        self._process.join()


def _play(pipe: Connection, domain: int, path: StackPath, orders: Sequence[Order]) -> None:
    """Play in a domain; what ends this process lets the stack go down first."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, lambda *_: None)  # the parent decides
    os.environ["ROS_DOMAIN_ID"] = str(domain)
    # Nobody listens any more, or the parent has decided.
    with suppress(BrokenPipeError, KeyboardInterrupt), closing(_answers(path, orders)) as answers:
        for answer in answers:
            pipe.send(answer)


def _answers(path: StackPath, orders: Sequence[Order]) -> Generator[tuple[str, Any]]:
    try:
        for played in path.play(orders):
            yield "played", played
    except UnfitEngine as error:
        yield "unfit", str(error)
    except GraphError as error:
        yield "failed", str(error)
    else:
        yield "played", None
