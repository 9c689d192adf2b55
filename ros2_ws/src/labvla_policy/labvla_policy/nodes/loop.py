"""The thread on which observations become chunks.

Nothing here runs in a ROS callback: assembling decodes pictures, and the engine may take as long as
its deadline allows.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable

from labvla_policy.engines.base import EngineError
from labvla_policy.engines.host import EngineFault, EngineHost
from labvla_policy.nodes.events import Events
from labvla_policy.runtime.beat import Beat
from labvla_policy.runtime.cycle import Chunk, Cycle, Turn
from labvla_policy.runtime.latency import Latency
from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.types import Prediction

LOOK = 1.5  # frame times between two looks for something to do while no picture comes
RESTART_PAUSE = 1.0  # s before a failed engine is started again


class PolicyLoop(threading.Thread):
    """Keeps the engine loaded, and asks it whenever the cycle wants to."""

    def __init__(
        self,
        cycle: Cycle,
        host: EngineHost,
        beat: Beat,
        pictures: threading.Event,
        events: Events,
        publish: Callable[[Chunk], None],
        frame_time: float,
        timeout: float,
        load_timeout: float,
    ) -> None:
        """Prepare; `pictures` is set by whoever receives one, every `frame_time` s or sooner."""
        super().__init__(name="policy", daemon=True)
        self._cycle, self._host, self._events = cycle, host, events
        self._beat, self._pictures = beat, pictures
        self._publish = publish
        self._look = LOOK * frame_time
        self._timeout, self._load_timeout = timeout, load_timeout
        self._ending = threading.Event()
        self.ready = threading.Event()
        self.fault = ""  # why the engine is not ready; empty while it loads
        self.latency = Latency()

    @property
    def policy(self) -> str:
        """The engine's own name."""
        return self._host.policy

    def end(self) -> None:
        """End the thread and the engine."""
        self._ending.set()
        self._pictures.set()
        self.join(timeout=5.0)
        self._host.stop()

    def run(self) -> None:
        """Load the engine, then work until the end; a fault of its own ends the whole process."""
        try:
            self._work()
        except BaseException:
            traceback.print_exc()
            os.kill(os.getpid(), signal.SIGABRT)  # a node without its loop would look alive

    def _work(self) -> None:
        while not self._ending.is_set():
            if self.ready.is_set():
                self._take_part()
            else:
                self._load()

    def _take_part(self) -> None:
        """Ask whenever it is time, for as long as there is an engine."""
        member = self._beat.join(self._pictures)
        try:
            while self.ready.is_set() and not self._ending.is_set():
                turn = self._cycle.turn(member.look())
                if turn is None:
                    member.rest(self._look)
                else:
                    self._ask(turn)
        finally:
            member.leave()

    def _load(self) -> None:
        try:
            self._host.start(self._load_timeout)
        except (EngineFault, EngineError) as error:
            self._not_ready(Refusal("engine_not_ready", str(error)))
        except Refused as refused:
            self._not_ready(refused.refusal)
        else:
            self.fault = ""
            self.ready.set()

    def _not_ready(self, refusal: Refusal) -> None:
        self.fault = refusal.detail
        self._events.refused(refusal, self._beat.now())
        self._ending.wait(RESTART_PAUSE)

    def _ask(self, turn: Turn) -> None:
        try:
            prediction = self._answer_of_engine(turn)
        except EngineFault as fault:
            self.ready.clear()
            self._fail(turn, Refusal(fault.reason, fault.detail))
            return
        except EngineError as error:
            self._fail(turn, Refusal("engine_error", str(error)))
            return
        except Refused as refused:
            self._fail(turn, refused.refusal)
            return
        chunk = self._cycle.answer(turn, prediction, self._beat.now())
        if chunk is not None:
            self._publish(chunk)

    def _answer_of_engine(self, turn: Turn) -> Prediction:
        begin = time.monotonic()
        if turn.begins:
            self._host.begin(turn.question.observation, self._timeout)
        prediction = self._host.infer(turn.question, self._timeout)
        self.latency.add(time.monotonic() - begin)
        return prediction

    def _fail(self, turn: Turn, refusal: Refusal) -> None:
        t = self._beat.now()
        self._cycle.failed(turn, t)
        self._events.refused(refusal, t)
