"""Runs an engine in a process of its own, so that whatever happens to it cannot take the node down.

A crash, a hang or a killed process becomes an EngineFault of the call in progress; the next start
brings a fresh process.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import asdict

from labvla_policy.engines.base import EngineError, Question
from labvla_policy.engines.spec import EngineSpec
from labvla_policy.engines.wire import (
    MOST_BYTES,
    Message,
    PeerGone,
    PeerSilent,
    Wire,
    send_question,
    to_prediction,
    to_refusal,
)
from labvla_policy.runtime.refusal import Refused
from labvla_policy.runtime.types import Observation, Prediction


class EngineFault(RuntimeError):
    """The engine's process crashed, hung or answered nonsense."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class EngineHost:
    """The node's end of an engine process. Used by one thread at a time."""

    def __init__(self, spec: EngineSpec) -> None:
        self._spec = spec
        self._child: subprocess.Popen[bytes] | None = None
        self._wire: Wire | None = None
        self.policy = ""

    def start(self, timeout: float) -> None:
        """Start the process and wait until the engine is loaded and warm.

        Like every call here it raises an EngineFault where the process fails, and an EngineError or
        Refused where the engine itself says why it cannot do what is asked.
        """
        self.stop()
        ours, theirs = socket.socketpair()
        # Memory without a name: nothing is left in /dev/shm, however either process ends.
        memory = os.memfd_create("labvla-engine")
        try:
            os.ftruncate(memory, MOST_BYTES)
            command = [sys.executable, "-m", "labvla_policy.engines.worker"]
            command += [str(theirs.fileno()), str(memory), json.dumps(asdict(self._spec))]
            self._child = subprocess.Popen(
                command, pass_fds=(theirs.fileno(), memory), stdin=subprocess.DEVNULL
            )
            self._wire = Wire(ours, memory)
        finally:
            theirs.close()
            os.close(memory)
        self.policy = str(self._answer(timeout)["policy"])

    def begin(self, observation: Observation, timeout: float) -> None:
        """Start a new instruction."""
        self._ask("begin", Question(observation))
        self._answer(timeout)

    def infer(self, question: Question, timeout: float) -> Prediction:
        """Predict, or raise an EngineFault when that takes too long."""
        self._ask("infer", question)
        answer = self._answer(timeout)
        try:
            return to_prediction(answer)
        except (KeyError, TypeError, ValueError) as error:
            raise EngineFault(
                "engine_answer", f"an answer that is no prediction: {error}"
            ) from None

    def _ask(self, verb: str, question: Question) -> None:
        if self._wire is None:
            raise EngineFault("engine_gone", "the engine's process is not running")
        try:
            send_question(self._wire, verb, question)
        except PeerGone as gone:
            raise self._gone(gone) from None

    def _answer(self, timeout: float) -> Message:
        assert self._wire is not None
        try:
            answer = self._wire.receive(timeout)
        except PeerSilent:
            self.stop()  # whatever it answers later belongs to nobody
            raise EngineFault("engine_hung", f"no answer within {timeout:g} s") from None
        except PeerGone as gone:
            raise self._gone(gone) from None
        except ValueError as error:
            self.stop()
            raise EngineFault("engine_answer", f"not a message: {error}") from None
        if "error" in answer:
            raise EngineError(str(answer["error"]))
        refusal = to_refusal(answer)
        if refusal is not None:
            raise Refused(refusal)
        return answer

    def _gone(self, cause: PeerGone) -> EngineFault:
        code = self._end_child()
        self.stop()
        return EngineFault("engine_gone", f"the engine's process ended with code {code} ({cause})")

    def _end_child(self) -> int | None:
        if self._child is None:
            return None
        try:
            return self._child.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            self._child.send_signal(signal.SIGKILL)
            return self._child.wait()

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return None if self._child is None else self._child.pid

    def stop(self) -> None:
        """End the process: it ends by itself when the connection closes, or is killed."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None
        self._end_child()
        self._child = None
