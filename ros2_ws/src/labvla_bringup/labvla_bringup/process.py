"""One supervised process: start, log, stop with everything that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

LogLine = Callable[[str, str], None]

# A process gets these, each with the time to end by itself, until it is gone.
ESCALATION = ((signal.SIGINT, 5.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 2.0))


class ManagedProcess:
    """A child in a session of its own, so that one signal reaches all that it started.

    `setpriv --pdeathsig` has the kernel end it when the supervisor dies, however that happens.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log_file: Path,
        on_line: LogLine,
    ) -> None:
        self.name = name
        self.command = list(command)
        self._environment = dict(environment)
        self._log_file = log_file
        self._on_line = on_line
        self._child: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self.started_at = 0.0

    def start(self) -> None:
        """Start the process, from the main thread: the kernel ties its life to that thread."""
        self._child = subprocess.Popen(
            ["setpriv", "--pdeathsig", "SIGTERM", "--", *self.command],
            env=self._environment | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.started_at = time.monotonic()
        assert self._child.stdout is not None
        self._reader = threading.Thread(target=self._pump, args=(self._child.stdout,), daemon=True)
        self._reader.start()

    def _pump(self, stream: IO[bytes]) -> None:
        with self._log_file.open("ab") as sink, stream:
            for line in stream:
                sink.write(line)
                sink.flush()
                self._on_line(self.name, line.decode(errors="replace").rstrip("\n"))

    @property
    def pid(self) -> int | None:
        """The process id, or None before the start."""
        return self._child.pid if self._child else None

    def exit_code(self) -> int | None:
        """Return the exit code, negative for a signal, or None while it runs."""
        return self._child.poll() if self._child else None

    def running(self) -> bool:
        """Tell whether it runs."""
        return self._child is not None and self._child.poll() is None

    def signal_group(self, number: signal.Signals) -> bool:
        """Send a signal to the whole session; False when nothing of it is left."""
        if self._child is None:
            return False
        try:
            os.killpg(self._child.pid, number)
        except ProcessLookupError:
            return False
        return True

    def reap(self) -> None:
        """Make sure that nothing of its session is left, and take its last output."""
        if self._child is None:
            return
        self._child.poll()
        if self.signal_group(signal.SIGKILL):
            self._child.wait()
        if self._reader is not None:
            self._reader.join(timeout=2.0)


def stop_all(processes: Sequence[ManagedProcess]) -> list[str]:
    """Stop processes together, in escalating steps; return those that had to be killed."""
    killed: list[str] = []
    for number, patience in ESCALATION:
        left = [process for process in processes if process.running()]
        for process in left:
            process.signal_group(number)
            if number is signal.SIGKILL:
                killed.append(process.name)
        deadline = time.monotonic() + patience
        while any(process.running() for process in left) and time.monotonic() < deadline:
            time.sleep(0.02)
    for process in processes:
        process.reap()
    return killed
