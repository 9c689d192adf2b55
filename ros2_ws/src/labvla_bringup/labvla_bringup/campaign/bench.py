"""The stack under test, and everything that a campaign does to it or asks of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from labvla_bringup import leftovers, registry
from labvla_bringup.campaign.observer import Observer
from labvla_bringup.graph import Graph
from labvla_msgs.srv import (
    DiscardEpisode,
    InjectFault,
    JudgeScene,
    ResetScene,
    SetInstruction,
    StartEpisode,
    WatchInvariants,
)
from labvla_policy.runtime.cell import Cell

START_TIMEOUT = 90.0  # s; two processes and an engine on a busy machine
ENGINE = "labvla_policy.engines.worker"
_MARK = "LABVLA_CAMPAIGN"


class BenchError(RuntimeError):
    """The stack does not do what every run needs; the text says what."""


class Bench:
    """One running stack with an engine that misbehaves on order."""

    def __init__(self, cell: Cell, folder: Path) -> None:
        self.cell = cell
        self._folder = folder
        self._orders = folder / "orders"
        self._mark = uuid.uuid4().hex
        self._child: subprocess.Popen[bytes] | None = None
        self._graph: Graph | None = None
        self._observer: Observer | None = None

    def __enter__(self) -> Bench:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # Up and down

    def start(self) -> None:
        """Bring the stack up and wait until the policy is active."""
        logs = self._folder / time.strftime("stack-%H%M%S")
        logs.mkdir(parents=True)
        self.order_engine("")
        command = [sys.executable, "-m", "labvla_bringup.campaign.stack"]
        command += [self.cell.origin.file, str(logs.resolve()), str(self._orders.resolve())]
        with (logs / "all.log").open("wb") as log:
            self._child = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, _MARK: self._mark},
                start_new_session=True,  # Ctrl-C reaches the campaign, which ends it in order
            )
        self._wait_until_up(logs)
        self._graph = Graph()
        self._observer = Observer(self._graph, self.cell)
        self.until(lambda: self.observer.active, "the policy is active", START_TIMEOUT)

    def _wait_until_up(self, logs: Path) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self._child is not None:
            record = registry.current()
            if record is not None and record.state == "up":
                return
            if self._child.poll() is not None:
                break
            time.sleep(0.1)
        raise BenchError(f"the stack did not come up; its output: {logs / 'all.log'}")

    def stop(self) -> int:
        """Bring the stack down; return its exit code."""
        if self._child is None:
            return 0
        if self._graph is not None:
            self._graph.__exit__(None, None, None)
            self._graph = None
        self._child.send_signal(signal.SIGTERM)
        code = self._child.wait(timeout=30.0)
        self._child = None
        return code

    def left(self) -> list[str]:
        """Return what the stack has left behind, after it was stopped."""
        processes = leftovers.processes(_MARK, self._mark)
        return [f"process {number}: {command}" for number, command in processes.items()]

    @property
    def graph(self) -> Graph:
        """The window on the running stack."""
        if self._graph is None:
            raise BenchError("the stack is down")
        return self._graph

    @property
    def observer(self) -> Observer:
        """What the running stack says of itself."""
        if self._observer is None:
            raise BenchError("the stack is down")
        return self._observer

    # Waiting

    def until(self, condition: Callable[[], bool], what: str, timeout: float) -> None:
        """Wait for something; not to see it is the end of a run."""
        if not self.graph.spin_until(condition, timeout):
            raise BenchError(f"waited {timeout:g} s in vain: {what}")

    def wait_for_seconds(self, seconds: float) -> None:
        """Listen for a while."""
        self.graph.spin_for(seconds)

    # What a person may ask for

    def put_up(self, task: str, seed: int) -> str:
        """Put up a scene as soon as the arm stands; return the wording of its task."""
        request = ResetScene.Request(task=task, seed=seed, variation="id")
        answer = self._insist(ResetScene, "sim/reset", request)
        return str(answer.instruction)

    def say(self, text: str) -> Any:
        """Give an instruction and return the answer."""
        request = SetInstruction.Request(instruction=text)
        return self.graph.call(SetInstruction, "labvla/set_instruction", request)

    def insist(self, text: str, timeout: float = 60.0) -> None:
        """Give an instruction that may be refused for as long as the engine loads."""
        request = SetInstruction.Request(instruction=text)
        self._insist(SetInstruction, "labvla/set_instruction", request, timeout)

    def trigger(self, service: str) -> str:
        """Call a Trigger service that may not refuse."""
        done, message = self.graph.trigger(service)
        if not done:
            raise BenchError(f"{service} was refused: {message}")
        return message

    def record(self) -> None:
        """Begin an episode."""
        request = StartEpisode.Request(operator_name="campaign")
        self._insist(StartEpisode, "labvla/start_episode", request)

    def end_recording(self) -> None:
        """Throw the episode away; one that has ended by itself is none any more."""
        request = DiscardEpisode.Request(reason="campaign")
        self.graph.call(DiscardEpisode, "labvla/discard_episode", request)

    def phase(self) -> str:
        """Return the furthest phase of the task that holds at the moment."""
        return str(self.graph.call(JudgeScene, "sim/judge", JudgeScene.Request()).phase)

    def _insist(self, kind: type, name: str, request: Any, timeout: float = 20.0) -> Any:
        deadline = time.monotonic() + timeout
        while True:
            answer = self.graph.call(kind, name, request)
            if answer.accepted:
                return answer
            if time.monotonic() > deadline:
                raise BenchError(f"{name} was refused for {timeout:g} s: {answer.message}")
            self.wait_for_seconds(0.1)

    # What only a campaign does

    def watch(self, action: int, instants: tuple[int, ...] = ()) -> Any:
        """Speak to the simulator's monitor."""
        request = WatchInvariants.Request(action=action, instants=list(instants))
        return self.graph.call(WatchInvariants, "sim/invariants", request)

    def spoil(self, target: str, kind: str, **how: Any) -> None:
        """Inject a fault into the simulated cell, or clear one."""
        how = {**how, "wrench": np.array(how.get("wrench", (0.0,) * 6))}
        request = InjectFault.Request(target=target, kind=kind, **how)
        answer = self.graph.call(InjectFault, "sim/fault", request)
        if not answer.accepted:
            raise BenchError(f"the simulation refuses {target}/{kind}: {answer.message}")

    def order_engine(self, order: str) -> None:
        """Have the engine misbehave; nothing ends it."""
        fresh = self._orders.with_suffix(".new")
        fresh.write_text(order, encoding="utf-8")
        fresh.replace(self._orders)

    def pid_of(self, name: str) -> int:
        """Return the process of the policy, of the simulation, or of the policy's engine."""
        if name == "engine":
            workers = leftovers.children(self.pid_of("policy")).items()
            found = [pid for pid, command in workers if ENGINE in command]
        else:
            found = [p.pid for p in self.processes() if p.name == name and p.pid is not None]
        if not found:
            raise BenchError(f"the process {name} does not run")
        return found[0]

    def processes(self) -> list[registry.ProcessRecord]:
        """Return what the supervisor says of its processes."""
        record = registry.current()
        if record is None:
            raise BenchError("the stack is down")
        return record.processes

    def restarts(self, name: str) -> int:
        """Return how often the supervisor had to start a process again."""
        return next(p.restarts for p in self.processes() if p.name == name)

    def ready(self) -> bool:
        """Tell whether all processes run and are ready."""
        return all(process.state == "ready" for process in self.processes())
