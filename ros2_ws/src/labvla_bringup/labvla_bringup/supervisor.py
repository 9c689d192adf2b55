"""Runs a stack as supervised processes: what launch does on a robot, here without launch."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType

from ament_index_python.packages import PackageNotFoundError, get_package_prefix

from labvla_bringup import leftovers, registry
from labvla_bringup.console import LogPrinter
from labvla_bringup.description import Process, Restart, Stack
from labvla_bringup.graph import Graph
from labvla_bringup.process import ManagedProcess, stop_all

READY_TIMEOUT = 30.0  # s; a cold start of Python and DDS on a busy two-core machine takes about 5
MAX_RESTARTS = 3  # within RESTART_WINDOW: more than that is no accident
RESTART_WINDOW = 60.0
POLL = 0.05


class SupervisorError(RuntimeError):
    """The stack could not be brought up or kept up; the text says why."""


@dataclass
class _Member:
    """A process of the stack together with its history."""

    description: Process
    process: ManagedProcess
    record: registry.ProcessRecord
    restarts: list[float]
    gone: frozenset[bytes] = frozenset()  # publishers of its former lives


def executable_path(description: Process) -> Path:
    """Return the file that `ros2 run package executable` would start."""
    try:
        prefix = Path(get_package_prefix(description.package))
    except PackageNotFoundError:
        raise SupervisorError(
            f"package {description.package} is not built: run `make setup`"
        ) from None
    path = prefix / "lib" / description.package / description.executable
    if not path.is_file():
        raise SupervisorError(f"{path} is missing: run `make setup`")
    return path


def new_log_dir(root: Path) -> Path:
    """Create a folder for the logs of this run."""
    path = root / datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    path.mkdir(parents=True)
    return path


class Supervisor:
    """Starts the processes in order, watches and restarts them, leaves no orphan."""

    def __init__(
        self,
        stack: Stack,
        log_dir: Path,
        printer: LogPrinter,
        most_restarts: int = MAX_RESTARTS,
        patience: float = READY_TIMEOUT,
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            stack: what to run.
            log_dir: where each process's output goes.
            printer: where all of it goes, too.
            most_restarts: of one process within a minute, before the stack is given up.
            patience: seconds for each process to become ready.
        """
        other = registry.current()
        if other is not None:
            raise SupervisorError(
                f"the stack {other.cell} is up already in ROS domain {registry.domain()} "
                f"(process {other.supervisor}). First: labvla down; or set another ROS_DOMAIN_ID"
            )
        self._stack = stack
        self._most_restarts = most_restarts
        self._patience = patience
        self._printer = printer
        self._log_dir = log_dir
        self._members = []
        for description in stack.processes:
            command = [str(executable_path(description))]
            command += description.ros_arguments(stack.namespace)
            log_file = self._log_dir / f"{description.name}.log"
            process = ManagedProcess(description.name, command, os.environ, log_file, printer.line)
            record = registry.ProcessRecord(description.name, "starting")
            self._members.append(_Member(description, process, record, []))
        self._asked_to_stop = False
        self._failure: str | None = None
        me = os.getpid()
        self._record = registry.StackRecord(
            state="starting",
            cell=stack.cell,
            engine=stack.engine,
            namespace=stack.namespace,
            supervisor=me,
            supervisor_start=registry.start_time(me) or "",
            log_dir=str(self._log_dir),
            processes=[member.record for member in self._members],
        )

    def run(self) -> None:
        """Bring the stack up and stay until a signal or a failure; nothing is left on return.

        Raises SupervisorError on failure.
        """
        stops = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, self._on_signal) for number in stops}
        registry.publish(self._record)
        leftovers.remove_abandoned_memory()
        try:
            with Graph(self._stack.namespace) as graph:
                self._bring_up(graph)
                if self._may_go_on():
                    self._set_state("up")
                    self._printer.note(f"{self._stack.cell} is up; Ctrl-C or `labvla down` ends it")
                while self._may_go_on():
                    self._watch(graph)
                    time.sleep(POLL)
        finally:
            self._set_state("stopping")
            killed = stop_all([member.process for member in self._members])
            leftovers.remove_abandoned_memory()
            registry.withdraw()
            for number, handler in before.items():
                signal.signal(number, handler)
        if killed:
            self._printer.note(f"did not stop in time and had to be killed: {', '.join(killed)}")
        if self._failure:
            raise SupervisorError(self._failure)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._asked_to_stop = True

    def _may_go_on(self) -> bool:
        return not self._asked_to_stop and self._failure is None

    def _set_state(self, state: str) -> None:
        self._record.state = state
        registry.publish(self._record)

    def _bring_up(self, graph: Graph) -> None:
        """Start the processes one after another, each when the one before is ready."""
        for member in self._members:
            self._start(member)
            deadline = time.monotonic() + self._patience
            while self._may_go_on() and not self._note_if_ready(member, graph):
                self._watch(graph)
                if time.monotonic() > deadline:
                    self._fail(member, f"was not ready within {self._patience:g} s")
                time.sleep(POLL)
            if not self._may_go_on():
                return

    def _start(self, member: _Member) -> None:
        member.process.start()
        member.record.state = "starting"
        member.record.pid = member.process.pid
        registry.publish(self._record)

    def _note_if_ready(self, member: _Member, graph: Graph) -> bool:
        if not (member.process.running() and graph.is_ready(member.description.ready, member.gone)):
            return False
        member.record.state = "ready"
        registry.publish(self._record)
        seconds = time.monotonic() - member.process.started_at
        self._printer.note(f"{member.description.name} is ready ({seconds:.1f} s)")
        return True

    def _watch(self, graph: Graph) -> None:
        """Look after every process that was started."""
        for member in self._members:
            if member.record.state == "restarting":
                self._start(member)
            elif member.record.state in ("starting", "ready"):
                code = member.process.exit_code()
                if code is not None:
                    member.gone |= graph.endpoints(member.description.ready)
                    self._on_exit(member, code)
                elif member.record.state == "starting" and member.restarts:
                    self._note_if_ready(member, graph)

    def _on_exit(self, member: _Member, code: int) -> None:
        """Decide what the end of a process means."""
        member.process.reap()
        member.record.exit_code = code
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        now = time.monotonic()
        member.restarts = [t for t in member.restarts if now - t < RESTART_WINDOW]
        wanted = member.description.restart is Restart.ON_FAILURE and code != 0
        if wanted and len(member.restarts) < self._most_restarts:
            member.restarts.append(now)
            member.record.restarts += 1
            member.record.state = "restarting"
            self._printer.note(f"{member.description.name} {how}; starting it again")
        else:
            member.record.state = "ended"
            again = f" ({len(member.restarts)} restarts before)" if member.restarts else ""
            if member.description.essential:
                self._fail(member, how + again)
            else:
                self._printer.note(f"{member.description.name} {how}{again}")
        registry.publish(self._record)

    def _fail(self, member: _Member, why: str) -> None:
        log = self._log_dir / f"{member.description.name}.log"
        self._failure = f"{member.description.name} {why}; its output: {log}"
