"""The experts as an engine of the running stack: the truth comes from the simulation's topic."""

from __future__ import annotations

import threading

import rclpy
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import String

from labvla_policy.engines.base import EngineError, Question
from labvla_policy.engines.spec import EngineSpec
from labvla_policy.nodes import qos
from labvla_policy.nodes.run import new_executor
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.types import Observation, Prediction
from labvla_sim.experts.engine import TruthEngine
from labvla_sim.truth_text import SceneTruth, from_text

FIRST_TRUTH = 10.0  # s to wait for the simulation
LATE_TRUTH = 1.0  # s for the truth of a step to arrive


class ExpertEngine(TruthEngine):
    """Listens to `sim/truth` on a thread of its own."""

    def __init__(self, spec: EngineSpec) -> None:
        super().__init__(load_cell(spec.cell), self._truth)
        self._heard: SceneTruth | None = None
        self._arrived = threading.Condition()
        self._closed = threading.Event()
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node("expert")
        self._node.create_subscription(String, "sim/truth", self._on_truth, qos.RELIABLE)
        self._executor = new_executor()
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()
        with self._arrived:
            if not self._arrived.wait_for(lambda: self._heard is not None, FIRST_TRUTH):
                raise EngineError("no true state on sim/truth: the expert works in simulation only")

    def _spin(self) -> None:
        while not self._closed.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def close(self) -> None:
        """Leave the ROS graph."""
        self._closed.set()
        self._thread.join(timeout=1.0)
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def _on_truth(self, message: String) -> None:
        with self._arrived:
            self._heard = from_text(message.data)
            self._arrived.notify_all()

    def begin(self, observation: Observation) -> None:
        """Choose the expert for the instruction."""
        self._await(observation.stamp)
        super().begin(observation)

    def infer(self, question: Question) -> Prediction:
        """Plan from the newest true state."""
        self._await(question.observation.stamp)
        return super().infer(question)

    def _await(self, stamp: int) -> None:
        """Where time waits for us, wait for its truth: an older one would depend on the machine."""
        if self._node.count_publishers("sim/step"):
            with self._arrived:
                self._arrived.wait_for(lambda: self._truth().stamp >= stamp, LATE_TRUTH)

    def _truth(self) -> SceneTruth:
        with self._arrived:
            assert self._heard is not None
            return self._heard
