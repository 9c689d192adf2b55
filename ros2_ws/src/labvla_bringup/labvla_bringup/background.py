"""A stack that a program brings up in a process of its own, and brings down again."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import IO

from labvla_bringup import registry
from labvla_bringup.graph import GraphError

START_TIMEOUT = 90.0  # s
UP = ("labvla_bringup.cli", "up")


class BackgroundStack:
    """`labvla up` with some words, or another program that runs a stack, while a `with` lasts."""

    def __init__(
        self,
        words: Sequence[str],
        output: IO[str],
        program: Sequence[str] = UP,
        patience: float = START_TIMEOUT,
    ) -> None:
        """Prepare; what the stack says goes to `output`."""
        self._patience = patience
        self._command = [sys.executable, "-m", *program, *words]
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None
        self.code = 0  # exit code, when it has come down

    def __enter__(self) -> BackgroundStack:
        self._process = subprocess.Popen(self._command, stdout=self._output)
        try:
            self._wait(self._process)
        except BaseException:
            self._end()
            raise
        return self

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self._patience
        while time.monotonic() < deadline and process.poll() is None:
            record = registry.current()
            if record is not None and record.state == "up":
                return
            time.sleep(0.1)
        raise GraphError("the stack did not come up; its output says why")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    @property
    def pid(self) -> int:
        """The supervisor's process."""
        assert self._process is not None
        return self._process.pid

    def _end(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self.code = self._process.wait()
