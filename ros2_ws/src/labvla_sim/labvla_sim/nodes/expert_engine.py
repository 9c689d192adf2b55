"""The scripted experts as an engine: it reads the simulation's true state, which no policy may.

It stands in where no learned policy is wanted, and shows what the rest of the stack can do at best.
It obeys the instruction, whatever task the scene was put up for.
"""

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
from labvla_policy.runtime.types import NANOSECONDS, Observation, Prediction
from labvla_sim.experts import Expert, make_expert
from labvla_sim.tasks import TASKS, sample_episode
from labvla_sim.tasks.variation import VariationName
from labvla_sim.truth_text import TruthText, from_text

FIRST_TRUTH = 10.0  # s to wait for the simulation
FRESH = NANOSECONDS // 2  # an older truth than this is no basis for a plan


def task_of(instruction: str) -> str:
    """Return the task that an instruction asks for."""
    asked = instruction.casefold().rstrip(".!")
    for name, task in TASKS.items():
        if asked in {wording.casefold() for wording in (*task.wordings, *task.held_out)}:
            return name
    known = "; ".join(task.instruction for task in TASKS.values())
    raise EngineError(f"the expert does not know {instruction!r}; it knows for example: {known}")


class ExpertEngine:
    """Plans from the newest true state."""

    policy = "expert:true-state"

    def __init__(self, spec: EngineSpec) -> None:
        self._cell = load_cell(spec.cell)
        self._newest: TruthText | None = None
        self._arrived = threading.Condition()
        self._closed = threading.Event()
        self._expert: Expert | None = None
        self._scene: tuple[str, int, VariationName] | None = None
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node("expert")
        self._node.create_subscription(String, "sim/truth", self._on_truth, qos.RELIABLE)
        self._executor = new_executor()
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()
        with self._arrived:
            if not self._arrived.wait_for(lambda: self._newest is not None, FIRST_TRUTH):
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
            self._newest = from_text(message.data)
            self._arrived.notify_all()

    def begin(self, observation: Observation) -> None:
        """Choose the expert for the instruction."""
        self._choose(task_of(observation.instruction), self._truth())

    def infer(self, question: Question) -> Prediction:
        """Plan from the newest true state."""
        observation, newest = question.observation, self._truth()
        if observation.stamp - newest.stamp > FRESH:
            raise EngineError("the newest true state is too old: has the simulation stopped?")
        if self._expert is None or self._scene != _scene(newest):
            self._choose(task_of(observation.instruction), newest)
        assert self._expert is not None
        plan = self._expert.plan(newest.truth)
        offset = round(self._cell.policy.row_offset * plan.dt * NANOSECONDS)
        return Prediction(
            plan_start=newest.stamp + offset,
            dt=plan.dt,
            joint_names=self._cell.joints,
            joint_targets=plan.joints,
            gripper_names=tuple(arm.gripper_name for arm in self._cell.arms),
            gripper_targets=plan.widths,
        )

    def _truth(self) -> TruthText:
        with self._arrived:
            assert self._newest is not None
            return self._newest

    def _choose(self, task: str, newest: TruthText) -> None:
        self._scene = _scene(newest)
        episode = sample_episode(self._cell, *self._scene)
        self._expert = make_expert(self._cell, task, episode.scene)
        self._expert.begin()


def _scene(text: TruthText) -> tuple[str, int, VariationName]:
    return text.task, text.seed, text.variation
